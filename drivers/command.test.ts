/** What becomes of a command, by its action's own words. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { systemClock as clock } from '#agent/core/clock.ts';
import type { ReadingValue } from '#agent/domain/reading.ts';
import { carryOut } from './command.ts';
import type { Action, Outcome, Peripheral } from './driver.ts';
import type { OpenedPeripheral } from './open.ts';

const action = (more: Partial<Action>): Action => ({
  title: 'Do',
  args: z.strictObject({}),
  deadlineMs: 5_000,
  idempotent: false,
  safety: 'lock',
  acknowledgement: 'an answer',
  example: {},
  ...more,
});

interface Told {
  readonly outcomes: readonly (Outcome | 'never' | 'throw')[];
  readonly reads?: Readonly<Record<string, ReadingValue>>;
  readonly latest?: ReadingValue;
}

/** A peripheral that ends as it is told, each time by the next word. */
async function run(
  declared: Action,
  { outcomes, reads, latest }: Told,
): Promise<{ readonly outcome: Outcome; readonly done: number }> {
  let done = 0;
  const link = { isOpen: true, bytesWritten: 0 };
  const peripheral: Partial<Peripheral> = {
    async perform(_name, _args, signal) {
      const next = outcomes[done] ?? outcomes.at(-1);
      done += 1;
      link.bytesWritten += 1;
      if (next === 'throw') throw new Error('the line broke');
      if (next !== 'never') return next as Outcome;
      await clock.sleep(600_000, signal);
      return { status: 'acknowledged' };
    },
    ...(reads
      ? {
          read: async (property: string) =>
            await Promise.resolve(
              property in reads ? [{ is: 'reading' as const, property, value: reads[property] as ReadingValue }] : [],
            ),
        }
      : {}),
  };
  const opened = { manifest: { actions: { do: declared } }, peripheral, link } as unknown as OpenedPeripheral;
  const outcome = await carryOut('do', {}, { opened, clock, latest: () => latest }, new AbortController().signal);
  return { outcome, done };
}

const unknown: Outcome = { status: 'unknown', reason: 'no answer' };
const acknowledged: Outcome = { status: 'acknowledged' };

describe('a command', () => {
  it('that may not be repeated is done once, and is unknown when no answer comes', async () => {
    expect(await run(action({}), { outcomes: [unknown, acknowledged] })).toEqual({ outcome: unknown, done: 1 });
  });

  it('that may is repeated until it is answered', async () => {
    expect(await run(action({ idempotent: true }), { outcomes: [unknown, unknown, acknowledged] })).toEqual({
      outcome: acknowledged,
      done: 3,
    });
  });

  it('of a lock stays unknown after the last try, of a light it is only a timeout', async () => {
    expect(await run(action({ idempotent: true }), { outcomes: [unknown] })).toEqual({ outcome: unknown, done: 3 });
    expect(await run(action({ idempotent: true, safety: 'light' }), { outcomes: [unknown] })).toEqual({
      outcome: { status: 'timeout', reason: 'no answer' },
      done: 3,
    });
  });

  it('of class stop is said until it is acknowledged, whatever the device says, or unknown at its deadline', async () => {
    const stop = action({ safety: 'stop', idempotent: true });
    const busy: Outcome = { status: 'rejected', reason: 'busy' };
    expect(await run(stop, { outcomes: [unknown, busy, unknown, unknown, unknown, acknowledged] })).toEqual({
      outcome: acknowledged,
      done: 6,
    });
    const { outcome, done } = await run({ ...stop, deadlineMs: 400 }, { outcomes: [unknown] });
    expect(outcome).toEqual({ status: 'unknown', reason: 'No answer within the deadline.' });
    expect(done).toBeGreaterThan(3);
    const shown = { ...stop, shownBy: () => ({ property: 'moving', oneOf: [false] }) };
    expect(await run(shown, { outcomes: [unknown], reads: { moving: false } })).toMatchObject({
      outcome: { status: 'acknowledged', result: { shownBy: 'moving' } },
    });
  });

  it('is acknowledged by the state that shows it, and not repeated then', async () => {
    const shown = action({ shownBy: () => ({ property: 'bolt', oneOf: ['withdrawn'] }) });
    expect(await run(shown, { outcomes: [unknown], reads: { bolt: 'withdrawn' } })).toEqual({
      outcome: { status: 'acknowledged', result: { shownBy: 'bolt' } },
      done: 1,
    });
    expect(await run(shown, { outcomes: [unknown], reads: { bolt: 'thrown' } })).toEqual({ outcome: unknown, done: 1 });
  });

  it('is not begun when a precondition does not hold, or is not known', async () => {
    const guarded = action({ preconditions: [{ property: 'door', oneOf: ['shut'] }] });
    const refused = (reason: string) => ({ outcome: { status: 'rejected', reason }, done: 0 });
    expect(await run(guarded, { outcomes: [acknowledged], reads: { door: 'open' } })).toEqual(
      refused('door must be shut first; it is "open".'),
    );
    expect(await run(guarded, { outcomes: [acknowledged], reads: {} })).toEqual(
      refused('door must be shut first; it is not known.'),
    );
    expect(await run(guarded, { outcomes: [acknowledged], latest: 'shut' })).toEqual({
      outcome: acknowledged,
      done: 1,
    });
  });

  it('ends by its deadline, and when the line breaks, as what it may have been: done', async () => {
    expect((await run(action({ deadlineMs: 20 }), { outcomes: ['never'] })).outcome).toEqual({
      status: 'unknown',
      reason: 'No answer within the deadline.',
    });
    expect((await run(action({}), { outcomes: ['throw'] })).outcome).toEqual({
      status: 'unknown',
      reason: 'the line broke',
    });
  });
});
