/** Layers, origins, and everything that can be wrong with a file. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type LoadOptions, parseConfig, readConfig } from './load.ts';
import { originText } from './layers.ts';
import { type Problem, problemText } from './problem.ts';
import { configSchema, profileNames } from './schema.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-config-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

let files = 0;
async function written(content: string | Uint8Array): Promise<string> {
  const file = join(folder, `${(files += 1)}.yaml`);
  await writeFile(file, content);
  return file;
}

async function problemsOf(content: string, options: LoadOptions = {}): Promise<readonly Problem[]> {
  const result = await readConfig({ file: await written(content), ...options });
  return result.ok ? [] : result.problems;
}

/** Such as `4:5 cameras[0].url: is missing`. */
const said = async (content: string): Promise<string[]> =>
  (await problemsOf(content)).map(
    (problem) =>
      `${problem.line}:${problem.column} ${problemText({ ...problem, file: undefined } as unknown as Problem)}`,
  );

const camera = 'cameras:\n  - id: front\n    url: a.avi\n';

describe('layers', () => {
  it('an empty file, one of comments, and one with a BOM are all defaults', async () => {
    const defaults = configSchema.parse({});
    for (const content of [
      '',
      '# outpost.yaml\n',
      '\u{FEFF}',
      '\u{FEFF}{}',
      'uplink:\n  # url: mqtt://broker\ncameras:\n',
    ]) {
      const { config } = await loadConfig({ file: await written(content) });
      expect(config).toEqual(defaults);
    }
  });

  it('says who said each value', async () => {
    const file = await written('profile: station\nvision:\n  threads: 4\n' + camera);
    const { config, originOf } = await loadConfig({ file, overrides: { log: { level: 'debug' } } });
    const origin = (...path: (string | number)[]) => originText(originOf(path));
    expect(config.vision).toMatchObject({ threads: 4, memoryMax: 800 * 1024 ** 2 });
    expect(origin('profile')).toBe(`${file}:1`);
    expect(origin('vision', 'threads')).toBe(`${file}:3`);
    expect(origin('vision', 'memoryMax')).toBe('profile station');
    expect(origin('vision', 'model')).toBe('default');
    expect(origin('cameras', 0, 'url')).toBe(`${file}:6`);
    expect(origin('cameras', 0, 'stallAfter')).toBe('default');
    expect(origin('log', 'level')).toBe('override');
  });

  it('the profile that is asked for is stronger than the file’s', async () => {
    const file = await written('profile: station\n');
    const { config, originOf } = await loadConfig({ file, profile: 'kiosk' });
    expect(config.profile).toBe('kiosk');
    expect(config.vision.labels).toEqual(['person']);
    expect(originText(originOf(['profile']))).toBe('override');
  });

  it('lists replace lists', async () => {
    const file = await written(camera);
    const { config } = await loadConfig({ file, overrides: { cameras: [{ id: 'other', url: 'b.avi' }] } });
    expect(config.cameras.map(({ id }) => id)).toEqual(['other']);
  });

  it.each(profileNames)('profile %s can be used alone', async (profile) => {
    const { config, originOf } = await loadConfig({ profile, search: [] });
    expect(config.profile).toBe(profile);
    expect(originText(originOf(['vision', 'labels']))).toBe(`profile ${profile}`);
  });

  it('takes the first file that is there, and none when none is', async () => {
    const file = await written('device: { id: found }\n');
    const found = await loadConfig({ search: [join(folder, 'missing.yaml'), file] });
    expect(found).toMatchObject({ file, config: { device: { id: 'found' } } });
    expect((await loadConfig({ search: [join(folder, 'missing.yaml')] })).file).toBeUndefined();
  });

  it('follows anchors', async () => {
    const { config } = await loadConfig({
      file: await written(`cameras:
  - { id: a, url: a.avi, zones: &zones [{ id: yard, polygon: [[0, 0], [1, 0], [1, 1]] }] }
  - { id: b, url: b.avi, zones: *zones }
`),
    });
    expect(config.cameras[1]?.zones).toEqual(config.cameras[0]?.zones);
  });
});

describe('files that cannot be read', () => {
  it.each([
    ['missing', async () => join(folder, 'none.yaml'), 'config-missing'],
    ['a folder', async () => folder, 'config-unreadable'],
    ['no text', async () => await written(Uint8Array.of(0xff, 0xfe, 0x00, 0x80)), 'config-unreadable'],
    ['too large', async () => await written('#'.repeat(1024 * 1024 + 1)), 'config-unreadable'],
    ['endless', async () => '/dev/zero', 'config-unreadable'],
  ])('%s', async (_title, file, code) => {
    await expect(loadConfig({ file: await file() })).rejects.toMatchObject({ code, kind: 'config' });
  });
});

describe('hostile files', () => {
  it.each([
    [
      'a bomb of aliases',
      `a: &a [x, x, x, x, x, x, x, x, x, x]\n${'bcdefghi'
        .split('')
        .map(
          (name, index) =>
            `${name}: &${name} [${Array.from({ length: 10 }, () => `*${'abcdefghi'[index]}`).join(', ')}]`,
        )
        .join('\n')}\n`,
    ],
    ['an alias of itself', 'cameras: &a [*a]\n'],
    ['deep brackets', '['.repeat(200_000)],
    ['deep dashes', '- '.repeat(200_000)],
    ['deep sections', Array.from({ length: 500 }, (_empty, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['many keys', Array.from({ length: 60_000 }, (_empty, index) => `k${index}: 1`).join('\n')],
    ['a prototype', '__proto__: { polluted: true }\n'],
    ['another prototype', 'vision: { thresholds: { __proto__: { x: 1 } } }\n'],
    ['an unknown tag', 'device: !!js/function "x"\n'],
    ['two documents', 'device: {}\n---\ndevice: {}\n'],
    ['a list', '- 1\n'],
    ['a text', 'hello\n'],
    ['a key that is a list', '? [a, b]\n: 1\n'],
  ])('%s is refused with a problem', async (_title, content) => {
    const problems = await problemsOf(content);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(200);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('never shows a secret in a problem', async () => {
    const content =
      'uplink: { url: "mqtt://me:hunter2@broker", username: x, password: [hunter2] }\ncameras: [{ id: a, url: { hunter2: 1 } }, { id: b, url: 5552 }]\n';
    const file = await written(content);
    const error = await loadConfig({ file }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'config-invalid' });
    expect(JSON.stringify(error) + String(error)).not.toMatch(/hunter2|5552/);
  });
});

describe('what is wrong is said with its place and what to write', () => {
  it.each<[string, string, string[]]>([
    ['YAML', 'device: {id: a\ncameras: ]\n', ['2:1']],
    ['a doubled key', 'device: {}\ndevice: {}\n', ['2:1 device: is written twice']],
    ['an unknown key', 'visoin: {}\n', ['1:1 visoin: is not a known key (did you mean vision?)']],
    [
      'a key of another section',
      'stallAfter: 5s\n',
      ['1:1 stallAfter: is not a known key (it is known as cameras[].stallAfter)'],
    ],
    ['a key of nowhere', 'log: { colour: red }\n', ['1:8 log.colour: is not a known key (known here: level)']],
    [
      'a duration without unit',
      `${camera}    stallAfter: 5\n`,
      ['4:5 cameras[0].stallAfter: must be a duration with its unit (write 5s)'],
    ],
    [
      'a duration in words',
      `${camera}    stallAfter: 5 min\n`,
      ['4:5 cameras[0].stallAfter: must be a duration, such as 5s (write 5m)'],
    ],
    [
      'a size without unit',
      'outbox: { maxSize: 500 }\n',
      ['1:11 outbox.maxSize: must be a size with its unit (write 500MiB)'],
    ],
    ['a size in GB', 'outbox: { maxSize: 2GB }\n', ['1:11 outbox.maxSize: must be a size, such as 2GiB (write 2GiB)']],
    ['a word for true', `${camera}    enabled: yes\n`, ['4:5 cameras[0].enabled: must be true or false (write true)']],
    [
      'a number in quotes',
      'vision: { threads: "2" }\n',
      ['1:11 vision.threads: must be a number (write 2, without quotes)'],
    ],
    ['a number for a text', 'device: { id: 7 }\n', ['1:11 device.id: must be a text (write "7", in quotes)']],
    ['a text for a list', 'vision: { labels: person }\n', ['1:11 vision.labels: must be a list (write [person])']],
    ['a wrong word', 'log: { level: warning }\n', ['1:8 log.level: is not a known word (did you mean warn?)']],
    ['a wrong profile', 'profile: kiosc\n', ['1:1 profile: is not a known word (did you mean kiosk?)']],
    [
      'a missing key',
      'cameras: [{ id: a }]\n',
      [
        '1:11 cameras[0].url: is missing (rtsp:// or rtsps:// stream, http(s):// JPEG snapshot or stream, a video file, a folder of pictures, or sim://street?seed=1)',
      ],
    ],
    ['a range', 'vision: { threads: 99 }\n', ['1:11 vision.threads: must be at most 16']],
    [
      'an id',
      'device: { id: "Robot 7" }\n',
      ['1:11 device.id: must be 1 to 32 of a-z, 0-9, _ and -, starting with a letter or digit'],
    ],
    [
      'a time zone',
      'device: { timeZone: Mars/Olympus }\n',
      ['1:11 device.timeZone: must be the name of a time zone, such as Asia/Shanghai, or `system`'],
    ],
    [
      'two cameras with one id',
      `${camera}  - { id: front, url: b.avi }\n`,
      ['4:7 cameras[1].id: is the id of another camera already'],
    ],
    [
      'a password in the broker’s URL',
      'uplink: { url: "mqtt://u:p@broker" }\n',
      ['1:11 uplink.url: must not hold a password: use username and password'],
    ],
    [
      'a server of pictures that is not used',
      'evidence: { server: { url: https://store.example/p, key: k } }\n',
      [
        '1:13 evidence.server: is used with evidence.upload: true alone',
        '1:53 evidence.server.key: needs evidence.server.certificate too',
      ],
    ],
    ['half a key pair', 'uplink: { certificate: c.pem }\n', ['1:11 uplink.certificate: needs uplink.key too']],
    [
      'a rule of no kind',
      'rules: [{ id: a }]\n',
      ['1:9 rules[0].kind: is missing (write zone, intrusion, line, loitering, crowd or reading)'],
    ],
    [
      'a rule of a wrong kind',
      'rules: [{ id: a, kind: loiter }]\n',
      ['1:18 rules[0].kind: is not a known word (did you mean loitering?)'],
    ],
    [
      'an empty window',
      `${camera}rules: [{ id: a, kind: crowd, schedule: [{ from: "08:00", to: "08:00" }] }]\n`,
      ['4:59 rules[0].schedule[0].to: must differ from `from`; the whole day is 00:00 to 24:00'],
    ],
    [
      'a time of day',
      `${camera}rules: [{ id: a, kind: crowd, schedule: [{ from: "25:00" }] }]\n`,
      ['4:44 rules[0].schedule[0].from: must be a time of day, such as 00:00'],
    ],
    [
      'an impossible crowd',
      `${camera}rules: [{ id: a, kind: crowd, atLeast: 3, endBelow: 4 }]\n`,
      ['4:43 rules[0].endBelow: must not be more than `atLeast`'],
    ],
    [
      'an unknown camera',
      `${camera}rules: [{ id: a, kind: crowd, cameras: [frnt] }]\n`,
      ['4:41 rules[0].cameras[0]: is not a camera here (did you mean front?)'],
    ],
    [
      'an unknown zone',
      `${camera}rules: [{ id: a, kind: zone, zone: yard }]\n`,
      ['4:30 rules[0].zone: is not a zone of any camera (there are none yet)'],
    ],
    [
      'an unknown line',
      `${camera}    lines: [{ id: gate, from: [0, 0], to: [1, 1] }]\nrules: [{ id: a, kind: line, line: gaet, cameras: [front] }]\n`,
      ['5:30 rules[0].line: is not a line of camera front (did you mean gate?)'],
    ],
    [
      'an unknown label',
      `${camera}rules: [{ id: a, kind: crowd, labels: [dog] }]\n`,
      ['4:40 rules[0].labels[0]: dog is not tracked (add dog to vision.labels)'],
    ],
    [
      'a default label that is not tracked',
      `${camera}vision: { labels: [car] }\nrules: [{ id: a, kind: crowd }]\n`,
      ['5:9 rules[0].labels: person is not tracked (add person to vision.labels)'],
    ],
  ])('%s', async (_title, content, expected) => {
    const problems = await said(content);
    if (expected[0] === '2:1' && expected.length === 1) expect(problems[0]).toMatch(/^2:\d+ is not valid YAML: /);
    else expect(problems).toEqual(expected);
  });

  const zone = (polygon: string) => `${camera}    zones: [{ id: yard, polygon: ${polygon} }]\n`;
  it.each([
    ['two corners', '[[0, 0], [1, 1]]', 'needs at least three corners and has 2'],
    ['a bow tie', '[[0, 0], [1, 1], [1, 0], [0, 1]]', 'crosses itself: edge 1 meets edge 3'],
    ['a spike', '[[0, 0], [1, 0], [0.5, 0], [0.5, 1]]', 'crosses itself: edge 1 meets edge 2'],
    ['a touching corner', '[[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]', 'crosses itself: edge 1 meets edge 3'],
    ['all on one line', '[[0, 0], [0.5, 0.5], [1, 1]]', 'crosses itself: edge 1 meets edge 3'],
    ['hardly an area', '[[0, 0], [0.001, 0], [0.001, 0.001]]', 'has no area'],
    [
      'a closing corner',
      '[[0, 0], [1, 0], [1, 1], [0, 0]]',
      'ends with its first corner; leave the last one out, it closes by itself',
    ],
    ['a doubled corner', '[[0, 0], [1, 0], [1, 0], [1, 1]]', 'has its corner 2 twice in a row'],
  ])('a polygon with %s', async (_title, polygon, message) => {
    expect(await said(zone(polygon))).toEqual([`4:25 cameras[0].zones[0].polygon: ${message}`]);
  });

  it('coordinates in pixels, points of three numbers, lines of no length', async () => {
    expect(await said(zone('[[0, 0], [640, 0], [1, 1]]'))).toEqual([
      '4:44 cameras[0].zones[0].polygon[1][0]: must be at most 1 (a fraction, not pixels or percent)',
    ]);
    expect(await said(zone('[[0, 0, 0], [1, 0], [1, 1]]'))).toHaveLength(1);
    expect(await said(`${camera}    lines: [{ id: l, from: [0.5, 0.5], to: [0.5, 0.5] }]\n`)).toEqual([
      '4:40 cameras[0].lines[0].to: has no length: `from` and `to` are the same',
    ]);
  });

  it('all of it at once', async () => {
    expect(
      await said(`${camera}    stallAfter: 5\nlog: { level: loud }\nrules: [{ kind: crowd, id: a, zone: x }]\n`),
    ).toHaveLength(3);
  });

  it('names the profile that is not known', async () => {
    expect(await problemsOf('', { profile: 'stat' })).toMatchObject([
      { path: 'profile', message: 'stat is not a known profile' },
    ]);
  });

  it('what the program itself writes wrongly is an error too', () => {
    expect(() => parseConfig({ device: { id: 'NO' } })).toThrow(/device\.id: must be 1 to 32/);
  });
});
