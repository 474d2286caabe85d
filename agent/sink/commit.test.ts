import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OutpostError } from '#agent/core/errors.ts';
import { silentLog } from '#agent/core/log.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { commitForCertain } from './commit.ts';
import { type Committed, type Intake, type SinkDatabase, Unstorable } from './database.ts';
import { SinkStatus } from './status.ts';
import { events, intakeOf, range, received } from './test-rig.ts';

const nothing: Committed = { inserted: 0, duplicates: 0, conflicts: [], rejected: 0, chunks: 0, devices: new Set() };

/** Keeps what it is given, save what it is told to refuse. */
class FakeDatabase implements Partial<SinkDatabase> {
  readonly stored: number[] = [];
  readonly aside: string[] = [];
  failures: OutpostError[] = [];
  readonly #poison: ReadonlySet<number>;

  constructor(poison: Iterable<number> = []) {
    this.#poison = new Set(poison);
  }

  async commit({ events: all, rejected }: Intake): Promise<Committed> {
    const failure = this.failures.shift();
    if (failure) throw failure;
    if (all.some(({ seq }) => this.#poison.has(seq))) throw new Unstorable('what a value');
    this.stored.push(...all.map(({ seq }) => seq));
    this.aside.push(...rejected.map(({ reason }) => reason));
    return await Promise.resolve({ ...nothing, inserted: all.length, rejected: rejected.length });
  }
}

const options = (database: FakeDatabase, status = new SinkStatus(), clock = new ManualClock()) => ({
  database: database as unknown as SinkDatabase,
  status,
  clock,
  random: () => 0,
  log: silentLog,
});

it('sets aside what can be stored nowhere, and stores all the rest once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
      fc.boolean(),
      async (poison, more) => {
        const database = new FakeDatabase(poison);
        const intake = events(range(1, 40));
        const rejected = more ? intakeOf(received('event', 'garbage')).rejected : [];
        const committed = await commitForCertain(
          { ...intake, rejected },
          options(database),
          new AbortController().signal,
        );
        const good = range(1, 40).filter((seq) => !poison.includes(seq));
        expect(database.stored.toSorted((a, b) => a - b)).toEqual(good);
        expect(database.aside).toHaveLength(poison.length + rejected.length);
        expect(committed).toMatchObject({ inserted: good.length, rejected: poison.length + rejected.length });
      },
    ),
  );
});

it('tries the same round again until the database takes it, and says why it does not', async () => {
  const database = new FakeDatabase();
  database.failures = [new OutpostError('sink-database-down'), new OutpostError('sink-database-full')];
  const [status, clock] = [new SinkStatus(), new ManualClock()];
  const committing = commitForCertain(events([1, 2]), options(database, status, clock), new AbortController().signal);
  await clock.advance(0);
  expect(status.databaseError?.code).toBe('sink-database-down');
  await clock.advance(50);
  expect(status.databaseError?.code).toBe('sink-database-full');
  expect(database.stored).toEqual([]);
  await clock.advance(10_000);
  expect(await committing).toMatchObject({ inserted: 2 });
  expect(database.stored).toEqual([1, 2]);
});

it('ends without a commit when it is told to', async () => {
  const database = new FakeDatabase();
  database.failures = range(1, 5).map(() => new OutpostError('sink-database-locked'));
  const stop = new AbortController();
  const committing = commitForCertain(events([1]), options(database), stop.signal);
  stop.abort();
  expect(await committing).toBeUndefined();
  expect(database.stored).toEqual([]);
});
