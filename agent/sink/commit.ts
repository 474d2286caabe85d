/**
 * A round into the database, for ever until it is in: nothing is acknowledged before.
 *
 *   commit -- the database is gone, locked, full --> backoff, the same again
 *          -- one value can be stored nowhere ----> halves, until that one is found; it is set aside
 */
import { Backoff } from '#agent/core/backoff.ts';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { Random } from '#agent/core/random.ts';
import { type Committed, type Intake, type SinkDatabase, Unstorable } from './database.ts';
import { type ReceivedEvent, reject } from './received.ts';
import type { SinkStatus } from './status.ts';

export interface CommitOptions {
  readonly database: SinkDatabase;
  readonly status: SinkStatus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const backoffMs = { minMs: 50, maxMs: 10_000 };

/** @returns undefined when aborted before it was in */
export async function commitForCertain(
  intake: Intake,
  { database, status, clock, random, log }: CommitOptions,
  signal: AbortSignal,
): Promise<Committed | undefined> {
  const backoff = new Backoff(backoffMs, random);
  for (;;) {
    try {
      const committed = await commitParts(database, intake);
      if (backoff.failures > 0) log.info('The database takes events again.', { tries: backoff.failures });
      return committed;
    } catch (thrown) {
      const error = toOutpostError(thrown);
      if (status.databaseError?.code !== error.code) log.warn('The database takes no events; they wait.', { error });
      status.databaseError = error;
    }
    await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
    if (signal.aborted) return undefined;
  }
}

async function commitParts(database: SinkDatabase, intake: Intake): Promise<Committed> {
  try {
    return await database.commit(intake);
  } catch (thrown) {
    if (!(thrown instanceof Unstorable)) throw thrown;
    const { events, rejected, presences, downlinks = [] } = intake;
    if (downlinks.length > 0) {
      const rest = { events, rejected, presences };
      // what a sink only remembers is worth no round
      return events.length + rejected.length + presences.length > 0 ? await commitParts(database, rest) : nothing;
    }
    const [event] = events;
    if (events.length + rejected.length + presences.length > 1) {
      const [first, second] = halves(intake);
      return merged(await commitParts(database, first), await commitParts(database, second));
    }
    // A presence, or what is set aside already, says nothing that must be kept at any price.
    if (!event) return nothing;
    return await database.commit({ events: [], rejected: [aside(event, messageOf(thrown))], presences: [] });
  }
}

const nothing: Committed = { inserted: 0, duplicates: 0, conflicts: [], rejected: 0, chunks: 0, devices: new Set() };

function halves({ events, rejected, presences }: Intake): [Intake, Intake] {
  if (rejected.length + presences.length > 0 && events.length > 0) {
    return [
      { events, rejected: [], presences: [] },
      { events: [], rejected, presences },
    ];
  }
  const half = <T>(items: readonly T[]): [readonly T[], readonly T[]] => {
    const middle = Math.ceil(items.length / 2);
    return [items.slice(0, middle), items.slice(middle)];
  };
  const [e, r, p] = [half(events), half(rejected), half(presences)];
  // one of each kind: apart
  if (rejected.length === 1 && presences.length === 1) {
    return [
      { events: [], rejected, presences: [] },
      { events: [], rejected: [], presences },
    ];
  }
  return [
    { events: e[0], rejected: r[0], presences: p[0] },
    { events: e[1], rejected: r[1], presences: p[1] },
  ];
}

const merged = (a: Committed, b: Committed): Committed => ({
  inserted: a.inserted + b.inserted,
  duplicates: a.duplicates + b.duplicates,
  conflicts: [...a.conflicts, ...b.conflicts],
  rejected: a.rejected + b.rejected,
  chunks: a.chunks + b.chunks,
  devices: new Set([...a.devices, ...b.devices]),
});

function aside({ key, seq, type, data }: ReceivedEvent, reason: string): ReturnType<typeof reject> {
  const payload = Buffer.from(JSON.stringify({ ...key, seq: String(seq), type, data }));
  return reject({
    topic: `up/${key.lane}`,
    device: key.device,
    identity: { key, seq },
    reason: `the database cannot hold it: ${reason}`,
    payload,
  });
}
