/** What `up/state` says: here or not, who, and what the store holds; retained, and the will of the connection. */
import type { Clock } from '#agent/core/clock.ts';
import type { Health } from '#agent/core/health.ts';
import type { MqttVersion } from '#agent/core/mqtt.ts';
import { version } from '#agent/core/version.ts';
import type { Custody } from './lane-drain.ts';
import type { Source, UplinkSource } from './source.ts';

export interface PresenceOptions {
  readonly source: UplinkSource;
  readonly device: string;
  readonly health: Health;
  readonly clock: Clock;
  readonly custody: Custody;
  /** Why there was no line last. */
  readonly lastError: { readonly code: string; readonly at: string } | undefined;
}

/** JSON. Numbers are decimal strings; `epochs` holds first and last of every lane that the store knows. */
export function presence(options: PresenceOptions, online: boolean, protocol: MqttVersion): string {
  const { source, device, health, clock, custody, lastError } = options;
  return JSON.stringify({
    online,
    device,
    version,
    time: new Date(clock.wallMs()).toISOString(),
    epoch: source.epoch,
    boot: String(source.boot),
    protocol,
    custody,
    ...(lastError ? { lastError: { code: lastError.code, at: lastError.at } } : {}),
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
    lanes: figures(source),
  });
}

/** For people and dashboards; lanes in which nothing waits and nothing moves are left out. */
function figures({ state }: UplinkSource): Record<string, Record<string, number>> {
  const rounded = (value: number): number => Number(value.toFixed(3));
  return Object.fromEntries(
    Object.entries(state).flatMap(([lane, { depth, bytes, oldestAgeMs, appendedPerSecond, leftPerSecond }]) => {
      if (depth === 0 && appendedPerSecond === 0 && leftPerSecond === 0) return [];
      const rates = { appendedPerSecond: rounded(appendedPerSecond), leftPerSecond: rounded(leftPerSecond) };
      return [
        [
          lane,
          { depth, bytes, ...(oldestAgeMs === undefined ? {} : { oldestAgeMs: Math.round(oldestAgeMs) }), ...rates },
        ],
      ];
    }),
  );
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
