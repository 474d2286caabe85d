/**
 * A script of outages: who is off the line when.
 *
 *   10s/3s    every 10 s each device is off for 3 s, one after the other over the fleet
 *   20s+60s   20 s after the start all are off at once, for 60 s: the broker is gone, and then everybody comes back
 */
import { parseDuration } from '#agent/core/duration.ts';

export type Outage =
  | { readonly kind: 'each'; readonly everyMs: number; readonly offMs: number }
  | { readonly kind: 'all'; readonly fromMs: number; readonly offMs: number };

/** @returns undefined when it cannot be read */
export function parseOutages(script: string): readonly Outage[] | undefined {
  const outages = script.split(',').map((part) => parseOutage(part.trim()));
  return outages.includes(undefined) ? undefined : (outages as Outage[]);
}

function parseOutage(text: string): Outage | undefined {
  const [, left = '', sign, right = ''] = /^(\w[\w.]*)([/+])(\w[\w.]*)$/.exec(text) ?? [];
  const [one, offMs] = [parseDuration(left), parseDuration(right)];
  if (one === undefined || offMs === undefined || offMs <= 0) return undefined;
  if (sign === '+') return { kind: 'all', fromMs: one, offMs };
  return offMs < one ? { kind: 'each', everyMs: one, offMs } : undefined;
}

/**
 * @param ms since the load began
 * @param share which device it is: its index by their number, from 0 to below 1
 */
export const isOff = (outages: readonly Outage[], ms: number, share: number): boolean =>
  outages.some((outage) => {
    if (outage.kind === 'all') return ms >= outage.fromMs && ms < outage.fromMs + outage.offMs;
    const own = ms - share * outage.everyMs;
    return own >= 0 && own % outage.everyMs >= outage.everyMs - outage.offMs;
  });
