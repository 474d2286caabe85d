/**
 * Sentences of one moment made into one fix.
 *
 *   RMC 12:00:00 · GGA 12:00:00 · GSA · GSV --next time--> Fix 12:00:00
 *
 * Sentences without a time belong to the one with a time before them. A fix is told when the next time begins; while
 * a receiver keeps to one order, already at the sentence that ended the moment before (`live`). The first moment of a live
 * line was joined in its middle, and is not told.
 */
import type { Sentence } from './codec.ts';
import { type fixModes, fixQualities } from './manifest.ts';
import { type CivilDate, type Place, type Statement, statementOf } from './sentences.ts';

export interface Fix {
  /** Milliseconds since 1970, UTC; undefined until a date was heard. */
  readonly timeMs: number | undefined;
  readonly mode: (typeof fixModes)[number];
  readonly quality: (typeof fixQualities)[number] | undefined;
  readonly place: Place | undefined;
  readonly altitude: number | undefined;
  /** m/s */
  readonly speed: number | undefined;
  readonly course: number | undefined;
  readonly satellitesUsed: number;
  readonly satellitesInView: number | undefined;
  readonly hdop: number | undefined;
}

interface Moment {
  timeOfDayMs: number;
  date?: CivilDate;
  /** By formatter, the newest. */
  readonly said: Map<string, Statement>;
  readonly used: Set<string>;
  gsaMode?: number;
  last: string;
}

const dayMs = 86_400_000;

export class Fixes {
  readonly #live: boolean;
  readonly #inView = new Map<string, Set<string>>();
  #moment: Moment | undefined;
  /** Midnight of the newest date that was heard, and the time of day that followed it. */
  #dayMs: number | undefined;
  #lastTimeMs: number | undefined;
  #enders: readonly string[] = [];

  constructor({ live = false }: { readonly live?: boolean } = {}) {
    this.#live = live;
  }

  /** @returns the fix that this sentence completes, or shows to be complete */
  push(sentence: Sentence): Fix | undefined {
    const statement = statementOf(sentence);
    if (!statement) return undefined;
    const { timeOfDayMs } = statement;
    let fix: Fix | undefined;
    if (timeOfDayMs !== undefined && timeOfDayMs !== this.#moment?.timeOfDayMs) {
      fix = this.#finish();
      this.#moment = { timeOfDayMs, said: new Map(), used: new Set(), last: sentence.formatter };
    }
    const moment = this.#moment;
    if (!moment) return fix;
    moment.last = sentence.formatter;
    this.#take(moment, sentence.formatter, statement);
    return fix ?? (this.#live && this.#endsEarly(moment) ? this.#finish() : undefined);
  }

  /** The end of a recording. */
  end(): Fix | undefined {
    return this.#finish();
  }

  #take(moment: Moment, formatter: string, statement: Statement): void {
    const { gsa, gsv, date } = statement;
    if (date) moment.date = date;
    if (gsa) {
      moment.gsaMode = Math.max(moment.gsaMode ?? 0, gsa.mode);
      for (const id of gsa.used) moment.used.add(`${gsa.system} ${id}`);
    }
    if (gsv) {
      const known = gsv.part === 1 ? undefined : this.#inView.get(gsv.system);
      this.#inView.set(gsv.system, new Set([...(known ?? []), ...gsv.inView]));
    }
    moment.said.set(formatter, statement);
  }

  /** The same sentence ended the last two moments. */
  #endsEarly(moment: Moment): boolean {
    const [a, b] = this.#enders;
    return a !== undefined && a === b && a === moment.last;
  }

  #finish(): Fix | undefined {
    const moment = this.#moment;
    if (!moment || moment.said.size === 0) return undefined;
    const isFirst = this.#enders.length === 0;
    this.#enders = [...this.#enders, moment.last].slice(-2);
    const fix = this.#live && isFirst ? undefined : this.#fixOf(moment);
    // what follows with the same time has had its fix
    moment.said.clear();
    return fix;
  }

  #fixOf(moment: Moment): Fix | undefined {
    const statements = [...moment.said.values()];
    if (statements.every(({ valid, gsa }) => valid === undefined && gsa === undefined)) return undefined;
    const pick = <K extends keyof Statement>(key: K): Statement[K] | undefined =>
      preferred.map((name) => moment.said.get(name)?.[key]).find((value) => value !== undefined);
    const isValid = statements.some(({ valid }) => valid === true) && pick('quality') !== 0;
    const place = isValid ? pick('place') : undefined;
    const quality = pick('quality');
    return {
      timeMs: this.#timeOf(moment),
      mode: place ? modeOf(moment.gsaMode, pick('altitude')) : 'none',
      quality: quality === undefined ? undefined : fixQualities[quality],
      place,
      altitude: isValid ? pick('altitude') : undefined,
      speed: isValid ? pick('speed') : undefined,
      course: isValid ? pick('course') : undefined,
      satellitesUsed: moment.used.size > 0 ? moment.used.size : (pick('satellites') ?? 0),
      satellitesInView:
        this.#inView.size === 0 ? undefined : [...this.#inView.values()].reduce((sum, { size }) => sum + size, 0),
      hdop: pick('hdop'),
    };
  }

  /** A date is said by RMC and ZDA alone; between them midnight may pass. */
  #timeOf({ date, timeOfDayMs }: Moment): number | undefined {
    if (date) this.#dayMs = Date.UTC(date.year, date.month - 1, date.day);
    else if (this.#dayMs !== undefined && this.#lastTimeMs !== undefined && timeOfDayMs < this.#lastTimeMs - dayMs / 2)
      this.#dayMs += dayMs;
    this.#lastTimeMs = timeOfDayMs;
    return this.#dayMs === undefined ? undefined : this.#dayMs + timeOfDayMs;
  }
}

/** Of sentences that say the same, the one with most digits first. */
const preferred = ['GGA', 'GNS', 'RMC', 'VTG', 'GLL', 'GSA'];

function modeOf(gsaMode: number | undefined, altitude: number | undefined): Fix['mode'] {
  if (gsaMode === 1) return 'none';
  if (gsaMode !== undefined) return gsaMode === 2 ? '2d' : '3d';
  return altitude === undefined ? '2d' : '3d';
}
