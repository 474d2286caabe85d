/**
 * Appends that wait for a Job: in the order of their arrival, but that alarms may be taken before the others.
 *
 *   push -> [ event | alarm | event … ] -> take(events at most)     -> takeAlarms
 */
import type { OutpostError } from '#agent/core/errors.ts';
import type { ClockQuality, Envelope } from '#agent/domain/envelope.ts';
import type { Event } from '#agent/domain/event.ts';

/** Somebody who asked for something, and is told what became of it. */
export interface Waiting<Request, Result> {
  readonly request: Request;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: OutpostError) => void;
}

/** Encoded when its Job is made: texts that waited would be copied by each collection of the nursery. */
export interface Append extends Waiting<readonly Event[], readonly Envelope[]> {
  /** When it arrived. */
  readonly clock: ClockQuality;
}

/** How many of its events are alarms. */
type Alarms = 'all' | 'some' | 'none';

interface Entry {
  readonly append: Append;
  readonly alarms: Alarms;
}

export class Backlog {
  #entries: Entry[] = [];
  #events = 0;
  /** Entries with alarms, by how many of their events are. */
  readonly #with = { all: 0, some: 0, none: 0 };

  /** Of all appends. */
  get events(): number {
    return this.#events;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  get hasAlarms(): boolean {
    return this.#with.all > 0 || this.#with.some > 0;
  }

  push(append: Append): void {
    const alarms = alarmsIn(append.request);
    this.#entries.push({ append, alarms });
    this.#events += append.request.length;
    this.#with[alarms] += 1;
  }

  /** The oldest, up to so many events; always one, however many it has. */
  take(mostEvents: number): Append[] {
    let events = 0;
    let count = 0;
    for (const { append } of this.#entries) {
      if (count > 0 && events + append.request.length > mostEvents) break;
      events += append.request.length;
      count += 1;
    }
    return this.#forget(this.#entries.splice(0, count));
  }

  /** Alarms alone, as far as every lane keeps its order: behind an append that mixes lanes they wait for their turn. */
  takeAlarms(mostEvents: number): Append[] {
    if (this.#with.some > 0) return this.take(mostEvents);
    const taken: Entry[] = [];
    const left: Entry[] = [];
    for (const entry of this.#entries) {
      (entry.alarms === 'all' && taken.length < mostEvents ? taken : left).push(entry);
    }
    this.#entries = left;
    return this.#forget(taken);
  }

  takeAll(): Append[] {
    return this.#forget(this.#entries.splice(0));
  }

  #forget(taken: readonly Entry[]): Append[] {
    for (const { append, alarms } of taken) {
      this.#events -= append.request.length;
      this.#with[alarms] -= 1;
    }
    return taken.map(({ append }) => append);
  }
}

function alarmsIn(events: readonly Event[]): Alarms {
  const isAlarm = ({ lane }: Event): boolean => lane === 'alarm';
  return events.every(isAlarm) ? 'all' : events.some(isAlarm) ? 'some' : 'none';
}
