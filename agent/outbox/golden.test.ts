/** Stores of every version there was: brought forward with all that waits in them; and one of a version to come. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqlite } from '#agent/core/sqlite.ts';
import { storeVersion } from './schema.ts';
import { openTestOutbox, range, testEvent, testHost, waitingEverywhere } from './test-rig.ts';

const golden = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'golden', name));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-golden-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Held {
  readonly lane: string;
  readonly seq: number;
  readonly event: { readonly id: string; readonly data: unknown };
}

/** Lays the store of a version into the folder. @returns what waits in it */
function lay(version: number): readonly Held[] {
  writeFileSync(join(folder, 'outbox.db'), gunzipSync(golden(`store-${version}.db.gz`)));
  return JSON.parse(golden(`store-${version}.json`).toString('utf8')) as readonly Held[];
}

const open = async () =>
  await openTestOutbox(folder, { device: 'golden-01', host: testHost('golden-boot', 'golden-machine') });

const inOrder = <T extends { readonly id: string }>(events: readonly T[]): readonly T[] =>
  events.toSorted((a, b) => (a.id < b.id ? -1 : 1));

it.each(range(1, storeVersion))(
  'a store of version %i is brought forward, with all that waits in it',
  async (version) => {
    const held = lay(version);
    expect(held.length).toBeGreaterThan(5);
    {
      await using outbox = await open();
      expect(inOrder(await waitingEverywhere(outbox))).toEqual(inOrder(held.map(({ event }) => event)));
      const last = Math.max(...held.filter(({ lane }) => lane === 'alarm').map(({ seq }) => seq));
      const [next] = await outbox.append([testEvent('alarm', 1)]);
      expect(Number(next?.seq)).toBe(last + 1);
    }
    const db = openSqlite(join(folder, 'outbox.db'), { busyMs: 0 });
    expect(db.pragma('user_version', { simple: true })).toBe(storeVersion);
    db.close();
  },
);

it('a store of a version to come is refused, and nothing in it is touched', async () => {
  const held = lay(storeVersion);
  const bump = (version: number): void => {
    const db = openSqlite(join(folder, 'outbox.db'), { busyMs: 0 });
    db.pragma(`user_version = ${version}`);
    db.exec('CREATE TABLE IF NOT EXISTS of_the_future (what TEXT)');
    db.close();
  };
  bump(storeVersion + 1);
  const content = (): unknown => {
    const db = openSqlite(join(folder, 'outbox.db'), { busyMs: 0, readonly: true });
    try {
      const tables = db
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .pluck()
        .all() as string[];
      return tables.map((name) => [name, db.prepare(`SELECT * FROM ${name}`).all()]);
    } finally {
      db.close();
    }
  };
  const before = content();
  const refused = { code: 'outbox-newer', context: { version: storeVersion + 1, known: storeVersion } };
  await expect(open()).rejects.toMatchObject(refused);
  await expect(open()).rejects.toMatchObject(refused);
  expect(content()).toEqual(before);
  bump(storeVersion);
  await using outbox = await open();
  expect(await waitingEverywhere(outbox)).toHaveLength(held.length);
});
