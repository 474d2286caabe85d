import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { type Log, silentLog } from '#agent/core/log.ts';
import { openSqlite } from '#agent/core/sqlite.ts';
import { eventually } from '#agent/testing/eventually.ts';
import type { SinkDatabase } from './database.ts';
import { openDatabase } from './open-database.ts';
import { folderPlace, httpPlace, type MediaPlace, MediaStore } from './media.ts';
import { intakeOf, mediaTexts, received } from './test-rig.ts';

let folder: string;
let database: SinkDatabase;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-media-'));
  database = await openDatabase(`sqlite:${join(folder, 'sink.db')}`, 'migrate');
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function commit(texts: readonly string[]): Promise<void> {
  for (const text of texts) await database.commit(intakeOf(received('media', text)));
}

function states(): string[] {
  const db = openSqlite(join(folder, 'sink.db'), { readonly: true, busyMs: 1_000 });
  const rows = db
    .prepare("SELECT state || ' ' || coalesce(path, '') FROM outpost_media ORDER BY media_id")
    .pluck()
    .all();
  db.close();
  return rows as string[];
}

/** Runs a store until `work` is done. */
async function storing(
  place: MediaPlace,
  work: (store: MediaStore) => Promise<void>,
  log: Log = silentLog,
): Promise<void> {
  const store = new MediaStore({ database, place, clock: systemClock, random: () => 0, log });
  const stop = new AbortController();
  const running = store.run(stop.signal);
  try {
    await work(store);
  } finally {
    stop.abort();
    await running;
  }
}

it('puts whole media into a folder, a file each', async () => {
  const content = randomBytes(200_000);
  const texts = mediaTexts(1, { id: 'e-1', content });
  await commit(texts.slice(1));
  await storing(folderPlace(join(folder, 'media')), async (store) => {
    await commit(texts.slice(0, 1));
    store.ring();
    await eventually(() => states()[0]?.startsWith('stored'), 'it is stored');
  });
  const [name = '', ...others] = await readdir(join(folder, 'media', 'robot-07'));
  expect(others).toEqual([]);
  expect(name).toMatch(/^e-1-[0-9a-f]{12}\.jpg$/);
  expect((await readFile(join(folder, 'media', 'robot-07', name))).equals(content)).toBe(true);
});

it('keeps the chunks of what is not as promised, and says so', async () => {
  const said: string[] = [];
  const log: Log = { ...silentLog, error: (sentence) => said.push(sentence) };
  await commit(mediaTexts(1, { id: 'e-1', content: randomBytes(100), sha256: '0'.repeat(64) }));
  await commit(mediaTexts(2, { id: 'e-2', content: randomBytes(100) }));
  await storing(
    folderPlace(join(folder, 'media')),
    async () => {
      await eventually(() => states()[1]?.startsWith('stored'), 'the other is stored');
    },
    log,
  );
  expect(states()[0]).toBe('damaged ');
  expect(said).toHaveLength(1);
});

it('waits while the folder cannot be written', async () => {
  await writeFile(join(folder, 'media'), 'a file where a folder should be');
  await commit(mediaTexts(1, { id: 'e-1', content: randomBytes(100) }));
  let warned = false;
  const log: Log = { ...silentLog, warn: () => (warned = true) };
  await storing(
    folderPlace(join(folder, 'media')),
    async () => {
      await eventually(() => warned, 'it is said');
      expect(states()).toEqual(['partial ']);
      await rm(join(folder, 'media'));
      await eventually(() => states()[0]?.startsWith('stored'), 'it is stored');
    },
    log,
  );
});

it('puts to a server until it takes it', async () => {
  const content = randomBytes(70_000);
  const got: { url: string | undefined; token: string | undefined; body: Buffer }[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { url, method, headers } = request;
      if (method === 'PUT') got.push({ url, token: headers.authorization, body: Buffer.concat(parts) });
      response.writeHead(got.length < 2 ? 503 : 201).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await commit(mediaTexts(1, { id: 'e-1', content }));
  await storing(httpPlace(`http://127.0.0.1:${port}/bucket/`, 'secret'), async () => {
    await eventually(() => states()[0]?.startsWith('stored http://127.0.0.1'), 'it is stored');
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(got).toHaveLength(2);
  expect(got[1]).toMatchObject({ token: 'Bearer secret' });
  expect(got[1]?.url).toMatch(/^\/bucket\/robot-07\/e-1-[0-9a-f]{12}\.jpg$/);
  expect(got[1]?.body.equals(content)).toBe(true);
});
