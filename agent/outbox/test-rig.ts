/** What the tests of this room share: events of a wanted size, a host that they decide, and a look into the store. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#agent/core/clock.ts';
import type { Sqlite } from '#agent/core/sqlite.ts';
import { systemClock } from '#agent/core/clock.ts';
import { silentLog } from '#agent/core/log.ts';
import type { Event } from '#agent/domain/event.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import { JobAppends } from './append.ts';
import { Attributes } from './attributes.ts';
import { ExpectedNumbers } from './expected-numbers.ts';
import type { Host } from './host.ts';
import { openOutbox, type Outbox, type OutboxOptions, type Position } from './outbox.ts';
import { type Appends, noMemory } from './protocol.ts';
import { pageBytes } from './schema.ts';
import { type RowFacts, rowSum } from './sums.ts';

export const testHost = (bootId = 'boot-1', machineId = 'machine-1'): Host => ({
  bootId,
  machineId,
  clockQuality: () => 'synced',
});

export const testEvent = (lane: Lane, n: number, padding = 0): Event => ({
  kind: 'camera',
  phase: 'start',
  lane,
  subject: 'camera/front',
  wallMs: 1_795_334_400_000 + n,
  monoMs: n,
  data: { incident: `i-${n}`, condition: 'black', durationMs: n, detail: 'x'.repeat(padding) },
});

export async function openTestOutbox(path: string, options: Partial<OutboxOptions> = {}): Promise<Outbox> {
  const clock: Clock = systemClock;
  return await openOutbox({
    path,
    device: 'robot-07',
    maxSizeBytes: 64 * 1024 * 1024,
    clock,
    log: silentLog,
    host: testHost(),
    ...options,
  });
}

/** Appends of one event each, encoded as the main thread does; their numbers are not foreseen. */
export function appendsOf(
  events: readonly Event[],
  origin: Origin = { device: 'robot-07', epoch: '', boot: 1 },
): Appends {
  const appends = new JobAppends(noMemory, new ExpectedNumbers().forJob([], origin.epoch), new Attributes());
  for (const event of events) appends.add([event], origin, 'synced');
  return appends.layout;
}

export interface StoredEvent {
  readonly id: string;
  readonly type: string;
  readonly epoch: string;
  readonly lane: Lane;
  readonly seq: string;
  readonly boot: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Everything that waits in a lane, read as the uplink reads it. */
export async function waiting(outbox: Outbox, lane: Lane, maxEvents = 64): Promise<StoredEvent[]> {
  const all: StoredEvent[] = [];
  let after: Position | undefined;
  for (;;) {
    const batch = await outbox.peek(lane, after, { maxEvents, maxBytes: 64 * 1024 });
    if (!batch) return all;
    const parsed = JSON.parse(Buffer.from(batch.bytes).toString('utf8')) as StoredEvent | StoredEvent[];
    all.push(...(Array.isArray(parsed) ? parsed : [parsed]));
    after = { epoch: batch.epoch, seq: batch.last };
  }
}

export async function waitingEverywhere(outbox: Outbox): Promise<StoredEvent[]> {
  const all: StoredEvent[] = [];
  for (const lane of lanes) all.push(...(await waiting(outbox, lane)));
  return all;
}

export const numbers = (events: readonly StoredEvent[]): number[] => events.map(({ seq }) => Number(seq));
export const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_none, index) => first + index);

/** Makes no sense of the counters: the page of table `lane`, in a store that was closed in good order. */
export async function damageCounters(folder: string): Promise<void> {
  await using file = await open(join(folder, 'outbox.db'), 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 2 * pageBytes + 3);
}

export interface StoredText {
  readonly id: number;
  readonly keep: number;
  readonly json: string;
  /** Whether its checksum says so. */
  readonly isSound: boolean;
}

interface StoredRow extends RowFacts {
  readonly json: Buffer;
  readonly sum: number | null;
  readonly parts: Buffer | null;
}

/** Every event that the store holds, in the order of its ids; read as README.md describes the rows. */
export function storedTexts(db: Sqlite): StoredText[] {
  const rows = db
    .prepare<[], StoredRow>(
      'SELECT id, boot, mono_ms AS monoMs, keep, CAST(json AS BLOB) AS json, sum, parts FROM outbox ORDER BY id',
    )
    .all();
  return rows.flatMap((row) => {
    const count = row.parts === null ? 1 : row.parts.length / 8;
    let at = 0;
    return range(0, count - 1).map((n) => {
      const bytes = row.parts?.readUInt32LE(8 * n) ?? row.json.length;
      const sum = row.parts?.readUInt32LE(8 * n + 4) ?? row.sum;
      const text = row.json.subarray(at, at + bytes);
      at += bytes + 1;
      const isSound = sum === rowSum({ ...row, id: row.id + n }, text);
      return { id: row.id + n, keep: row.keep, json: text.toString('utf8'), isSound };
    });
  });
}
