/** What every command that runs for a while shares: an end by signal, and the model that the configuration names. */
import { access } from 'node:fs/promises';
import { onAbort } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import type { Log } from '#agent/core/log.ts';
import type { Model } from '#models/model.ts';
import type { Config, ConfigSchema } from '#config/schema.ts';
import { exitCodes } from './output.ts';

/** Aborted by SIGINT or SIGTERM; a second one ends the program at once. */
export function untilStopped(): AbortController {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return stop;
}

/** Five seconds after it was told to, a program has ended: what it waits for then will not come. */
const endLimitMs = 4_800;

/**
 * Ends the program when its end hangs: a disk or a child that does not answer. What was acknowledged is on the disk.
 * Disposed: it ended by itself.
 */
export function endInTime(stopping: AbortSignal, clock: Clock, log: Log): Disposable {
  const ended = new AbortController();
  const limit = async (): Promise<void> => {
    await clock.sleep(endLimitMs, ended.signal);
    log.error('The end did not come in time: the program ends as it is. What was stored is on the disk.');
    process.exit(exitCodes.internal);
  };
  const listening = onAbort(stopping, () => void limit().catch(() => undefined));
  return {
    [Symbol.dispose]: () => {
      listening[Symbol.dispose]();
      ended.abort();
    },
  };
}

/** The schema with the options of all drivers, or of those that are named: the one place where the two meet. */
export async function deviceSchema(drivers?: ReadonlySet<string>): Promise<ConfigSchema> {
  const [{ buildSchema }, { driverOptions }] = await Promise.all([
    import('#config/schema.ts'),
    import('#drivers/registry.ts'),
  ]);
  return buildSchema({ drivers: await driverOptions(drivers) });
}

export async function modelOf(config: Config, named: string | undefined): Promise<Model> {
  const { resolveModel } = await import('#models/registry.ts');
  return await resolveModel(named ?? config.vision.model);
}

/** @throws OutpostError `source-missing`: an agent would wait for it, a demo or a bench has nothing else to look at */
export async function existingVideo(path: string): Promise<string> {
  const { OutpostError, systemCode } = await import('#agent/core/errors.ts');
  await access(path).catch((cause: unknown) => {
    const reason = systemCode(cause) === 'ENOENT' ? 'is not there' : 'cannot be read';
    throw new OutpostError('source-missing', `${path} ${reason}.`, { cause });
  });
  return path;
}
