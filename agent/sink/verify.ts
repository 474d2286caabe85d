/**
 * The proof: every number that a device has given, held against the numbers that the database has.
 *
 *   appended = received + late (still waiting on the device) + dropped (declared by the device) + lost
 *
 * The device's side is read first: what leaves the device between the two looks is in the database by the second.
 */
import type { Declared, LaneTally, SinkDatabase } from './database.ts';
import type { StoredLane } from './device-store.ts';
import { countOf, type Ranges, union, without } from '#agent/domain/ranges.ts';
import type { LaneKey } from './received.ts';
import { nameOf } from './round.ts';

export interface LaneVerdict extends LaneKey {
  readonly appended: number;
  readonly received: number;
  /** Came again, and suppressed. */
  readonly duplicates: number;
  readonly late: number;
  readonly dropped: number;
  readonly lost: number;
  /** Of the received: set aside since they are no events. */
  readonly rejected: number;
  readonly conflicts: number;
  /** The first lost numbers. */
  readonly lostRanges: Ranges;
}

export interface VerifyOptions {
  /** Of one device; absent: what devices said in `up/state` counts. */
  readonly store?: readonly StoredLane[];
  /** Absent: all. */
  readonly device?: string;
}

/** Ranges of lost numbers that are named. */
const mostNamed = 20;

/** @throws OutpostError `sink-database-…` */
export async function verify(
  database: SinkDatabase,
  { store, device }: VerifyOptions,
): Promise<readonly LaneVerdict[]> {
  const tallies = new Map((await database.tally()).map((tally) => [nameOf(tally), tally]));
  const stored = new Map((store ?? []).map((lane) => [nameOf(lane.key), lane]));
  const wanted = new Map<string, LaneKey>();
  const ofStore = store?.[0]?.key.device;
  for (const { device: of, epoch, lane } of tallies.values()) {
    if ((ofStore ?? device ?? of) === of && (device ?? of) === of)
      wanted.set(nameOf({ device: of, epoch, lane }), { device: of, epoch, lane });
  }
  for (const { key } of stored.values()) if ((device ?? key.device) === key.device) wanted.set(nameOf(key), key);
  const facts: LaneFacts[] = [];
  for (const [name, key] of wanted) facts.push(await factsOf(database, key, tallies.get(name), stored.get(name)));
  const untold = new Set(
    facts.filter(({ key, late }) => key.lane === 'audit' && late > 0).map(({ key }) => key.device),
  );
  return facts.map((lane) => verdictOf(lane, store === undefined && untold.has(lane.key.device)));
}

interface LaneFacts {
  readonly key: LaneKey;
  readonly tally: LaneTally | undefined;
  readonly appended: number;
  /** Neither in the database nor waiting on the device. */
  readonly gone: Ranges;
  readonly absent: number;
  readonly late: number;
  readonly declared: readonly Declared[];
}

async function factsOf(
  database: SinkDatabase,
  key: LaneKey,
  tally: LaneTally | undefined,
  stored: StoredLane | undefined,
): Promise<LaneFacts> {
  const told = tally?.told;
  const appended = Math.max(tally?.upto ?? 0, stored?.last ?? told?.last ?? 0);
  const absent = await database.absent(key, appended);
  const gone = without(absent, stored ? stored.waiting : waitingByState(told, appended));
  return {
    key,
    tally,
    appended,
    gone,
    absent: countOf(absent),
    late: countOf(absent) - countOf(gone),
    declared: [...(tally?.declared ?? []), ...(stored?.declared ?? [])],
  };
}

/** From the lowest that waited when it was said; and all that was given since. */
function waitingByState(told: LaneTally['told'], appended: number): Ranges {
  if (!told) return [];
  const first = told.depth > 0 ? told.first : told.last + 1;
  return first <= appended ? [[first, appended]] : [];
}

/** @param untold declarations of this device are still to come: what is gone may be among them */
function verdictOf({ key, tally, appended, gone, absent, late, declared }: LaneFacts, untold: boolean): LaneVerdict {
  const ranges = union(declared.map(([first, last]) => [first, last] as const));
  const undeclared = without(gone, ranges);
  const covered = countOf(gone) - countOf(undeclared);
  const dropped = Math.min(covered, givenUp(gone, declared));
  const missing = countOf(gone) - dropped;
  const lost = untold ? 0 : missing;
  return {
    ...key,
    appended,
    received: appended - absent,
    duplicates: tally?.duplicates ?? 0,
    late: late + (untold ? missing : 0),
    dropped,
    lost,
    rejected: tally?.rejected ?? 0,
    conflicts: tally?.conflicts ?? 0,
    lostRanges: lost > 0 ? undeclared.slice(0, mostNamed) : [],
  };
}

/** A declaration covers no more than it counts: a range may hold numbers that had gone another way before. */
function givenUp(gone: Ranges, declared: readonly Declared[]): number {
  const once = new Map(declared.map((entry) => [`${entry[0]} ${entry[1]}`, entry]));
  let sum = 0;
  for (const [first, last, count] of once.values()) {
    sum += Math.min(count, countOf(gone) - countOf(without(gone, [[first, last]])));
  }
  return sum;
}
