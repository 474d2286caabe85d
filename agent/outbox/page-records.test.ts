/** Pages read without SQLite hold what SQLite says, and damaged ones hold anything but an exception. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqlite } from '#agent/core/sqlite.ts';
import { indexLeaf, type PageRecord, recordsOf, tableLeaf, type Value } from './page-records.ts';
import { pageBytes } from './schema.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-pages-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const pagesOf = (file: Buffer): Buffer[] =>
  Array.from({ length: file.length / pageBytes }, (_none, n) => file.subarray(n * pageBytes, (n + 1) * pageBytes));

function all(file: Buffer, kind: number, isLenient = false): PageRecord[] {
  const pages = pagesOf(file);
  const page = (number: number): Buffer | undefined => pages[number - 1];
  return pages.flatMap((bytes, n) => [...recordsOf(bytes, kind, { isFirst: n === 0, isLenient, page })]);
}

const text = (value: Value): unknown => (Buffer.isBuffer(value) ? value.toString('utf8') : value);

it('are what SQLite reads of them: any numbers, texts that do not fit a page, keys of an index', () => {
  const number = fc.oneof(fc.constantFrom(0, 1, -1, 127, 128, 2 ** 31, -(2 ** 47), 2 ** 48), fc.maxSafeInteger());
  const long = fc.integer({ min: 0, max: 40_000 }).map((length) => 'é'.repeat(length));
  const row = fc.record({ number, text: fc.oneof(fc.string(), long), none: fc.option(number, { nil: null }) });
  let file = 0;
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 52 }), { maxLength: 40 }),
      fc.array(row, { maxLength: 40 }),
      (keys, rows) => {
        const path = join(folder, `${(file += 1)}.db`);
        const db = openSqlite(path, { busyMs: 0 });
        db.pragma(`page_size = ${pageBytes}`);
        db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, number INTEGER, text TEXT, none INTEGER)');
        db.exec('CREATE TABLE k (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID');
        const insert = db.prepare('INSERT INTO t VALUES (?, ?, ?, ?)');
        const put = db.prepare('INSERT INTO k VALUES (?, ?)');
        const expected = keys
          .slice(0, rows.length)
          .map((key, n) => ({ key, ...(rows[n] ?? { number: 0, text: '', none: null }) }));
        for (const { key, number: value, text: of, none } of expected) {
          insert.run(key, BigInt(value), of, none === null ? null : BigInt(none));
          put.run(`key ${key}`, of);
        }
        db.close();
        const bytes = readFileSync(path);
        const table = all(bytes, tableLeaf).filter(({ values }) => values.length === 4 && values[0] === null);
        const byKey = (one: { readonly key: number }, other: { readonly key: number }): number => one.key - other.key;
        expect(table.toSorted(byKey).map(({ key, values }) => [key, ...values.slice(1).map(text)])).toEqual(
          expected.toSorted(byKey).map(({ key, number: value, text: of, none }) => [key, value, of, none]),
        );
        // those that are not in the leaves of an index are in its other pages
        const index = new Map(
          all(bytes, indexLeaf).map(({ values }) => [text(values[0] ?? null), text(values[1] ?? null)]),
        );
        for (const [key, value] of index) expect(expected.find((each) => `key ${each.key}` === key)?.text).toBe(value);
      },
    ),
    { numRuns: 40 },
  );
});

it('that are damaged are read as far as they make sense', () => {
  const db = openSqlite(join(folder, 'one.db'), { busyMs: 0 });
  db.pragma(`page_size = ${pageBytes}`);
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)');
  const insert = db.prepare('INSERT INTO t VALUES (?, ?)');
  for (let key = 1; key <= 50; key += 1) insert.run(key, 'x'.repeat(key === 25 ? 30_000 : 200));
  db.close();
  const file = readFileSync(join(folder, 'one.db'));
  const flip = fc.tuple(fc.integer({ min: 0, max: file.length - 1 }), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(fc.array(flip, { minLength: 1, maxLength: 400 }), fc.boolean(), (flips, isLenient) => {
      const flipped = Buffer.from(file);
      for (const [at, bits] of flips) flipped[at] = (flipped[at] ?? 0) ^ bits;
      expect(Array.isArray(all(flipped, tableLeaf, isLenient))).toBe(true);
    }),
  );
});

it('whose head counts none, or says that they are something else, are read when asked to be lenient', () => {
  const db = openSqlite(join(folder, 'one.db'), { busyMs: 0 });
  db.pragma(`page_size = ${pageBytes}`);
  db.exec(
    "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')",
  );
  db.close();
  for (const damage of [(page: Buffer) => page.writeUInt16BE(0, 3), (page: Buffer) => page.writeUInt8(7, 0)]) {
    const file = readFileSync(join(folder, 'one.db'));
    damage(file.subarray(pageBytes));
    const texts = (isLenient: boolean): Set<unknown> =>
      new Set(
        all(file.subarray(0), tableLeaf, isLenient)
          .filter(({ values }) => values.length === 2)
          .map(({ values }) => text(values[1] ?? null)),
      );
    expect(texts(false)).toEqual(new Set());
    expect(texts(true)).toEqual(new Set(['one', 'two', 'three']));
  }
});

it('whose overflow goes round in circles end', () => {
  const page = Buffer.alloc(pageBytes);
  page.writeUInt8(tableLeaf, 0);
  page.writeUInt16BE(1, 3);
  page.writeUInt16BE(4_000, 8);
  // 60 MB, key 1; the rest lies on this page, again and again
  page.set([0x9c, 0x80, 0x80, 0x00, 0x01], 4_000);
  expect([...recordsOf(page, tableLeaf, { isFirst: false, isLenient: false, page: () => page })].length).toBeLessThan(
    2,
  );
});
