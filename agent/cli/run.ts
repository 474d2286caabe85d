/** `outpost run`: the agent, until it is told to stop. */
import { Command } from 'commander';
import type { Model } from '#models/model.ts';
import { deviceSchema, modelOf, untilStopped } from './running.ts';

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
  // It loads beside us: the first detection comes a third of a second earlier.
  const { WaitingChild } = await import('#agent/vision/waiting-child.ts');
  using child = new WaitingChild();
  const [{ loadConfig }, schema] = await Promise.all([import('#config/load.ts'), deviceSchema()]);
  const { config } = await loadConfig({ schema, ...(file ? { file } : {}), ...(profile ? { profile } : {}) });
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
  await using outpost = await Outpost.open({
    config,
    model: async () => {
      const found = model ?? modelOf(config, undefined);
      model = undefined;
      return await found;
    },
    clock: systemClock,
    random: systemRandom,
    log: createLog(config.log.level, { device: config.device.id }),
    child,
  });
  await outpost.run(stop.signal);
}
