import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkEvent } from '#agent/domain/catalogue.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { openSqlite } from '#agent/core/sqlite.ts';
import { openStoreFile } from './schema.ts';
import { numbers, openTestOutbox, range, testEvent, testHost, waiting, waitingEverywhere } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-outbox-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('appending', () => {
  it('numbers each lane from 1, and gives back what was stored', async () => {
    await using outbox = await openTestOutbox(folder);
    const envelopes = await outbox.append([testEvent('event', 1), testEvent('alarm', 2), testEvent('event', 3)]);
    expect(envelopes.map(({ lane, seq }) => `${lane} ${seq}`)).toEqual(['event 1', 'alarm 1', 'event 2']);
    const batch = await outbox.peek('event', undefined, { maxEvents: 10, maxBytes: 10_000 });
    const stored = `[${[envelopes[0], envelopes[2]].map((envelope) => Buffer.from(envelope?.bytes ?? []).toString()).join(',')}]`;
    expect(Buffer.from(batch?.bytes ?? []).toString()).toBe(stored);
    expect(batch).toMatchObject({ epoch: outbox.epoch, first: 1, last: 2, count: 2, more: false });
    expect((await waitingEverywhere(outbox)).map(checkEvent)).toEqual([undefined, undefined, undefined]);
    expect(outbox.state.event).toMatchObject({ depth: 2, firstSeq: 1, lastSeq: 2 });
  });

  it('gathers many producers, keeps the order of each, and tells of new events', async () => {
    await using outbox = await openTestOutbox(folder);
    const told = new Set<Lane>();
    outbox.onAppend((touched) => touched.forEach((lane) => told.add(lane)));
    const producers = range(0, 63).map(async (producer) => {
      const seqs: number[] = [];
      for (const n of range(1, 5)) {
        const [envelope] = await outbox.append([testEvent('event', producer * 100 + n)]);
        seqs.push(Number(envelope?.seq));
      }
      return seqs;
    });
    const seqs = await Promise.all(producers);
    for (const own of seqs) expect(own).toEqual(own.toSorted((a, b) => a - b));
    expect(seqs.flat().toSorted((a, b) => a - b)).toEqual(range(1, 320));
    expect(numbers(await waiting(outbox, 'event'))).toEqual(range(1, 320));
    expect([...told]).toEqual(['event']);
  });

  it('tells each producer its own number, in whichever way its Job went', async () => {
    await using outbox = await openTestOutbox(folder);
    const told = new Map<string, string>();
    const producer = (lane: Lane, first: number, paddings: readonly number[], restMs?: number) => async () => {
      for (const n of range(first, first + 199)) {
        const [envelope] = await outbox.append([testEvent(lane, n, paddings[n % paddings.length])]);
        told.set(`${envelope?.lane} ${envelope?.seq}`, `i-${n}`);
        // so that some Answers find the main thread asleep
        if (restMs !== undefined && n % 3 === 0) await new Promise((resolve) => setTimeout(resolve, restMs));
      }
    };
    const reader = async (): Promise<void> => {
      while (told.size < 1_000) {
        await outbox.peek('event', undefined, { maxEvents: 1, maxBytes: 100 });
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const producers = [
      producer('event', 0, [10]),
      producer('alarm', 1_000, [10]),
      producer('alarm', 2_000, [10], 1),
      producer('event', 3_000, [10, 6_000]),
      producer('submission', 4_000, [6_000, 10, 10], 2),
    ];
    await Promise.all([...producers.map(async (run) => await run()), reader()]);
    const stored = (await waitingEverywhere(outbox)).map(({ lane, seq, data }) => [`${lane} ${seq}`, data['incident']]);
    expect(new Map(stored as [string, string][])).toEqual(told);
    expect(stored).toHaveLength(1_000);
  });

  it('gives the event loop its turn between two answers, however quickly they come', async () => {
    await using outbox = await openTestOutbox(folder);
    const over = new AbortController();
    let turn = 0;
    const count = (): void => {
      turn += 1;
      if (!over.signal.aborted) setImmediate(count);
    };
    count();
    // They make more work of each answer than the writer has with the next one.
    const work = (): string => JSON.stringify(Array.from({ length: 2_000 }, (_none, n) => n));
    const producers = range(0, 255).map(async (producer) => {
      const turns: number[] = [];
      for (const n of range(1, 20)) {
        await outbox.append([testEvent('event', producer * 100 + n)]);
        turns.push(turn);
        work();
      }
      return turns;
    });
    const turns = await Promise.all(producers);
    over.abort();
    for (const own of turns) expect(new Set(own).size).toBe(20);
  });

  it('refuses an event that no broker takes, and stores nothing of its append', async () => {
    await using outbox = await openTestOutbox(folder);
    const append = outbox.append([testEvent('event', 1), testEvent('event', 2, 130_000)]);
    await expect(append).rejects.toMatchObject({ code: 'event-too-large', kind: 'limit' });
    expect(outbox.state.event).toMatchObject({ depth: 0, lastSeq: 0 });
    await outbox.append([testEvent('event', 3)]);
    expect(numbers(await waiting(outbox, 'event'))).toEqual([1]);
  });

  it('stores any text as it is', async () => {
    await using outbox = await openTestOutbox(folder);
    const subject = 'é 漢 🤖 "\\ \u0000 \ud800 </script>';
    await outbox.append([{ ...testEvent('event', 1), subject }]);
    const batch = await outbox.peek('event', undefined, { maxEvents: 1, maxBytes: 1 });
    expect((JSON.parse(Buffer.from(batch?.bytes ?? []).toString()) as { subject: string }).subject).toBe(subject);
    expect(outbox.state.event.bytes).toBe(batch?.bytes.length);
  });
});

describe('reading and acknowledging', () => {
  it('keeps to both limits, and says when more waits', async () => {
    await using outbox = await openTestOutbox(folder);
    await outbox.append(range(1, 10).map((n) => testEvent('event', n, 1_000)));
    const byCount = await outbox.peek('event', undefined, { maxEvents: 3, maxBytes: 1_000_000 });
    expect(byCount).toMatchObject({ first: 1, last: 3, more: true });
    const byBytes = await outbox.peek('event', { epoch: outbox.epoch, seq: 3 }, { maxEvents: 64, maxBytes: 3_500 });
    expect(byBytes).toMatchObject({ first: 4, count: 2, more: true });
    expect(byBytes?.bytes.length).toBeLessThanOrEqual(3_500);
    const one = await outbox.peek('event', { epoch: outbox.epoch, seq: 9 }, { maxEvents: 64, maxBytes: 10 });
    expect(one).toMatchObject({ first: 10, last: 10, more: false });
    expect(await outbox.peek('event', { epoch: outbox.epoch, seq: 10 }, { maxEvents: 64, maxBytes: 10 })).toBe(
      undefined,
    );
  });

  it('removes up to a place, save what is missing, and never past the end or backwards', async () => {
    await using outbox = await openTestOutbox(folder);
    const { epoch } = outbox;
    await outbox.append(range(1, 10).map((n) => testEvent('event', n)));
    await outbox.ack('event', { epoch, seq: 8 }, [
      [6, 7],
      [2, 3],
    ]);
    expect(numbers(await waiting(outbox, 'event'))).toEqual([2, 3, 6, 7, 9, 10]);
    await outbox.ack('event', { epoch, seq: 1 });
    await outbox.ack('event', { epoch: 'f'.repeat(32), seq: 10 });
    expect(outbox.state.event).toMatchObject({ depth: 6, firstSeq: 2, lastSeq: 10 });
    await outbox.ack('event', { epoch, seq: 1_000_000 });
    expect(outbox.state.event).toMatchObject({ depth: 0, bytes: 0, firstSeq: 0, lastSeq: 10 });
    const [next] = await outbox.append([testEvent('event', 11)]);
    expect(next?.seq).toBe(11n);
  });
});

describe('opening again', () => {
  it('goes on where it was: numbers, epoch, what waits', async () => {
    const { epoch } = await withStore(async (outbox) => {
      await outbox.append(range(1, 5).map((n) => testEvent('event', n)));
      await outbox.ack('event', { epoch: outbox.epoch, seq: 5 });
      await outbox.append([testEvent('alarm', 1)]);
      return { epoch: outbox.epoch };
    });
    await withStore(async (outbox) => {
      expect(outbox).toMatchObject({ epoch, boot: 1 });
      const [envelope] = await outbox.append([testEvent('event', 6)]);
      expect(envelope?.seq).toBe(6n);
      expect(numbers(await waiting(outbox, 'alarm'))).toEqual([1]);
    });
  });

  it('counts boots of the machine, not starts of the program', async () => {
    const boots: number[] = [];
    for (const bootId of ['a', 'a', 'b', 'b', 'c']) {
      await using outbox = await openTestOutbox(folder, { host: testHost(bootId) });
      boots.push(outbox.boot);
    }
    expect(boots).toEqual([1, 1, 2, 2, 3]);
  });

  it.each([
    ['on another machine (a cloned disk)', { host: testHost('boot-1', 'machine-2') }],
    ['with another device id', { device: 'robot-08' }],
  ])('begins a new epoch %s, and still delivers the old one first', async (_title, options) => {
    const before = await withStore(async (outbox) => {
      await outbox.append([testEvent('event', 1), testEvent('event', 2)]);
      return outbox.epoch;
    });
    await using outbox = await openTestOutbox(folder, options);
    expect(outbox.epoch).not.toBe(before);
    const [envelope] = await outbox.append([testEvent('event', 3)]);
    expect(envelope?.seq).toBe(1n);
    const events = await waiting(outbox, 'event');
    expect(events.map(({ epoch, seq }) => [epoch, seq])).toEqual([
      [before, '1'],
      [before, '2'],
      [outbox.epoch, '1'],
    ]);
    await outbox.ack('event', { epoch: before, seq: 2 });
    expect(numbers(await waiting(outbox, 'event'))).toEqual([1]);
  });

  it('refuses a second agent, and says who holds the store', async () => {
    await using first = await openTestOutbox(folder);
    const refused = openTestOutbox(folder);
    await expect(refused).rejects.toMatchObject({
      code: 'outbox-locked',
      kind: 'config',
      context: { pid: process.pid },
    });
    await first.append([testEvent('event', 1)]);
  });

  it('refuses a store of a newer version, untouched', async () => {
    await withStore(async (outbox) => await outbox.append([testEvent('event', 1)]));
    const db = openSqlite(join(folder, 'outbox.db'), { busyMs: 0 });
    db.exec('CREATE TABLE of_the_future (what TEXT)');
    db.pragma('user_version = 99');
    db.close();
    await expect(openTestOutbox(folder)).rejects.toMatchObject({ code: 'outbox-newer', context: { version: 99 } });
  });

  it('reads back that a commit is durable', async () => {
    await withStore(async (outbox) => await outbox.append([testEvent('event', 1)]));
    const db = openStoreFile(join(folder, 'outbox.db'));
    expect(db.pragma('synchronous', { simple: true })).toBe(2);
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(db.pragma('page_size', { simple: true })).toBe(8192);
    db.close();
    expect(() => openStoreFile(':memory:')).toThrow(expect.objectContaining({ code: 'outbox-not-durable' }) as Error);
  });

  it('writes what was asked for before it closes, and refuses afterwards', async () => {
    const outbox = await openTestOutbox(folder);
    const appending = Promise.all(range(1, 50).map(async (n) => await outbox.append([testEvent('event', n)])));
    await outbox[Symbol.asyncDispose]();
    await appending;
    await expect(outbox.append([testEvent('event', 51)])).rejects.toMatchObject({ code: 'outbox-closed' });
    await withStore(async (again) => expect(numbers(await waiting(again, 'event'))).toEqual(range(1, 50)));
  });
});

async function withStore<T>(use: (outbox: Awaited<ReturnType<typeof openTestOutbox>>) => Promise<T>): Promise<T> {
  await using outbox = await openTestOutbox(folder);
  return await use(outbox);
}

type Step =
  | { readonly do: 'append'; readonly lanes: readonly Lane[] }
  | { readonly do: 'ack'; readonly lane: Lane; readonly part: number }
  | { readonly do: 'reopen'; readonly reboot: boolean };

const lane = fc.constantFrom(...lanes);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('append' as const), lanes: fc.array(lane, { minLength: 1, maxLength: 8 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('ack' as const),
      lane,
      part: fc.nat(120).map((hundredths) => hundredths / 100),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const), reboot: fc.boolean() }) },
);

it('stays gapless, in order and complete under any appends, acknowledgements and restarts', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      run += 1;
      const path = join(folder, `run-${run}`);
      const model = new Map(lanes.map((name) => [name, { last: 0, acked: 0 }]));
      let boot = 1;
      let outbox = await openTestOutbox(path, { host: testHost('1') });
      try {
        for (const next of steps) {
          if (next.do === 'append') {
            const given = await outbox.append(next.lanes.map((name, n) => testEvent(name, n)));
            for (const { lane: name, seq } of given) {
              const of = model.get(name) as { last: number };
              of.last += 1;
              expect(Number(seq)).toBe(of.last);
            }
          } else if (next.do === 'ack') {
            const of = model.get(next.lane) as { last: number; acked: number };
            const upto = Math.floor(of.last * next.part);
            await outbox.ack(next.lane, { epoch: outbox.epoch, seq: upto });
            of.acked = Math.max(of.acked, Math.min(upto, of.last));
          } else {
            await outbox[Symbol.asyncDispose]();
            if (next.reboot) boot += 1;
            outbox = await openTestOutbox(path, { host: testHost(String(boot)) });
          }
        }
        for (const [name, { last, acked }] of model) {
          expect(numbers(await waiting(outbox, name, 3))).toEqual(range(acked + 1, last));
          expect(outbox.state[name]).toMatchObject({ depth: last - acked, lastSeq: last });
        }
        expect(outbox.boot).toBe(boot);
      } finally {
        await outbox[Symbol.asyncDispose]();
      }
    }),
    { numRuns: 20 },
  );
});
