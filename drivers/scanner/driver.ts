/** A scanner: what it sees becomes readings and events, once each, and a question now and then shows that it is there. */
import { onAbort } from '#agent/core/abort.ts';
import type { Driver, Observation, OpenContext, Peripheral } from '../driver.ts';
import { deviceCodec, type FromDevice, hostCodec, type ToDevice } from './codec.ts';
import { parseGs1, separator } from './gs1.ts';
import { type Code, manifest, options, type Options } from './manifest.ts';
import { scannerSimulator } from './simulator.ts';
import { identified } from './symbology.ts';

type Context = OpenContext<Options, FromDevice, ToDevice>;

export const driver: Driver<Options, FromDevice, ToDevice> = {
  name: 'scanner',
  options,
  example: {},
  manifest,
  protocol: (chosen) => ({ host: () => hostCodec(chosen), device: () => deviceCodec(chosen) }),
  open: (context) => new Scanner(context),
  simulator: scannerSimulator,
  show: (message) => (message.is === 'line' ? { is: 'line', length: message.bytes.length } : message),
  decoder: (chosen) => (message) =>
    message?.is === 'line'
      ? [{ is: 'reading', property: 'code', value: codeOf(message.bytes, chosen, endOfTable).text }]
      : [],
};

/** A recording has no year; only the text is taken of it. */
const endOfTable = 2_000;

/** The settings of Code 11: a question that every Newland scanner answers, and that changes nothing. */
const question: ToDevice = { is: 'query', text: '@C11*' };
const isAnswer = ({ is }: FromDevice): boolean => is === 'answer';

class Scanner implements Peripheral {
  readonly #context: Context;
  readonly #decide: (bytes: Uint8Array) => boolean;
  #scans = 0;
  #repeats = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#decide = repeatFilter(context.options.repeatAfter, () => context.clock.monoMs());
  }

  async identify(signal: AbortSignal): Promise<{ model: string; maker?: string } | undefined> {
    const { link, options: chosen } = this.#context;
    if (chosen.scanner === 'unasked') return { model: 'code scanner, taken on trust' };
    const answer = await link.request(question, { matches: isAnswer }, signal);
    return answer.is === 'answered' ? { model: 'code scanner', maker: 'Newland' } : undefined;
  }

  async *observe(signal: AbortSignal): AsyncGenerator<Observation, void, undefined> {
    const stop = new AbortController();
    using _listening = onAbort(signal, () => stop.abort(signal.reason));
    const asking = this.#keepAsking(stop.signal);
    try {
      yield* this.#counts();
      for await (const message of this.#context.link.messages(stop.signal))
        if (message.is === 'line') yield* this.#seen(message.bytes);
    } finally {
      stop.abort();
      await asking;
    }
  }

  /** Its answers count as signs of life; without them the device is lost. */
  async #keepAsking(signal: AbortSignal): Promise<void> {
    const { link, clock, options: chosen } = this.#context;
    if (chosen.scanner === 'unasked') return;
    try {
      while (link.isOpen) {
        await clock.sleep(chosen.askEvery, signal);
        await link.request(question, { matches: isAnswer }, signal);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  *#seen(bytes: Uint8Array): Generator<Observation> {
    const { options: chosen, clock } = this.#context;
    this.#scans += 1;
    if (this.#decide(bytes)) {
      const code = codeOf(bytes, chosen, new Date(clock.wallMs()).getUTCFullYear());
      const quality = code.text.includes('\ufffd') || code.gs1Error !== undefined ? 'uncertain' : 'good';
      yield { is: 'reading', property: 'code', value: code.text, quality };
      yield { is: 'event', event: 'scanned', data: { ...code } };
    } else this.#repeats += 1;
    yield* this.#counts();
  }

  *#counts(): Generator<Observation> {
    yield { is: 'reading', property: 'scans', value: this.#scans };
    yield { is: 'reading', property: 'repeats', value: this.#repeats };
  }
}

/** @returns whether a code is a new one; the time runs anew as long as the same is seen */
export function repeatFilter(withinMs: number, nowMs: () => number): (bytes: Uint8Array) => boolean {
  let last: { readonly bytes: Uint8Array; readonly atMs: number } | undefined;
  return (bytes) => {
    const now = nowMs();
    const isSame = last !== undefined && now - last.atMs < withinMs && Buffer.compare(last.bytes, bytes) === 0;
    last = { bytes, atMs: now };
    return !isSame;
  };
}

/** @param thisYear for the dates of GS1, which have two digits for theirs */
export function codeOf(bytes: Uint8Array, { aim, charset }: Pick<Options, 'aim' | 'charset'>, thisYear: number): Code {
  const sent = new TextDecoder(charset, { ignoreBOM: true }).decode(bytes);
  const known = aim ? identified(sent) : undefined;
  const text = known?.rest ?? sent;
  // without an identifier only the separator tells: no other code has it
  const isGs1 = known?.isGs1 ?? text.includes(separator);
  const parsed = isGs1 ? parseGs1(text, thisYear) : undefined;
  return {
    text,
    ...(known === undefined ? {} : { symbology: known.symbology }),
    ...(known?.title === undefined ? {} : { symbologyTitle: known.title }),
    ...(parsed && 'elements' in parsed ? { gs1: [...parsed.elements] } : {}),
    ...(parsed && 'error' in parsed ? { gs1Error: parsed.error } : {}),
  };
}
