/**
 * One transaction's worth, made ready: sorted so that many sinks never wait for each other in a circle, and each
 * number once.
 *
 *   Intake --> lanes to lock, events by (lane, number), what is the same twice
 *   lane's row + what was inserted --> its new row
 */
import type { SeqRange } from '#agent/domain/ack.ts';
import type { EventData } from '#agent/domain/event.ts';
import type { Intake } from './database.ts';
import { advance, type Mark } from './marks.ts';
import type { ToldLane } from './presence.ts';
import type { Declaration, LaneKey, MediaChunk, ReceivedEvent, Rejected } from './received.ts';

export const nameOf = ({ device, epoch, lane }: LaneKey): string => `${device} ${epoch} ${lane}`;

export interface PlacedEvent {
  readonly laneId: number;
  readonly event: ReceivedEvent;
}

export interface PlacedRejected {
  readonly laneId: number | undefined;
  readonly rejected: Rejected;
}

/** Everything that one transaction changes of one lane. */
export interface LaneWork {
  readonly laneId: number;
  readonly key: LaneKey;
  /** Numbers that are committed after this, new or not. */
  readonly seqs: Set<number>;
  readonly declared: SeqRange[];
  told: ToldLane | undefined;
  duplicates: number;
  conflicts: number;
}

export interface Round {
  /** By (lane, number); each once. */
  readonly events: readonly PlacedEvent[];
  /** By digest; each once. */
  readonly rejected: readonly PlacedRejected[];
  /** By lane id: the order in which they are locked. */
  readonly lanes: readonly LaneWork[];
  /** The same number with different content in this round: the later ones, to be compared with what is stored. */
  readonly conflicting: readonly PlacedEvent[];
}

/** Every lane that an intake touches. */
export function lanesIn({ events, rejected, presences }: Intake): ReadonlyMap<string, LaneKey> {
  const keys = new Map<string, LaneKey>();
  const add = (key: LaneKey): void => void keys.set(nameOf(key), key);
  for (const { key, declaration } of events) {
    add(key);
    if (declaration) add(declaration.target);
  }
  for (const { identity } of rejected) if (identity) add(identity.key);
  for (const { lanes } of presences) for (const { key } of lanes) add(key);
  return keys;
}

export function planRound(intake: Intake, ids: ReadonlyMap<string, number>): Round {
  const works = new Map<number, LaneWork>();
  const workOf = (key: LaneKey): LaneWork => {
    const laneId = ids.get(nameOf(key)) ?? 0;
    let work = works.get(laneId);
    if (!work) {
      work = { laneId, key, seqs: new Set(), declared: [], told: undefined, duplicates: 0, conflicts: 0 };
      works.set(laneId, work);
    }
    return work;
  };
  const events = new Map<string, PlacedEvent>();
  const conflicting: PlacedEvent[] = [];
  for (const event of intake.events) {
    const work = workOf(event.key);
    const place = `${work.laneId} ${event.seq}`;
    const before = events.get(place);
    if (!before) {
      events.set(place, { laneId: work.laneId, event });
      work.seqs.add(event.seq);
      continue;
    }
    work.duplicates += 1;
    if (before.event.digest !== event.digest) conflicting.push({ laneId: work.laneId, event });
  }
  const rejected = new Map<string, PlacedRejected>();
  for (const item of intake.rejected) {
    const work = item.identity && workOf(item.identity.key);
    if (item.identity) work?.seqs.add(item.identity.seq);
    rejected.set(item.digest, { laneId: work?.laneId, rejected: item });
  }
  for (const { event } of events.values()) {
    if (event.declaration) workOf(event.declaration.target).declared.push(event.declaration.range);
  }
  for (const { lanes } of intake.presences) for (const told of lanes) workOf(told.key).told = told;
  return {
    events: [...events.values()].sort((a, b) => a.laneId - b.laneId || a.event.seq - b.event.seq),
    rejected: [...rejected.values()].sort((a, b) => (a.rejected.digest < b.rejected.digest ? -1 : 1)),
    lanes: [...works.values()].sort((a, b) => a.laneId - b.laneId),
    conflicting,
  };
}

export const advanced = (mark: Mark, { seqs, declared }: LaneWork): Mark =>
  advance(
    mark,
    [...seqs].sort((a, b) => a - b),
    declared,
  );

export function countIn(works: ReadonlyMap<number, LaneWork>, laneId: number, what: 'duplicates' | 'conflicts'): void {
  const work = works.get(laneId);
  if (work) work[what] += 1;
}

/** The device waits for something that is committed: it has not heard. */
export const waitsInVain = ({ told }: LaneWork, { upto }: Mark): boolean =>
  told !== undefined && told.depth > 0 && told.first <= upto;

export interface PlacedChunk extends MediaChunk {
  readonly device: string;
}

/** Where a device put a picture itself, or that it never will. */
export interface Uploaded {
  readonly device: string;
  readonly id: string;
  /** Empty: nobody knows any more. */
  readonly sha256: string;
  readonly mediaType: string;
  readonly size: number;
  readonly state: 'uploaded' | 'given-up';
  readonly url: string | undefined;
}

/** Each once, in the order in which all sinks write them. */
export function uploadsIn(events: readonly PlacedEvent[]): readonly Uploaded[] {
  const found = events.flatMap(({ event: { type, key, data } }): Uploaded[] => {
    if (type !== 'outpost.upload') return [];
    const { id, sha256 = '', mediaType, size, outcome, url } = JSON.parse(data) as EventData<'upload'>;
    return [
      { device: key.device, id, sha256, mediaType, size, state: outcome === 'stored' ? 'uploaded' : outcome, url },
    ];
  });
  const last = new Map(found.map((upload) => [`${upload.device} ${upload.id} ${upload.sha256}`, upload]));
  return [...last.values()].toSorted(order);
}

/** By device, media and chunk: the order in which all sinks write them. */
export const chunksIn = (events: readonly PlacedEvent[]): readonly PlacedChunk[] =>
  events
    .flatMap(({ event: { media, key } }) => (media ? [{ ...media, device: key.device }] : []))
    .sort((a, b) => order(a, b) || a.chunk - b.chunk);

/** Each piece of media once, in the same order. */
export const mediaIn = (chunks: readonly PlacedChunk[]): readonly PlacedChunk[] =>
  chunks.filter((chunk, index) => index === 0 || order(chunk, chunks[index - 1] as PlacedChunk) !== 0);

type Named = Pick<PlacedChunk, 'device' | 'id' | 'sha256'>;

function order(a: Named, b: Named): number {
  const [left, right] = [a, b].map(({ device, id, sha256 }) => `${device} ${id} ${sha256}`) as [string, string];
  return left < right ? -1 : Number(left > right);
}

export interface PlacedDeclaration {
  readonly targetId: number;
  readonly byLaneId: number;
  readonly bySeq: number;
  readonly declaration: Declaration;
}

export function declarationsIn(
  events: readonly PlacedEvent[],
  ids: ReadonlyMap<string, number>,
): readonly PlacedDeclaration[] {
  return events.flatMap(({ laneId, event: { declaration, seq } }) =>
    declaration
      ? [{ targetId: ids.get(nameOf(declaration.target)) ?? 0, byLaneId: laneId, bySeq: seq, declaration }]
      : [],
  );
}

const conflictReason = 'another content is stored under this number';
/** Counted as such already. */
export const isConflict = ({ reason }: Rejected): boolean => reason === conflictReason;

/** The later of two contents of one number is set aside too: nothing that came is lost. */
export const conflictsAside = (conflicting: readonly PlacedEvent[]): readonly PlacedRejected[] =>
  conflicting.map(({ laneId, event }) => {
    const { key, seq, digest, data, extra, type, time, subject, boot, monoMs, clock } = event;
    const attributes = { type, time, subject, boot, monoMs, clock };
    const { device, epoch, lane } = key;
    const text = { epoch, lane, seq: String(seq), ...attributes, ...jsonOf(extra), data: JSON.parse(data) as unknown };
    const payload = Buffer.from(JSON.stringify(text));
    const identity = { key, seq };
    return {
      laneId,
      rejected: {
        topic: `up/${lane}`,
        device,
        identity,
        reason: conflictReason,
        payload,
        bytes: payload.length,
        digest,
      },
    };
  });

const jsonOf = (text: string | undefined): object => (text === undefined ? {} : (JSON.parse(text) as object));
