/** A reader of identity cards. What stands on a card is told once, as a personal event, and kept nowhere. */
import { Turns } from '#agent/core/turns.ts';
import type { Driver, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import { outcomeOf } from '../link.ts';
import { readCard } from './card.ts';
import { type Command, deviceCodec, hostCodec, type Response } from './codec.ts';
import { manifest, type moduleStates, options, type Options } from './manifest.ts';
import { sdtSimulator } from './simulator.ts';
import {
  find,
  fits,
  isDone,
  moduleNumber,
  moduleNumberText,
  moduleState,
  read,
  select,
  statusText,
  type Step,
} from './steps.ts';

type Context = OpenContext<Options, Response, Command>;

export const driver: Driver<Options, Response, Command> = {
  name: 'sdt-id-reader',
  options,
  example: {},
  manifest,
  protocol: () => ({ host: hostCodec, device: deviceCodec }),
  open: (context) => peripheral(context),
  simulator: () => sdtSimulator(),
  // any data may be a person's
  // of a state, an answer does not say that it is one
  decoder:
    ({ photo }) =>
    (response) => {
      const card = response && isDone(read, response) ? readCard(response.data, photo) : undefined;
      return card ? [{ is: 'event', event: 'card', data: card }] : [];
    },
  show: ({ status, data }) => ({ status: status.toString(16), means: statusText(status), bytes: data.length }),
};

/** The module takes a second or two with a card. */
const readMs = 5_000;
const stateEveryMs = 30_000;

function peripheral({ link, options: { reading, photo, pollEvery }, clock }: Context): Peripheral {
  const turns = new Turns(1);
  const desk = new Desk(reading === 'always');

  /** @returns undefined when it did not answer @throws when the connection is over */
  const ask = async (step: Step, signal: AbortSignal): Promise<Response | undefined> => {
    const expected = {
      matches: (response: Response) => fits(step, response),
      ...(step === read ? { answerMs: readMs } : {}),
    };
    const answer = await link.request(step.ask, expected, signal);
    if (answer.is === 'lost') throw answer.error;
    return answer.is === 'answered' ? answer.message : undefined;
  };

  const state = async (signal: AbortSignal): Promise<readonly Observation[]> => {
    const response = await ask(moduleState, signal);
    return response ? [{ is: 'reading', property: 'state', value: stateOf(response) }] : [];
  };

  const look = async (signal: AbortSignal): Promise<readonly Observation[]> => {
    // find, select and read belong together
    using _turn = await turns.take();
    const found = await ask(find, signal);
    if (!found) return [];
    if (!isDone(find, found)) return desk.isEmpty();
    if (!desk.isNew()) return [];
    for (const step of [select, read]) {
      const response = await ask(step, signal);
      const name = step === select ? 'select' : 'read';
      if (!response || !isDone(step, response)) return desk.failed(name, response?.status);
      const card = step === read ? readCard(response.data, photo) : undefined;
      if (card) return desk.wasRead(card);
    }
    return desk.failed('read', undefined);
  };

  return {
    async identify(signal) {
      const response = await ask(moduleNumber, signal).catch(() => undefined);
      signal.throwIfAborted();
      if (!response || !isDone(moduleNumber, response)) return undefined;
      return { model: 'SAM_A identity card module', serial: moduleNumberText(response.data) };
    },

    async *observe(signal) {
      let askedAtMs = -Infinity;
      while (link.isOpen) {
        if (clock.monoMs() - askedAtMs >= stateEveryMs) {
          askedAtMs = clock.monoMs();
          yield* await state(signal);
        }
        yield* desk.changes(clock.monoMs());
        if (desk.isWatched) yield* await look(signal);
        // a late answer may hold a person's data: it is nobody's, and is not kept
        for (const _late of link.unread());
        await clock.sleep(pollEvery, signal);
      }
    },

    async read(property, signal) {
      using _turn = await turns.take();
      if (property === 'state') return await state(signal);
      return property === 'waiting' ? [desk.waiting()] : [];
    },

    async perform(action, args, signal): Promise<Outcome> {
      using _turn = await turns.take();
      signal.throwIfAborted();
      const expected = { matches: (response: Response) => fits(moduleState, response) };
      const answer = await link.request(moduleState.ask, expected, signal);
      const outcome = outcomeOf(
        answer,
        (response) => isDone(moduleState, response) || `${statusText(response.status)}.`,
      );
      if (outcome.status !== 'acknowledged') return outcome;
      if (action === 'awaitCard') desk.waitUntil(clock.monoMs() + (args['seconds'] as number) * 1_000);
      else desk.waitNoMore();
      return outcome;
    },
  };
}

const stateOf = (response: Response): (typeof moduleStates)[number] => {
  if (isDone(moduleState, response)) return 'ready';
  return response.status === 0x60 ? 'self-test-failed' : response.status === 0x66 ? 'not-authorised' : 'failing';
};

/** Whether a card is awaited, and whether the one that lies there was seen before. */
class Desk {
  readonly #isAlways: boolean;
  #untilMs = -Infinity;
  /** One that was read has to go before another counts: it may be forgotten, and the next citizen is another. */
  #mustGo = false;
  #told: boolean | undefined;
  #failure: string | undefined;

  constructor(isAlways: boolean) {
    this.#isAlways = isAlways;
  }

  get #isWaiting(): boolean {
    return this.#isAlways || this.#untilMs > -Infinity;
  }

  /** Whether to look for a card: for one to come, or for one to go. */
  get isWatched(): boolean {
    return this.#isWaiting || this.#mustGo;
  }

  waitUntil(ms: number): void {
    this.#untilMs = ms;
  }

  waitNoMore(): void {
    this.#untilMs = -Infinity;
  }

  waiting(): Observation {
    return { is: 'reading', property: 'waiting', value: this.#isWaiting };
  }

  /** What time does, and what is new since it was told. */
  changes(nowMs: number): readonly Observation[] {
    const isLate = this.#untilMs > -Infinity && nowMs >= this.#untilMs;
    if (isLate) this.waitNoMore();
    const isNews = this.#told !== this.#isWaiting;
    this.#told = this.#isWaiting;
    return [
      ...(isLate && !this.#isAlways ? [{ is: 'event', event: 'timeUp', data: {} } as const] : []),
      ...(isNews ? [this.waiting()] : []),
    ];
  }

  isEmpty(): readonly Observation[] {
    this.#mustGo = false;
    this.#failure = undefined;
    return [];
  }

  isNew(): boolean {
    return !this.#mustGo && this.#isWaiting;
  }

  wasRead(card: Readonly<Record<string, unknown>>): readonly Observation[] {
    this.#mustGo = true;
    this.waitNoMore();
    return [{ is: 'event', event: 'card', data: card }];
  }

  /** Told once for each card and reason: it is tried again as long as it lies there. */
  failed(step: 'select' | 'read', status: number | undefined): readonly Observation[] {
    const reason = status === undefined ? 'the module gave no answer that counts' : statusText(status);
    if (this.#failure === `${step} ${reason}`) return [];
    this.#failure = `${step} ${reason}`;
    return [{ is: 'event', event: 'failed', data: { step, reason } }];
  }
}
