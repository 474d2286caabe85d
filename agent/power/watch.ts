/** When it is time to end: a reducer over what the power supply tells. */
import type { Reading } from '#agent/domain/reading.ts';
import type { PowerConfig } from '#config/schema.ts';

/** Since when, on the monotonic clock; undefined: it is not so. */
export interface PowerState {
  readonly onBatterySinceMs: number | undefined;
  readonly lowSinceMs: number | undefined;
}

export type Reason = 'low-battery' | 'on-battery';

export const onMains: PowerState = { onBatterySinceMs: undefined, lowSinceMs: undefined };

/** What is no measurement decides nothing; a supply that fell silent stays as it was last seen. */
export function step(state: PowerState, { property, value, quality, monoMs }: Reading): PowerState {
  if (quality === 'bad') return state;
  const since = (before: number | undefined): number | undefined => (value === true ? (before ?? monoMs) : undefined);
  if (property === 'onBattery') return { ...state, onBatterySinceMs: since(state.onBatterySinceMs) };
  return property === 'lowBattery' ? { ...state, lowSinceMs: since(state.lowSinceMs) } : state;
}

/** A low battery that is being charged is no reason. */
export function due(
  { onBatterySinceMs, lowSinceMs }: PowerState,
  { hold, onBatteryFor }: Pick<PowerConfig, 'hold' | 'onBatteryFor'>,
  nowMs: number,
): Reason | undefined {
  if (onBatterySinceMs === undefined) return undefined;
  if (lowSinceMs !== undefined && nowMs - Math.max(lowSinceMs, onBatterySinceMs) >= hold) return 'low-battery';
  return onBatteryFor > 0 && nowMs - onBatterySinceMs >= onBatteryFor ? 'on-battery' : undefined;
}
