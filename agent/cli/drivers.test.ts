/** `outpost drivers` and `outpost simulate NAME`, as a person and a script use them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assetPath, programCommand } from '#agent/core/program.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { parseOptions } from '#drivers/options.ts';
import { driverNames, loadDriver } from '#drivers/registry.ts';
import { simulatedEvents } from './simulate.ts';
import { inventedCard, inventedNumber } from '#drivers/sdt-id-reader/simulator.ts';
import baseVectors from '#drivers/mavlink-base/vectors.json' with { type: 'json' };

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'outpost-drivers-'))));
afterEach(async () => await rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const [program, ...leading] = programCommand();
async function outpost(...words: readonly string[]): Promise<Ended> {
  return await promisify(execFile)(program, [...leading, ...words], { maxBuffer: 64 * 1024 ** 2 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failed: Ended) => failed,
  );
}
const linesOf = ({ stdout }: Ended): Record<string, unknown>[] =>
  stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('drivers', () => {
  it('are listed, and described as a Thing Model', async () => {
    const names = (JSON.parse((await outpost('drivers', 'list', '--json')).stdout) as { name: string }[]).map(
      ({ name }) => name,
    );
    expect(names).toEqual(expect.arrayContaining(['nmea-gnss', 'modbus-rtu', 'framed']));
    for (const name of names) {
      const model = JSON.parse((await outpost('drivers', 'describe', name, '--json')).stdout) as Record<
        string,
        unknown
      >;
      expect(model).toMatchObject({ '@type': 'tm:ThingModel', id: `urn:outpost:driver:${name}` });
    }
    expect(await outpost('drivers', 'describe', 'nobody')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('nmea-gnss') as string,
    });
  });

  it('decode what a base said into readings, and what another part of it said into messages alone', async () => {
    const heartbeats = [1, 2].map((component) => {
      const vector = baseVectors.vectors.find(({ messages: [first] }) => first?.component === component);
      return Buffer.from(vector?.hex.replaceAll(' ', '') ?? '', 'hex');
    });
    const file = join(folder, 'base');
    await writeFile(file, Buffer.concat(heartbeats));
    expect(linesOf(await outpost('drivers', 'decode', 'mavlink-base', file, '--json'))).toMatchObject([
      { type: 'message', message: { component: 1 } },
      { type: 'reading', property: 'armed', value: false },
      { type: 'reading', property: 'mode', value: 'other' },
      { type: 'reading', property: 'state', value: 'standby' },
      { type: 'message', message: { component: 2 } },
    ]);
  });

  /** What a double answers to what it is asked, as bytes in a file. */
  const recordingOf = async (name: string, options: unknown, asked: readonly string[]): Promise<string> => {
    const driver = await loadDriver(name);
    const parsed = parseOptions(driver, options);
    const [codec, double] = [driver.protocol(parsed).device(), driver.simulator(parsed)];
    double.provoke?.('card');
    const heard = asked.flatMap((hex) => codec.push(Buffer.from(hex, 'hex')).messages);
    const file = join(folder, name);
    await writeFile(
      file,
      Buffer.concat(heard.flatMap((message) => double.receive(message).map((each) => codec.encode(each)))),
    );
    return file;
  };

  it('decode a card that was read into the word that there was one', async () => {
    const questions = ['200122', '200122', '200221', '300132'].map((rest) => `aaaaaa96690003${rest}`);
    const file = await recordingOf('sdt-id-reader', {}, questions);
    expect((await readFile(file)).includes(Buffer.from(inventedNumber, 'utf16le'))).toBe(true);
    for (const as of [['--json'], []]) {
      const { stdout } = await outpost('drivers', 'decode', 'sdt-id-reader', file, ...as);
      expect(stdout).toMatch(as.length > 0 ? '{"type":"event","event":"card","personal":true}' : 'event="card"');
      for (const field of Object.values(inventedCard)) if (field.length > 3) expect(stdout).not.toContain(field);
    }
  });

  it('decode what was scanned, unless it may be a person’s', async () => {
    const file = join(folder, 'scanned');
    await writeFile(file, '6901234567892\r\n');
    const decoded = async (options: unknown): Promise<unknown> =>
      linesOf(await outpost('drivers', 'decode', 'scanner', file, '--json', '--options', JSON.stringify(options)))[1];
    expect(await decoded({})).toEqual({ type: 'reading', property: 'code', personal: true });
    expect(await decoded({ personal: false })).toEqual({ type: 'reading', property: 'code', value: '6901234567892' });
  });

  it('decode answers of Modbus that fit one question of the map, and guess at no others', async () => {
    const decoded = async (map: string, hex: string): Promise<unknown> => {
      const file = join(folder, 'modbus');
      await writeFile(file, Buffer.from(hex.replaceAll(' ', ''), 'hex'));
      const options = JSON.stringify({ map });
      return linesOf(await outpost('drivers', 'decode', 'modbus-rtu', file, '--json', '--options', options)).slice(1);
    };
    // the example of the XY-MD02's manual
    expect(await decoded('climate', '01 04 04 01 31 02 22 2a ce')).toEqual([
      { type: 'reading', property: 'temperature', value: 30.5 },
      { type: 'reading', property: 'humidity', value: 54.6 },
    ]);
    // inputs 0 to 2, or input 3
    expect(await decoded('door-lock', '01 02 01 01 60 48')).toEqual([]);
  });

  it('decode a recording with noise in it, from a file and from stdin', async () => {
    const file = join(folder, 'recorded');
    await writeFile(
      file,
      '# noise\r\n$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n$GPZDA,201530.00,04,07,2002,00,00*61\r\n',
    );
    const decoded = await outpost('drivers', 'decode', 'nmea-gnss', file, '--json');
    expect(linesOf(decoded)).toMatchObject([
      { type: 'rejected', reason: 'garbage' },
      { type: 'rejected', reason: 'checksum' },
      { type: 'message', message: { formatter: 'RMC' } },
      {
        type: 'fix',
        time: '1994-03-23T12:35:19.000Z',
        lat: 48.1173,
        lon: 11.516_666_667,
        altMsl: null,
        mode: '2d',
        satellitesUsed: 0,
        speed: 11.5236,
        course: 84.4,
      },
    ]);
    expect(await outpost('drivers', 'decode', 'nmea-gnss', join(folder, 'none'))).toMatchObject({ code: 3 });
    expect(await outpost('drivers', 'decode', 'framed', file, '--options', '{"messages":[]}')).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('needs one at least') as string,
    });
  });

  it('begin from the template, under their own name and in the registry', async () => {
    const drivers = join(folder, 'drivers');
    await mkdir(drivers);
    await writeFile(join(drivers, 'registry.ts'), await readFile(assetPath('drivers', 'registry.ts'), 'utf8'));
    const made = await outpost('drivers', 'new', 'door-bell', '--folder', drivers);
    expect(made.code).toBe(0);
    expect(await readFile(join(drivers, 'registry.ts'), 'utf8')).toContain("import('./door-bell/driver.ts')");
    expect(await readFile(join(drivers, 'door-bell/manifest.ts'), 'utf8')).toContain("name: 'door-bell'");
    expect(await readFile(join(drivers, 'door-bell/door-bell.test.ts'), 'utf8')).toContain(
      'describeDriver(driver, vectors)',
    );
    expect((await outpost('drivers', 'new', 'door-bell', '--folder', drivers)).code).toBe(3);
    expect((await outpost('drivers', 'new', 'Door Bell', '--folder', drivers)).code).toBe(3);
    expect((await outpost('drivers', 'new', 'nmea-gnss', '--folder', drivers)).code).toBe(3);
  });

  it('say what is wrong with a port and an action', async () => {
    expect(await outpost('drivers', 'probe', 'nmea-gnss', '--port', 'ttyUSB0')).toMatchObject({ code: 3 });
    expect(await outpost('drivers', 'probe', 'nmea-gnss', '--port', '/dev/surely-not-there')).toMatchObject({
      code: 4,
    });
    const unlock = [
      'do',
      'modbus-rtu',
      'unlock',
      '--port',
      '/dev/surely-not-there',
      '--options',
      '{"map":"door-lock"}',
    ];
    expect(await outpost('drivers', ...unlock)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--yes') as string,
    });
    expect((await outpost('drivers', ...unlock, '--yes')).code).toBe(4);
  });
});

describeWith('a simulated device', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('is probed, watched and worked from the command line', async () => {
    const port = join(folder, 'lock');
    const device = spawn(
      program,
      [...leading, 'simulate', 'modbus-rtu', '--port', port, '--options', '{"map":"door-lock"}', '--json'],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    try {
      await once(device.stdout, 'data');
      const line = ['--port', port, '--options', '{"map":"door-lock"}'];
      expect(linesOf(await outpost('drivers', 'probe', 'modbus-rtu', ...line, '--json'))).toEqual([
        { driver: 'modbus-rtu', identity: { model: 'Door lock with feedback' } },
      ]);
      expect(linesOf(await outpost('drivers', 'do', 'modbus-rtu', 'unlock', ...line, '--yes', '--json'))).toEqual([
        { action: 'unlock', status: 'acknowledged' },
      ]);
      const watched = linesOf(await outpost('drivers', 'watch', 'modbus-rtu', ...line, '--seconds', '2', '--json'));
      expect(watched.find(({ property }) => property === 'bolt')).toMatchObject({
        type: 'reading',
        value: 'withdrawn',
      });
      expect(await outpost('drivers', 'do', 'modbus-rtu', 'dance', ...line)).toMatchObject({ code: 1 });
      expect(await outpost('drivers', 'probe', 'framed', '--port', port)).toMatchObject({ code: 3 });
    } finally {
      device.kill('SIGTERM');
      if (device.exitCode === null && device.signalCode === null) await once(device, 'exit');
    }
  });
});

describeWith('what is about a person', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it.each([
    [[], /code +\(personal\)[^]*event scanned \(personal\)/],
    [['--personal'], /code +"[^"]+"[^]*event scanned \{"text":/],
  ])('is watched with %j', async (more, shown) => {
    const port = join(folder, 'scanner');
    const device = spawn(program, [...leading, 'simulate', 'scanner', '--port', port], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const children = [device];
    try {
      await once(device.stdout, 'data');
      const watching = spawn(program, [...leading, 'drivers', 'watch', 'scanner', '--port', port, ...more], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      children.push(watching);
      let text = '';
      watching.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
      await eventually(() => /event scanned .*\n/.test(text), 'a scan', 60_000);
      expect(text).toMatch(shown);
    } finally {
      for (const child of children) {
        child.kill('SIGTERM');
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      }
    }
  });
});

describeWith('a device to which something happens', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () => {
  it('tells it', async () => {
    const port = join(folder, 'ups');
    const device = spawn(
      program,
      [...leading, 'simulate', 'megatec-ups', '--port', port, '--event', 'onBattery', '--json'],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    try {
      await once(device.stderr, 'data');
      const watched = linesOf(
        await outpost('drivers', 'watch', 'megatec-ups', '--port', port, '--seconds', '2', '--json'),
      );
      expect(watched.find(({ property }) => property === 'onBattery')).toMatchObject({ value: true });
    } finally {
      device.kill('SIGTERM');
      if (device.exitCode === null && device.signalCode === null) await once(device, 'exit');
    }
  });

  it('is refused what its driver does not tell, and the help names what each does', async () => {
    const refused = await outpost('simulate', 'megatec-ups', '--port', join(folder, 'none'), '--event', 'dance');
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('It tells onBattery') as string });
    const told: Record<string, readonly string[]> = {};
    for (const name of driverNames) {
      const driver = await loadDriver(name);
      const events = Object.keys(driver.manifest(parseOptions(driver, driver.example)).events);
      if (events.length > 0) told[name] = events;
    }
    expect(simulatedEvents).toEqual(told);
    expect((await outpost('simulate', '--help')).stdout).toContain('megatec-ups onBattery, lowBattery');
  });
});

describeWith('recorded receivers', [needsData('gpsd')], () => {
  it('give one line a moment', async () => {
    const fixes = linesOf(
      await outpost('drivers', 'decode', 'nmea-gnss', testData('gpsd', 'mt3339.log'), '--json'),
    ).filter(({ type }) => type === 'fix');
    expect(fixes).toHaveLength(30);
    expect(fixes[0]).toMatchObject({
      type: 'fix',
      time: '2015-04-13T20:26:40.000Z',
      lat: 44.068_843_333,
      lon: -121.314_191_667,
      altMsl: 1_127.7,
      mode: '3d',
      satellitesUsed: 10,
    });
  });
});
