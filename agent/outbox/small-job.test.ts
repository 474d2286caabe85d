import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Event } from '#agent/domain/event.ts';
import { JobAppends } from './append.ts';
import type { Answer, Job } from './protocol.ts';
import { answerAsText, answerOfText, jobAsText, jobOfText } from './small-job.ts';
import { testEvent } from './test-rig.ts';

const origin = { device: 'dev-1', epoch: 'ab'.repeat(16), boot: 3 };
const now = { wallMs: 1_795_334_400_123, monoMs: 12.75, clock: 'stepped' } as const;

function jobOf(events: readonly Event[]): Job {
  const appends = new JobAppends(new Uint8Array(0));
  for (const event of events) appends.add([event], origin, 'synced');
  return { now, appends: appends.layout, acks: [], peeks: [] };
}

/** What the writer stores of it. */
function stored({ now: at, appends }: Job) {
  const { bytes, offsets, ...rest } = appends;
  return { at, ...rest, offsets, text: Buffer.from(bytes.buffer, bytes.byteOffset, offsets.at(-1)).toString('hex') };
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

describe('a small Job', () => {
  it('is the same behind its text, whatever its events say', () => {
    const lifeMs = fc.option(fc.nat(), { nil: undefined });
    const subject = fc.string({ unit: 'binary', maxLength: 40 });
    const events = fc.array(
      fc.record({ n: fc.nat(), subject, lifeMs }).map(({ n, lifeMs: life, ...part }) => ({
        ...testEvent('event', n),
        ...part,
        ...(life === undefined ? {} : { lifeMs: life }),
      })),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(events, (some) => {
        const job = jobOf(some);
        const text = jobAsText(job);
        expect(text).toBeTypeOf('string');
        expect(stored(jobOfText(text ?? ''))).toEqual(stored(job));
      }),
    );
  });

  it('keeps half of a surrogate pair as what UTF-8 makes of it', () => {
    const job = jobOf([{ ...testEvent('event', 1), subject: '\ud800' }]);
    expect(stored(jobOfText(jobAsText(job) ?? ''))).toEqual(stored(job));
  });

  it('is handed over as it is when it is large, acknowledges or reads', () => {
    expect(jobAsText(jobOf([testEvent('event', 1, 5_000)]))).toBeUndefined();
    const small = jobOf([testEvent('event', 1)]);
    const ack = { lane: 'event', epoch: origin.epoch, upto: 1, missing: [] } as const;
    expect(jobAsText({ ...small, acks: [ack] })).toBeUndefined();
    const peek = { lane: 'event', after: undefined, maxEvents: 1, maxBytes: 1, count: 1 } as const;
    expect(jobAsText({ ...small, peeks: [peek] })).toBeUndefined();
  });
});

describe('the Answer to it', () => {
  it('is the same behind its text', () => {
    expect(answerOfText(answerAsText(answer) ?? '')).toEqual(answer);
  });

  it('is handed over as it is when it has more to say than numbers', () => {
    const failure = { code: 'outbox-full', message: 'full', hint: 'none', context: { bytes: 1 } } as const;
    expect(answerAsText({ ...answer, refused: [{ append: 0, failure }] })).toBeUndefined();
    expect(answerAsText({ ...answer, acks: failure })).toBeUndefined();
    expect(answerAsText({ ...answer, peeks: failure })).toBeUndefined();
    expect(answerAsText({ ...answer, broken: true })).toBeUndefined();
  });
});
