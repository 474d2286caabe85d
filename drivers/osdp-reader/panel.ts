/**
 * The control panel's side of one reader: sequence numbers, repetition, busy readers, and the secure channel.
 *
 *   ask --begin (challenge, cryptograms)--> seal --> request, the same bytes again when no reply came --> open --> Reply
 *
 * A repeated frame keeps its number, so that a reader that did hear it says its reply again and does nothing twice.
 */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { systemRandom } from '#agent/core/random.ts';
import { Turns } from '#agent/core/turns.ts';
import type { Answer, Link } from '../link.ts';
import { type Check, type Frame, isEncrypted } from './codec.ts';
import { type Command, commandCodes, nakErrors, nakText, readReply, type Reply, replyCodes } from './messages.ts';
import {
  clientCryptogram,
  initialMac,
  isSame,
  SecureSession,
  serverCryptogram,
  sessionKeys,
} from './secure-channel.ts';

/** A key that may be tried, in this order. */
export interface BaseKey {
  /** `default`: SCBK-D. */
  readonly kind: 'own' | 'default';
  readonly bytes: Uint8Array;
}

export interface PanelOptions {
  readonly link: Link<Frame, Frame>;
  readonly clock: Clock;
  readonly address: number;
  readonly check: Check;
  /** None: the reader is spoken to in the clear. Any: never. */
  readonly keys: readonly BaseKey[];
}

export type Heard =
  | { readonly is: 'reply'; readonly reply: Reply }
  /** No reply, or none that counts; `written`: the reader may have heard the command. */
  | { readonly is: 'silent'; readonly written: boolean; readonly reason: string }
  /** The connection is over, or the reader refuses the channel. */
  | { readonly is: 'over'; readonly written: boolean; readonly error: OutpostError };

const mostTries = 3;
const busyPauseMs = 100;
const mostBusy = 30;
const randomBytes = (count: number): Uint8Array =>
  Uint8Array.from({ length: count }, () => Math.floor(systemRandom() * 256));

export class Panel {
  readonly #options: PanelOptions;
  readonly #turns = new Turns(1);
  /** Whether both sides agree on where they are; in the middle of an exchange nobody knows. */
  #isSettled = false;
  #sequence = 0;
  #session: SecureSession | undefined;
  #keyInUse: BaseKey['kind'] | undefined;

  constructor(options: PanelOptions) {
    this.#options = options;
  }

  /** Whose key the channel stands on; undefined in the clear, and while there is none. */
  get keyInUse(): BaseKey['kind'] | undefined {
    return this.#session && this.#isSettled ? this.#keyInUse : undefined;
  }

  /** One command and its reply, after the channel stands. @throws the signal's reason */
  async ask(command: Command, signal: AbortSignal): Promise<Heard> {
    using _turn = await this.#turns.take();
    signal.throwIfAborted();
    const before = this.#options.link.bytesWritten;
    const failure = this.#isSettled ? undefined : await this.#begin(signal);
    const written = (): boolean => this.#options.link.bytesWritten > before;
    if (failure) return failure.is === 'reply' ? failure : { ...failure, written: written() };
    return await this.#exchange(command, signal);
  }

  /**
   * One question outside of any channel, from the beginning: who are you. What stood before is given up.
   * @throws the signal's reason
   */
  async askInClear(command: Command, signal: AbortSignal): Promise<Heard> {
    using _turn = await this.#turns.take();
    signal.throwIfAborted();
    this.#restart();
    const heard = await this.#exchange(command, signal);
    if (this.#options.keys.length > 0) this.#isSettled = false;
    return heard;
  }

  /** The next exchange begins anew: after a key was set, another one holds. */
  forget(): void {
    this.#isSettled = false;
  }

  #restart(): void {
    this.#session = undefined;
    this.#keyInUse = undefined;
    this.#sequence = 0;
  }

  /** @returns undefined when all is ready for a command */
  async #begin(signal: AbortSignal): Promise<Heard | undefined> {
    const { keys } = this.#options;
    this.#restart();
    if (keys.length === 0) return undefined;
    let failure: Heard | undefined;
    for (const key of keys) {
      failure = await this.#openChannel(key, signal);
      // a late answer to a repeated challenge belongs to another random number: once more
      if (isRefusal(failure)) failure = await this.#openChannel(key, signal);
      // a reader that is silent is asked again later; one that refuses this key may know the next
      if (!isRefusal(failure)) return failure;
    }
    return failure;
  }

  /** CHLNG, CCRYPT, SCRYPT, RMAC_I. */
  async #openChannel(key: BaseKey, signal: AbortSignal): Promise<Heard | undefined> {
    this.#restart();
    const rndA = randomBytes(8);
    const selector = key.kind === 'own' ? 1 : 0;
    const challenged = await this.#handshake(0x11, selector, { code: commandCodes.challenge, payload: rndA }, signal);
    if ('is' in challenged) return challenged;
    if (challenged.code !== replyCodes.clientCryptogram || challenged.payload.length < 32) return refusedBy(challenged);
    const rndB = challenged.payload.subarray(8, 16);
    const keys = sessionKeys(key.bytes, rndA);
    if (!isSame(clientCryptogram(keys, rndA, rndB), challenged.payload.subarray(16, 32)))
      return refused('The reader proves itself with another key.');
    const server = serverCryptogram(keys, rndA, rndB);
    const answered = await this.#handshake(
      0x13,
      selector,
      { code: commandCodes.serverCryptogram, payload: server },
      signal,
    );
    if ('is' in answered) return answered;
    if (answered.code !== replyCodes.initialMac || answered.security?.data[0] !== 1) return refusedBy(answered);
    const first = initialMac(keys, server);
    if (!isSame(first, answered.payload)) return refused('The reader’s first MAC is another one.');
    this.#session = new SecureSession(keys, first);
    this.#keyInUse = key.kind;
    return undefined;
  }

  async #handshake(type: number, selector: number, command: Command, signal: AbortSignal): Promise<Frame | Heard> {
    const frame = { ...this.#next(command), security: { type, data: Uint8Array.of(selector) } };
    const answer = await this.#transact(frame, ({ sequence }) => sequence === frame.sequence, signal);
    return answer.is === 'answered' ? answer.message : unheard(answer);
  }

  async #exchange(command: Command, signal: AbortSignal): Promise<Heard> {
    const session = this.#session;
    const plain = this.#next(command);
    const frame = session ? session.seal(plain) : plain;
    // what ends in the middle, by an abort or a silence, begins anew
    this.#isSettled = false;
    const answer = await this.#transact(
      frame,
      (heard) =>
        heard.sequence === frame.sequence && (session ? isBareNak(heard) || session.isGenuine(heard) : !heard.security),
      signal,
    );
    if (answer.is !== 'answered') return unheard(answer);
    const opened = session && !isBareNak(answer.message) ? session.open(answer.message) : answer.message;
    const reply = opened && readReply(opened);
    if (!reply) return { is: 'silent', written: true, reason: 'The reader’s reply makes no sense.' };
    // outside of the channel anybody can say it: it counts as no answer, and the channel is made anew
    if (session && isBareNak(answer.message))
      return { is: 'silent', written: true, reason: `The reader left the channel: ${nakOf(answer.message)}.` };
    // signed is not secret: such a reader is as good as one in the clear
    if (session && isAboutPerson(reply) && !isEncrypted(answer.message.security?.type ?? 0))
      return refused('The reader tells cards and keys without encryption.');
    this.#isSettled = reply.is !== 'nak' || reply.error !== nakErrors.sequence;
    return { is: 'reply', reply };
  }

  /** Says it until it is answered, at most three times, and again as long as the reader is busy. */
  async #transact(frame: Frame, isReply: (heard: Frame) => boolean, signal: AbortSignal): Promise<Answer<Frame>> {
    const { link, clock, address, check } = this.#options;
    const matches = (heard: Frame): boolean =>
      heard.address === address && heard.check === check && (isBusy(heard) || isReply(heard));
    let [silences, busies] = [0, 0];
    for (;;) {
      const answer = await link.request(frame, { matches }, signal);
      if (answer.is === 'timeout') {
        silences += 1;
        if (silences === mostTries) return answer;
      } else if (answer.is === 'answered' && isBusy(answer.message)) {
        busies += 1;
        if (busies === mostBusy) return { is: 'timeout', written: true };
        await clock.sleep(busyPauseMs, signal);
      } else if (answer.is === 'answered' && isBadCheck(answer.message) && silences + 1 < mostTries) silences += 1;
      else return answer;
    }
  }

  #next({ code, payload }: Command): Frame {
    const { address, check } = this.#options;
    const sequence = this.#sequence;
    this.#sequence = (sequence % 3) + 1;
    return { address, reply: false, sequence, check, code, payload };
  }
}

/** osdp_BUSY has neither number nor channel. */
const isBusy = ({ code, security }: Frame): boolean => code === replyCodes.busy && !security;
const isBareNak = ({ code, security }: Frame): boolean => code === replyCodes.nak && !security;
const isBadCheck = (frame: Frame): boolean => isBareNak(frame) && frame.payload[0] === nakErrors.checkValue;
const isAboutPerson = ({ is }: Reply): boolean => is === 'card' || is === 'keys';
const nakOf = ({ payload }: Frame): string => nakText(payload[0] ?? 0);

function unheard(answer: Exclude<Answer<Frame>, { is: 'answered' }>): Heard {
  return answer.is === 'timeout'
    ? { is: 'silent', written: answer.written, reason: 'The reader did not answer.' }
    : { is: 'over', written: answer.written, error: answer.error };
}

const isRefusal = (heard: Heard | undefined): boolean => heard?.is === 'over' && heard.error.code === 'reader-channel';
const refused = (why: string): Heard => ({ is: 'over', written: true, error: new OutpostError('reader-channel', why) });
const refusedBy = (frame: Frame): Heard =>
  refused(
    frame.code === replyCodes.nak
      ? `The reader refuses the channel: ${nakOf(frame)}.`
      : 'The reader does not take our proof of the key.',
  );
