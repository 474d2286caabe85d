/**
 * Bookkeeping of a store: what its producers were told against what is there.
 *
 *   taken:   (epoch, lane, seq) -> marker        refused: markers        late: taken, and told too late to count
 *   store -> waiting, declared -> lost, wrong, gaps, lateLost
 */
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import type { Lane } from '#agent/domain/lane.ts';
import { openTestOutbox, type StoredEvent, waiting, waitingEverywhere } from '#agent/outbox/test-rig.ts';
import { eventually } from '#agent/testing/eventually.ts';
import type { Outcome } from './fault.ts';

export class Account {
  readonly taken = new Map<string, string>();
  readonly refused = new Set<string>();
  readonly codes = new Map<string, number>();
  readonly late = new Map<string, string>();
  readonly #toldNs = new Map<string, bigint>();

  /** @param toldNs when the producer was told, of CLOCK_MONOTONIC; 0n: unknown */
  took(epoch: string, lane: string, seq: string | number | bigint, marker: string, toldNs = 0n): void {
    const number = `${epoch} ${lane} ${seq}`;
    this.taken.set(number, marker);
    this.#toldNs.set(number, toldNs);
  }

  /** The machine was gone from this moment on: what was told later is no promise, and nothing was refused. */
  endAt(ns: bigint): void {
    for (const [number, marker] of this.taken) {
      if ((this.#toldNs.get(number) ?? 0n) < ns) continue;
      this.taken.delete(number);
      this.late.set(number, marker);
    }
    this.refused.clear();
  }

  refuse(code: string, marker: string): void {
    this.refused.add(marker);
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  get codesText(): string {
    return [...this.codes].map(([code, count]) => `${code} ${count}`).join(', ');
  }
}

export interface Checked {
  readonly lost: readonly string[];
  readonly wrong: readonly string[];
  /** Numbers below the last that are neither there nor declared. */
  readonly gaps: readonly string[];
  readonly declared: number;
  /** Told too late to count, and not there. */
  readonly lateLost: number;
  readonly startMs: number;
  readonly epoch: string;
}

export interface CheckOptions {
  readonly bootId?: string;
  /** A damaged store is salvaged while another serves, as a large one is. */
  readonly isLarge?: boolean;
}

/** Opens the store as the next start of the agent would, and compares. Nothing was acknowledged to upstream before. */
export async function checkStore(path: string, account: Account, options: CheckOptions = {}): Promise<Checked> {
  const before = systemClock.monoMs();
  const { bootId = 'boot-1', isLarge = false } = options;
  const host = { bootId, machineId: 'machine-1', clockQuality: () => 'synced' as const };
  const health = new Health(systemClock);
  const isSalvaging = (): boolean => health.entries().some(({ code }) => code === 'outbox-salvaging');
  await using outbox = await openTestOutbox(path, { host, health, ...(isLarge ? { salvageFirstBytes: 0 } : {}) });
  const [fresh] = await outbox.append([
    { ...probe, data: { incident: 'probe', condition: 'black' as const, durationMs: 0 } },
  ]);
  const startMs = systemClock.monoMs() - before;
  await eventually(() => !isSalvaging(), 'what was damaged is taken over');
  const first = await waitingEverywhere(outbox);
  // Damage that was found while the lower lanes were read is declared by now.
  const events = [...first.filter(({ lane }) => lane !== 'audit'), ...(await waiting(outbox, 'audit'))];
  const number = `${outbox.epoch} event ${fresh?.seq}`;
  const compared = compare(events, account);
  const reused = account.taken.has(number) ? [`${number}: given twice`] : [];
  return { ...compared, wrong: [...compared.wrong, ...reused], startMs, epoch: outbox.epoch };
}

const probe = {
  kind: 'camera',
  phase: 'start',
  lane: 'event',
  subject: 'camera/probe',
  wallMs: 0,
  monoMs: 0,
} as const;

const markerOf = ({ data }: StoredEvent): string => (typeof data['incident'] === 'string' ? data['incident'] : '');

export function compare(events: readonly StoredEvent[], account: Account): Omit<Checked, 'startMs' | 'epoch'> {
  const there = new Map(events.map((event) => [`${event.epoch} ${event.lane} ${event.seq}`, markerOf(event)]));
  const gone = declaredOf(events);
  const lost: string[] = [];
  const wrong: string[] = [];
  for (const [number, marker] of account.taken) {
    const found = there.get(number);
    if (found === undefined) {
      if (!gone.has(number)) lost.push(number);
    } else if (found !== marker) wrong.push(`${number}: ${found} instead of ${marker}`);
  }
  const seen = new Set<string>();
  for (const event of events) {
    const marker = markerOf(event);
    if (event.type === 'outpost.dropped' || marker === 'probe') continue;
    if (account.refused.has(marker)) wrong.push(`${marker}: refused, and there`);
    if (seen.has(marker)) wrong.push(`${marker}: there twice`);
    seen.add(marker);
  }
  const lateLost = [...account.late.keys()].filter((number) => !there.has(number) && !gone.has(number)).length;
  return { lost, wrong, gaps: gapsOf(there, gone), declared: gone.size, lateLost };
}

function declaredOf(events: readonly StoredEvent[]): Set<string> {
  const gone = new Set<string>();
  for (const { type, epoch, data } of events) {
    if (type !== 'outpost.dropped') continue;
    const [first, last] = [Number(data['first']), Number(data['last'])];
    for (let seq = first; seq <= last; seq += 1) {
      gone.add(`${(data['epoch'] as string | undefined) ?? epoch} ${data['lane'] as Lane} ${seq}`);
    }
  }
  return gone;
}

function gapsOf(there: ReadonlyMap<string, string>, gone: ReadonlySet<string>): string[] {
  const last = new Map<string, number>();
  for (const number of [...there.keys(), ...gone]) {
    const [epoch, lane, seq] = number.split(' ');
    const key = `${epoch} ${lane}`;
    last.set(key, Math.max(last.get(key) ?? 0, Number(seq)));
  }
  const gaps: string[] = [];
  for (const [key, end] of last) {
    for (let seq = 1; seq <= end; seq += 1) {
      const number = `${key} ${seq}`;
      if (!there.has(number) && !gone.has(number)) gaps.push(number);
    }
  }
  return gaps;
}

/** Many runs as one row. */
export class Tally {
  #runs = 0;
  #lost = 0;
  #wrong = 0;
  #declared = 0;
  #late = 0;
  #lateLost = 0;
  #worstStartMs = 0;
  #acknowledged = 0;
  readonly notes: string[] = [];

  add(checked: Checked, acknowledged: number, late = 0): void {
    this.#runs += 1;
    this.#late += late;
    this.#lateLost += checked.lateLost;
    this.#acknowledged += acknowledged;
    this.#lost += checked.lost.length;
    this.#wrong += checked.wrong.length + checked.gaps.length;
    this.#declared += checked.declared;
    this.#worstStartMs = Math.max(this.#worstStartMs, checked.startMs);
    for (const [what, list] of Object.entries({ lost: checked.lost, wrong: checked.wrong, gaps: checked.gaps })) {
      if (list.length > 0 && this.notes.length < 20)
        this.notes.push(`run ${this.#runs}: ${what} ${list.slice(0, 3).join('; ')}`);
    }
  }

  outcome(): Outcome {
    return {
      runs: this.#runs,
      acknowledged: this.#acknowledged,
      lost: this.#lost,
      wrong: this.#wrong,
      declared: this.#declared,
      worstStartMs: Math.round(this.#worstStartMs),
      notes: [
        ...this.notes,
        ...(this.#late > 0
          ? [`told while or after it happened: ${this.#late}, of them not there: ${this.#lateLost}`]
          : []),
      ],
    };
  }
}
