/** WAV files of 16-bit PCM: how long, how loud, and the same at another volume. RIFF/WAVE, Microsoft 1991 and its extension. */

export interface Wave {
  /** Samples a second of each channel. */
  readonly rate: number;
  readonly channels: number;
  /** Where the samples are in the file: bytes. */
  readonly from: number;
  readonly to: number;
  readonly lengthMs: number;
}

const pcm = 1;
const extensible = 0xfffe;

/** @returns what it is, or what is wrong with it */
export function readWave(bytes: Uint8Array): Wave | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12 || word(bytes, 0) !== 'RIFF' || word(bytes, 8) !== 'WAVE') return 'is no WAV file';
  let format: { rate: number; channels: number } | string | undefined;
  for (let at = 12; at + 8 <= bytes.length;) {
    const [name, size, body] = [word(bytes, at), view.getUint32(at + 4, true), at + 8];
    if (name === 'fmt ' && body + 16 <= bytes.length) format = readFormat(view, body, size);
    if (name === 'data') return waveOf(format, body, Math.min(bytes.length, body + size));
    at = body + size + (size % 2);
  }
  return 'is a WAV file without samples';
}

const word = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));

function readFormat(view: DataView, at: number, size: number): { rate: number; channels: number } | string {
  const tag = view.getUint16(at, true);
  const coding = tag === extensible && size >= 26 && at + 26 <= view.byteLength ? view.getUint16(at + 24, true) : tag;
  const [channels, rate, bits] = [
    view.getUint16(at + 2, true),
    view.getUint32(at + 4, true),
    view.getUint16(at + 14, true),
  ];
  if (coding !== pcm || bits !== 16) return 'is not PCM of 16 bits';
  return channels < 1 || channels > 8 || rate < 1_000 || rate > 192_000
    ? 'has an impossible rate or channels'
    : { rate, channels };
}

function waveOf(
  format: { rate: number; channels: number } | string | undefined,
  from: number,
  end: number,
): Wave | string {
  if (format === undefined) return 'is a WAV file without a format';
  if (typeof format === 'string') return format;
  const frame = format.channels * 2;
  const frames = Math.floor((end - from) / frame);
  if (frames === 0) return 'is a WAV file without samples';
  return { ...format, from, to: from + frames * frame, lengthMs: (frames / format.rate) * 1_000 };
}

/** @param percent of its own loudness, 0 to 100 @returns a copy with a plain header */
export function atVolume(bytes: Uint8Array, wave: Wave, percent: number): Uint8Array {
  const size = wave.to - wave.from;
  const out = new Uint8Array(headerSize + size);
  const view = new DataView(out.buffer);
  writeHeader(view, wave, size);
  const samples = new DataView(bytes.buffer, bytes.byteOffset + wave.from, size);
  const gain = percent / 100;
  for (let at = 0; at < size; at += 2)
    view.setInt16(headerSize + at, Math.round(samples.getInt16(at, true) * gain), true);
  return out;
}

const headerSize = 44;

function writeHeader(view: DataView, { rate, channels }: Wave, size: number): void {
  const put = (at: number, text: string): void => {
    for (const [index, letter] of Array.from(text).entries()) view.setUint8(at + index, letter.charCodeAt(0));
  };
  put(0, 'RIFF');
  view.setUint32(4, headerSize - 8 + size, true);
  put(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, pcm, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * channels * 2, true);
  view.setUint16(32, channels * 2, true);
  view.setUint16(34, 16, true);
  put(36, 'data');
  view.setUint32(40, size, true);
}

/** @returns 0 for silence to 1 for all that 16 bits hold */
export function peakOf(bytes: Uint8Array, { from, to }: Wave): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let peak = 0;
  for (let at = from; at < to; at += 2) peak = Math.max(peak, Math.abs(view.getInt16(at, true)));
  return peak / 32_768;
}
