/** What `doctor` looks at beyond the machine, as the agent itself would: model, cameras, broker, and the agent. */
import type { CameraStateChange } from '#agent/capture/camera.ts';
import type { Config } from '#config/schema.ts';
import type { Finding } from './doctor-finding.ts';

/** How long a camera may take to its first frame. */
const cameraLimitMs = 15_000;

export async function checkModel(config: Config): Promise<readonly Finding[]> {
  const { resolveModel } = await import('#models/registry.ts');
  const { openSession } = await import('#agent/vision/session.ts');
  const model = await resolveModel(config.vision.model);
  await using session = await openSession(model, { threads: config.vision.threads });
  const startedAt = performance.now();
  await session.run(new Float32Array(session.inputDims.reduce((product, size) => product * size, 1)));
  const ms = (performance.now() - startedAt).toFixed(0);
  return [{ check: 'model', verdict: 'ok', detail: `${model.manifest.name}, sha256 right, first inference ${ms} ms` }];
}

export async function checkBroker(config: Config): Promise<readonly Finding[]> {
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

export async function checkCamera(id: string, config: Config): Promise<readonly Finding[]> {
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

export async function checkAgent(config: Config): Promise<readonly Finding[]> {
  const { askStatus, socketPath } = await import('#agent/console/socket.ts');
  const { OutpostError } = await import('#agent/core/errors.ts');
  const check = 'agent';
  try {
    await askStatus(socketPath(config.storage.path));
    return [{ check, verdict: 'ok', detail: 'running; `outpost status` tells more' }];
  } catch (thrown) {
    if (!(thrown instanceof OutpostError) || thrown.code !== 'agent-not-running') throw thrown;
    return [{ check, verdict: 'ok', detail: 'not running here' }];
  }
}
