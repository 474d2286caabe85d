/** `outpost run`: the agent, until it is told to stop. */
import { Command } from 'commander';
import { toOutpostError } from '#agent/core/errors.ts';
import type { ServiceManager } from '#agent/core/notify.ts';
import type { Model } from '#models/model.ts';
import { modelOf, untilStopped } from './running.ts';

const examples = `
Examples:
  outpost run                                  with ./outpost.yaml, or /etc/outpost/outpost.yaml
  outpost run --config robot-07.yaml
  outpost run --profile kiosk --config shop.yaml`;

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
  const { openServiceManager, takeServiceRequest } = await import('#agent/core/notify.ts');
  const request = takeServiceRequest();
  // It loads beside us: the first detection comes a third of a second earlier.
  const { WaitingChild } = await import('#agent/vision/waiting-child.ts');
  using child = new WaitingChild();
  const { loadConfig } = await import('#config/load.ts');
  const { config } = await loadConfig({ ...(file ? { file } : {}), ...(profile ? { profile } : {}) });
  if (!config.cameras.some(({ enabled }) => enabled)) child[Symbol.dispose]();
  let model: Promise<Model> | undefined = modelOf(config, undefined);
  // What it throws is thrown where it is used.
  model.catch(() => undefined);
  const [{ Outpost }, { createLog }, { systemClock }, { systemRandom }] = await Promise.all([
    import('#agent/outpost.ts'),
    import('#agent/core/log.ts'),
    import('#agent/core/clock.ts'),
    import('#agent/core/random.ts'),
  ]);
  const log = createLog(config.log.level, { device: config.device.id });
  let manager: ServiceManager | undefined;
  try {
    manager = request && openServiceManager(request);
  } catch (thrown) {
    // It works until it is ended for its silence: better than not at all.
    log.error('The service manager will hear nothing.', { error: toOutpostError(thrown) });
  }
  await using outpost = await Outpost.open({
    config,
    model: async () => {
      const found = model ?? modelOf(config, undefined);
      model = undefined;
      return await found;
    },
    clock: systemClock,
    random: systemRandom,
    log,
    child,
    manager,
  });
  await outpost.run(stop.signal);
}
