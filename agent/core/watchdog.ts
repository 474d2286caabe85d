/**
 * Tells the service manager that we are ready, how we are, and that we live: the last only while every organ answers.
 *
 *   organs --silentMs--> Watchdog.beat --all answer--> WATCHDOG=1
 *                                      --one is silent--> nothing, and why in the log: we are to be started anew
 *
 * A beat is a turn of the event loop: a loop that is blocked feeds nobody.
 */
import { untilAborted } from './abort.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { ServiceManager } from './notify.ts';
import type { Service } from './supervisor.ts';

/** A part without which the agent is of no use, and which a new start mends. */
export interface Organ {
  readonly name: string;
  /** How long it has owed an answer; undefined: it is not supposed to run now. */
  silentMs(): number | undefined;
  /** Longer than this is dead; absent: the watchdog's own period. */
  readonly limitMs?: number;
  /** Asked at each beat, so that there is something to answer. */
  ask?(): void;
}

export interface WatchdogOptions {
  readonly manager: ServiceManager;
  readonly organs: readonly Organ[];
  /** True once the agent does what it is for; asked until then. */
  readonly isReady: () => Promise<boolean>;
  /** One line for `systemctl status`. */
  readonly status: () => string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Beats in one period of the watchdog: three may come late. */
const beatsAPeriod = 4;
/** Without a watchdog: how often the status is told. */
const statusEveryMs = 5_000;
/** Until we are ready. */
const readyEveryMs = 50;

export const watchdogService = (options: WatchdogOptions): Service => ({
  name: 'watchdog',
  run: async (signal) => await new Watchdog(options).run(signal),
});

class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #everyMs: number;
  #silent = '';
  #told = '';
  #refused: string | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    const { watchdogMs } = options.manager;
    this.#everyMs = watchdogMs === undefined ? statusEveryMs : watchdogMs / beatsAPeriod;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const becoming = this.#becomeReady(signal);
    let expectedMs = clock.monoMs();
    while (!signal.aborted) {
      this.#beat(clock.monoMs() - expectedMs);
      expectedMs = clock.monoMs() + this.#everyMs;
      await clock.sleep(this.#everyMs, signal).catch(() => undefined);
    }
    await becoming;
    this.#tell({ STOPPING: 1, STATUS: 'Ends: what waits is written.' });
  }

  async #becomeReady(signal: AbortSignal): Promise<void> {
    const { clock, isReady, log, status } = this.#options;
    while (!signal.aborted) {
      if ((await isReady()) && this.#tell({ READY: 1, STATUS: status() })) {
        log.info('The service manager was told that the agent is ready.');
        return;
      }
      await clock.sleep(readyEveryMs, signal).catch(() => undefined);
    }
  }

  #beat(lateMs: number): void {
    const { organs, log, manager, status } = this.#options;
    const limitMs = manager.watchdogMs ?? Number.POSITIVE_INFINITY;
    if (lateMs > limitMs / 2) log.warn('The event loop was blocked.', { blockedMs: Math.round(lateMs) });
    for (const organ of organs) organ.ask?.();
    const silent = organs
      .filter((organ) => (organ.silentMs() ?? 0) > Math.max(organ.limitMs ?? 0, limitMs))
      .map((organ) => ({ name: organ.name, silentMs: Math.round(organ.silentMs() ?? 0) }));
    const names = silent.map(({ name }) => name).join(', ');
    if (names !== this.#silent) this.#sayWho(names, silent);
    const text = names === '' ? status() : `Silent: ${names}. The watchdog is not fed.`;
    const state = text === this.#told ? {} : { STATUS: text };
    const isFed = manager.watchdogMs !== undefined && names === '';
    if ('STATUS' in state || isFed) {
      if (this.#tell({ ...state, ...(isFed ? { WATCHDOG: 1 } : {}) })) this.#told = text;
    }
  }

  #sayWho(names: string, silent: readonly { readonly name: string; readonly silentMs: number }[]): void {
    this.#silent = names;
    if (names === '') this.#options.log.info('All parts answer again: the watchdog is fed.');
    else this.#options.log.error('A part does not answer: the watchdog is fed no more.', { silent });
  }

  #tell(lines: Readonly<Record<string, string | number>>): boolean {
    const refused = this.#options.manager.tell(lines);
    if (refused !== undefined && refused !== this.#refused) {
      this.#options.log.warn('The service manager does not take what it is told.', { why: refused });
    }
    this.#refused = refused;
    return refused === undefined;
  }
}

/** Where no service manager listens. */
export const unwatched: Service = { name: 'watchdog', run: untilAborted };
