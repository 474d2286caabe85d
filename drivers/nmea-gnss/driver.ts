/** A GNSS receiver: it talks by itself; a MediaTek one can be asked and set as well. */
import type { DecodedLine, Driver, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import { outcomeOf } from '../link.ts';
import { type Sentence, sentence, sentenceCodec } from './codec.ts';
import { type Fix, Fixes } from './fixes.ts';
import { manifest, options, type Options } from './manifest.ts';
import { gnssSimulator } from './simulator.ts';
import { statementOf } from './sentences.ts';

type Context = OpenContext<Options, Sentence, Sentence>;

export const driver: Driver<Options, Sentence, Sentence> = {
  name: 'nmea-gnss',
  options,
  example: { chipset: 'mediatek', rate: 1 },
  manifest,
  protocol: ({ unchecked }) => ({ host: () => sentenceCodec(unchecked), device: () => sentenceCodec() }),
  open: (context) => peripheral(context),
  simulator: () => gnssSimulator(),
  decoder: () => {
    const fixes = new Fixes();
    return (message) => {
      const fix = message === undefined ? fixes.end() : fixes.push(message);
      return fix ? [lineOf(fix)] : [];
    };
  },
};

function peripheral({ link, options: { chipset, rate }, clock }: Context): Peripheral {
  const setRate = async (hz: number, signal: AbortSignal): Promise<Outcome> => {
    const answer = await link.request(
      sentence('PMTK220', String(Math.round(1_000 / hz))),
      { matches: ({ formatter, fields }) => formatter === 'MTK001' && fields[0] === '220' },
      signal,
    );
    return outcomeOf(
      answer,
      ({ fields }) => fields[1] === '3' || (refusals[fields[1] ?? ''] ?? 'The receiver gives no reason.'),
    );
  };

  return {
    async identify(signal) {
      const heard = await link.hear({ matches: (message) => statementOf(message) !== undefined }, signal);
      if (heard.is !== 'answered') return undefined;
      if (chipset === 'generic') return { model: 'NMEA 0183 receiver' };
      const answer = await link.request(
        sentence('PMTK605'),
        { matches: ({ formatter }) => formatter === 'MTK705' },
        signal,
      );
      if (answer.is !== 'answered') return undefined;
      const [firmware = '', , model = 'MediaTek receiver'] = answer.message.fields;
      return { model, maker: 'MediaTek', firmware };
    },

    async configure(signal) {
      // a receiver that keeps its rate is as good a source as before
      if (chipset === 'mediatek' && rate !== undefined) await setRate(rate, signal);
    },

    async *observe(signal) {
      const fixes = new Fixes({ live: true });
      for await (const message of link.messages(signal)) {
        const fix = fixes.push(message);
        if (fix) yield* observationsOf(fix, clock.wallMs());
      }
    },

    async perform(_action, { hz }, signal) {
      return await setRate(hz as number, signal);
    },
  };
}

/** PMTK001, second field. */
const refusals: Readonly<Record<string, string>> = {
  '0': 'The receiver does not know the command.',
  '1': 'The receiver does not support the command.',
  '2': 'The receiver could not carry it out.',
};

function* observationsOf(fix: Fix, wallMs: number): Generator<Observation> {
  const { place, mode, quality, timeMs } = fix;
  yield { is: 'reading', property: 'fix', value: mode };
  yield { is: 'reading', property: 'satellitesUsed', value: fix.satellitesUsed };
  if (quality !== undefined) yield { is: 'reading', property: 'quality', value: quality };
  if (place) yield { is: 'reading', property: 'position', value: { ...place } };
  for (const property of ['altitude', 'speed', 'course', 'hdop', 'satellitesInView'] as const) {
    const value = fix[property];
    if (value !== undefined) yield { is: 'reading', property, value };
  }
  if (timeMs === undefined) return;
  // without a fix it is the receiver's own clock, which may stand anywhere
  const trust = mode === 'none' ? ({ quality: 'uncertain' } as const) : {};
  yield { is: 'reading', property: 'time', value: new Date(timeMs).toISOString(), ...trust };
  yield { is: 'reading', property: 'clockOffset', value: (timeMs - wallMs) / 1_000, ...trust };
}

const rounded = (value: number | undefined, digits: number): number | null =>
  value === undefined ? null : Number(value.toFixed(digits));

/** One line of `drivers decode`. */
const lineOf = (fix: Fix): DecodedLine & Readonly<Record<string, unknown>> => ({
  type: 'fix',
  time: fix.timeMs === undefined ? null : new Date(fix.timeMs).toISOString(),
  lat: rounded(fix.place?.latitude, 9),
  lon: rounded(fix.place?.longitude, 9),
  altMsl: rounded(fix.altitude, 4),
  mode: fix.mode,
  satellitesUsed: fix.satellitesUsed,
  speed: rounded(fix.speed, 4),
  course: rounded(fix.course, 4),
  quality: fix.quality ?? null,
  satellitesInView: fix.satellitesInView ?? null,
  hdop: rounded(fix.hdop, 2),
});
