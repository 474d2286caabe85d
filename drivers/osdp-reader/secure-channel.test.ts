/** The channel against the standard's own example, and against a recorded session of another implementation. */
import { describe, expect, it } from 'vitest';
import { deviceCodec, type Frame, hostCodec, isEncrypted } from './codec.ts';
import { defaultKey } from './manifest.ts';
import { commandCodes, readReply, replyCodes } from './messages.ts';
import recorded from './recorded-session.json' with { type: 'json' };
import { clientCryptogram, initialMac, SecureSession, serverCryptogram, sessionKeys } from './secure-channel.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
const hex = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString('hex');

describe('the example of the standard (annex E, RND.A B0 … B7, RND.B A0 … A7)', () => {
  const [rndA, rndB] = [bytes('b0b1b2b3b4b5b6b7'), bytes('a0a1a2a3a4a5a6a7')];
  const keys = sessionKeys(bytes(defaultKey), rndA);

  it('derives the three keys', () => {
    expect(hex(keys.encryption)).toBe('bf8dc2a8329acb8c67c6d0cd9a451682');
    expect(hex(keys.mac1)).toBe('5e86c676603bdee2d8beafe178637332');
    expect(hex(keys.mac2)).toBe('6fda86e857777e81132035758239172e');
  });

  it('has these cryptograms and this first MAC', () => {
    const server = serverCryptogram(keys, rndA, rndB);
    expect(hex(clientCryptogram(keys, rndA, rndB))).toBe('fde5d2f428ec16312471ea3c02bd7796');
    expect(hex(server)).toBe('26d3356e07762d262801fc8e6665a891');
    expect(hex(initialMac(keys, server))).toBe('b2a30057eb98ba2229ec1f875662b524');
  });
});

describe('payloads (libosdp, test-sc.c: keys and initial vector of NIST SP 800-38A, F.2.1)', () => {
  const key = bytes('2b7e151628aed2a6abf7158809cf4f3c');
  const before = bytes('000102030405060708090a0b0c0d0e0f').map((byte) => ~byte);
  const session = (): SecureSession => new SecureSession({ encryption: key, mac1: key, mac2: key }, before);
  const plain = (payload: Uint8Array): Frame => ({
    address: 0,
    reply: false,
    sequence: 1,
    check: 'crc',
    code: commandCodes.led,
    payload,
  });

  it.each([
    ['of 15 bytes', '000102030405060708090a0b0c0d0e', 'c5311f3d23d086ea86f5ee7f85247b40'],
    [
      'of 16 bytes',
      '000102030405060708090a0b0c0d0e0f',
      '7df76b0c1ab899b33e42f047b91b546fe2fe5bd6c1dfcdd19124f03e1a134d3b',
    ],
  ])('%s are padded and encrypted to this', (_what, text, cipher) => {
    const sealed = session().seal(plain(bytes(text)));
    expect(hex(sealed.payload)).toBe(cipher);
    expect(hex(session().open(sealed)?.payload)).toBe(text);
  });

  it('that end in no mark are none', () => {
    const encrypted = session().seal(plain(bytes('00'.repeat(15))));
    // the last block of another payload: sealed rightly, but what it decrypts to has no end
    const other = new SecureSession({ encryption: bytes('00'.repeat(16)), mac1: key, mac2: key }, before);
    expect(other.open(encrypted)).toBeUndefined();
  });
});

describe('a recorded session', () => {
  const frames = recorded.frames.map((line) => bytes(line));
  const parsed = frames.map((frame) => {
    const [message] = [...deviceCodec().push(frame).messages, ...hostCodec().push(frame).messages];
    if (!message) throw new Error('a recorded frame is sound');
    return message;
  });

  it('is followed from the challenge to the polls, through a new key', () => {
    expect(follow(parsed)).toEqual([
      'keySet',
      'ack',
      'capabilities',
      'capabilities',
      'led',
      'ack',
      'text',
      'ack',
      'localStatus',
      'localStatus',
      'readerStatus',
      'readerStatus',
      '0x7b',
      'ack',
      'poll',
      'ack',
      'poll',
      'ack',
    ]);
  });

  it('is refused from the first changed bit on', () => {
    const at = parsed.findIndex(({ code }) => code === commandCodes.led);
    const changed = parsed.map((frame, index) =>
      index === at ? { ...frame, payload: frame.payload.map((byte, place) => (place === 3 ? byte ^ 1 : byte)) } : frame,
    );
    expect(() => follow(changed)).toThrow('not genuine: led');
  });

  it('is refused when a reply is said again, or one is left out', () => {
    const at = parsed.findLastIndex(({ code }) => code === replyCodes.ack);
    expect(() => follow([...parsed, parsed[at] as Frame])).toThrow('not genuine: ack');
    expect(() => follow(parsed.toSpliced(at - 2, 1))).toThrow('not genuine');
  });
});

/** Listens with the first key to the whole; what is said again by us must be the same bytes. @returns names */
function follow(frames: readonly Frame[]): readonly string[] {
  let key = bytes(defaultKey);
  let rndA = new Uint8Array(0);
  let keys = sessionKeys(key, bytes('00'.repeat(8)));
  let [listener, speaker]: (SecureSession | undefined)[] = [];
  let first: Uint8Array | undefined;
  const names: string[] = [];
  for (const frame of frames) {
    const name = nameOf(frame);
    switch (frame.security?.type ?? 0) {
      case 0x11:
        rndA = Uint8Array.from(frame.payload);
        keys = sessionKeys(key, rndA);
        break;
      case 0x12:
        expect(hex(clientCryptogram(keys, rndA, frame.payload.subarray(8, 16)))).toBe(hex(frame.payload.subarray(16)));
        break;
      case 0x13:
        first = initialMac(keys, frame.payload);
        break;
      case 0x14:
        expect(hex(first)).toBe(hex(frame.payload));
        [listener, speaker] = [new SecureSession(keys, frame.payload), new SecureSession(keys, frame.payload)];
        break;
      default: {
        const opened = listener?.open(frame);
        if (!opened) throw new Error(`not genuine: ${name}`);
        // an empty payload is encrypted by that panel, and only signed by us
        if (opened.payload.length > 0 || !isEncrypted(frame.security?.type ?? 0))
          expect(speaker?.seal(opened)).toEqual(frame);
        else expect(speaker?.open(frame)).toEqual(opened);
        if (frame.code === commandCodes.keySet && !frame.reply) key = opened.payload.slice(2);
        if (opened.reply) expect(readReply(opened)).toBeDefined();
        names.push(name);
      }
    }
  }
  return names;
}

const nameOf = ({ reply, code }: Frame): string =>
  Object.entries(reply ? replyCodes : commandCodes).find(([, each]) => each === code)?.[0] ?? `0x${code.toString(16)}`;
