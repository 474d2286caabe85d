/**
 * Makes the golden store of this version: `node agent/outbox/make-golden.ts`. It is made once, when a version of the
 * store comes to be, and kept for ever: golden.test.ts opens every one of them.
 *
 *   events, a ledger, an acknowledgement -> outbox.db --gzip--> golden/store-<version>.db.gz, and what waits in it as .json
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openSqlite } from '#agent/core/sqlite.ts';
import { silentLog } from '#agent/core/log.ts';
import { systemClock } from '#agent/core/clock.ts';
import type { Event } from '#agent/domain/event.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { openOutbox } from './outbox.ts';
import { storeVersion } from './schema.ts';

const event = (lane: Lane, n: number): Event => ({
  kind: 'camera',
  phase: 'start',
  lane,
  subject: 'camera/front',
  wallMs: 1_795_334_400_000 + n,
  monoMs: n,
  data: { incident: `golden-${n}`, condition: 'black', durationMs: n, detail: `${lane} ${n}, 警务 ${'x'.repeat(40)}` },
});

const folder = await mkdtemp(join(tmpdir(), 'outpost-golden-'));
const options = {
  path: folder,
  device: 'golden-01',
  maxSizeBytes: 64 * 1024 * 1024,
  clock: systemClock,
  log: silentLog,
  host: { bootId: 'golden-boot', machineId: 'golden-machine', clockQuality: () => 'synced' as const },
};
{
  await using outbox = await openOutbox(options);
  await outbox.append([...lanes.slice(0, 2), ...lanes].map((lane, n) => event(lane, n)));
  // What was acknowledged is gone, and its number is never given again.
  await outbox.ack(lanes[0], { epoch: outbox.epoch, seq: 1 });
}
const file = join(folder, 'outbox.db');
const db = openSqlite(file, { busyMs: 1_000 });
db.pragma('wal_checkpoint(TRUNCATE)');
db.pragma('journal_mode = DELETE');
db.exec('VACUUM');
const holds = db
  .prepare<[], { epoch: string; lane: string; seq: number; json: string }>(
    'SELECT epoch, lane, seq, json FROM waiting ORDER BY lane, seq',
  )
  .all()
  .map(({ epoch, lane, seq, json }) => ({ epoch, lane, seq, event: JSON.parse(json) as unknown }));
db.close();
const golden = join(import.meta.dirname, 'golden');
await mkdir(golden, { recursive: true });
const name = `store-${storeVersion}`;
await writeFile(join(golden, `${name}.db.gz`), gzipSync(await readFile(file), { level: 9 }));
await writeFile(join(golden, `${name}.json`), `${JSON.stringify(holds, undefined, 2)}\n`);
await rm(folder, { recursive: true });
