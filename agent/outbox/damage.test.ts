/** What a flipped bit, a cut log and an older store must not lead to. */
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { openSqlite, type Sqlite } from '#agent/core/sqlite.ts';
import { confirmedLog, cutLog, foreseeRecovery } from './log-file.ts';
import { agrees, laneSum, rowSum } from './sums.ts';
import type { Outbox } from './outbox.ts';
import { numbers, openTestOutbox, range, testEvent, waiting } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-damage-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const frameBytes = 24 + 8_192;

/** A store as a killed process leaves it: so many commits in the log, before any was moved into the database. */
const commits = 14;

async function killed(): Promise<string> {
  const path = join(folder, 'killed');
  await using outbox = await openTestOutbox(join(folder, 'live'));
  for (const n of range(1, commits)) await outbox.append([testEvent('event', n, 300)]);
  cpSync(join(folder, 'live'), path, { recursive: true });
  return path;
}

async function flip(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x20;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

describe('the log', () => {
  it('is whole after a kill', async () => {
    const database = join(await killed(), 'outbox.db');
    expect(foreseeRecovery(database)).toEqual({ end: confirmedLog(database), commitsBeyond: 0, isEmpty: false });
    expect(foreseeRecovery(join(folder, 'nothing.db'))).toBeUndefined();
  });

  it.each([
    ['in its header', 26],
    ['in the salt of a frame', 32 + 4 * frameBytes + 9],
    ['in a page', 32 + 6 * frameBytes + 8_000],
  ])('with a flipped bit %s costs no acknowledged event without a word', async (_title, at) => {
    const path = await killed();
    const database = join(path, 'outbox.db');
    await flip(`${database}-wal`, at);
    expect(foreseeRecovery(database)?.commitsBeyond).toBeGreaterThan(1);
    await using outbox = await openTestOutbox(path);
    const events = await waiting(outbox, 'event');
    const declared = (await waiting(outbox, 'audit')).flatMap(({ data }) =>
      range(Number(data['first']), Number(data['last'])),
    );
    expect([...new Set([...numbers(events), ...declared])].toSorted((a, b) => a - b)).toEqual(range(1, commits));
    for (const { seq, data } of events) expect(data['incident']).toBe(`i-${seq}`);
    const [fresh] = await outbox.append([testEvent('event', 21)]);
    expect(fresh?.seq).toBe(1n);
    expect(readdirSync(path).filter((name) => /damaged-.*\.db$/.test(name))).toHaveLength(1);
  });

  it.each([
    ['is missing', async (pid: string) => await rm(pid)],
    ['is empty', async (pid: string) => await writeFile(pid, '')],
    ['is zeros', async (pid: string) => await writeFile(pid, Buffer.alloc(30))],
    ['is of another boot', async (pid: string) => await writeFile(pid, `17\nboot-0 ${crc32('boot-0')}\n`)],
  ])('after a power cut (who held it %s) ends where it was torn: no number is given again', async (_title, leave) => {
    const path = await killed();
    const end = confirmedLog(join(path, 'outbox.db'))?.bytes ?? 0;
    await flip(join(path, 'outbox.db-wal'), end - 100);
    await leave(join(path, 'outbox.pid'));
    const events = await (async () => {
      await using outbox = await openTestOutbox(path);
      const [fresh] = await outbox.append([testEvent('event', 1)]);
      expect(fresh?.seq).toBe(1n);
      expect(await waiting(outbox, 'audit')).toEqual([]);
      return await waiting(outbox, 'event');
    })();
    expect(numbers(events)).toEqual([...range(1, commits - 1), 1]);
    expect(new Set(events.map(({ epoch }) => epoch)).size).toBe(2);
    expect(readdirSync(path).filter((name) => name.includes('damaged'))).toEqual([]);
  });

  it('that was torn by a power cut, and written on, is whole after a kill', async () => {
    const [path, database] = [join(folder, 'killed'), join(folder, 'killed', 'outbox.db')];
    {
      await using outbox = await openTestOutbox(join(folder, 'live'));
      await outbox.append([testEvent('event', 1)]);
      const begun = confirmedLog(join(folder, 'live', 'outbox.db'))?.bytes ?? 0;
      await outbox.append(range(2, 200).map((n) => testEvent('event', n, 900)));
      cpSync(join(folder, 'live'), path, { recursive: true });
      // the first frame of the last commit: the others lie behind whatever is written next
      await flip(`${database}-wal`, begun + 100);
    }
    await rm(join(path, 'outbox.pid'));
    const again = join(folder, 'again');
    await using outbox = await openTestOutbox(path);
    await outbox.append([testEvent('event', 1)]);
    cpSync(path, again, { recursive: true });
    await using reopened = await openTestOutbox(again);
    expect(reopened.epoch).toBe(outbox.epoch);
    expect(numbers(await waiting(reopened, 'event')).at(-1)).toBe(1);
    expect(readdirSync(again).filter((name) => name.includes('damaged'))).toEqual([]);
  });

  it('whose last commit is damaged beside who held the store is not taken for a power cut', async () => {
    const path = await killed();
    const end = confirmedLog(join(path, 'outbox.db'))?.bytes ?? 0;
    await flip(join(path, 'outbox.db-wal'), end - 100);
    await flip(join(path, 'outbox.pid'), (await stat(join(path, 'outbox.pid'))).size - 14);
    await using outbox = await openTestOutbox(path);
    const declared = (await waiting(outbox, 'audit')).flatMap(({ data }) =>
      range(Number(data['first']), Number(data['last'])),
    );
    expect([...numbers(await waiting(outbox, 'event')), ...declared]).toEqual(range(1, commits));
  });

  it('is cut back to what was confirmed, and only when it is the same log', async () => {
    const path = await killed();
    const database = join(path, 'outbox.db');
    const confirmed = confirmedLog(database);
    const { size } = await stat(`${database}-wal`);
    expect(confirmed?.bytes).toBeGreaterThan(commits * frameBytes);
    expect(confirmed?.bytes).toBeLessThan(size);
    const before = { bytes: (confirmed?.bytes ?? 0) - 2 * frameBytes, salts: confirmed?.salts ?? '' };
    cutLog(database, { ...before, salts: '0000000000000000' });
    expect((await stat(`${database}-wal`)).size).toBe(size);
    cutLog(database, before);
    expect((await stat(`${database}-wal`)).size).toBe(before.bytes);
    await using outbox = await openTestOutbox(path);
    expect(numbers(await waiting(outbox, 'event'))).toEqual(range(1, commits - 1));
  });
});

/** A store with events 1 to 9 of lane `event`, damaged while nobody had it open, and opened again. */
async function damagedRows(appends: readonly (readonly number[])[], damage: (db: Sqlite) => void) {
  const path = join(folder, 'store');
  {
    await using outbox = await openTestOutbox(path);
    for (const append of appends) await outbox.append(append.map((n) => testEvent('event', n, 10)));
  }
  const db = openSqlite(join(path, 'outbox.db'), { busyMs: 0 });
  damage(db);
  db.close();
  return await openTestOutbox(path);
}

const together = [range(1, 9)];
const oneByOne = range(1, 9).map((n) => [n]);

async function declaredIn(outbox: Outbox): Promise<unknown[]> {
  return (await waiting(outbox, 'audit')).map(({ data }) => [
    data['first'],
    data['last'],
    data['count'],
    data['reason'],
  ]);
}

const flipText = (db: Sqlite): unknown =>
  db.exec('UPDATE outbox SET json = replace(json, \'"i-4"\', \'"i-5"\') WHERE json LIKE \'%"i-4"%\'');

/** @param at byte of what says where the events of the row are */
function flipParts(db: Sqlite, at: number): void {
  const parts = db.prepare<[], Buffer>('SELECT parts FROM outbox').pluck().get() ?? Buffer.alloc(0);
  parts.writeUInt8(parts.readUInt8(at) ^ 4, at);
  db.prepare('UPDATE outbox SET parts = ?').run(parts);
}

describe('an event', () => {
  it.each([
    ['one by one', oneByOne],
    ['together', together],
  ])('whose text is not what was written is given up alone, and declared: stored %s', async (_title, appends) => {
    await using outbox = await damagedRows(appends, flipText);
    expect(numbers(await waiting(outbox, 'event'))).toEqual([1, 2, 3, 5, 6, 7, 8, 9]);
    expect(outbox.state.event.depth).toBe(8);
    expect(await declaredIn(outbox)).toEqual([['4', '4', 1, 'corrupt']]);
    await outbox.ack('event', { epoch: outbox.epoch, seq: 9 });
    expect(outbox.state.event).toMatchObject({ depth: 0, bytes: 0 });
  });

  it('of version 1 has no checksum, and is believed', async () => {
    await using outbox = await damagedRows(oneByOne.slice(0, 3), (db) => {
      db.exec('DROP VIEW waiting; CREATE VIEW waiting AS SELECT id FROM outbox; DROP INDEX outbox_expiry');
      db.exec(
        'ALTER TABLE outbox DROP COLUMN parts; ALTER TABLE outbox DROP COLUMN sum; ALTER TABLE lane DROP COLUMN sum',
      );
      db.pragma('user_version = 1');
    });
    await outbox.append([testEvent('event', 4)]);
    expect(numbers(await waiting(outbox, 'event'))).toEqual(range(1, 4));
  });
});

describe('a row', () => {
  it.each([
    ['its boot', (db: Sqlite) => void db.exec('UPDATE outbox SET boot = 9')],
    ['how long a text is', (db: Sqlite) => flipParts(db, 8)],
    ['that it holds several', (db: Sqlite) => void db.exec('UPDATE outbox SET parts = NULL')],
    ['how many it holds', (db: Sqlite) => void db.exec('UPDATE outbox SET parts = substr(parts, 1, 24)')],
    ['what there is of parts', (db: Sqlite) => void db.exec("UPDATE outbox SET parts = x'0102'")],
  ])('of several events that is wrong in %s is given up whole, and declared', async (_title, damage) => {
    await using outbox = await damagedRows(together, damage);
    await outbox.append([testEvent('event', 10)]);
    expect(numbers(await waiting(outbox, 'event'))).toEqual([10]);
    expect(outbox.state.event.depth).toBe(1);
    expect(await declaredIn(outbox)).toEqual([['1', '9', 9, 'corrupt']]);
  });

  /** 1..9 and, behind a hole, 21..23, as SQLite finds them after a bit of a number flipped. */
  const moved = async (appends: readonly (readonly number[])[], from: number, by: number): Promise<Outbox> => {
    const path = join(folder, 'store');
    {
      await using outbox = await openTestOutbox(path);
      await outbox.append([testEvent('media', 1), testEvent('media', 2)]);
      for (const append of [...appends, range(10, 20), range(21, 23)])
        await outbox.append(append.map((n) => testEvent('event', n, 10)));
      await outbox.ack('event', { epoch: outbox.epoch, seq: 20 }, [[1, 9]]);
    }
    const db = openSqlite(join(path, 'outbox.db'), { busyMs: 0 });
    const slot = 3 * 2 ** 40;
    const { changes } = db.prepare('UPDATE outbox SET id = id + ? WHERE id = ?').run(by, slot + from);
    expect(changes).toBe(1);
    db.close();
    return await openTestOutbox(path);
  };

  it.each([
    ['into the hole behind it', together, 1, 8],
    ['one by one, into the hole behind it', oneByOne, 9, 4],
    ['over the end of its lane', together, 21, 2 ** 27],
    ['into a lane that there is not', together, 21, 2 ** 39],
    ['into the next lane', together, 21, 2 ** 40 - 15],
    ['before its lane', together, 1, -(2 ** 36)],
    ['to number 0', oneByOne, 1, -1],
  ])('whose number is damaged, so that it lies %s, has its place again', async (_title, appends, from, by) => {
    await using outbox = await moved(appends, from, by);
    expect(numbers(await waiting(outbox, 'event'))).toEqual([...range(1, 9), ...range(21, 23)]);
    expect(numbers(await waiting(outbox, 'media'))).toEqual([1, 2]);
    expect(await declaredIn(outbox)).toEqual([]);
    const { epoch } = (await waiting(outbox, 'event'))[0] ?? {};
    await outbox.ack('event', { epoch: epoch ?? '', seq: 23 });
    expect(outbox.state.event).toMatchObject({ depth: 0, bytes: 0 });
  });

  it('whose number is damaged beside its text is given up, with the others of its lane that are gone', async () => {
    const path = join(folder, 'store');
    {
      await using outbox = await openTestOutbox(path);
      for (const n of range(1, 9)) await outbox.append([testEvent('event', n, 10)]);
    }
    const db = openSqlite(join(path, 'outbox.db'), { busyMs: 0 });
    flipText(db);
    db.exec('UPDATE outbox SET id = id + 100000 WHERE id % 1099511627776 = 9');
    db.exec("UPDATE outbox SET json = replace(json, 'i-9', 'i-8') WHERE id % 1099511627776 = 100009");
    db.close();
    await using outbox = await openTestOutbox(path);
    expect(numbers(await waiting(outbox, 'event'))).toEqual([1, 2, 3, 5, 6, 7, 8]);
    expect(await declaredIn(outbox)).toEqual([
      ['4', '4', 1, 'corrupt'],
      ['9', '9', 1, 'corrupt'],
    ]);
  });

  it('of several events with one wrong checksum loses that event', async () => {
    await using outbox = await damagedRows(together, (db) => flipParts(db, 8 * 3 + 4));
    expect(numbers(await waiting(outbox, 'event'))).toEqual([1, 2, 3, 5, 6, 7, 8, 9]);
    expect(await declaredIn(outbox)).toEqual([['4', '4', 1, 'corrupt']]);
  });

  it('of several events with something else than a comma between two of them loses nothing', async () => {
    const between = (db: Sqlite): void => {
      const text = '},{"specversion"';
      const { changes } = db.prepare("UPDATE outbox SET json = replace(json, ?, replace(?, ',', 'x'))").run(text, text);
      expect(changes).toBe(1);
    };
    await using outbox = await damagedRows(together, between);
    expect(numbers(await waiting(outbox, 'event'))).toEqual(range(1, 9));
    await outbox.ack('event', { epoch: outbox.epoch, seq: 4 });
    expect(numbers(await waiting(outbox, 'event'))).toEqual(range(5, 9));
    expect(numbers(await waiting(outbox, 'event', 2))).toEqual(range(5, 9));
    expect(await declaredIn(outbox)).toEqual([]);
  });

  it('that an acknowledgement ends in, and that cannot be parted, is given up first', async () => {
    await using outbox = await damagedRows(together, (db) => flipParts(db, 8));
    await outbox.ack('event', { epoch: outbox.epoch, seq: 4 });
    expect(outbox.state.event).toMatchObject({ depth: 0, bytes: 0, lastSeq: 9 });
    expect(await declaredIn(outbox)).toEqual([['1', '9', 9, 'corrupt']]);
  });

  it('and a lane are summed over everything that says what they are', () => {
    const facts = { id: 2 ** 40 + 7, boot: 3, monoMs: 99, keep: 0 };
    const sums = [
      facts,
      { ...facts, id: 7 },
      { ...facts, boot: 4 },
      { ...facts, monoMs: 98 },
      { ...facts, keep: 1 },
    ].map((each) => rowSum(each, '{"é":1}'));
    expect(new Set(sums).size).toBe(5);
    expect(rowSum(facts, Buffer.from('{"é":1}'))).toBe(sums[0]);
    const lane = { slot: 1, epoch: 'e', lane: 'event', last: 9, acked: 2, depth: 7, bytes: 700 };
    expect(laneSum(lane)).not.toBe(laneSum({ ...lane, last: 8 }));
    expect(agrees(null, () => 1)).toBe(true);
    expect(agrees(2, () => 1)).toBe(false);
  });
});

it('a counter that went back begins a new epoch: no number is given twice', async () => {
  const path = join(folder, 'store');
  const epoch = await (async () => {
    await using outbox = await openTestOutbox(path);
    await outbox.append(range(1, 5).map((n) => testEvent('event', n)));
    return outbox.epoch;
  })();
  const db = openSqlite(join(path, 'outbox.db'), { busyMs: 0 });
  db.exec("UPDATE lane SET last_seq = 2 WHERE lane = 'event'");
  db.close();
  await using outbox = await openTestOutbox(path);
  const [fresh] = await outbox.append([testEvent('event', 6)]);
  expect([outbox.epoch === epoch, fresh?.seq]).toEqual([false, 1n]);
  expect(numbers(await waiting(outbox, 'event'))).toEqual([...range(1, 5), 1]);
});

describe('what says how to read the store', () => {
  it.each([
    ['its version', [0, 3, 2 ** 31], (db: Sqlite, version: number) => db.pragma(`user_version = ${version}`)],
    [
      'a column',
      ['depth', 'declared_seq', 'mono_ms'],
      (db: Sqlite, column: string) => {
        db.unsafeMode(true);
        db.pragma('writable_schema = ON');
        db.prepare('UPDATE sqlite_master SET sql = replace(sql, ?, ?)').run(column, `x${column.slice(1)}`);
      },
    ],
  ] as [string, (number | string)[], (db: Sqlite, value: never) => void][])(
    'is damaged (%s): nothing is lost, and it is not taken for a store of a version to come',
    async (_what, values, damage) => {
      for (const [index, value] of values.entries()) {
        const path = join(folder, `store-${index}`);
        {
          await using outbox = await openTestOutbox(path);
          await outbox.append(range(1, 9).map((n) => testEvent('event', n)));
        }
        const db = openSqlite(join(path, 'outbox.db'), { busyMs: 0 });
        damage(db, value as never);
        db.close();
        await using outbox = await openTestOutbox(path);
        expect(numbers(await waiting(outbox, 'event')), String(value)).toEqual(range(1, 9));
        expect(await waiting(outbox, 'audit'), String(value)).toEqual([]);
      }
    },
  );
});

it.each([
  ['missing', async (file: string) => await rm(file)],
  ['empty', async (file: string) => await writeFile(file, '')],
])('a store whose file is %s is said to be gone', async (_title, damage) => {
  const path = join(folder, 'store');
  const conditions = async (): Promise<string[]> => {
    const health = new Health(systemClock);
    await using outbox = await openTestOutbox(path, { health });
    await outbox.append([testEvent('event', 1)]);
    return health.entries().map(({ code }) => code);
  };
  expect(await conditions()).toEqual([]);
  expect(await conditions()).toEqual([]);
  await damage(join(path, 'outbox.db'));
  expect(await conditions()).toEqual(['outbox-lost']);
  expect(await conditions()).toEqual([]);
});

it('a store of which only the log is left is read from it', async () => {
  const path = await killed();
  await rm(join(path, 'outbox.db'));
  await using outbox = await openTestOutbox(path);
  expect(numbers(await waiting(outbox, 'event'))).toEqual(range(1, commits));
});

it('a lock file that is no lock keeps nobody out', async () => {
  const path = join(folder, 'store');
  await (await openTestOutbox(path))[Symbol.asyncDispose]();
  await writeFile(join(path, 'outbox.lock'), Buffer.alloc(9_000, 7));
  await using outbox = await openTestOutbox(path);
  await outbox.append([testEvent('event', 1)]);
  expect(existsSync(join(path, 'outbox.lock'))).toBe(true);
});
