/** What every command that runs for a while shares: an end by signal, and the model that the configuration names. */
import type { Model } from '#models/model.ts';
import type { Config, ConfigSchema } from '#config/schema.ts';

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

/** The schema with every driver's options: the one place where the two meet. */
export async function deviceSchema(): Promise<ConfigSchema> {
  const [{ buildSchema }, { driverOptions }] = await Promise.all([
    import('#config/schema.ts'),
    import('#drivers/registry.ts'),
  ]);
  return buildSchema({ drivers: await driverOptions() });
}

export async function modelOf(config: Config, named: string | undefined): Promise<Model> {
  const { resolveModel } = await import('#models/registry.ts');
  return await resolveModel(named ?? config.vision.model);
}
