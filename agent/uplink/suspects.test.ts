import { describe, expect, it } from 'vitest';
import type { Lane } from '#agent/domain/lane.ts';
import type { Batch } from './source.ts';
import { Suspects } from './suspects.ts';

const one = (seq: number, lane: Lane = 'event'): Batch => ({
  lane,
  epoch: 'e',
  first: seq,
  last: seq,
  count: 1,
  bytes: new Uint8Array(),
  more: true,
});
const times = (count: number, what: () => void): void => {
  for (let n = 0; n < count; n += 1) what();
};

describe('a suspect', () => {
  it('is poison only when another event is taken in its stead', () => {
    const suspects = new Suspects();
    times(4, () => suspects.failed('event', one(7), 'refused'));
    expect(suspects.passOver('event')).toBeUndefined();
    suspects.failed('event', one(7), 'refused');
    expect(suspects.passOver('event')).toEqual({ epoch: 'e', seq: 7 });
    expect(suspects.taken('event', one(8))).toEqual({ epoch: 'e', seq: 7 });
    expect(suspects.taken('event', one(9))).toBeUndefined();
    expect(suspects.isSuspected('event')).toBe(false);
  });

  it('is innocent when the next one is refused, too: the broker refuses everything', () => {
    const suspects = new Suspects();
    times(5, () => suspects.failed('event', one(7), 'refused'));
    expect(suspects.passOver('event')).toBeDefined();
    suspects.failed('event', one(8), 'refused');
    expect(suspects.passOver('event')).toBeUndefined();
    expect(suspects.taken('event', one(7))).toBeUndefined();
    expect(suspects.isSuspected('event')).toBe(false);
  });

  it('needs twice as many cuts as refusals, and then stands alone', () => {
    const suspects = new Suspects();
    suspects.failed('event', one(7), 'cut');
    expect(suspects.isSuspected('event')).toBe(false);
    suspects.failed('event', one(7), 'cut');
    expect(suspects.isSuspected('event')).toBe(true);
    times(7, () => suspects.failed('event', one(7), 'cut'));
    expect(suspects.passOver('event')).toBeUndefined();
    suspects.failed('event', one(7), 'cut');
    expect(suspects.passOver('event')).toEqual({ epoch: 'e', seq: 7 });
  });

  it('is forgotten when another one fails, and when there is none behind it', () => {
    const suspects = new Suspects();
    times(4, () => suspects.failed('event', one(7), 'refused'));
    suspects.failed('event', one(6), 'refused');
    suspects.failed('event', one(7), 'refused');
    expect(suspects.passOver('event')).toBeUndefined();
    times(5, () => suspects.failed('event', one(7), 'refused'));
    expect(suspects.passOver('event')).toBeDefined();
    suspects.returned('event');
    expect(suspects.taken('event', one(7))).toBeUndefined();
  });

  it('is never an alarm or a submission', () => {
    const suspects = new Suspects();
    for (const lane of ['alarm', 'submission'] as const) {
      times(50, () => suspects.failed(lane, one(7, lane), 'refused'));
      expect(suspects.passOver(lane)).toBeUndefined();
    }
  });
});
