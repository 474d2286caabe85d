/** What is done so that an alarm never waits: it overtakes other lanes, and is read from memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Lane } from '#agent/domain/lane.ts';
import { numbers, openTestOutbox, range, testEvent, waiting } from './test-rig.ts';

let folder: string;
let stores = 0;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-alarms-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const limits = { maxEvents: 1, maxBytes: 64 * 1024 };

describe('an alarm', () => {
  it('overtakes the events that wait for the disk', async () => {
    await using outbox = await openTestOutbox(folder);
    let written = 0;
    const events = range(1, 20_000).map(async (n) => {
      await outbox.append([testEvent('event', n)]);
      written += 1;
    });
    await outbox.append([testEvent('alarm', 1)]);
    // at most two Jobs were on their way
    expect(written).toBeLessThanOrEqual(2 * 1_024);
    await Promise.all(events);
    expect(outbox.state.event).toMatchObject({ depth: 20_000, lastSeq: 20_000 });
  });

  it('that follows upon the other for ever keeps no event from the disk', async () => {
    await using outbox = await openTestOutbox(folder);
    const over = new AbortController();
    const alarms = (async () => {
      while (!over.signal.aborted) await outbox.append([testEvent('alarm', 1)]);
    })();
    for (const n of range(1, 20)) await outbox.append([testEvent('event', n)]);
    over.abort();
    await alarms;
    expect(outbox.state.event.lastSeq).toBe(20);
  });

  it('keeps its place in its lane, whatever it was appended with', async () => {
    const kind = fc.constantFrom<readonly Lane[]>(['alarm'], ['event'], ['event', 'alarm'], ['alarm', 'alarm']);
    await fc.assert(
      fc.asyncProperty(fc.array(kind, { minLength: 1, maxLength: 60 }), async (appends) => {
        await using outbox = await openTestOutbox(join(folder, String((stores += 1))));
        let made = 0;
        const stored = await Promise.all(
          appends.map(async (of) => await outbox.append(of.map((lane) => testEvent(lane, (made += 1))))),
        );
        for (const lane of ['alarm', 'event'] as const) {
          const seqs = stored.flat().flatMap((envelope) => (envelope.lane === lane ? Number(envelope.seq) : []));
          expect(seqs).toEqual(range(1, seqs.length));
        }
      }),
      { numRuns: 12 },
    );
  });

  it('is read from memory as the store has it, and no more once it was acknowledged', async () => {
    await using outbox = await openTestOutbox(folder);
    const { epoch } = outbox;
    for (const n of range(1, 40)) await outbox.append([testEvent('alarm', n, n)]);
    const stored = await waiting(outbox, 'alarm', 64);
    expect(numbers(stored)).toEqual(range(1, 40));
    for (const seq of range(1, 39)) {
      const batch = await outbox.peek('alarm', { epoch, seq }, limits);
      expect(batch).toMatchObject({ lane: 'alarm', epoch, first: seq + 1, last: seq + 1, count: 1, more: seq < 39 });
      expect(JSON.parse(Buffer.from(batch?.bytes ?? []).toString())).toEqual(stored[seq]);
    }
    await outbox.ack('alarm', { epoch, seq: 40 });
    expect(await outbox.peek('alarm', { epoch, seq: 39 }, limits)).toBeUndefined();
  });
});
