/** `outpost run`: the agent, until it is told to stop. */
import { Command } from 'commander';
import { toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { ServiceManager, ServiceRequest } from '#agent/core/notify.ts';
import type { Model } from '#models/model.ts';
import { deviceSchema, endInTime, modelOf, untilStopped } from './running.ts';

const examples = `
Examples:
  outpost run                                  with ./outpost.yaml, or /etc/outpost/outpost.yaml
  outpost run --config robot-07.yaml
  outpost run --profile kiosk --config shop.yaml

Where there is no configuration, ./outpost.yaml is written with every key commented out, and the agent runs with what
there is. Under systemd the folders are those of the unit.`;

interface RunOptions {
  readonly config?: string;
  readonly profile?: string;
}

export const runCommand = (): Command =>
  new Command('run')
    .description('run the agent until SIGTERM or Ctrl-C')
    .option('-c, --config <file>', 'configuration file')
    .option('-p, --profile <name>', 'patrol-robot, kiosk or station')
    .addHelpText('after', examples)
    .action(run);

async function run({ config: file, profile }: RunOptions): Promise<void> {
  const stop = untilStopped();
  // Before any child is started, which would inherit it.
  const { openServiceManager, serviceFolders, takeServiceRequest } = await import('#agent/core/notify.ts');
  const request = takeServiceRequest();
  // Both load beside us: the first detection comes a third of a second earlier.
  const [{ WaitingChild }, { WaitingWriter }] = await Promise.all([
    import('#agent/vision/waiting-child.ts'),
    import('#agent/outbox/waiting-writer.ts'),
  ]);
  using held = new DisposableStack();
  const child = held.use(new WaitingChild());
  const writer = held.use(new WaitingWriter());
  const { findConfig, identify, makeStorage, sayWhatIsMissing, writeStarter } = await import('./first-start.ts');
  const folders = serviceFolders();
  const found = await findConfig({ file, profile, folders, schemaFor: deviceSchema });
  if (!found.config.cameras.some(({ enabled }) => enabled)) child[Symbol.dispose]();
  const { vision } = found.config;
  let model: Promise<Model> | undefined = modelOf(found.config, undefined);
  // What it throws is thrown where it is used.
  model.then(
    (known) => child.prepare({ model: known, threads: vision.threads, labels: vision.labels }),
    () => undefined,
  );
  const [{ openOutpost }, { createLog }, { systemClock }, { systemRandom }] = await Promise.all([
    import('#agent/opening.ts'),
    import('#agent/core/log.ts'),
    import('#agent/core/clock.ts'),
    import('#agent/core/random.ts'),
  ]);
  await makeStorage(found.config.storage.path);
  const { config, identity, fault } = await identify(found);
  const log = createLog(config.log.level, { device: config.device.id });
  held.use(endInTime(stop.signal, systemClock, log));
  if (identity?.isNew) log.info('This device has a key of its own now.', { kid: identity.kid });
  if (found.file === undefined) {
    await writeStarter(config, folders, log);
    void sayWhatIsMissing(config, log);
  }
  await using outpost = await openOutpost({
    config,
    model: async () => {
      const first = model ?? modelOf(config, undefined);
      model = undefined;
      return await first;
    },
    clock: systemClock,
    random: systemRandom,
    log,
    child,
    writer,
    manager: request && openManager(request, openServiceManager, log),
    identity: identity ?? fault,
  });
  await outpost.run(stop.signal);
}

/** Unheard, the agent works until it is ended for its silence: better than not at all. */
function openManager(
  request: ServiceRequest,
  openServiceManager: (request: ServiceRequest) => ServiceManager,
  log: Log,
): ServiceManager | undefined {
  try {
    return openServiceManager(request);
  } catch (thrown) {
    log.error('The service manager will hear nothing.', { error: toOutpostError(thrown) });
    return undefined;
  }
}
