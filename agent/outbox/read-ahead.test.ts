/** What is read ahead is what would have been read, and is forgotten when it may be gone. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PeekedBatch, PeekRequest } from './protocol.ts';
import { ReadAhead } from './read-ahead.ts';
import { numbers, openTestOutbox, range, testEvent, waiting } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-ahead-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const limits = { maxEvents: 10, maxBytes: 10_000 };

/** A lane of numbers up to `last`, and what was asked of it. */
function lane(last: number) {
  const asked: PeekRequest[] = [];
  const read = async (request: PeekRequest): Promise<readonly PeekedBatch[]> => {
    asked.push(request);
    await Promise.resolve();
    const batches: PeekedBatch[] = [];
    let first = (request.after?.seq ?? 0) + 1;
    while (first <= last && batches.length < request.count) {
      const end = Math.min(last, first + request.maxEvents - 1);
      const bytes = new Uint8Array();
      batches.push({ epoch: 'e', first, last: end, count: end - first + 1, bytes, more: end < last });
      first = end + 1;
    }
    return batches;
  };
  const ahead = new ReadAhead(read);
  const peek = async (seq: number) =>
    await ahead.peek({ lane: 'event', after: seq === 0 ? undefined : { epoch: 'e', seq }, ...limits });
  return { ahead, asked, peek };
}

describe('reading ahead', () => {
  it('begins when a lane is read on, and gives every batch once, in order', async () => {
    const { peek, asked } = lane(335);
    const seen: number[] = [];
    for (let seq = 0; ;) {
      const batch = await peek(seq);
      if (!batch) break;
      expect(batch.first).toBe(seq + 1);
      seen.push(batch.count);
      seq = batch.last;
    }
    expect(seen.reduce((sum, count) => sum + count, 0)).toBe(335);
    expect(asked[0]).toMatchObject({ count: 1 });
    expect(asked[1]).toMatchObject({ count: 4 });
    expect(asked.length).toBeLessThan(20);
  });

  it('reads anew from another place, after something was given up, and behind an acknowledgement', async () => {
    const { ahead, peek, asked } = lane(1_000);
    await peek(0);
    await peek(10);
    const before = asked.length;
    expect(await peek(20)).toMatchObject({ first: 21 });
    expect(await peek(0)).toMatchObject({ first: 1 });
    expect(asked.at(-1)).toMatchObject({ count: 1 });
    await peek(10);
    ahead.acknowledged('event', 'e', 15);
    const kept = asked.length;
    expect(await peek(20)).toMatchObject({ first: 21 });
    // from what is kept; only what lies behind it is asked for
    expect(asked.slice(kept)).toMatchObject([{ count: 2, after: { seq: 50 } }]);
    ahead.acknowledged('event', 'e', 500);
    expect(await peek(500)).toMatchObject({ first: 501 });
    await peek(510);
    ahead.forget();
    expect(await peek(520)).toMatchObject({ first: 521 });
    expect(asked.at(-1)).toMatchObject({ count: 1, after: { seq: 520 } });
    expect(asked.length).toBeGreaterThan(before);
  });
});

it('never gives what was set aside or given up meanwhile', async () => {
  await using outbox = await openTestOutbox(folder);
  const { epoch } = outbox;
  await outbox.append(range(1, 100).map((n) => testEvent('event', n)));
  const first = await outbox.peek('event', undefined, limits);
  const second = await outbox.peek('event', { epoch, seq: first?.last ?? 0 }, limits);
  expect(second).toMatchObject({ first: 11, last: 20, more: true });
  await outbox.setAside('event', { epoch, seq: 25 });
  const third = await outbox.peek('event', { epoch, seq: 20 }, limits);
  expect(third).toMatchObject({ first: 21, last: 31, count: 10 });
  await outbox.ack('event', { epoch, seq: 60 });
  expect(await outbox.peek('event', { epoch, seq: 31 }, limits)).toMatchObject({ first: 61 });
  expect(numbers(await waiting(outbox, 'event', 7))).toEqual(range(61, 100));
});
