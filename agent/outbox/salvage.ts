/**
 * Takes over what can be read of a damaged store: not by SQLite, which reads nothing behind a page that it needs, but page
 * by page. Rows and counters are believed for their own checksums, wherever they lie.
 *
 *   old files --rows of its pages as they were last--> new store, in their old epoch
 *             --rows that are still missing, from what lies beneath--> the same
 *             --numbers that should be there and are not--> outpost.dropped, reason `corrupt`
 */
import { isLane, type Lane } from '#agent/domain/lane.ts';
import { type PageImage, PageImages } from './page-images.ts';
import { indexLeaf, type PageRecord, recordsOf, tableLeaf, type Value } from './page-records.ts';
import { mostSlots, seqOf } from './schema.ts';
import { agrees, laneSum, rowSum } from './sums.ts';

export interface SalvagedRow {
  readonly epoch: string;
  readonly lane: Lane;
  readonly seq: number;
  readonly boot: number;
  readonly monoMs: number;
  readonly keep: number;
  /** In the old store, and the checksum of all this with it. */
  readonly id: number;
  readonly sum: number;
  /** UTF-8; undefined where it is damaged, and only tells that there was such a number. */
  readonly json: Buffer | undefined;
}

/** What the old store said of a lane: all that was given a number, and all that had been acknowledged. */
export interface SalvagedLane {
  readonly slot: number;
  readonly epoch: string;
  readonly lane: Lane;
  readonly last: number;
  readonly acked: number;
  /** How many waited; undefined where only an older word of it is left. */
  readonly depth: number | undefined;
}

/** Numbers that the old store had declared as given up. */
export interface SalvagedDrop {
  readonly slot: number;
  readonly first: number;
  readonly last: number;
}

export interface Damaged {
  /** In the order of their slots: older epochs first. */
  readonly lanes: readonly SalvagedLane[];
  readonly drops: readonly SalvagedDrop[];
  readonly boot: number;
  /** @param from `current`: as the store was last; `all`: also what it had removed, or written over */
  readRows(from: 'current' | 'all'): Generator<SalvagedRow>;
  close(): void;
}

/** @throws a system error when its file cannot be read at all; whatever makes no sense is left out */
export function openDamaged(path: string): Damaged {
  const images = new PageImages(path);
  const lanes = new Map<string, SalvagedLane>();
  const drops: SalvagedDrop[] = [];
  let boot = 0;
  for (const image of images.all()) {
    for (const record of tableRecords(images, image, true)) {
      const lane = laneOf(record, image.isCurrent);
      if (lane) {
        const name = `${lane.slot} ${lane.epoch} ${lane.lane}`;
        lanes.set(name, newer(lanes.get(name), lane));
      } else if (image.isCurrent) drops.push(...dropOf(record));
    }
    for (const { values } of indexRecords(images, image)) boot = Math.max(boot, bootOf(values));
  }
  return {
    lanes: [...lanes.values()].toSorted((one, other) => one.slot - other.slot),
    drops,
    boot,
    readRows: (from) => readRows(images, from),
    close: () => images.close(),
  };
}

function* readRows(images: PageImages, from: 'current' | 'all'): Generator<SalvagedRow> {
  for (const image of images.all()) {
    if (from === 'current' && !image.isCurrent) continue;
    for (const record of tableRecords(images, image, from === 'all')) {
      const row = rowOf(record);
      if (row) yield row;
    }
  }
}

const tableRecords = (images: PageImages, image: PageImage, isLenient: boolean): Iterable<PageRecord> =>
  recordsOf(image.bytes, tableLeaf, { isFirst: image.number === 1, isLenient, page: images.page });

const indexRecords = (images: PageImages, image: PageImage): Iterable<PageRecord> =>
  recordsOf(image.bytes, indexLeaf, { isFirst: image.number === 1, isLenient: false, page: images.page });

const isText = (value: Value | undefined): value is Buffer => Buffer.isBuffer(value);
const areCounts = (values: readonly (Value | undefined)[]): values is number[] =>
  values.every((value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);

/** Both counters only ever grow, so an older word of them is a lower bound. */
function newer(before: SalvagedLane | undefined, lane: SalvagedLane): SalvagedLane {
  if (!before) return lane;
  const [last, acked] = [Math.max(before.last, lane.last), Math.max(before.acked, lane.acked)];
  const depth = lane.depth ?? before.depth;
  return { ...lane, last, acked, depth };
}

/** slot (the key), epoch, lane, last, acked, depth, bytes, sum */
function laneOf({ key: slot, values }: PageRecord, isCurrent: boolean): SalvagedLane | undefined {
  const [none, epochText, laneText, last, acked, depth, bytes, sum = null] = values;
  if (none !== null || !isText(epochText) || !isText(laneText)) return undefined;
  const counts = [last, acked, depth, bytes];
  if (!areCounts(counts) || !(slot > 0 && slot <= mostSlots)) return undefined;
  const [epoch, lane] = [epochText.toString('latin1'), laneText.toString('latin1')];
  if (!isLane(lane) || !/^[0-9a-f]{32}$/.test(epoch)) return undefined;
  const facts = { slot, epoch, lane, last: counts[0] ?? 0, acked: counts[1] ?? 0, depth: counts[2] ?? 0 };
  if (!agrees(sum, () => laneSum({ ...facts, bytes: counts[3] ?? 0 }))) return undefined;
  return { ...facts, depth: isCurrent ? facts.depth : undefined };
}

/** id (the key), slot, first, last, count, bytes, reason, number of the declaration */
function dropOf({ values }: PageRecord): SalvagedDrop[] {
  const [none, slot, first, last, count, bytes, reason, declared] = values;
  const counts = [slot, first, last, count, bytes, declared];
  if (none !== null || values.length !== 8 || !isText(reason) || !areCounts(counts)) return [];
  return [{ slot: counts[0] ?? 0, first: counts[1] ?? 0, last: counts[2] ?? 0 }];
}

function bootOf([key, value]: readonly Value[]): number {
  if (!isText(key) || !isText(value) || key.toString('latin1') !== 'boot') return 0;
  const boot = Number(value.toString('latin1'));
  return Number.isSafeInteger(boot) ? boot : 0;
}

/**
 * id (the key), boot, time, expiry, keep, text, sum. A row is believed when its text is whole; its number already when its
 * text says of itself what its id says.
 */
function rowOf({ key: id, values }: PageRecord): SalvagedRow | undefined {
  const [none, boot, monoMs, , keep, json, sum = null] = values;
  if (none !== null || !isText(json) || !areCounts([id, boot, monoMs, keep])) return undefined;
  const [, epoch = '', lane = '', seq] = numbersPattern.exec(json.toString('latin1')) ?? [];
  if (!isLane(lane) || seq !== String(seqOf(id))) return undefined;
  const facts = { boot: Number(boot), monoMs: Number(monoMs), keep: Number(keep) };
  // With a checksum the text is as it was written, and needs no parsing.
  const own = rowSum({ id, ...facts }, json);
  const isWhole = sum === null ? isEvent(json) : sum === own;
  return { epoch, lane, seq: seqOf(id), ...facts, id, sum: own, json: isWhole ? json : undefined };
}

/** Quotes inside a JSON string are escaped, so no text of an event can pass for it. */
const numbersPattern = /,"epoch":"([0-9a-f]{32})","lane":"([a-z]+)","seq":"(\d+)",/;

function isEvent(json: Buffer): boolean {
  try {
    return (JSON.parse(json.toString('utf8')) as { specversion?: unknown }).specversion === '1.0';
  } catch {
    return false;
  }
}
