/**
 * The end in order, before the battery is empty.
 *
 *   battery low, held -> alarm -> power supply: cut in N minutes, return with the mains -> the agent ends -> command
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Clock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { runProgram } from '#agent/core/run-program.ts';
import type { Service } from '#agent/core/supervisor.ts';
import type { Event } from '#agent/domain/event.ts';
import type { Reading, ReadingValue } from '#agent/domain/reading.ts';
import type { PowerConfig } from '#config/schema.ts';
import { due, onMains, type PowerState, type Reason, step } from './watch.ts';

export interface Ordered {
  readonly status: string;
  readonly reason?: string;
}

export interface PowerOptions {
  readonly config: PowerConfig;
  /** Of the power supply. */
  readonly driver: string;
  /** Remembers that the cut was ordered, for an agent that is started again before it comes. */
  readonly path: string;
  readonly clock: Clock;
  readonly health: Health;
  readonly log: Log;
  readonly emit: (events: readonly Event[]) => void;
  /** A property asked of the power supply now; undefined: it does not say. */
  readonly read: (property: string) => Promise<ReadingValue | undefined>;
  /** Action `shutdown` of the power supply. */
  readonly order: (args: { readonly delayMinutes: number; readonly returnMinutes: number }) => Promise<Ordered>;
  /** Tells the agent to end. */
  readonly end: () => void;
  /** Different after each start of the machine; default: the kernel's. */
  readonly bootId?: () => Promise<string>;
}

export type PowerPhase = 'mains' | 'battery' | 'ordering' | 'ordered' | 'ending';

const tickMs = 1_000;
const mostTries = 3;
const againAfterMs = 2_000;

export class Power {
  readonly #options: PowerOptions;
  #state: PowerState = onMains;
  #phase: PowerPhase = 'mains';
  /** Also an agent before this one may have written it. */
  #mayRemember = true;

  constructor(options: PowerOptions) {
    this.#options = options;
  }

  get phase(): PowerPhase {
    return this.#phase;
  }

  onReading(reading: Reading): void {
    if (reading.peripheral !== this.#options.config.ups) return;
    const before = this.#state;
    this.#state = step(before, reading);
    if (this.#state.onBatterySinceMs !== undefined && this.#phase === 'mains') this.#phase = 'battery';
    // also the first word after a start: what was ordered before this failure is over
    if (reading.property === 'onBattery' && reading.value === false && reading.quality !== 'bad') this.#onMains();
  }

  services(): readonly Service[] {
    if (this.#options.config.ups === undefined) return [];
    return [{ name: 'power', run: async (signal) => await this.#run(signal) }];
  }

  /** The last thing of an agent that ends for want of power; nothing for any other. */
  async finish(): Promise<void> {
    const { config, clock, log } = this.#options;
    if (this.#phase !== 'ending' || config.command.length === 0) return;
    log.warn('The machine is shut down.', { command: config.command });
    const ran = await runProgram(config.command, {
      clock,
      limitMs: config.commandLimit,
      signal: new AbortController().signal,
    });
    if (ran.is === 'exited' && ran.code === 0) log.info('The command that shuts the machine down has ended.');
    else log.error('The command that shuts the machine down failed.', { command: config.command, ...ran });
  }

  #onMains(): void {
    if (this.#phase === 'ordering' || this.#phase === 'ending') return;
    if (this.#phase === 'ordered') {
      this.#options.health.clear('power-ending', subject);
      this.#options.health.clear('power-unordered', subject);
    }
    this.#phase = 'mains';
    if (!this.#mayRemember) return;
    this.#mayRemember = false;
    void rm(this.#options.path, { force: true }).catch(() => undefined);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { config, clock } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(tickMs, signal).catch(() => undefined);
      const reason = this.#phase === 'battery' ? due(this.#state, config, clock.monoMs()) : undefined;
      if (reason !== undefined && !signal.aborted) await this.#proceed(reason, signal);
    }
  }

  async #proceed(reason: Reason, signal: AbortSignal): Promise<void> {
    const { config, log, health } = this.#options;
    this.#phase = 'ordering';
    if (await this.#isOrdered()) {
      log.warn('The power supply was told to cut its output already.', { reason });
      this.#phase = 'ordered';
      return;
    }
    log.warn('The battery ends.', { reason, cut: config.cut, command: config.command });
    health.set(
      'power-ending',
      subject,
      reason === 'low-battery' ? 'The battery is low.' : 'The mains have failed for long.',
    );
    this.#tell('shutdown', { reason, cut: config.cut, delayMs: config.delay, returnMs: config.return });
    const isCut = config.cut && (await this.#order(signal));
    if (!isCut && config.command.length === 0) {
      // nothing would follow: whoever looks at the device still can
      this.#phase = 'ordered';
      return;
    }
    this.#phase = 'ending';
    this.#options.end();
  }

  /** Told before the agent ends, while there is a line to it: the delay is for the end. @returns whether it will cut */
  async #order(signal: AbortSignal): Promise<boolean> {
    const { config, clock, health, log, order } = this.#options;
    const args = { delayMinutes: config.delay / minuteMs, returnMinutes: config.return / minuteMs };
    let ordered: Ordered = { status: 'rejected' };
    for (let tries = 0; tries < mostTries && !signal.aborted; tries += 1) {
      if (tries > 0) await clock.sleep(againAfterMs, signal).catch(() => undefined);
      ordered = await order(args);
      if (ordered.status === 'acknowledged') {
        log.warn('The power supply cuts its output.', args);
        await this.#remember();
        return true;
      }
      if (ordered.status === 'unknown') break;
    }
    const detail = `${ordered.status}: ${ordered.reason ?? 'no reason'}`.slice(0, 200);
    log.error('The power supply was not told to cut its output.', { ...ordered });
    health.set('power-unordered', subject, detail);
    this.#tell('shutdown-unordered', { status: ordered.status });
    return false;
  }

  /** An order given again would begin its delay anew, for ever if the agent is started again each time. */
  async #isOrdered(): Promise<boolean> {
    const { read, path } = this.#options;
    if ((await read('shutdownPending').catch(() => undefined)) === true) return true;
    const remembered = await readFile(path, 'utf8').catch(() => '');
    return remembered !== '' && remembered === (await this.#bootId());
  }

  async #remember(): Promise<void> {
    const { path, log } = this.#options;
    this.#mayRemember = true;
    try {
      await writeFile(`${path}.new`, await this.#bootId(), { mode: 0o600, flush: true });
      await rename(`${path}.new`, path);
    } catch (thrown) {
      log.warn('That the cut was ordered cannot be written.', { error: toOutpostError(thrown) });
    }
  }

  async #bootId(): Promise<string> {
    const { bootId = async () => await readFile('/proc/sys/kernel/random/boot_id', 'utf8') } = this.#options;
    return (await bootId()).trim();
  }

  #tell(event: string, data: Readonly<Record<string, unknown>>): void {
    const { config, driver, clock, emit } = this.#options;
    const peripheral = config.ups ?? '';
    emit([
      {
        kind: 'peripheral',
        lane: 'alarm',
        subject: `peripheral/${peripheral}`,
        wallMs: clock.wallMs(),
        monoMs: clock.monoMs(),
        data: { peripheral, driver, condition: 'told', event, data: { ...data } },
      },
    ]);
  }
}

const subject = 'power';
const minuteMs = 60_000;
