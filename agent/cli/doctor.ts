/** `outpost doctor`: what is missing on this machine, each with what mends it. */
import { Command } from 'commander';
import type { CameraStateChange } from '#agent/capture/camera.ts';
import type { Config } from '#config/schema.ts';
import { exitCodes, print, printJson } from './output.ts';

const examples = `
Examples:
  outpost doctor
  outpost doctor --config robot-07.yaml --json
  outpost doctor --no-cameras                without opening any camera

Exit code 1 when something fails. A warning is worth reading, and no failure.`;

type Verdict = 'ok' | 'warn' | 'fail';

interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly detail: string;
  readonly hint?: string;
}

interface DoctorOptions {
  readonly config?: string;
  readonly cameras: boolean;
  readonly json?: boolean;
}

/** How long a camera may take to its first frame. */
const cameraLimitMs = 15_000;
const freeBytesWarn = 2 * 1024 ** 3;
const freeBytesFail = 256 * 1024 ** 2;
const freeMemoryWarn = 512 * 1024 ** 2;
/** No Outpost was built before. */
const earliest = Date.UTC(2026, 0, 1);

export const doctorCommand = (): Command =>
  new Command('doctor')
    .description('check this machine: ffmpeg, model, cameras, CPU, memory, disk, clock, broker')
    .option('-c, --config <file>', 'configuration file')
    .option('--no-cameras', 'do not open the cameras')
    .option('--json', 'one JSON array')
    .addHelpText('after', examples)
    .action(run);

async function run({ config: file, cameras, json }: DoctorOptions): Promise<void> {
  const { loadConfig } = await import('#config/load.ts');
  const loaded = await loadConfig(file === undefined ? {} : { file });
  const { config } = loaded;
  const checks: readonly Promise<readonly Finding[]>[] = [
    attempt('ffmpeg', async () => await checkFfmpeg()),
    attempt('model', async () => await checkModel(config)),
    attempt('cpu', async () => await checkCpu()),
    attempt('memory', async () => await checkMemory()),
    attempt('disk', async () => await checkDisk(config)),
    attempt('clock', async () => await checkClock()),
    attempt('broker', async () => await checkBroker(config)),
    ...(cameras
      ? config.cameras.map(
          async (camera) => await attempt(`camera ${camera.id}`, async () => await checkCamera(camera.id, config)),
        )
      : []),
  ];
  const findings = [
    { check: 'configuration', verdict: 'ok' as const, detail: loaded.file ?? 'none found: all defaults' },
    ...(await Promise.all(checks)).flat(),
  ];
  if (json) printJson(findings);
  else for (const finding of findings) show(finding);
  if (findings.some(({ verdict }) => verdict === 'fail')) process.exitCode = exitCodes.negative;
}

function show({ check, verdict, detail, hint }: Finding): void {
  print(`${{ ok: 'ok  ', warn: 'warn', fail: 'FAIL' }[verdict]}  ${check.padEnd(14)} ${detail}`);
  if (hint !== undefined && verdict !== 'ok') print(`      ${''.padEnd(14)} → ${hint}`);
}

/** What a check throws is its finding. */
async function attempt(check: string, look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (thrown) {
    const { toOutpostError } = await import('#agent/core/errors.ts');
    const { message, hint } = toOutpostError(thrown);
    return [{ check, verdict: 'fail', detail: message, hint }];
  }
}

async function checkFfmpeg(): Promise<readonly Finding[]> {
  const { developmentFfmpeg, findFfmpeg } = await import('#agent/capture/ffmpeg.ts');
  const { path, version } = await findFfmpeg();
  const isDevelopment = path === (await developmentFfmpeg());
  const detail = `${version} at ${path}`;
  if (!isDevelopment) return [{ check: 'ffmpeg', verdict: 'ok', detail }];
  const hint = 'That is the one for development, which never ships: apt-get install ffmpeg, or dnf install ffmpeg.';
  return [{ check: 'ffmpeg', verdict: 'warn', detail, hint }];
}

async function checkModel(config: Config): Promise<readonly Finding[]> {
  const { resolveModel } = await import('#models/registry.ts');
  const { openSession } = await import('#agent/vision/session.ts');
  const model = await resolveModel(config.vision.model);
  await using session = await openSession(model, { threads: config.vision.threads });
  const startedAt = performance.now();
  await session.run(new Float32Array(session.inputDims.reduce((product, size) => product * size, 1)));
  const ms = (performance.now() - startedAt).toFixed(0);
  return [{ check: 'model', verdict: 'ok', detail: `${model.manifest.name}, sha256 right, first inference ${ms} ms` }];
}

async function checkCpu(): Promise<readonly Finding[]> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const features = new Set((/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '').split(' '));
  const wanted = process.arch === 'arm64' ? ['asimd', 'atomics', 'asimddp'] : ['sse4_2', 'avx2', 'avx512f'];
  const detail = wanted.map((name) => `${name} ${features.has(name) ? 'yes' : 'no'}`).join(', ');
  const needed = wanted[0] as string;
  if (features.size < 2) return [{ check: 'cpu', verdict: 'warn', detail: '/proc/cpuinfo tells no features' }];
  if (features.has(needed)) return [{ check: 'cpu', verdict: 'ok', detail: `${process.arch}: ${detail}` }];
  return [
    {
      check: 'cpu',
      verdict: 'fail',
      detail,
      hint: `The inference runtime needs ${needed}; this processor cannot run it.`,
    },
  ];
}

async function checkMemory(): Promise<readonly Finding[]> {
  const { freemem, totalmem } = await import('node:os');
  const { formatBytes } = await import('#agent/core/bytes.ts');
  const detail = `${formatBytes(freemem())} free of ${formatBytes(totalmem())}`;
  if (freemem() >= freeMemoryWarn) return [{ check: 'memory', verdict: 'ok', detail }];
  return [
    {
      check: 'memory',
      verdict: 'warn',
      detail,
      hint: 'An agent with one camera needs about half a gigabyte; end what else runs.',
    },
  ];
}

async function checkDisk(config: Config): Promise<readonly Finding[]> {
  const { mkdir, open, rm, statfs } = await import('node:fs/promises');
  const path = await import('node:path');
  const { formatBytes } = await import('#agent/core/bytes.ts');
  const folder = config.storage.path;
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const probe = path.join(folder, `.doctor-${process.pid}`);
  const file = await open(probe, 'w');
  const startedAt = performance.now();
  try {
    await file.write('x');
    await file.datasync();
  } finally {
    await file.close();
    await rm(probe, { force: true });
  }
  const syncMs = (performance.now() - startedAt).toFixed(1);
  const detail = `${folder}: ${formatBytes(free)} free, a durable write takes ${syncMs} ms`;
  if (free >= freeBytesWarn) return [{ check: 'disk', verdict: 'ok', detail }];
  const hint = 'Free some space, or choose another `storage.path`.';
  return [{ check: 'disk', verdict: free < freeBytesFail ? 'fail' : 'warn', detail, hint }];
}

async function checkClock(): Promise<readonly Finding[]> {
  const { access } = await import('node:fs/promises');
  const { systemClock } = await import('#agent/core/clock.ts');
  const now = systemClock.wallMs();
  const detail = new Date(now).toISOString();
  const hint = 'timedatectl set-ntp true';
  if (now < earliest)
    return [{ check: 'clock', verdict: 'fail', detail: `${detail} is before this program was made`, hint }];
  const isSynced = await access('/run/systemd/timesync/synchronized').then(
    () => true,
    () => false,
  );
  if (isSynced) return [{ check: 'clock', verdict: 'ok', detail: `${detail}, synchronised` }];
  return [{ check: 'clock', verdict: 'warn', detail: `${detail}; nothing says that it is synchronised`, hint }];
}

async function checkBroker(config: Config): Promise<readonly Finding[]> {
  const { url } = config.uplink;
  if (url === undefined) {
    return [
      {
        check: 'broker',
        verdict: 'warn',
        detail: 'none configured: events stay on the device',
        hint: 'Set `uplink.url`.',
      },
    ];
  }
  const [{ Connector }, { systemClock }, { redactUrl }] = await Promise.all([
    import('#agent/uplink/connect.ts'),
    import('#agent/core/clock.ts'),
    import('#agent/core/redact-url.ts'),
  ]);
  // Another client id: the running agent keeps its connection.
  const clientId = `${config.device.id}-doctor`;
  const line = await new Connector().connect(
    { config: config.uplink, url, clientId, clock: systemClock },
    new AbortController().signal,
  );
  const { version } = line;
  await line.end();
  return [{ check: 'broker', verdict: 'ok', detail: `${redactUrl(url)} answers, MQTT ${version}` }];
}

async function checkCamera(id: string, config: Config): Promise<readonly Finding[]> {
  const check = `camera ${id}`;
  const camera = config.cameras.find((entry) => entry.id === id);
  if (!camera?.enabled) return [{ check, verdict: 'ok', detail: 'disabled' }];
  const [
    { Camera },
    { findFfmpeg },
    { systemClock },
    { systemRandom },
    { silentLog },
    { frameFormat },
    { readManifest },
  ] = await Promise.all([
    import('#agent/capture/camera.ts'),
    import('#agent/capture/ffmpeg.ts'),
    import('#agent/core/clock.ts'),
    import('#agent/core/random.ts'),
    import('#agent/core/log.ts'),
    import('#models/model.ts'),
    import('#models/registry.ts'),
  ]);
  const { manifest } = await readManifest(config.vision.model);
  const stop = new AbortController();
  const outcome = Promise.withResolvers<CameraStateChange | undefined>();
  const opened = new Camera({
    camera,
    format: frameFormat(manifest),
    frames: 'newest',
    ffmpeg: await findFfmpeg(),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    onState: (change) => {
      if (change.state === 'open' || change.state === 'down') outcome.resolve(change);
    },
  });
  const running = opened.run(stop.signal).catch(() => undefined);
  const limit = systemClock.sleep(cameraLimitMs, stop.signal).then(
    () => outcome.resolve(undefined),
    () => undefined,
  );
  const change = await outcome.promise;
  stop.abort();
  await Promise.all([running, limit]);
  if (!change)
    return [
      {
        check,
        verdict: 'fail',
        detail: `no frame within ${cameraLimitMs / 1000} s`,
        hint: 'Check its power, its cable and its address.',
      },
    ];
  const { state, source, fps, detail, hint } = change;
  if (state === 'down')
    return [{ check, verdict: 'fail', detail: detail ?? 'down', ...(hint === undefined ? {} : { hint }) }];
  return [{ check, verdict: 'ok', detail: `${source?.width ?? '?'}x${source?.height ?? '?'}, ${fps ?? '?'} frames/s` }];
}
