/** A reader with a lamp, a buzzer, a display, a keypad and a secure channel: the other side of panel.ts. */
import { systemRandom } from '#agent/core/random.ts';
import type { Simulator } from '../simulator.ts';
import type { Frame } from './codec.ts';
import { defaultKey, ledColors, type Options } from './manifest.ts';
import { commandCodes, nakErrors, replyCodes } from './messages.ts';
import {
  clientCryptogram,
  initialMac,
  isSame,
  SecureSession,
  type SessionKeys,
  serverCryptogram,
  sessionKeys,
} from './secure-channel.ts';

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);
interface Said {
  readonly code: number;
  readonly payload: Uint8Array;
  readonly security?: Frame['security'];
}

const ack: Said = { code: replyCodes.ack, payload: bytes() };
const nak = (error: number): Said => ({ code: replyCodes.nak, payload: bytes(error) });

/** Vendor, model, version, serial, firmware: of nobody. */
const identity = bytes(0x02, 0x0a, 0x0b, 7, 1, 0x78, 0x56, 0x34, 0x12, 2, 2, 0);
const capabilities = bytes(3, 1, 0, 4, 4, 1, 5, 2, 1, 6, 1, 1, 8, 1, 0, 9, 1, 1, 10, 0, 1, 13, 0, 1);
/** What may be asked outside of the channel (D.7). */
const open: ReadonlySet<number> = new Set([
  commandCodes.id,
  commandCodes.capabilities,
  commandCodes.challenge,
  commandCodes.serverCryptogram,
]);

/** Card 12345 of facility 42, in 26 bits with their parity: a card that nobody was given. */
export const simulatedCard = { facility: 42, number: 12_345 } as const;
export const simulatedKeys = '8642#';

const statusEvents: Readonly<Record<string, Said>> = {
  card: {
    code: replyCodes.raw,
    payload: bytes(0, 1, 26, 0, ...wiegand26(simulatedCard.facility, simulatedCard.number)),
  },
  keys: {
    code: replyCodes.keypad,
    payload: bytes(0, simulatedKeys.length, ...Buffer.from(simulatedKeys.replace('#', '\r'))),
  },
};

export function osdpSimulator(options: Options): Simulator<Frame, Frame> {
  return new Reader(options);
}

interface ReaderState extends Record<string, unknown> {
  led: string;
  beeps: number;
  text: string;
  tamper: boolean;
  powerFailure: boolean;
  hasKey: boolean;
}

class Reader implements Simulator<Frame, Frame> {
  readonly state: ReaderState;
  readonly #address: number;
  readonly #mustBeSecure: boolean;
  readonly #waiting: Said[] = [];
  #key: Uint8Array | undefined;
  #session: SecureSession | undefined;
  #challenge: { readonly keys: SessionKeys; readonly server: Uint8Array } | undefined;
  #last: { readonly sequence: number; readonly code: number; readonly replies: readonly Frame[] } | undefined;

  constructor({ address, channel, key }: Options) {
    this.#address = address;
    this.#mustBeSecure = channel !== 'clear';
    this.#key = channel === 'secure' && key !== undefined ? Buffer.from(key, 'hex') : undefined;
    this.state = {
      led: 'black',
      beeps: 0,
      text: '',
      tamper: false,
      powerFailure: false,
      hasKey: this.#key !== undefined,
    };
  }

  receive(command: Frame): readonly Frame[] {
    if (command.address !== this.#address) return [];
    // the same number again: our reply was not heard, and nothing is done twice
    if (command.sequence !== 0 && command.sequence === this.#last?.sequence && command.code === this.#last.code)
      return this.#last.replies;
    if (command.sequence === 0) this.#session = undefined;
    const replies = [this.#answer(command)];
    this.#last = { sequence: command.sequence, code: command.code, replies };
    return replies;
  }

  provoke(event: string): readonly Frame[] {
    if (event === 'tampered') this.state.tamper = true;
    if (event === 'powerFailed') this.state.powerFailure = true;
    this.#waiting.push(statusEvents[event] ?? this.#localStatus());
    // it is polled
    return [];
  }

  #answer(command: Frame): Frame {
    const session = this.#session;
    if (!session || !command.mac) {
      const isOpen = !this.#mustBeSecure || open.has(command.code);
      return this.#frame(command, isOpen && !session ? this.#do(command) : nak(nakErrors.channelNeeded));
    }
    const opened = session.open(command);
    if (opened) return session.seal(this.#frame(command, this.#do(opened)));
    this.#session = undefined;
    return this.#frame(command, nak(nakErrors.channelNeeded));
  }

  #frame({ address, sequence, check }: Frame, { code, payload, security }: Said): Frame {
    return { address, reply: true, sequence, check, code, payload, ...(security ? { security } : {}) };
  }

  #do({ code, payload, security }: Frame): Said {
    switch (code) {
      case commandCodes.poll:
        return this.#waiting.shift() ?? ack;
      case commandCodes.id:
        return { code: replyCodes.identity, payload: identity };
      case commandCodes.capabilities:
        return { code: replyCodes.capabilities, payload: capabilities };
      case commandCodes.localStatus:
        return this.#localStatus();
      case commandCodes.readerStatus:
        return { code: replyCodes.readerStatus, payload: bytes(0) };
      case commandCodes.challenge:
        return this.#challenged(payload, security?.data[0]);
      case commandCodes.serverCryptogram:
        return this.#proved(payload);
      default:
        return this.#set(code, payload);
    }
  }

  #set(code: number, payload: Uint8Array): Said {
    if (code === commandCodes.led) this.state.led = ledColors[payload[payload[2] === 2 ? 5 : 12] as number] ?? 'black';
    else if (code === commandCodes.buzzer) this.state.beeps += payload[4] as number;
    else if (code === commandCodes.text) this.state.text = Buffer.from(payload.subarray(6)).toString('latin1');
    else if (code === commandCodes.keySet && this.#session) {
      this.#key = payload.slice(2);
      this.state.hasKey = true;
    } else return nak(nakErrors.unknownCommand);
    return ack;
  }

  #localStatus(): Said {
    const { tamper, powerFailure } = this.state;
    return { code: replyCodes.localStatus, payload: bytes(Number(tamper), Number(powerFailure)) };
  }

  #challenged(rndA: Uint8Array, selector: number | undefined): Said {
    // once it has a key of its own, the default one is no key any more
    const key = selector === 1 ? this.#key : this.#key ? undefined : Buffer.from(defaultKey, 'hex');
    if (!key || !this.#mustBeSecure) return nak(nakErrors.noChannel);
    const rndB = Uint8Array.from({ length: 8 }, () => Math.floor(systemRandom() * 256));
    const keys = sessionKeys(key, rndA);
    this.#challenge = { keys, server: serverCryptogram(keys, rndA, rndB) };
    return {
      code: replyCodes.clientCryptogram,
      payload: bytes(...identity.subarray(0, 8), ...rndB, ...clientCryptogram(keys, rndA, rndB)),
      security: { type: 0x12, data: bytes(selector ?? 0) },
    };
  }

  #proved(server: Uint8Array): Said {
    const challenge = this.#challenge;
    this.#challenge = undefined;
    const isRight = challenge !== undefined && isSame(challenge.server, server);
    const first = challenge ? initialMac(challenge.keys, server) : bytes();
    if (isRight) this.#session = new SecureSession(challenge.keys, first);
    return {
      code: replyCodes.initialMac,
      payload: isRight ? first : new Uint8Array(16),
      security: { type: 0x14, data: bytes(isRight ? 1 : 0xff) },
    };
  }
}

function wiegand26(facility: number, number: number): Uint8Array {
  const inner = (facility << 16) | number;
  const parity = (value: number): number => value.toString(2).replaceAll('0', '').length % 2;
  const value = (parity(inner >>> 12) << 25) | (inner << 1) | (1 - parity(inner & 0xfff));
  const packed = Buffer.alloc(4);
  packed.writeUInt32BE((value << 6) >>> 0);
  return packed;
}
