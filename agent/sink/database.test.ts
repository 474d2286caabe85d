import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdtempSync, statSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '#agent/core/sqlite.ts';
import { needsPostgres, Postgres } from '#agent/testing/postgres.ts';
import { describeWith } from '#agent/testing/require.ts';
import type { Intake, ResendLimits, SinkDatabase } from './database.ts';
import { type Downlink, readCommand, readDesired, readReported } from './downlink.ts';
import { openDatabase } from './open-database.ts';
import { parsePresence, type Presence } from './presence.ts';
import { reject } from './received.ts';
import { postgresMigrations } from './postgres-schema.ts';
import { sqliteMigrations } from './sqlite-schema.ts';
import {
  answerText,
  commandMessage as command,
  desiredMessage as desired,
  uploadText,
  mediaTexts,
  droppedText,
  epochA,
  epochB,
  events,
  eventText,
  intakeOf,
  range,
  received,
} from './test-rig.ts';

interface Place {
  url(): string;
  query(sql: string): string;
  execute(sql: string): void;
}

let folder: string;
let cluster: Postgres | undefined;
let count = 0;
const opened: SinkDatabase[] = [];

beforeEach(() => {
  count += 1;
  folder = mkdtempSync(join(tmpdir(), 'outpost-sink-'));
});
afterEach(async () => {
  for (const database of opened.splice(0)) await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function open(url: string, access: 'migrate' | 'read' = 'migrate'): Promise<SinkDatabase> {
  const database = await openDatabase(url, access);
  opened.push(database);
  return database;
}

const presence = (lanes: Record<string, unknown>, online = true): Presence => {
  const message = { online, device: 'robot-07', epoch: epochA, epochs: { [epochA]: lanes } };
  const read = parsePresence('robot-07', Buffer.from(JSON.stringify(message)));
  if (typeof read === 'string') throw new Error(read);
  return read;
};

/** At once, twice for each return. */
const now: ResendLimits = { graceMs: 0, leastMs: 0, times: 2 };

const downlinks = (...read: readonly (Downlink | string)[]): Intake => ({
  events: [],
  rejected: [],
  presences: [],
  downlinks: read.map((one) => {
    if (typeof one === 'string') throw new Error(one);
    return one;
  }),
});

const answered = (seq: number, id: string, answer: string): Intake =>
  intakeOf(received('event', answerText(seq, id, answer)));

/** One contract, both databases. */
function contract(place: () => Place): void {
  const rows = (): string => place().query('SELECT count(*) FROM outpost_event');

  it('holds each event once, whatever comes how often', async () => {
    const database = await open(place().url());
    const first = await database.commit(events(range(1, 100)));
    expect(first).toMatchObject({ inserted: 100, duplicates: 0, conflicts: [] });
    const second = await database.commit(events(range(51, 150)));
    expect(second).toMatchObject({ inserted: 50, duplicates: 50, conflicts: [] });
    expect([...second.devices]).toEqual(['robot-07']);
    expect(await database.commit(events([150, 150, 151, 151, 151]))).toMatchObject({ inserted: 1, duplicates: 4 });
    expect(rows()).toBe('151');
    expect(await database.marksOf(['robot-07', 'nobody'])).toEqual([
      { device: 'robot-07', epoch: epochA, lane: 'event', mark: { upto: 151, missing: [], ahead: [] } },
    ]);
    expect(await database.tally()).toMatchObject([{ received: 151, duplicates: 54, conflicts: 0, rejected: 0 }]);
    expect(place().query("SELECT id || ' ' || subject FROM outpost_events WHERE seq = 7")).toBe(
      'e-aaaaaaaa-event-7 camera/front',
    );
  });

  it('knows what is missing, by device, epoch and lane', async () => {
    const database = await open(place().url());
    await database.commit(events([1, 2, 5, 9]));
    await database.commit(events([3], { epoch: epochB }));
    await database.commit(events([2], { lane: 'alarm', device: 'robot-08' }));
    await database.commit(events([4]));
    const marks = await database.marksOf(['robot-07']);
    expect(marks.find(({ epoch }) => epoch === epochA)?.mark).toMatchObject({
      upto: 9,
      missing: [
        [3, 3],
        [6, 8],
      ],
    });
    expect(marks.find(({ epoch }) => epoch === epochB)?.mark).toMatchObject({ upto: 3, missing: [[1, 2]] });
    const key = { device: 'robot-07', epoch: epochA, lane: 'event' } as const;
    expect(await database.absent(key, 12)).toEqual([
      [3, 3],
      [6, 8],
      [10, 12],
    ]);
    expect(await database.absent({ ...key, device: 'nobody' }, 3)).toEqual([[1, 3]]);
    expect(place().query("SELECT contiguous FROM outpost_lane WHERE device = 'robot-08'")).toBe('0');
  });

  it('takes what the device declared as not missing, before and after it shows', async () => {
    const database = await open(place().url());
    await database.commit(events([1, 2, 6]));
    const declare = async (seq: number, first: number, last: number): Promise<unknown> =>
      await database.commit(intakeOf(received('audit', droppedText(seq, { first, last }))));
    await declare(1, 3, 4);
    await declare(2, 7, 9);
    const mark = async (): Promise<unknown> =>
      (await database.marksOf(['robot-07'])).find(({ lane }) => lane === 'event')?.mark;
    expect(await mark()).toMatchObject({ upto: 6, missing: [[5, 5]] });
    await database.commit(events([11]));
    expect(await mark()).toMatchObject({
      upto: 11,
      missing: [
        [5, 5],
        [10, 10],
      ],
    });
    // said twice, counted once
    await declare(2, 7, 9);
    const tally = (await database.tally()).find(({ lane }) => lane === 'event');
    expect(tally?.declared.toSorted((a, b) => a[0] - b[0])).toEqual([
      [3, 4, 2],
      [7, 9, 3],
    ]);
  });

  it('keeps the first of two contents of one number, counts the other, and sets it aside', async () => {
    const database = await open(place().url());
    await database.commit(events([1, 2]));
    const other = events([2], { detail: 'another' });
    const expected = { inserted: 0, duplicates: 1, conflicts: [{ seq: 2, key: { device: 'robot-07' } }] };
    expect(await database.commit(other)).toMatchObject(expected);
    expect(await database.commit(other)).toMatchObject(expected);
    const both = intakeOf(received('event', `[${eventText(3)},${eventText(3, { detail: 'x' })}]`));
    expect(await database.commit(both)).toMatchObject({ inserted: 1, duplicates: 1, conflicts: [{ seq: 3 }] });
    expect(
      place().query("SELECT count(*) FROM outpost_event WHERE data LIKE '%another%'".replace('data', castText())),
    ).toBe('0');
    expect(place().query('SELECT seq, count FROM outpost_rejected ORDER BY seq')).toBe('2|2\n3|1');
    expect(await database.tally()).toMatchObject([{ received: 3, duplicates: 3, conflicts: 3 }]);
  });

  it('sets aside what is no event, once, and counts its number as committed', async () => {
    const database = await open(place().url());
    const bad = eventText(2).replace('"black"', '"purple"');
    const intake = intakeOf(
      received('event', `[${eventText(1)},${bad},${eventText(3)}]`),
      received('event', 'garbage'),
    );
    expect(await database.commit(intake)).toMatchObject({ inserted: 2, rejected: 2 });
    expect((await database.marksOf(['robot-07']))[0]?.mark).toMatchObject({ upto: 3, missing: [] });
    await database.commit(intake);
    expect(place().query('SELECT count FROM outpost_rejected')).toBe('2\n2');
    expect(await database.tally()).toMatchObject([{ received: 3, rejected: 1, duplicates: 3 }]);
    const foreign = reject({
      topic: 'outpost/v1/x/y/z',
      device: '',
      payload: Buffer.from([0, 255]),
      reason: 'a\u0000 \ud800',
      identity: undefined,
    });
    await database.commit({ events: [], rejected: [foreign], presences: [] });
    expect(place().query('SELECT count(*) FROM outpost_rejected')).toBe('3');
  });

  it('records presence, and tells a device that waits for what is committed', async () => {
    const database = await open(place().url());
    await database.commit(events(range(1, 5)));
    const meet = async (...presences: Presence[]): Promise<string[]> => [
      ...(await database.commit({ events: [], rejected: [], presences })).devices,
    ];
    expect(await meet(presence({ event: { first: '6', last: '5', depth: 0 } }))).toEqual([]);
    expect(await meet(presence({ event: { first: '6', last: '8', depth: 3 } }))).toEqual([]);
    expect(
      await meet(presence({ event: { first: '4', last: '8', depth: 5 }, alarm: { first: '1', last: '1', depth: 1 } })),
    ).toEqual(['robot-07']);
    // a will, written long ago
    await meet(presence({ event: { first: '2', last: '7', depth: 6 } }, false));
    expect(place().query("SELECT told_first, told_last, told_depth FROM outpost_lane WHERE lane = 'event'")).toBe(
      '6|8|3',
    );
    expect(place().query('SELECT count(*) FROM outpost_device WHERE NOT online')).toBe('1');
    expect((await database.tally()).map(({ lane, told }) => [lane, told?.last])).toEqual([
      ['event', 8],
      ['alarm', 1],
    ]);
  });

  it('names the newest epochs when there are very many', async () => {
    const database = await open(place().url());
    for (const index of range(1, 20))
      await database.commit(events([index], { epoch: index.toString(16).padStart(32, '0') }));
    const epochs = (await database.marksOf(['robot-07'])).map(({ epoch }) => Number.parseInt(epoch, 16));
    expect(epochs).toEqual(range(5, 20).toReversed());
  });

  it('keeps media by its chunks, in any order, once, until it is stored elsewhere', async () => {
    const database = await open(place().url());
    const content = randomBytes(150_000);
    const texts = mediaTexts(1, { id: 'e-1', content });
    expect(texts).toHaveLength(3);
    const commit = async (...indexes: number[]): Promise<number> =>
      (await database.commit(intakeOf(...indexes.map((index) => received('media', texts[index] ?? ''))))).chunks;
    expect(await commit(2, 0)).toBe(2);
    expect(await database.wholeMedia()).toBeUndefined();
    expect(await commit(0)).toBe(0);
    expect(await commit(1, 2)).toBe(1);
    const whole = await database.wholeMedia();
    expect(whole).toMatchObject({ device: 'robot-07', id: 'e-1', mediaType: 'image/jpeg', size: 150_000 });
    expect(whole?.content.equals(content)).toBe(true);
    if (whole) await database.settleMedia(whole, 'stored', '/somewhere');
    expect(await database.wholeMedia()).toBeUndefined();
    // a rebuilt store sends it once more, under other numbers
    for (const text of mediaTexts(10, { id: 'e-1', content })) await database.commit(intakeOf(received('media', text)));
    expect(await database.wholeMedia()).toBeUndefined();
    expect(place().query('SELECT count(*) FROM outpost_media_chunk')).toBe('0');
    expect(place().query('SELECT state, path FROM outpost_media')).toBe('stored|/somewhere');
    expect(place().query(`SELECT count(*) FROM outpost_event WHERE ${castText()} LIKE '%"content"%'`)).toBe('0');
  });

  it('knows where a device put a picture itself, and which never come', async () => {
    const database = await open(place().url());
    const upload = (seq: number, data: Record<string, unknown>): Intake =>
      intakeOf(received('media', uploadText(seq, data)));
    const [here, other] = ['a'.repeat(64), 'b'.repeat(64)];
    await database.commit(upload(1, { id: 'e-1', sha256: here, outcome: 'stored', url: 'https://s/robot-07/e-1.jpg' }));
    await database.commit(upload(2, { id: 'e-2', sha256: other, outcome: 'given-up', reason: 'quota' }));
    await database.commit(upload(3, { id: 'e-3', outcome: 'given-up', reason: 'missing' }));
    // told twice, since the device was cut between; and what is there stays there
    await database.commit(upload(4, { id: 'e-1', sha256: here, outcome: 'stored', url: 'https://s/robot-07/e-1.jpg' }));
    await database.commit(upload(5, { id: 'e-1', sha256: here, outcome: 'given-up', reason: 'quota' }));
    expect(place().query('SELECT media_id, sha256, state, path FROM outpost_media ORDER BY media_id')).toBe(
      `e-1|${here}|uploaded|https://s/robot-07/e-1.jpg\ne-2|${other}|given-up|\ne-3||given-up|`,
    );
    expect(await database.wholeMedia()).toBeUndefined();
  });

  it('remembers the newest configuration, and says once at a time that it is to be sent again', async () => {
    const database = await open(place().url());
    const claim = async (limits = now): Promise<string[]> =>
      (await database.claimResends(['robot-07', 'robot-08'], limits)).map(
        ({ name, message }) => `${name} ${message.toString()}`,
      );
    const [six, seven, signed] = [desired(6), desired(7), desired(7, 'other')];
    await database.commit(downlinks(readDesired('robot-07', seven), readDesired('robot-07', six)));
    await database.commit(downlinks(readDesired('robot-07', six)));
    expect(await claim({ ...now, graceMs: 60_000 })).toEqual([]);
    expect(await claim()).toEqual([`desired ${seven.toString()}`]);
    // our own comes back to us, and changes nothing
    await database.commit(downlinks(readDesired('robot-07', seven)));
    expect(await claim({ ...now, leastMs: 60_000 })).toEqual([]);
    expect(await claim()).toEqual([`desired ${seven.toString()}`]);
    expect(await claim()).toEqual([]);
    // it was away: as often again
    await database.commit({ ...events([1]), presences: [presence({}, false)] });
    await database.commit({ ...events([1]), presences: [presence({})] });
    await database.commit({ ...events([1]), presences: [presence({})] });
    expect([...(await claim()), ...(await claim()), ...(await claim())]).toHaveLength(2);
    // signed by others now
    await database.commit(downlinks(readDesired('robot-07', signed)));
    expect(await claim()).toEqual([`desired ${signed.toString()}`]);
    await database.commit(downlinks(readReported('robot-07', Buffer.from('{"version":6,"phase":"confirmed"}'))));
    expect(await claim()).toEqual([`desired ${signed.toString()}`]);
    await database.commit(downlinks(readDesired('robot-07', desired(8))));
    const hash = place().query('SELECT hash FROM outpost_desired');
    await database.commit(downlinks(readReported('robot-07', Buffer.from(JSON.stringify({ version: 8, hash })))));
    expect(await claim()).toEqual([]);
    await database.commit(downlinks(readReported('robot-07', Buffer.from('{"version":8,"hash":"other"}'))));
    expect(await claim()).toEqual([`desired ${desired(8).toString()}`]);
    await database.commit(downlinks(readDesired('robot-07', Buffer.alloc(0))));
    expect(await claim()).toEqual([]);
    expect(place().query('SELECT version, phase FROM outpost_reported')).toBe('8|');
  });

  it('remembers commands until they are answered or expired, the newest 64 of a device', async () => {
    const database = await open(place().url());
    const claim = async (): Promise<string[]> =>
      (await database.claimResends(['robot-07'], { ...now, times: 1 })).map(({ message }) => message.toString()).sort();
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const [a, b, late] = [command('a', soon), command('b', soon), command('c', Date.now() / 1_000 - 1)];
    await database.commit(downlinks(...[a, b, late, a].map((message) => readCommand('robot-07', message))));
    expect(await claim()).toEqual([a, b].map(String).sort());
    expect(await claim()).toEqual([]);
    await database.commit({ ...events([1]), presences: [presence({}, false)] });
    await database.commit({ ...answered(2, 'a', 'accepted'), presences: [presence({})] });
    expect(await claim()).toEqual([String(b)]);
    await database.commit(answered(3, 'a', 'done'));
    // the answer was here before the command was
    await database.commit(answered(4, 'd', 'refused'));
    await database.commit(downlinks(readCommand('robot-07', command('d', soon))));
    expect(await claim()).toEqual([]);
    const state = 'SELECT command_id, answer, message IS NOT NULL FROM outpost_command ORDER BY command_id';
    expect(place().query(state).replaceAll(/\bt\b/g, '1').replaceAll(/\bf\b/g, '0')).toBe(
      'a|done|0\nb||1\nc||0\nd|refused|0',
    );
    for (const n of range(1, 70)) await database.commit(downlinks(readCommand('robot-07', command(`x-${n}`, soon))));
    expect(await claim()).toHaveLength(64);
  });

  it('is refused when another version made it, and left as it was', async () => {
    await expect(open(place().url(), 'read')).rejects.toMatchObject({ kind: 'config' });
    const database = await open(place().url());
    await database.commit(events([1]));
    await (await open(place().url(), 'read')).tally();
    place().execute('UPDATE outpost_version SET version = 99');
    await expect(open(place().url())).rejects.toMatchObject({ code: 'sink-database-newer' });
    await expect(open(place().url(), 'read')).rejects.toMatchObject({ code: 'sink-database-newer' });
    place().execute('UPDATE outpost_version SET version = 1');
    await expect(open(place().url(), 'read')).rejects.toMatchObject({ code: 'sink-database-older' });
    place().execute('UPDATE outpost_version SET version = 0');
    await expect(open(place().url(), 'read')).rejects.toMatchObject({ code: 'sink-database-empty' });
    expect(rows()).toBe('1');
  });

  const castText = (): string => (place().url().startsWith('postgres') ? 'data::text' : 'data');
}

describe('SQLite', () => {
  const place = (): Place => {
    const file = join(folder, 'sink.db');
    return {
      url: () => `sqlite:${file}`,
      query: (sql) => {
        const db = openSqlite(file, { busyMs: 1_000, readonly: true });
        const found = (db.prepare(sql).raw().all() as unknown[][]).map((row) => row.join('|')).join('\n');
        db.close();
        return found;
      },
      execute: (sql) => {
        const db = openSqlite(file, { busyMs: 1_000 });
        db.exec(sql);
        db.close();
      },
    };
  };
  contract(place);

  it('of an older version is brought up to date, and keeps what it holds', async () => {
    const file = join(folder, 'sink.db');
    const db = openSqlite(file, { busyMs: 0 });
    db.exec(sqliteMigrations[0] ?? '');
    db.exec(
      `UPDATE outpost_version SET version = 1; INSERT INTO outpost_lane (device, epoch, lane, upto) VALUES ('robot-07', '${epochA}', 'event', 5)`,
    );
    db.close();
    await expect(open(place().url(), 'read')).rejects.toMatchObject({ code: 'sink-database-older' });
    const database = await open(place().url());
    await database.commit(
      intakeOf(...mediaTexts(1, { id: 'e-1', content: Buffer.from('x') }).map((text) => received('media', text))),
    );
    expect(await database.wholeMedia()).toMatchObject({ id: 'e-1' });
    expect((await database.marksOf(['robot-07'])).find(({ lane }) => lane === 'event')?.mark.upto).toBe(5);
  });

  it('that was removed under the sink stores nothing, and takes it when it is back', async () => {
    const database = await open(place().url());
    await database.commit(events([1]));
    const file = join(folder, 'sink.db');
    await rename(file, join(folder, 'elsewhere.db'));
    const gone = { code: 'sink-database-down', kind: 'transient' };
    await expect(database.commit(events([2]))).rejects.toMatchObject(gone);
    await writeFile(file, '');
    await expect(database.commit(events([2]))).rejects.toMatchObject(gone);
    await rename(join(folder, 'elsewhere.db'), file);
    expect(await database.commit(events([2]))).toMatchObject({ inserted: 1 });
  });

  it('that is locked stores nothing, and takes it later', async () => {
    const database = await open(place().url());
    await database.commit(events([1]));
    const other = openSqlite(join(folder, 'sink.db'), { busyMs: 0 });
    other.exec('BEGIN IMMEDIATE');
    await expect(database.commit(events([2]))).rejects.toMatchObject({
      code: 'sink-database-locked',
      kind: 'transient',
    });
    other.exec('ROLLBACK');
    other.close();
    expect(await database.commit(events([2]))).toMatchObject({ inserted: 1 });
  });

  it('that is full stores nothing of a round, and takes it when there is room', async () => {
    // A page limit belongs to a connection, so the disk itself must be small.
    const disk = join(folder, 'disk');
    execFileSync('mkdir', [disk]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
    try {
      const database = await openDatabase(`sqlite:${join(disk, 'sink.db')}`, 'migrate');
      await database.commit(events([1]));
      await writeFile(join(disk, 'ballast'), Buffer.alloc(500_000));
      const big = events(range(2, 400), { detail: 'x'.repeat(2_000) });
      await expect(database.commit(big)).rejects.toMatchObject({ code: 'sink-database-full', kind: 'limit' });
      expect((await database.tally())[0]).toMatchObject({ received: 1, upto: 1 });
      execFileSync('mount', ['-o', 'remount,size=64m', disk]);
      expect(await database.commit(big)).toMatchObject({ inserted: 399 });
      await database[Symbol.asyncDispose]();
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('that is no database, or is nowhere, is said', async () => {
    await writeFile(join(folder, 'text.db'), 'this is a letter, and no database at all'.repeat(50));
    await expect(open(`sqlite:${join(folder, 'text.db')}`)).rejects.toMatchObject({ code: 'sink-database-damaged' });
    await expect(open(`sqlite:${join(folder, 'no', 'where.db')}`)).rejects.toMatchObject({
      code: 'sink-database-refused',
    });
    await expect(open('mysql://somewhere')).rejects.toMatchObject({ code: 'sink-database-url' });
    await expect(open('postgres://[')).rejects.toMatchObject({ code: 'sink-database-url' });
  });
});

describeWith('PostgreSQL', [needsPostgres], () => {
  beforeAll(async () => {
    cluster = await Postgres.start();
    return async () => await cluster?.[Symbol.asyncDispose]();
  });
  const server = (): Postgres => {
    if (!cluster) throw new Error('not started');
    return cluster;
  };
  const made = new Set<number>();
  const place = (): Place => {
    const name = `t${count}`;
    if (!made.has(count)) server().database(name);
    made.add(count);
    return {
      url: () => server().url(name),
      query: (sql) => server().query(name, sql),
      execute: (sql) => void server().query(name, sql),
    };
  };
  contract(place);

  it('is made once by many sinks that start at the same moment', async () => {
    const url = place().url();
    const databases = await Promise.all(range(1, 4).map(async () => await open(url)));
    for (const database of databases) expect(await database.tally()).toEqual([]);
    expect(place().query('SELECT * FROM outpost_version')).toBe('3');
  });

  it.each([1, 2])('of version %i is brought up to date, and keeps what it holds', async (version) => {
    place().execute('CREATE TABLE outpost_version (version integer NOT NULL)');
    place().execute(`INSERT INTO outpost_version VALUES (${version})`);
    for (const migration of postgresMigrations.slice(0, version)) place().execute(migration);
    place().execute(
      `INSERT INTO outpost_lane (device, epoch, lane, upto) VALUES ('robot-07', '${epochA}', 'event', 5)`,
    );
    await expect(open(place().url(), 'read')).rejects.toMatchObject({ code: 'sink-database-older' });
    const database = await open(place().url());
    await database.commit(downlinks(readDesired('robot-07', desired(7))));
    expect(await database.claimResends(['robot-07'], now)).toHaveLength(1);
    expect((await database.marksOf(['robot-07']))[0]?.mark.upto).toBe(5);
  });

  it('that is locked stores nothing, and takes it later', async () => {
    const database = await open(place().url());
    await database.commit(events([1]));
    const other = new Client({ connectionString: place().url() });
    await other.connect();
    await other.query('BEGIN; LOCK TABLE outpost_lane IN ACCESS EXCLUSIVE MODE');
    await expect(database.commit(events([2]))).rejects.toMatchObject({
      code: 'sink-database-locked',
      kind: 'transient',
    });
    await other.query('ROLLBACK');
    await other.end();
    expect(await database.commit(events([2]))).toMatchObject({ inserted: 1 });
  });

  it('that is full stores nothing of a round, and takes it when there is room', async () => {
    await using own = await Postgres.start();
    const disk = join(own.folder, 'small');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
    try {
      const { uid, gid } = statSync(own.folder);
      await mkdir(join(disk, 'space'));
      chownSync(join(disk, 'space'), uid, gid);
      own.query('postgres', `CREATE TABLESPACE small LOCATION '${join(disk, 'space')}'`);
      own.query('postgres', 'CREATE DATABASE small TABLESPACE small');
      const database = await openDatabase(own.url('small'), 'migrate');
      await database.commit(events([1]));
      const detail = randomBytes(6_000).toString('base64');
      const parts = range(0, 29).map((n) => events(range(n * 100 + 2, n * 100 + 101), { detail }));
      const big = { events: parts.flatMap((part) => part.events), rejected: [], presences: [] };
      await expect(database.commit(big)).rejects.toMatchObject({ code: 'sink-database-full', kind: 'limit' });
      expect((await database.tally())[0]).toMatchObject({ received: 1, upto: 1 });
      execFileSync('mount', ['-o', 'remount,size=256m', disk]);
      expect(await database.commit(big)).toMatchObject({ inserted: 3_000 });
      await database[Symbol.asyncDispose]();
    } finally {
      await own.kill();
      execFileSync('umount', ['-l', disk]);
    }
  });

  it('has no duplicate and right marks when many sinks write the same at once', async () => {
    const url = place().url();
    const databases = await Promise.all(range(1, 4).map(async () => await open(url)));
    const devices = ['d-1', 'd-2', 'd-3'];
    // each sink has its own part, and half of everybody's; in another order each time
    await Promise.all(
      databases.map(async (database, sink) => {
        for (const round of range(0, 19)) {
          const seqs = range(1, 2_000).filter(
            (seq) => Math.floor(seq / 10) % 20 === round && (seq % 2 === 0 || seq % 4 === sink || seq % 8 === sink + 4),
          );
          for (const device of sink % 2 === 0 ? devices : devices.toReversed())
            await database.commit(events(seqs, { device }));
        }
      }),
    );
    const all = range(1, 2_000).filter(
      (seq) => seq % 2 === 0 || [0, 1, 2, 3].some((sink) => seq % 4 === sink || seq % 8 === sink + 4),
    );
    expect(all).toHaveLength(2_000);
    for (const tally of (await databases[0]?.tally()) ?? []) {
      expect(tally).toMatchObject({ received: 2_000, upto: 2_000, missing: [], conflicts: 0 });
      expect(tally.duplicates).toBeGreaterThan(2_000);
    }
  });

  it('that is killed stores nothing, and takes it when it is back', async () => {
    const database = await open(place().url());
    await database.commit(events([1]));
    await server().kill();
    await expect(database.commit(events([2]))).rejects.toMatchObject({ code: 'sink-database-down' });
    await expect(openDatabase(place().url(), 'migrate')).rejects.toMatchObject({ code: 'sink-database-down' });
    await server().restart();
    expect(await database.commit(events([2]))).toMatchObject({ inserted: 1 });
    expect((await database.tally())[0]).toMatchObject({ received: 2, duplicates: 0 });
  });

  it('refuses a user, a name and a server that does not wait for its disk', async () => {
    await expect(open(server().url('nowhere'))).rejects.toMatchObject({
      code: 'sink-database-refused',
      kind: 'config',
    });
    await expect(open(place().url().replace('outpost@', 'stranger@'))).rejects.toMatchObject({
      code: 'sink-database-refused',
    });
    await server().kill();
    await server().restart(['fsync=off']);
    await expect(open(place().url())).rejects.toMatchObject({ code: 'sink-database-not-durable' });
    await server().kill();
    await server().restart(['synchronous_commit=off']);
    const database = await open(place().url());
    await database.commit(events([1]));
    await server().kill();
    await server().restart();
    expect((await database.tally())[0]).toMatchObject({ received: 1 });
  });

  it('whose tables were emptied under the sink goes on', async () => {
    const database = await open(place().url());
    await database.commit(events([1]));
    place().execute('TRUNCATE outpost_lane, outpost_event');
    await expect(database.commit(events([2]))).rejects.toMatchObject({ kind: 'transient' });
    expect(await database.commit(events([2]))).toMatchObject({ inserted: 1 });
    expect((await database.tally())[0]).toMatchObject({ received: 1, upto: 2, missing: [[1, 1]] });
  });

  it('says of a value that it cannot hold that it is the value', async () => {
    const database = await open(place().url());
    const intake = events([1, 2, 3]);
    const poisoned = intake.events.map((event, index) =>
      index === 1 ? { ...event, data: String.raw`{"a":"\u0000"}` } : event,
    );
    await expect(database.commit({ ...intake, events: poisoned })).rejects.toMatchObject({ name: 'Unstorable' });
    expect(place().query('SELECT count(*) FROM outpost_event')).toBe('0');
  });
});
