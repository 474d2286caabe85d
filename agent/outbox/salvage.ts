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
import { firstNameIn, type Name, namesIn } from './names.ts';
import { partsOf } from './runs.ts';
import { idOf, mostSlots, seqOf, slotSize } from './schema.ts';
import { agrees, laneSum, rowSum } from './sums.ts';

export interface SalvagedEvent {
  readonly epoch: string;
  readonly lane: Lane;
  readonly seq: number;
  readonly boot: number;
  readonly monoMs: number;
  readonly keep: number;
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
  readEvents(from: 'current' | 'all'): Generator<SalvagedEvent>;
  close(): void;
}

/** @throws a system error when its file cannot be read at all; whatever makes no sense is left out */
export function openDamaged(path: string): Damaged {
  const images = new PageImages(path);
  const lanes = new Map<string, SalvagedLane>();
  const drops: SalvagedDrop[] = [];
  let boot = 0;
  for (const image of images.all()) {
    for (const record of shortRecords(image, tableLeaf)) {
      const lane = laneOf(record, image.isCurrent);
      if (lane) {
        const name = `${lane.slot} ${lane.epoch} ${lane.lane}`;
        lanes.set(name, newer(lanes.get(name), lane));
      } else if (image.isCurrent) drops.push(...dropOf(record));
    }
    for (const { values } of shortRecords(image, indexLeaf)) boot = Math.max(boot, bootOf(values));
  }
  return {
    lanes: [...lanes.values()].toSorted((one, other) => one.slot - other.slot),
    drops,
    boot,
    readEvents: (from) => readEvents(images, [...lanes.values()], from),
    close: () => images.close(),
  };
}

/** Pages of a store among which the table is that names the boot: it was one of the first to be made. */
const firstPages = 64;

/** @returns the number of the boot in which it was written; 0 where its first pages do not tell */
export function bootOfDamaged(path: string): number {
  const images = new PageImages(path);
  try {
    let boot = 0;
    for (let number = 1; number <= firstPages; number += 1) {
      const bytes = images.page(number);
      if (!bytes) break;
      const records = shortRecords({ number, bytes, isCurrent: true }, indexLeaf);
      for (const { values } of records) boot = Math.max(boot, bootOf(values));
    }
    return boot;
  } finally {
    images.close();
  }
}

function* readEvents(
  images: PageImages,
  lanes: readonly SalvagedLane[],
  from: 'current' | 'all',
): Generator<SalvagedEvent> {
  const { page } = images;
  const names: SlotNames = new Map();
  const slots: SlotNumbers = new Map(lanes.map(({ epoch, lane, slot }) => [`${epoch} ${lane}`, slot]));
  for (const { number, bytes, isCurrent } of images.all()) {
    if (from === 'current' && !isCurrent) continue;
    const options = { isFirst: number === 1, isLenient: from === 'all', page };
    for (const record of recordsOf(bytes, tableLeaf, options)) yield* eventsOf(record, names, slots);
  }
}

/** Counters and the like are short: a record that goes on elsewhere holds events. */
const shortRecords = ({ number, bytes }: PageImage, kind: number): Iterable<PageRecord> =>
  recordsOf(bytes, kind, { isFirst: number === 1, isLenient: kind === tableLeaf, page: () => undefined });

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

/** Of a slot: what it is called in the texts of its events. */
type SlotNames = Map<number, Pick<Name, 'epoch' | 'lane'>>;

/** Of an epoch and lane: its slot in this store. */
type SlotNumbers = ReadonlyMap<string, number>;

/**
 * id (the key), boot, time, expiry, keep, text, sum, parts. An event is believed when its text is whole; its number already
 * when its text says of itself what its place says, or its neighbour in the row is whole.
 */
function* eventsOf({ key, values }: PageRecord, names: SlotNames, slots: SlotNumbers): Generator<SalvagedEvent> {
  const [none, boot, monoMs, , keep, json, sum = null, parts = null] = values;
  if (none !== null || !isText(json) || !areCounts([key, boot, monoMs, keep])) return;
  const facts = { boot: Number(boot), monoMs: Number(monoMs), keep: Number(keep) };
  const isKnown = (parts === null || isText(parts)) && (sum === null || typeof sum === 'number');
  const found = (isKnown && partsOf({ sum, parts }, json.length)) || [];
  const textsAt = (id: number): { readonly text: Buffer; readonly isWhole: boolean }[] =>
    found.map(({ at, bytes, sum: wanted }, n) => {
      const text = json.subarray(at, at + bytes);
      // With a checksum the text is as it was written, and needs no parsing.
      const isWhole = wanted === null ? isEvent(text, id) : wanted === rowSum({ id: id + n, ...facts }, text);
      return { text, isWhole };
    });
  let [id, texts] = [key, textsAt(key)];
  if (!texts.some(({ isWhole }) => isWhole)) {
    // the key may be what is damaged
    id = idSaidBy(json, slots) ?? key;
    texts = textsAt(id);
  }
  const name = nameOf(id, texts.find(({ isWhole }) => isWhole)?.text, names);
  if (!name) for (const said of namesIn(json, key)) yield { ...said, ...facts, json: undefined };
  else {
    for (const [n, { text, isWhole }] of texts.entries())
      yield { ...name, seq: seqOf(id) + n, ...facts, json: isWhole ? text : undefined };
  }
}

function idSaidBy(json: Buffer, slots: SlotNumbers): number | undefined {
  const said = firstNameIn(json);
  const slot = said && slots.get(`${said.epoch} ${said.lane}`);
  return slot === undefined ? undefined : idOf(slot, said?.seq ?? 0);
}

/** @param text whole, so that the number of its slot is right too */
function nameOf(id: number, text: Buffer | undefined, names: SlotNames): Pick<Name, 'epoch' | 'lane'> | undefined {
  if (!text) return undefined;
  const slot = Math.floor(id / slotSize);
  const known = names.get(slot) ?? namesIn(text, id)[0];
  if (known) names.set(slot, known);
  return known;
}

/** Without a checksum: it can be parsed, and says its number. */
function isEvent(json: Buffer, id: number): boolean {
  try {
    const { specversion, seq } = JSON.parse(json.toString('utf8')) as { specversion?: unknown; seq?: unknown };
    return specversion === '1.0' && seq === String(seqOf(id));
  } catch {
    return false;
  }
}
