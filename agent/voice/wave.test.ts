/** WAV files: how long, how loud, at another volume; and whatever else comes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tone } from '#agent/testing/tone.ts';
import { atVolume, peakOf, readWave, type Wave } from './wave.ts';

const sound = (bytes: Uint8Array): Wave => {
  const wave = readWave(bytes);
  if (typeof wave === 'string') throw new Error(wave);
  return wave;
};

describe('a recording', () => {
  it('is as long and as loud as it is', () => {
    const bytes = tone({ seconds: 0.5, peak: 0.8 });
    expect(sound(bytes)).toMatchObject({ rate: 8_000, channels: 1, lengthMs: 500 });
    expect(peakOf(bytes, sound(bytes))).toBeCloseTo(0.8, 2);
  });

  it.each([0, 25, 50, 99])('at %d %% keeps its length and has that share of its loudness', (percent) => {
    const bytes = tone({ seconds: 0.25, peak: 0.8 });
    const quiet = atVolume(bytes, sound(bytes), percent);
    expect(sound(quiet).lengthMs).toBe(250);
    expect(peakOf(quiet, sound(quiet))).toBeCloseTo((0.8 * percent) / 100, 2);
  });

  it('may have more before its samples, and a length that was never filled in', () => {
    const plain = tone({ seconds: 0.1, peak: 0.5 });
    const list = new Uint8Array([...Buffer.from('LIST'), 3, 0, 0, 0, 1, 2, 3, 0]);
    const odd = Uint8Array.from([...plain.subarray(0, 36), ...list, ...plain.subarray(36)]);
    new DataView(odd.buffer).setUint32(36 + list.length + 4, 0x7fff_ff00, true);
    expect(sound(odd).lengthMs).toBe(100);
  });

  it.each([
    ['text', Uint8Array.from(Buffer.from('hello, this is no sound')), 'is no WAV file'],
    ['nothing', new Uint8Array(0), 'is no WAV file'],
    ['eight bits', tone({ seconds: 0.1, peak: 0.5, bits: 8 }), 'is not PCM of 16 bits'],
    ['a header alone', tone({ seconds: 0, peak: 0.5 }), 'is a WAV file without samples'],
  ])('that is %s is refused', (_what, bytes, fault) => {
    expect(readWave(bytes)).toBe(fault);
  });

  it('of random bytes never throws', () => {
    const head = tone({ seconds: 0.01, peak: 0.5 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(44), (noise, keep) => {
        const bytes = Uint8Array.from([...head.subarray(0, keep), ...noise]);
        const wave = readWave(bytes);
        if (typeof wave !== 'string') atVolume(bytes, wave, 50);
      }),
      { seed: 20_261_126, numRuns: 500 },
    );
  });
});
