/**
 * Rules over readings as one pure reducer: the same readings give the same events, byte for byte.
 *
 *   Reading --> its rules --latch (hold, clear)--> incident --> Event[]
 */
import type { Event, EventData } from '#agent/domain/event.ts';
import type { Reading, ReadingValue } from '#agent/domain/reading.ts';
import type { ReadingRule } from '#config/rule.ts';
import type { Config } from '#config/schema.ts';
import { emptyLedger, type Incident, type Ledger, turn } from './incident.ts';
import { type Latch, openLatch, stepLatch } from './latch.ts';
import type { Moment } from './rules.ts';
import { compileSchedule, type Schedule } from './schedule.ts';

interface ReadingRuleState {
  readonly ledger: Ledger;
  readonly latch: Latch;
  readonly incident?: Incident;
  /** The newest that counts. */
  readonly reading: Reading;
}

/** Plain data, by rule and peripheral: bounded by the configuration. */
export type ReadingRulesState = Readonly<Record<string, ReadingRuleState>>;

export interface ReadingRulesStep {
  readonly state: ReadingRulesState;
  readonly events: readonly Event[];
}

export interface ReadingRules {
  initial(): ReadingRulesState;
  step(state: ReadingRulesState, reading: Reading): ReadingRulesStep;
  /** Time passes without a reading: to be asked every second or so, for devices that tell changes alone. */
  tick(state: ReadingRulesState, now: Moment): ReadingRulesStep;
  /** The end of the agent: what is open ends now. */
  finish(state: ReadingRulesState, now: Moment): ReadingRulesStep;
}

interface Compiled {
  readonly rule: ReadingRule;
  readonly schedule: Schedule;
}

export function compileReadingRules(
  { rules }: Pick<Config, 'rules'>,
  { run, timeZone }: { readonly run: string; readonly timeZone: string },
): ReadingRules {
  const compiled = rules.flatMap((rule): Compiled[] =>
    rule.kind === 'reading' && rule.enabled ? [{ rule, schedule: compileSchedule(rule.schedule, timeZone) }] : [],
  );

  const advance = (
    state: ReadingRulesState,
    each: Compiled,
    reading: Reading,
    now: Moment,
    isEnd = false,
  ): ReadingRulesStep => {
    const key = `${each.rule.id} ${reading.peripheral}`;
    const before = state[key] ?? { ledger: emptyLedger, latch: openLatch, reading };
    const { after, events } = stepRule(each, before, reading, now, run, isEnd);
    return { state: { ...state, [key]: after }, events };
  };

  /** Every rule and peripheral that has had a reading, again. */
  const again = (state: ReadingRulesState, now: Moment, isEnd: boolean): ReadingRulesStep => {
    let step: ReadingRulesStep = { state, events: [] };
    for (const each of compiled) {
      for (const [key, { reading }] of Object.entries(state)) {
        if (key !== `${each.rule.id} ${reading.peripheral}`) continue;
        const next = advance(step.state, each, reading, now, isEnd);
        step = { state: next.state, events: [...step.events, ...next.events] };
      }
    }
    return step;
  };

  return {
    initial: () => ({}),
    step(state, reading) {
      let step: ReadingRulesStep = { state, events: [] };
      for (const each of compiled) {
        if (!concerns(each.rule, reading)) continue;
        const next = advance(step.state, each, reading, reading);
        step = { state: next.state, events: [...step.events, ...next.events] };
      }
      return step;
    },
    tick: (state, now) => again(state, now, false),
    finish: (state, now) => again(state, now, true),
  };
}

/** What the device itself calls no measurement decides nothing. */
const concerns = ({ peripherals, property }: ReadingRule, reading: Reading): boolean =>
  reading.property === property &&
  reading.quality !== 'bad' &&
  (peripherals.length === 0 || peripherals.includes(reading.peripheral));

function stepRule(
  { rule, schedule }: Compiled,
  before: ReadingRuleState,
  reading: Reading,
  now: Moment,
  run: string,
  isEnd: boolean,
): { readonly after: ReadingRuleState; readonly events: readonly Event[] } {
  const holds = !isEnd && schedule(now.wallMs) && isBeyond(rule, reading.value, before.latch.on);
  const latch = isEnd
    ? openLatch
    : stepLatch(before.latch, holds, now.monoMs, { onAfterMs: rule.hold, offAfterMs: rule.clear, minFrames: 1 });
  const site = { camera: reading.peripheral, run, schedule };
  const { ledger, incident, told } = turn(before.incident, latch.on, before.ledger, rule, site, now.monoMs);
  const after = { ledger, latch, reading, ...(incident ? { incident } : {}) };
  if (!told) return { after, events: [] };
  const { phase, id, durationMs } = told;
  const data = { ...readingData(reading), rule: rule.id, incident: id, durationMs };
  const { wallMs, monoMs } = now;
  const subject = `peripheral/${reading.peripheral}`;
  return { after, events: [{ kind: 'reading', phase, lane: rule.lane, subject, wallMs, monoMs, data }] };
}

function isBeyond({ equals, above, below, hysteresis }: ReadingRule, value: ReadingValue, isOn: boolean): boolean {
  if (equals !== undefined) return value === equals;
  if (typeof value !== 'number') return false;
  const slack = isOn ? hysteresis : 0;
  if (above !== undefined) return value > above - slack;
  return below !== undefined && value < below + slack;
}

/** What an event says of a reading. */
export const readingData = ({ peripheral, property, value, unit, quality }: Reading): EventData<'reading'> => ({
  peripheral,
  property,
  value: typeof value === 'object' ? { ...value } : value,
  ...(unit === undefined ? {} : { unit }),
  quality,
});
