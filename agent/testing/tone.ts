/** A WAV file with a tone, for tests of what plays. */

export interface Tone {
  readonly seconds: number;
  /** 0 to 1 of full scale. */
  readonly peak: number;
  readonly bits?: 8 | 16;
}

/** Mono, 8000 samples a second, 440 Hz. */
export function tone({ seconds, peak, bits = 16 }: Tone): Uint8Array {
  const rate = 8_000;
  const count = Math.round(rate * seconds);
  const width = bits / 8;
  const file = Buffer.alloc(44 + count * width);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + count * width, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rate, 24);
  file.writeUInt32LE(rate * width, 28);
  file.writeUInt16LE(width, 32);
  file.writeUInt16LE(bits, 34);
  file.write('data', 36);
  file.writeUInt32LE(count * width, 40);
  for (let at = 0; at < count; at += 1) {
    const value = Math.sin((2 * Math.PI * 440 * at) / rate) * peak;
    if (bits === 16) file.writeInt16LE(Math.round(value * 32_767), 44 + at * 2);
    else file.writeUInt8(Math.round(value * 127 + 128), 44 + at);
  }
  return Uint8Array.from(file);
}
