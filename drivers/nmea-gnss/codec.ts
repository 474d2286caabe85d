/**
 * NMEA 0183 sentences, as real receivers send them: bare line feeds, no line end at all before the next one, blanks
 * after the checksum, binary frames in between.
 *
 *   $ talker formatter , fields * checksum CR LF       XOR of what is between $ and *
 */
import { bad, type Codec, frame, framing, type Look, open } from '../codec.ts';

/** One sentence with a right checksum; what its fields mean is read in sentences.ts. */
export interface Sentence {
  /** `GP`, `GN` …; `P` for a proprietary one. */
  readonly talker: string;
  /** `GGA`; for a proprietary one all that follows the P, such as `MTK001`. */
  readonly formatter: string;
  readonly fields: readonly string[];
}

/** The standard says 82; real ones with many digits have up to 120, and binary frames among them much more. */
const longest = 1_100;
const mostSentence = 256;

const [dollar, bang, star, cr, lf, blank] = [0x24, 0x21, 0x2a, 0x0d, 0x0a, 0x20];

/** Both sides speak alike. @param unchecked take sentences that have no checksum */
export const sentenceCodec = (unchecked = false): Codec<Sentence, Sentence> =>
  framing({
    limit: longest,
    look: (window) => look(window, unchecked),
    encode,
    begins: (byte) => beginnings[byte] === 1,
  });

function look(window: Uint8Array, unchecked: boolean): Look<Sentence> {
  const first = window[0];
  if (first === dollar || first === bang) return lookAtSentence(window, unchecked);
  const binary = binaryFrames.find(({ sync }) => sync[0] === first);
  if (binary) return lookAtBinary(window, binary);
  // line ends between sentences are no garbage
  let at = 0;
  while (at < window.length && (window[at] === cr || window[at] === lf)) at += 1;
  return frame(at, undefined);
}

function lookAtSentence(window: Uint8Array, unchecked: boolean): Look<Sentence> {
  let sum = 0;
  const end = Math.min(window.length, mostSentence);
  for (let at = 1; at < end; at += 1) {
    const byte = window[at] as number;
    if (byte === star) return lookAtChecksum(window, at, sum);
    if (byte === cr || byte === lf) {
      if (!unchecked) return bad(at, 'malformed');
      return frame(at, parse(window.subarray(0, at)));
    }
    // the next one begins: this one was cut
    if (byte === dollar || byte === bang) return bad(at, 'malformed');
    if (byte < blank || byte > 0x7e) return bad(at, 'malformed');
    sum ^= byte;
  }
  return end === mostSentence ? bad(1, 'too-long') : open;
}

function lookAtChecksum(window: Uint8Array, starAt: number, sum: number): Look<Sentence> {
  if (window.length < starAt + 4) return open;
  let end = starAt + 3;
  while (window[end] === blank) end += 1;
  const after = window[end];
  if (after === undefined) return end - starAt > 16 ? bad(end, 'malformed') : open;
  const stated = hex(window[starAt + 1]) * 16 + hex(window[starAt + 2]);
  const isEnd = after === cr || after === lf || after === dollar || after === bang;
  if (!isEnd || Number.isNaN(stated)) return bad(starAt, 'malformed');
  if (stated !== sum) return bad(end, 'checksum');
  // an encapsulated sentence (AIS) is whole, and of no interest here
  return frame(end, window[0] === bang ? undefined : parse(window.subarray(0, starAt)));
}

function hex(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte & ~0x20;
  return letter >= 0x41 && letter <= 0x46 ? letter - 0x37 : Number.NaN;
}

function parse(body: Uint8Array): Sentence | undefined {
  // ASCII was checked
  const [address = '', ...fields] = Buffer.from(body.buffer, body.byteOffset + 1, body.length - 1)
    .toString('latin1')
    .split(',');
  if (address.startsWith('P')) return { talker: 'P', formatter: address.slice(1), fields };
  if (address.length !== 5) return undefined;
  return { talker: address.slice(0, 2), formatter: address.slice(2), fields };
}

function encode({ talker, formatter, fields }: Sentence): Uint8Array {
  const body = Buffer.from([talker + formatter, ...fields].join(','), 'latin1');
  let sum = 0;
  for (const byte of body) sum ^= byte;
  const digits = sum.toString(16).toUpperCase().padStart(2, '0');
  return Buffer.concat([Buffer.from('$'), body, Buffer.from(`*${digits}\r\n`)]);
}

/** Frames of receivers' own protocols, skipped whole, so that no sentence is read out of their inside. */
interface BinaryFrame {
  readonly sync: readonly number[];
  /** Bytes that tell the length. */
  readonly head: number;
  /** @returns the length of the whole frame */
  length(window: Uint8Array): number;
  /** Over a whole frame. */
  isSound(frame: Uint8Array): boolean;
}

const binaryFrames: readonly BinaryFrame[] = [
  {
    // UBX (u-blox interface description, "UBX checksum"): 8-bit Fletcher over class to payload
    sync: [0xb5, 0x62],
    head: 6,
    length: (window) => 8 + (window[4] as number) + (window[5] as number) * 256,
    isSound(whole) {
      let [a, b] = [0, 0];
      for (const byte of whole.subarray(2, -2)) {
        a = (a + byte) & 0xff;
        b = (b + a) & 0xff;
      }
      return a === whole.at(-2) && b === whole.at(-1);
    },
  },
  {
    // RTCM 10403.3, section 4: 10 bits of length, CRC-24Q
    sync: [0xd3],
    head: 3,
    length: (window) => 6 + ((window[1] as number) & 3) * 256 + (window[2] as number),
    isSound: (whole) => crc24q(whole) === 0,
  },
  {
    // SkyTraq binary: length, payload, XOR, CR LF
    sync: [0xa0, 0xa1],
    head: 4,
    length: (window) => 7 + (window[2] as number) * 256 + (window[3] as number),
    isSound: (whole) => whole.subarray(4, -3).reduce((sum, byte) => sum ^ byte, 0) === whole.at(-3),
  },
  {
    // SiRF binary: length of 15 bits, payload, sum of 15 bits, B0 B3
    sync: [0xa0, 0xa2],
    head: 4,
    length: (window) => 8 + ((window[2] as number) & 0x7f) * 256 + (window[3] as number),
    isSound: (whole) =>
      (whole.subarray(4, -4).reduce((sum, byte) => sum + byte, 0) & 0x7fff) ===
      (whole.at(-4) as number) * 256 + (whole.at(-3) as number),
  },
];

const beginnings = new Uint8Array(256);
for (const byte of [dollar, bang, cr, lf, ...binaryFrames.map(({ sync }) => sync[0] as number)]) beginnings[byte] = 1;

function lookAtBinary(window: Uint8Array, first: BinaryFrame): Look<Sentence> {
  if (first.sync.length > 1 && window.length < 2) return open;
  const kind = binaryFrames.find(({ sync }) => sync.every((byte, index) => window[index] === byte));
  if (!kind) return bad(1, 'garbage');
  if (window.length < kind.head) return open;
  const length = kind.length(window);
  if (length > longest) return bad(1, 'garbage');
  if (window.length < length) return open;
  return kind.isSound(window.subarray(0, length)) ? frame(length, undefined) : bad(1, 'garbage');
}

function crc24q(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80_00_00 ? (crc << 1) ^ 0x1_86_4c_fb : crc << 1;
  }
  return crc & 0xff_ff_ff;
}

/** For those who write sentences by hand. */
export const sentence = (address: string, ...fields: readonly string[]): Sentence =>
  address.startsWith('P')
    ? { talker: 'P', formatter: address.slice(1), fields }
    : { talker: address.slice(0, 2), formatter: address.slice(2), fields };
