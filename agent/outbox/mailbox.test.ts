import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Event } from '#agent/domain/event.ts';
import { Mailbox, newMailboxMemory } from './mailbox.ts';
import type { Answer, Job } from './protocol.ts';
import { appendsOf, testEvent } from './test-rig.ts';

const origin = { device: 'dev-1', epoch: 'ab'.repeat(16), boot: 3 };
const now = { wallMs: 1_795_334_400_123, monoMs: 12.75, clock: 'stepped' } as const;

function jobOf(events: readonly Event[]): Job {
  return { now, appends: appendsOf(events, origin), acks: [], peeks: [] };
}

/** What the writer stores of it. */
function stored({ now: at, appends, acks, peeks }: Job) {
  const { bytes, offsets, ...rest } = appends;
  return { at, ...rest, offsets, acks, peeks, text: Buffer.from(bytes).toString('hex', 0, offsets.at(-1)) };
}

/** Both ends, as the two threads have them. */
function mailboxes(): { main: Mailbox; writer: Mailbox } {
  const memory = newMailboxMemory();
  return { main: new Mailbox(memory), writer: new Mailbox(memory) };
}

const answer: Answer = {
  seqs: [4, 5],
  refused: [],
  acks: undefined,
  peeks: [],
  counters: [0, 5, 5, 800, 1, -1],
  dropped: 0,
  commitMs: 0.21,
  broken: false,
};

describe('a Job in the mailbox', () => {
  it('is the same for the writer, whatever its events say', () => {
    const lifeMs = fc.option(fc.nat(), { nil: undefined });
    const subject = fc.string({ unit: 'binary', maxLength: 40 });
    const events = fc.array(
      fc.record({ n: fc.nat(), subject, lifeMs }).map(({ n, lifeMs: life, ...part }) => ({
        ...testEvent('event', n),
        ...part,
        ...(life === undefined ? {} : { lifeMs: life }),
      })),
      { minLength: 0, maxLength: 3 },
    );
    const { main, writer } = mailboxes();
    fc.assert(
      fc.property(events, (some) => {
        const job = jobOf(some);
        expect(main.put(job, 7)).toBe(true);
        const taken = writer.take(7);
        expect(taken && stored(taken)).toEqual(stored(job));
        writer.reply(answer);
        expect(main.answer(7)).toEqual(answer);
      }),
    );
  });

  it('is taken in its turn, and once', () => {
    const { main, writer } = mailboxes();
    expect(writer.take(0)).toBeUndefined();
    main.put(jobOf([testEvent('event', 1)]), 3);
    expect(writer.take(2)).toBeUndefined();
    expect(writer.take(3)).toBeDefined();
    writer.reply(answer);
    expect(writer.take(3)).toBeUndefined();
  });

  it('does not fit when it is large, acknowledges or reads, or has too many events', () => {
    const { main } = mailboxes();
    expect(main.put(jobOf([testEvent('event', 1, 5_000)]), 0)).toBe(false);
    const small = jobOf([testEvent('event', 1)]);
    const ack = { lane: 'event', epoch: origin.epoch, upto: 1, missing: [] } as const;
    expect(main.put({ ...small, acks: [ack] }, 0)).toBe(false);
    const peek = { lane: 'event', after: undefined, maxEvents: 1, maxBytes: 1, count: 1 } as const;
    expect(main.put({ ...small, peeks: [peek] }, 0)).toBe(false);
    const numbers = Array.from({ length: 50 }, () => 0);
    const { appends } = small;
    const many = { ...appends, counts: numbers, lanes: numbers, monoMs: numbers, lifeMs: numbers, seqs: numbers };
    expect(main.put({ ...small, appends: { ...many, offsets: [...numbers, ...numbers, 0] } }, 0)).toBe(false);
    expect(main.put(small, 0)).toBe(true);
  });

  it('keeps the place until its Answer is taken', () => {
    const { main, writer } = mailboxes();
    const job = jobOf([testEvent('event', 1)]);
    main.put(job, 0);
    expect(main.put(job, 1)).toBe(false);
    writer.take(0);
    expect(main.put(job, 1)).toBe(false);
    writer.reply(answer);
    expect(main.put(job, 1)).toBe(false);
    expect(main.answer(0)).toEqual(answer);
    expect(main.put(job, 1)).toBe(true);
  });
});

describe('the Answer in the mailbox', () => {
  const answeredWith = (given: Answer) => {
    const { main, writer } = mailboxes();
    main.put(jobOf([testEvent('event', 1)]), 0);
    writer.take(0);
    return { reply: writer.reply(given), main };
  };

  it('is there once, as it was given, for the Job that it answers', () => {
    const { main } = answeredWith(answer);
    expect(main.answer(1)).toBeUndefined();
    expect(main.answer(0)).toEqual(answer);
    expect(main.answer(0)).toBeUndefined();
  });

  it('is sent word of unless the main thread looks out', () => {
    expect(answeredWith(answer).reply).toBe('unseen');
    const { main, writer } = mailboxes();
    main.lookOut(true);
    expect(writer.reply(answer)).toBe('seen');
    main.lookOut(false);
    expect(writer.reply(answer)).toBe('unseen');
  });

  it('is sent when it has more to say than numbers, or too many of them, and leaves the mailbox free', () => {
    const failure = { code: 'outbox-full', message: 'full', hint: 'none', context: { bytes: 1 } } as const;
    const unfit: Answer[] = [
      { ...answer, refused: [{ append: 0, failure }] },
      { ...answer, acks: failure },
      { ...answer, peeks: failure },
      { ...answer, broken: true },
      { ...answer, counters: Array.from({ length: 300 }, () => 1) },
    ];
    for (const each of unfit) {
      const { reply, main } = answeredWith(each);
      expect(reply).toBe('unfit');
      expect(main.answer(0)).toBeUndefined();
      expect(main.put(jobOf([]), 1)).toBe(true);
    }
  });
});

it('passes ten thousand Jobs between two threads, each once and in order', async () => {
  const memory = newMailboxMemory();
  const script = `
    import { Mailbox } from ${JSON.stringify(new URL('mailbox.ts', import.meta.url).href)};
    import { workerData } from 'node:worker_threads';
    const mailbox = new Mailbox(workerData);
    for (let turn = 0; turn < 10000;) {
      const job = mailbox.take(turn);
      if (!job) continue;
      turn += 1;
      mailbox.reply({ seqs: [job.appends.monoMs[0]], refused: [], peeks: [], counters: [], dropped: 0, commitMs: 0, broken: false });
    }
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), { workerData: memory });
  try {
    const main = new Mailbox(memory);
    for (let turn = 0; turn < 10_000; turn += 1) {
      expect(main.put(jobOf([{ ...testEvent('event', turn), monoMs: turn }]), turn)).toBe(true);
      let back = main.answer(turn);
      for (; !back; back = main.answer(turn)) if (worker.threadId < 0) throw new Error('the other thread has ended');
      expect(back.seqs).toEqual([turn]);
    }
  } finally {
    await worker.terminate();
  }
});
