/** Rules over readings: when they begin, when they end, and that they forget nothing in between. */
import { describe, expect, it } from 'vitest';
import type { Event } from '#agent/domain/event.ts';
import type { Reading } from '#agent/domain/reading.ts';
import { ruleSchema } from '#config/rule.ts';
import { compileReadingRules, type ReadingRulesState } from './readings.ts';

const wallMs = Date.UTC(2026, 0, 1);
const at = (second: number, value: Reading['value'], more: Partial<Reading> = {}): Reading => ({
  peripheral: 'door',
  property: 'state',
  value,
  quality: 'good',
  wallMs: wallMs + second * 1_000,
  monoMs: second * 1_000,
  ...more,
});

function play(rule: object, steps: readonly (Reading | number)[], finishAt?: number): readonly Event[] {
  const rules = compileReadingRules(
    { rules: [ruleSchema.parse({ kind: 'reading', id: 'r', property: 'state', ...rule })] },
    { run: 'run', timeZone: 'UTC' },
  );
  let state: ReadingRulesState = rules.initial();
  const events: Event[] = [];
  const moment = (second: number) => ({ wallMs: wallMs + second * 1_000, monoMs: second * 1_000 });
  for (const step of steps) {
    const next = typeof step === 'number' ? rules.tick(state, moment(step)) : rules.step(state, step);
    // the state survives JSON
    state = JSON.parse(JSON.stringify(next.state)) as ReadingRulesState;
    events.push(...next.events);
  }
  return finishAt === undefined ? events : [...events, ...rules.finish(state, moment(finishAt)).events];
}

const told = (events: readonly Event[]): string[] => events.map(({ phase, monoMs }) => `${phase} ${monoMs / 1_000}`);

describe('a rule over readings', () => {
  it('begins and ends with the value', () => {
    const events = play({ equals: 'forced' }, [at(0, 'shut'), at(1, 'forced'), at(2, 'forced'), at(3, 'shut')]);
    expect(told(events)).toEqual(['start 1', 'end 3']);
    expect(events[0]).toMatchObject({
      kind: 'reading',
      lane: 'alarm',
      subject: 'peripheral/door',
      data: { rule: 'r', incident: 'run.r.door.1', value: 'forced', durationMs: 0 },
    });
    expect(events[1]).toMatchObject({ data: { incident: 'run.r.door.1', durationMs: 2_000 } });
  });

  it('waits for the hold, by readings or by the clock alone', () => {
    expect(told(play({ above: 5, hold: '3s' }, [at(0, 6), at(2, 6), at(3, 6)]))).toEqual(['start 3']);
    expect(told(play({ above: 5, hold: '3s' }, [at(0, 6), at(2, 4), at(3, 6), at(5, 6)]))).toEqual([]);
    expect(told(play({ above: 5, hold: '3s' }, [at(0, 6), 1, 2, 3]))).toEqual(['start 3']);
  });

  it('ends after `clear` without a break', () => {
    expect(told(play({ below: 5, clear: '2s' }, [at(0, 4), at(1, 6), at(2, 4), at(3, 6), at(5, 6)]))).toEqual([
      'start 0',
      'end 5',
    ]);
  });

  it('does not flutter within its hysteresis', () => {
    expect(told(play({ above: 30, hysteresis: 2 }, [at(0, 31), at(1, 29), at(2, 31), at(3, 27)]))).toEqual([
      'start 0',
      'end 3',
    ]);
  });

  it('looks away from what the device calls no measurement, from others, and outside its schedule', () => {
    expect(play({ equals: 1 }, [at(0, 1, { quality: 'bad' })])).toEqual([]);
    expect(play({ equals: 1, peripherals: ['window'] }, [at(0, 1)])).toEqual([]);
    expect(play({ equals: 1 }, [at(0, 1, { property: 'other' })])).toEqual([]);
    expect(play({ equals: 1, schedule: [{ from: '08:00', to: '09:00' }] }, [at(0, 1)])).toEqual([]);
  });

  it('keeps peripherals apart, rests, updates and ends with the agent', () => {
    const two = play({ equals: 1 }, [at(0, 1), at(1, 1, { peripheral: 'gate' })]);
    expect(two.map(({ data }) => (data as { incident: string }).incident)).toEqual(['run.r.door.1', 'run.r.gate.1']);
    expect(told(play({ equals: 1, cooldown: '10s' }, [at(0, 1), at(1, 0), at(2, 1), at(11, 1)]))).toEqual([
      'start 0',
      'end 1',
      'start 11',
    ]);
    expect(told(play({ equals: 1, updateInterval: '2s' }, [at(0, 1), at(1, 1), at(2, 1)], 3))).toEqual([
      'start 0',
      'update 2',
      'end 3',
    ]);
  });

  it('needs exactly one limit', () => {
    expect(ruleSchema.safeParse({ kind: 'reading', id: 'r', property: 'x' }).success).toBe(false);
    expect(ruleSchema.safeParse({ kind: 'reading', id: 'r', property: 'x', above: 1, below: 2 }).success).toBe(false);
  });
});
