/**
 * Keeps services running: each alone, restarted with backoff and jitter, for ever.
 *
 *   Service.run(signal) --throws--> backoff (1 s -> 60 s) --> run again
 *                       --5 failures in 60 s, or 20 in an hour--> GaveUp: rests, tells, then tries again
 */
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { OutpostError, toOutpostError } from './errors.ts';
import type { Log } from './log.ts';
import type { Random } from './random.ts';

/** All that the Supervisor knows: returns when aborted, throws when broken. */
export interface Service {
  readonly name: string;
  readonly policy?: Partial<RestartPolicy>;
  run(signal: AbortSignal): Promise<void>;
  /** Told of every failure, to set a health condition. */
  onFailure?(error: OutpostError, gaveUp: boolean): void;
}

export interface RestartPolicy {
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  /** A run that lasted this long clears the failures before it. */
  readonly healthyAfterMs: number;
  /** Fast crash loop: this many failures within a minute. */
  readonly maxPerMinute: number;
  /** Slow crash loop: this many failures within an hour. */
  readonly maxPerHour: number;
  /** How long a service rests after it gave up. */
  readonly restMs: number;
}

const defaultPolicy: RestartPolicy = {
  minBackoffMs: 1_000,
  maxBackoffMs: 60_000,
  healthyAfterMs: 60_000,
  maxPerMinute: 5,
  maxPerHour: 20,
  restMs: 300_000,
};

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Runs all services until the signal is aborted; resolves when the last has returned. */
export async function supervise(
  services: readonly Service[],
  options: SupervisorOptions,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(services.map(async (service) => await keepRunning(service, options, signal)));
}

async function keepRunning(service: Service, options: SupervisorOptions, signal: AbortSignal): Promise<void> {
  const { clock, random } = options;
  const policy = { ...defaultPolicy, ...service.policy };
  const backoff = new Backoff({ minMs: policy.minBackoffMs, maxMs: policy.maxBackoffMs }, random);
  const log = options.log.with({ service: service.name });
  let failures: number[] = [];
  while (!signal.aborted) {
    const startedAt = clock.monoMs();
    try {
      await service.run(signal);
      if (signal.aborted) return;
      throw new OutpostError('internal', `Service ${service.name} returned before it was asked to.`);
    } catch (thrown) {
      if (signal.aborted) return;
      const now = clock.monoMs();
      if (now - startedAt >= policy.healthyAfterMs) backoff.reset();
      failures = [...failures.filter((at) => now - at < 3_600_000), now];
      const gaveUp = isCrashLoop(failures, now, policy);
      const error = toOutpostError(thrown);
      const waitMs = gaveUp ? policy.restMs : backoff.nextMs();
      log.error(gaveUp ? 'Service gave up and rests.' : 'Service failed and is started again.', {
        error,
        waitMs: Math.round(waitMs),
      });
      service.onFailure?.(error, gaveUp);
      if (gaveUp) failures = [];
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }
}

function isCrashLoop(failures: readonly number[], now: number, policy: RestartPolicy): boolean {
  const lastMinute = failures.filter((at) => now - at < 60_000).length;
  return lastMinute >= policy.maxPerMinute || failures.length >= policy.maxPerHour;
}
