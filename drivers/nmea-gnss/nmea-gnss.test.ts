/** The driver as the suite and a receiver's day want it. */
import { describe, expect, it } from 'vitest';
import { describeDriver } from '../conformance.ts';
import { type Sentence, sentence, sentenceCodec } from './codec.ts';
import { driver } from './driver.ts';
import { type Fix, Fixes } from './fixes.ts';
import { statementOf } from './sentences.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);

const fixesOf = (sentences: readonly Sentence[]): Fix[] => {
  const fixes = new Fixes();
  const found = sentences.map((each) => fixes.push(each));
  return [...found, fixes.end()].filter((fix) => fix !== undefined);
};

const gga = (time: string, quality = '1', satellites = '08'): Sentence =>
  sentence(
    'GPGGA',
    time,
    '4807.038',
    'N',
    '01131.000',
    'E',
    quality,
    satellites,
    '0.9',
    '545.4',
    'M',
    '46.9',
    'M',
    '',
    '',
  );
const rmc = (time: string, date: string, status = 'A'): Sentence =>
  sentence('GPRMC', time, status, '4807.038', 'N', '01131.000', 'E', '022.4', '084.4', date, '', '', 'A');
const gsa = (mode: string, system: string, ...used: readonly string[]): Sentence =>
  sentence(
    'GNGSA',
    'A',
    mode,
    ...Array.from({ length: 12 }, (_unused, index) => used[index] ?? ''),
    '1.4',
    '0.8',
    '1.1',
    system,
  );

describe('sentences', () => {
  it('mean degrees, metres a second and milliseconds of the day', () => {
    expect(statementOf(rmc('123519.25', '230394'))).toEqual({
      timeOfDayMs: 45_319_250,
      valid: true,
      place: { latitude: 48 + 7.038 / 60, longitude: 11 + 31 / 60 },
      speed: 22.4 * (1_852 / 3_600),
      course: 84.4,
      date: { year: 1_994, month: 3, day: 23 },
    });
  });

  it.each([
    ['an hour that is none', sentence('GPGLL', '4807.038', 'N', '01131.000', 'E', '253519', 'A')],
    ['text', sentence('GPGLL', '4807.038', 'N', '01131.000', 'E', 'noon', 'A')],
  ])('with %s have no time', (_what, said) => {
    expect(statementOf(said)?.timeOfDayMs).toBeUndefined();
  });

  it.each([
    ['91 degrees', '9107.038', 'N'],
    ['61 minutes', '4861.000', 'N'],
    ['no hemisphere', '4807.038', ''],
    ['the wrong hemisphere', '4807.038', 'E'],
    ['letters', '48o7.038', 'N'],
  ])('with %s have no place', (_what, latitude, side) => {
    expect(statementOf(sentence('GPGLL', latitude, side, '01131.000', 'E', '123519', 'A'))?.place).toBeUndefined();
  });
});

describe('fixes', () => {
  it('are one a moment, of all its sentences', () => {
    const [first, second, ...more] = fixesOf([
      gga('123519'),
      gsa('3', '1', '04', '05'),
      gsa('3', '4', '04', '11'),
      rmc('123519', '230326'),
      gga('123520'),
      rmc('123520', '230326'),
    ]);
    expect(first).toMatchObject({
      timeMs: Date.UTC(2026, 2, 23, 12, 35, 19),
      mode: '3d',
      satellitesUsed: 4,
      altitude: 545.4,
    });
    expect(second).toMatchObject({ timeMs: Date.UTC(2026, 2, 23, 12, 35, 20), satellitesUsed: 8 });
    expect(more).toEqual([]);
  });

  it('are none where the receiver says so, by any of its sentences', () => {
    expect(fixesOf([gga('123519', '0', '00'), rmc('123519', '230326', 'V')])[0]).toMatchObject({
      mode: 'none',
      place: undefined,
    });
    expect(fixesOf([gga('123519'), gsa('1', '1')])[0]).toMatchObject({ mode: 'none' });
  });

  it('are 2d without a height', () => {
    expect(fixesOf([rmc('123519', '230326')])[0]).toMatchObject({ mode: '2d', altitude: undefined });
  });

  it('pass midnight before the next date is said', () => {
    const fixes = fixesOf([rmc('235959', '311226'), gga('000000'), gga('000001')]);
    expect(fixes.map(({ timeMs }) => timeMs)).toEqual([
      Date.UTC(2026, 11, 31, 23, 59, 59),
      Date.UTC(2027, 0, 1),
      Date.UTC(2027, 0, 1, 0, 0, 1),
    ]);
  });

  it('have no time before a date was heard', () => {
    expect(fixesOf([gga('123519')])[0]?.timeMs).toBeUndefined();
  });

  it('are told at once when a receiver keeps to an order, and still one a moment', () => {
    const fixes = new Fixes({ live: true });
    const seconds = ['123519', '123520', '123521', '123522'].flatMap((time) => [gga(time), rmc(time, '230326')]);
    const told = seconds.map((each) => fixes.push(each)?.timeMs);
    const at = (second: number): number => Date.UTC(2026, 2, 23, 12, 35, second);
    expect(told).toEqual([undefined, undefined, undefined, undefined, at(20), at(21), undefined, at(22)]);
  });
});

describe('without checksums', () => {
  it('sentences are taken only when that is asked for', () => {
    const bytes = Buffer.from('$GPZDA,201530.00,04,07,2002,00,00\r\n');
    expect(sentenceCodec().push(bytes).messages).toEqual([]);
    expect(sentenceCodec(true).push(bytes).messages).toEqual([
      sentence('GPZDA', '201530.00', '04', '07', '2002', '00', '00'),
    ]);
  });
});
