/** What `up/state` says: here or not, who, and what the store holds; retained, and the will of the connection. */
import type { Clock } from '#agent/core/clock.ts';
import type { Health } from '#agent/core/health.ts';
import type { MqttVersion } from '#agent/core/mqtt.ts';
import { version } from '#agent/core/version.ts';
import type { Custody } from './lane-drain.ts';
import type { Source } from './source.ts';

export interface PresenceOptions {
  readonly source: Source;
  readonly device: string;
  readonly health: Health;
  readonly clock: Clock;
  readonly custody: Custody;
}

/** JSON. Numbers are decimal strings; `epochs` holds first and last of every lane that the store knows. */
export function presence(options: PresenceOptions, online: boolean, protocol: MqttVersion): string {
  const { source, device, health, clock, custody } = options;
  return JSON.stringify({
    online,
    device,
    version,
    time: new Date(clock.wallMs()).toISOString(),
    epoch: source.epoch,
    boot: String(source.boot),
    protocol,
    custody,
    health: {
      worst: health.worst(),
      conditions: health.entries().map(({ code, subject, severity, sinceMs }) => ({
        code,
        subject,
        severity,
        since: new Date(sinceMs).toISOString(),
      })),
    },
    epochs: epochs(source),
  });
}

/** `first`: the lowest that waits, or the next to come; `last`: the highest that was given. */
function epochs({ slots }: Source): Record<string, Record<string, unknown>> {
  const all: Record<string, Record<string, unknown>> = {};
  for (const { epoch, lane, first, last, depth, bytes } of slots) {
    if (last === 0) continue;
    (all[epoch] ??= {})[lane] = { first: String(first || last + 1), last: String(last), depth, bytes };
  }
  return all;
}
