/**
 * Sirens and strobes that go with an announcement. What is switched on is owed a switching off: on the disk before the
 * first byte, and tried until the device has said yes, also after a restart.
 *
 *   begin --owed--> file --start--> peripheral ... end --yes--> settled
 *                                                     \--no--> tried again, and a health entry
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { untilAborted } from '#agent/core/abort.ts';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, systemCode, toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import { Turns } from '#agent/core/turns.ts';
import type { AnnouncementConfig } from '#config/schema.ts';
import { z } from 'zod';

export type Effect = AnnouncementConfig['with'][number];

/** Carries an action out, within its deadline; how it ended, and why. */
export type Act = (
  peripheral: string,
  action: string,
  args: Readonly<Record<string, unknown>>,
) => Promise<{ readonly status: string; readonly reason?: string }>;

export interface EffectsOptions {
  readonly path: string;
  readonly act: Act;
  readonly clock: Clock;
  readonly health: Health;
  readonly log: Log;
}

const owedSchema = z.array(
  z.strictObject({ peripheral: z.string(), action: z.string(), args: z.record(z.string(), z.unknown()) }),
);
type Owed = z.infer<typeof owedSchema>[number];

const againAfterMs = 2_000;
/** A device may be gone for days. */
const mostWaitMs = 60_000;

export class Effects {
  readonly #options: EffectsOptions;
  readonly #owed = new Map<string, Owed>();
  /** Owed, but not yet due: their announcement goes on. */
  readonly #held = new Set<string>();
  readonly #writing = new Turns(1);

  constructor(options: EffectsOptions) {
    this.#options = options;
  }

  /** What an agent that ended too early owes. */
  async load(): Promise<void> {
    try {
      const read = owedSchema.parse(JSON.parse(await readFile(this.#options.path, 'utf8')));
      for (const owed of read) this.#owed.set(keyOf(owed), owed);
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return;
      this.#options.log.warn('What is owed to sirens and strobes cannot be read; look whether one is on.', {
        error: toOutpostError(thrown),
      });
    }
  }

  get owed(): number {
    return this.#owed.size;
  }

  /** Switches on, and does not wait for it: what is said is not to be late. */
  async begin(effects: readonly Effect[]): Promise<void> {
    if (effects.length === 0) return;
    for (const effect of effects) {
      const owed = owedOf(effect);
      this.#owed.set(keyOf(owed), owed);
      this.#held.add(keyOf(owed));
    }
    await this.#write();
    for (const { peripheral, start } of effects) void this.#start(peripheral, start);
  }

  /** Switches off; waits for it no longer than the limit, and leaves what does not succeed to `run`. */
  async end(effects: readonly Effect[], limitMs: number): Promise<void> {
    if (effects.length === 0) return;
    const { clock } = this.#options;
    const keys = effects.map((effect) => keyOf(owedOf(effect)));
    const settling = Promise.all(keys.map(async (key) => await this.#settle(key)));
    const done = new AbortController();
    // a command in the middle is not aborted: whether it was carried out would be in doubt
    await Promise.race([settling, clock.sleep(limitMs, done.signal).catch(() => undefined)]);
    done.abort();
    for (const key of keys) this.#held.delete(key);
    await this.#write();
  }

  /** A service: tries what is still owed, until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let waitMs = againAfterMs;
    while (!signal.aborted) {
      const due = [...this.#owed.keys()].filter((key) => !this.#held.has(key));
      waitMs = due.length === 0 ? againAfterMs : Math.min(waitMs * 2, mostWaitMs);
      await Promise.race([this.#settleAll(due), untilAborted(signal)]);
      await clock.sleep(due.length === 0 ? againAfterMs : waitMs / 2, signal).catch(() => undefined);
    }
  }

  async #settleAll(keys: readonly string[]): Promise<void> {
    for (const key of keys) if (!this.#held.has(key) && (await this.#settle(key))) await this.#write();
  }

  async #start(peripheral: string, { action, args }: Effect['start']): Promise<void> {
    const outcome = await this.#try(peripheral, action, args);
    if (outcome.status !== 'acknowledged')
      this.#options.log.warn('What goes with an announcement was not done.', { peripheral, action, ...outcome });
  }

  /** @returns whether the device has said yes */
  async #settle(key: string): Promise<boolean> {
    const owed = this.#owed.get(key);
    if (!owed) return false;
    const { peripheral, action, args } = owed;
    const outcome = await this.#try(peripheral, action, args);
    const subject = `peripheral/${peripheral}`;
    if (outcome.status === 'acknowledged') {
      // another announcement may have switched it on meanwhile, and owes it again
      if (this.#owed.get(key) === owed) this.#owed.delete(key);
      this.#options.health.clear('voice-effect', subject);
      return true;
    }
    this.#options.health.set('voice-effect', subject, `${action}: ${outcome.reason ?? outcome.status}`.slice(0, 200));
    return false;
  }

  async #try(...[peripheral, action, args]: Parameters<Act>): ReturnType<Act> {
    try {
      return await this.#options.act(peripheral, action, args);
    } catch (thrown) {
      return { status: 'unknown', reason: messageOf(thrown) };
    }
  }

  /** A disk that refuses does not keep anything on. */
  async #write(): Promise<void> {
    const { path, log } = this.#options;
    using _turn = await this.#writing.take();
    try {
      await writeFile(`${path}.new`, JSON.stringify([...this.#owed.values()]), { mode: 0o600, flush: true });
      await rename(`${path}.new`, path);
    } catch (thrown) {
      log.warn('What is owed to sirens and strobes cannot be written.', { error: toOutpostError(thrown) });
    }
  }
}

const keyOf = ({ peripheral, action, args }: Owed): string => JSON.stringify([peripheral, action, args]);
const owedOf = ({ peripheral, end: { action, args } }: Effect): Owed => ({ peripheral, action, args });
