/** One round in PostgreSQL: the statements of its transaction, in the order that all sinks keep. */
import type { PoolClient, QueryResultRow } from 'pg';
import type { Lane } from '#agent/domain/lane.ts';
import type { Committed, Intake } from './database.ts';
import { contiguous, type Mark } from './marks.ts';
import { welcomeBack, writeDownlinks } from './postgres-downlink.ts';
import * as sql from './postgres-sql.ts';
import type { Ranges } from '#agent/domain/ranges.ts';
import {
  advanced,
  chunksIn,
  conflictsAside,
  countIn,
  declarationsIn,
  isConflict,
  mediaIn,
  type LaneWork,
  type PlacedEvent,
  type PlacedRejected,
  type Round,
  uploadsIn,
  waitsInVain,
} from './round.ts';

/** Somebody emptied the tables under a running sink. */
export class LanesGone extends Error {}

export interface LaneRow extends QueryResultRow {
  readonly device: string;
  readonly epoch: string;
  readonly lane: Lane;
  readonly upto: string;
  readonly missing: Ranges;
  readonly ahead?: Ranges;
}

export const markOf = ({ upto, missing, ahead = [] }: LaneRow): Mark => ({ upto: Number(upto), missing, ahead });

/** Everything of a round, inside its transaction. @throws LanesGone, and what the driver throws */
export async function writeRound(
  client: PoolClient,
  intake: Intake,
  round: Round,
  ids: ReadonlyMap<string, number>,
): Promise<Committed> {
  const works = new Map(round.lanes.map((work) => [work.laneId, work]));
  const twice = await insertEvents(client, round.events);
  const conflicting = await differing(client, [...twice, ...round.conflicting]);
  for (const { laneId } of twice) countIn(works, laneId, 'duplicates');
  for (const { laneId } of conflicting) countIn(works, laneId, 'conflicts');
  await insertRejected(client, [...round.rejected, ...conflictsAside(conflicting)], works);
  const inserted = new Set(round.events);
  for (const event of twice) inserted.delete(event);
  await insertDropped(client, [...inserted], ids);
  const chunks = await insertMedia(client, [...inserted]);
  await insertUploads(client, [...inserted]);
  await welcomeBack(client, intake);
  await upsertDevices(client, intake);
  await writeDownlinks(client, intake);
  const vain = await advanceLanes(client, round.lanes);
  const duplicates = round.lanes.reduce((sum, work) => sum + work.duplicates, 0);
  return {
    inserted: inserted.size,
    duplicates,
    conflicts: conflicting.map(({ event: { key, seq } }) => ({ key, seq })),
    rejected: round.rejected.length,
    chunks,
    devices: new Set([
      ...round.lanes.filter(({ seqs, declared }) => seqs.size + declared.length > 0).map(({ key }) => key.device),
      ...vain,
    ]),
  };
}

/** @returns those that were there before */
async function insertEvents(client: PoolClient, placed: readonly PlacedEvent[]): Promise<readonly PlacedEvent[]> {
  if (placed.length === 0) return [];
  const column = (pick: (event: PlacedEvent['event']) => unknown): unknown[] => placed.map(({ event }) => pick(event));
  const { rows } = await client.query<[string, string]>({
    name: 'outpost-insert-events',
    text: sql.insertEvents,
    rowMode: 'array',
    values: [
      placed.map(({ laneId }) => laneId),
      column(({ seq }) => seq),
      column(({ type }) => type),
      column(({ time }) => time),
      column(({ subject }) => subject),
      column(({ boot }) => boot),
      column(({ monoMs }) => monoMs),
      column(({ clock }) => clock),
      column(({ digest }) => digest),
      column(({ extra }) => extra ?? null),
      `[${column(({ data }) => data).join(',')}]`,
    ],
  });
  if (rows.length === placed.length) return [];
  const fresh = new Set(rows.map(([laneId, seq]) => `${laneId} ${seq}`));
  return placed.filter(({ laneId, event }) => !fresh.has(`${laneId} ${event.seq}`));
}

/** Of numbers that were there before: those whose content is another one. */
async function differing(client: PoolClient, twice: readonly PlacedEvent[]): Promise<readonly PlacedEvent[]> {
  if (twice.length === 0) return [];
  const { rows } = await client.query<{ lane_id: string; seq: string; digest: string }>(sql.digestsOf, [
    twice.map(({ laneId }) => laneId),
    twice.map(({ event }) => event.seq),
  ]);
  const digests = new Map(rows.map(({ lane_id, seq, digest }) => [`${lane_id} ${seq}`, digest]));
  return twice.filter(({ laneId, event }) => digests.get(`${laneId} ${event.seq}`) !== event.digest);
}

async function insertRejected(
  client: PoolClient,
  placed: readonly PlacedRejected[],
  works: ReadonlyMap<number, LaneWork>,
): Promise<void> {
  if (placed.length === 0) return;
  const once = new Map(placed.map((entry) => [entry.rejected.digest, entry]));
  const sorted = [...once.values()].sort((a, b) => (a.rejected.digest < b.rejected.digest ? -1 : 1));
  const column = (pick: (entry: PlacedRejected) => unknown): unknown[] => sorted.map(pick);
  const { rows } = await client.query<{ digest: string; count: string }>(sql.insertRejected, [
    column(({ rejected }) => rejected.digest),
    column(({ rejected }) => rejected.topic),
    column(({ rejected }) => rejected.device),
    column(({ laneId }) => laneId ?? null),
    column(({ rejected }) => rejected.identity?.seq ?? null),
    column(({ rejected }) => rejected.reason),
    column(({ rejected }) => rejected.payload),
    column(({ rejected }) => rejected.bytes),
  ]);
  const again = new Set(rows.filter(({ count }) => count !== '1').map(({ digest }) => digest.replaceAll('-', '')));
  for (const { laneId, rejected } of sorted) {
    if (laneId !== undefined && !isConflict(rejected) && again.has(rejected.digest))
      countIn(works, laneId, 'duplicates');
  }
}

async function insertDropped(
  client: PoolClient,
  events: readonly PlacedEvent[],
  ids: ReadonlyMap<string, number>,
): Promise<void> {
  const rows = declarationsIn(events, ids);
  if (rows.length === 0) return;
  await client.query(sql.insertDropped, [
    rows.map(({ targetId }) => targetId),
    rows.map(({ declaration }) => declaration.range[0]),
    rows.map(({ declaration }) => declaration.range[1]),
    rows.map(({ declaration }) => declaration.count),
    rows.map(({ declaration }) => declaration.bytes),
    rows.map(({ declaration }) => declaration.reason),
    rows.map(({ byLaneId }) => byLaneId),
    rows.map(({ bySeq }) => bySeq),
  ]);
}

/** @returns how many chunks there were */
async function insertMedia(client: PoolClient, events: readonly PlacedEvent[]): Promise<number> {
  const chunks = chunksIn(events);
  if (chunks.length === 0) return 0;
  const pieces = mediaIn(chunks);
  const names = (all: typeof chunks): unknown[] => [
    all.map(({ device }) => device),
    all.map(({ id }) => id),
    all.map(({ sha256 }) => sha256),
  ];
  await client.query(sql.upsertMedia, [
    ...names(pieces),
    pieces.map(({ mediaType }) => mediaType),
    pieces.map(({ size }) => size),
    pieces.map(({ chunks: count }) => count),
  ]);
  await client.query(sql.insertChunks, [
    ...names(chunks),
    chunks.map(({ chunk }) => chunk),
    chunks.map(({ content }) => content),
  ]);
  return chunks.length;
}

async function insertUploads(client: PoolClient, events: readonly PlacedEvent[]): Promise<void> {
  const uploads = uploadsIn(events);
  if (uploads.length === 0) return;
  await client.query(sql.upsertUploads, [
    uploads.map(({ device }) => device),
    uploads.map(({ id }) => id),
    uploads.map(({ sha256 }) => sha256),
    uploads.map(({ mediaType }) => mediaType),
    uploads.map(({ size }) => size),
    uploads.map(({ state }) => state),
    uploads.map(({ url }) => url ?? null),
  ]);
}

async function upsertDevices(client: PoolClient, { presences }: Intake): Promise<void> {
  if (presences.length === 0) return;
  const rows = [...new Map(presences.map((presence) => [presence.device, presence])).values()].sort((a, b) =>
    a.device < b.device ? -1 : 1,
  );
  await client.query(sql.upsertDevices, [
    rows.map(({ device }) => device),
    rows.map(({ online }) => online),
    rows.map(({ version }) => version ?? null),
    rows.map(({ epoch }) => epoch ?? null),
    rows.map(({ custody }) => custody ?? null),
    rows.map(({ state }) => state),
  ]);
}

/** @returns devices that wait for what is committed */
async function advanceLanes(client: PoolClient, works: readonly LaneWork[]): Promise<readonly string[]> {
  if (works.length === 0) return [];
  const { rows } = await client.query<LaneRow & { id: string }>({
    name: 'outpost-lock-lanes',
    text: sql.lockLanes,
    values: [works.map(({ laneId }) => laneId)],
  });
  const marks = new Map(rows.map((row) => [Number(row.id), markOf(row)]));
  if (marks.size !== works.length) throw new LanesGone('lanes are gone');
  const next = works.map((work) => ({ work, mark: advanced(marks.get(work.laneId) as Mark, work) }));
  await client.query({
    name: 'outpost-update-lanes',
    text: sql.updateLanes,
    values: [
      works.map(({ laneId }) => laneId),
      next.map(({ mark }) => mark.upto),
      next.map(({ mark }) => contiguous(mark)),
      next.map(({ mark }) => JSON.stringify(mark.missing)),
      next.map(({ mark }) => JSON.stringify(mark.ahead)),
      works.map(({ duplicates }) => duplicates),
      works.map(({ conflicts }) => conflicts),
      works.map(({ told }) => told?.first ?? null),
      works.map(({ told }) => told?.last ?? null),
      works.map(({ told }) => told?.depth ?? null),
    ],
  });
  return next.filter(({ work, mark }) => waitsInVain(work, mark)).map(({ work }) => work.key.device);
}
