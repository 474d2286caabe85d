/** The binary where little is as it should be: caches that cannot be used, no /proc, no terminal, no home, no rights. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { About } from '#agent/core/program.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { type Requirement, describeWith } from '#agent/testing/require.ts';
import { askStatus, socketPath } from '#agent/console/socket.ts';
import { testBinary } from './places.ts';
import { type Ended, altered, emptyFolder, run } from './rig.ts';

const binary = testBinary('x64');
/** Reads a profile, so it has to unpack. */
const unpacking = ['check-config', '--profile', 'station'];
const needsRoot: Requirement = () => (process.getuid?.() === 0 ? undefined : 'root, to mount and to be somebody else');

/** In a namespace of its own, after the commands of a shell that prepare it. */
const prepared = async (prepare: string, cwd: string, environment: Readonly<Record<string, string>>): Promise<Ended> =>
  await run('unshare', ['-m', 'sh', '-c', `${prepare} && exec "$@"`, 'sh', binary, ...unpacking], cwd, environment);

/** Names and sizes, without what the engine compiled. */
const filesIn = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('/compiled'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${relative(folder, path)} ${statSync(path).size}`)
    .toSorted();

const contentOf = (cache: string): string => join(cache, readdirSync(cache)[0] ?? 'nothing');

describeWith('the binary, unpacking itself', [needsTestedProgram], () => {
  test('mends a cache that was damaged', async () => {
    const home = emptyFolder();
    expect(await run(binary, unpacking, home, { HOME: home })).toMatchObject({ code: 0 });
    const content = contentOf(join(home, '.cache/outpost'));
    const damaged = ['config/profiles/station.yaml', 'outpost.cjs'].map((file) => join(content, file));
    const before = damaged.map((path) => readFileSync(path));
    for (const path of damaged) {
      chmodSync(path, 0o700);
      truncateSync(path, 100);
    }
    expect(await run(binary, unpacking, home, { HOME: home })).toMatchObject({ code: 0 });
    expect(damaged.map((path) => readFileSync(path))).toEqual(before);
  });

  test('what the engine compiled and kept is not trusted when it is damaged', async () => {
    const home = emptyFolder();
    await run(binary, unpacking, home, { HOME: home });
    await run(binary, unpacking, home, { HOME: home });
    const compiled = join(contentOf(join(home, '.cache/outpost')), 'compiled');
    const files = readdirSync(compiled, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(0);
    for (const { parentPath, name } of files) {
      const path = join(parentPath, name);
      const bytes = readFileSync(path);
      bytes.fill(0xff, bytes.length / 2);
      writeFileSync(path, bytes);
    }
    expect(await run(binary, unpacking, home, { HOME: home })).toMatchObject({ code: 0, stderr: '' });
  });

  test('a file where the named folder should be is an error that says what to do', async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, 'outpost'), 'a file');
    const ended = await run(binary, unpacking, cwd, { XDG_CACHE_HOME: cwd });
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('[cache-unusable]');
    expect(ended.stderr).toContain('XDG_CACHE_HOME');
  });

  test('four starts at once on a new device all work', async () => {
    const home = emptyFolder();
    const ends = await Promise.all([1, 2, 3, 4].map(async () => await run(binary, unpacking, home, { HOME: home })));
    expect(ends.map(({ code, stderr }) => ({ code, stderr }))).toEqual(ends.map(() => ({ code: 0, stderr: '' })));
    expect(readdirSync(join(home, '.cache/outpost'))).toHaveLength(1);
  });

  test('two versions that start at once on one cache each get their own, and leave the other’s alone', async () => {
    const home = emptyFolder();
    const { stdout } = await run(binary, ['--version', '--json'], home);
    const { content, version } = JSON.parse(stdout) as About;
    const other = join(home, 'other');
    const nines = version.replaceAll(/\d/g, '9');
    const another = content.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const built = altered(readFileSync(binary), `{"hash":"${content}`, `{"hash":"${another}`);
    const newer = altered(built, `"about":{"version":"${version}"`, `"about":{"version":"${nines}"`);
    writeFileSync(other, newer, { mode: 0o755 });
    const start = async (program: string): Promise<Ended> => await run(program, unpacking, home, { HOME: home });
    const ends = await Promise.all([binary, other, binary, other].map(start));
    expect(ends.map(({ code, stderr }) => ({ code, stderr }))).toEqual(ends.map(() => ({ code: 0, stderr: '' })));
    const cache = join(home, '.cache/outpost');
    const folders = readdirSync(cache).map((name) => join(cache, name));
    expect(folders).toHaveLength(2);
    expect(filesIn(folders[0] ?? '')).toEqual(filesIn(folders[1] ?? ''));
    expect(filesIn(folders[0] ?? '').length).toBeGreaterThan(10);
    expect((await run(other, ['--version'], home, { HOME: home })).stdout).toContain(nines);
    // One that finds its own damaged mends it, and only it.
    const [damaged, untouched] = [another, content].map((name) =>
      join(cache, name.slice(0, 32), 'config/profiles/station.yaml'),
    ) as [string, string];
    chmodSync(damaged, 0o700);
    truncateSync(damaged, 1);
    const before = statSync(untouched).ino;
    expect(await start(other)).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(damaged)).toEqual(readFileSync(untouched));
    expect(statSync(untouched).ino).toBe(before);
  });

  test('a home that does not exist, and none at all: the temporary folder is taken', async () => {
    for (const environment of [{ HOME: '/proc/nobody' }, { HOME: '' }, {}]) {
      const temporary = emptyFolder();
      const ended = await run(binary, unpacking, temporary, { ...environment, TMPDIR: temporary });
      expect(ended, JSON.stringify(environment)).toMatchObject({ code: 0 });
      expect(readdirSync(temporary)).toContain(`outpost-${process.getuid?.()}`);
    }
  });

  test.each([
    ['C', 'C'],
    ['one that is not installed', 'xx_XX.ISO-8859-1'],
    ['GBK', 'zh_CN.GBK'],
  ])('a locale without UTF-8: %s', async (_what, locale) => {
    const home = emptyFolder();
    const config = join(home, '巡逻.yaml');
    writeFileSync(config, 'device: { id: robot-07 }\ncameras: [{ id: front, url: 摄像头.avi }]\n');
    const ended = await run(binary, ['check-config', config], home, { HOME: home, LC_ALL: locale });
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain('摄像头.avi');
  });
});

describeWith('the binary on a machine that is not as it should be', [needsTestedProgram, needsRoot], () => {
  test('a read-only cache that somebody named is an error; the home’s own is passed over', async () => {
    const [cwd, home] = [emptyFolder(), emptyFolder()];
    const readOnly = (folder: string): string =>
      `mount --bind ${folder} ${folder} && mount -o remount,ro,bind ${folder}`;
    const named = await prepared(readOnly(cwd), cwd, { XDG_CACHE_HOME: cwd });
    expect(named.code).toBe(3);
    expect(named.stderr).toMatch(/EROFS.*\[cache-unusable\]\n.*XDG_CACHE_HOME/);
    const passedOver = await prepared(readOnly(home), cwd, { HOME: home, TMPDIR: cwd });
    expect(passedOver, passedOver.stderr).toMatchObject({ code: 0 });
  });

  test('a full disk is an error with the space that it takes, and leaves no half file', async () => {
    const cwd = emptyFolder();
    const ended = await run(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        `mount -t tmpfs -o size=20m none ${cwd} && "$@"; code=$?; find ${cwd} -name '*.*-*' >&2; exit $code`,
        'sh',
        binary,
        ...unpacking,
      ],
      '/',
      { XDG_CACHE_HOME: cwd },
    );
    expect(ended.code).toBe(5);
    expect(ended.stderr).toMatch(/^outpost: There is no space in .* \[cache-full\]\n {2}Free \d+ MB there.*\n$/);
  });

  test('without /proc', async () => {
    const home = emptyFolder();
    const ended = await prepared('mount -t tmpfs none /proc', home, { HOME: home });
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
  });

  let shared: string;
  beforeAll(() => {
    // The checkout itself may lie where only its owner gets.
    shared = mkdirSharedCopy();
  });
  afterAll(async () => {
    await run('rm', ['-rf', shared], '/');
  });

  test('as nobody, without a terminal: runs, tells its status, and ends clean', async () => {
    const folder = join(shared, 'nobody');
    mkdirSync(folder);
    await run('chown', ['nobody', folder], '/');
    const config = join(folder, 'outpost.yaml');
    writeFileSync(config, JSON.stringify({ device: { id: 'robot-07' }, storage: { path: join(folder, 'store') } }));
    const child = spawn(
      'setsid',
      [
        '--wait',
        'setpriv',
        '--reuid=nobody',
        '--regid=nogroup',
        '--clear-groups',
        join(shared, 'outpost'),
        'run',
        '--config',
        config,
      ],
      {
        cwd: folder,
        stdio: 'ignore',
        env: { PATH: process.env['PATH'], HOME: '/nonexistent', TMPDIR: folder },
      },
    );
    const status = (await eventually(
      async () =>
        (await askStatus(socketPath(join(folder, 'store'))).catch(() => undefined)) as { pid: number } | undefined,
      'its status',
    )) as { readonly pid: number; readonly health: { readonly worst: string } };
    expect(status.health.worst).toBe('ok');
    process.kill(status.pid, 'SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
  });
});

function mkdirSharedCopy(): string {
  const folder = `/tmp/outpost-shared-${process.pid}`;
  mkdirSync(folder, { mode: 0o755 });
  copyFileSync(binary, join(folder, 'outpost'));
  chmodSync(join(folder, 'outpost'), 0o755);
  return folder;
}
