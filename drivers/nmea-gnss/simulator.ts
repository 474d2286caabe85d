/** A receiver of MediaTek's kind on a slow walk round a block in Shanghai, and always with the same sky. */
import type { Simulator } from '../simulator.ts';
import { type Sentence, sentence } from './codec.ts';

const centre = { latitude: 31.230_4, longitude: 121.473_7 };
/** Once round in ten minutes, some 60 m across. */
const radiusDeg = 0.000_3;
const roundMs = 600_000;
const metresPerDegree = 111_320;

interface Satellite {
  readonly id: string;
  readonly elevation: number;
  readonly azimuth: number;
  readonly snr: number;
}

const sky = (first: number, count: number): readonly Satellite[] =>
  Array.from({ length: count }, (_unused, index) => ({
    id: String(first + index * 3).padStart(2, '0'),
    elevation: 15 + index * 8,
    azimuth: (index * 47) % 360,
    snr: 24 + index * 2,
  }));
const gps = sky(2, 8);
const beidou = sky(6, 6);

export function gnssSimulator(): Simulator<Sentence, Sentence> {
  const state = { intervalMs: 1_000 };
  return {
    state,
    get intervalMs() {
      return state.intervalMs;
    },
    receive({ talker, formatter, fields }) {
      if (talker !== 'P') return [];
      if (formatter === 'MTK605') return [sentence('PMTK705', 'AXN_5.1.7_3333_19020118', '0027', 'SIM-GNSS', '1.0')];
      if (formatter !== 'MTK220')
        return formatter.startsWith('MTK') ? [sentence('PMTK001', formatter.slice(3), '1')] : [];
      const intervalMs = Number(fields[0]);
      const isPossible = intervalMs >= 100 && intervalMs <= 10_000;
      if (isPossible) state.intervalMs = intervalMs;
      return [sentence('PMTK001', '220', isPossible ? '3' : '2')];
    },
    tell: ({ wallMs }) => sentencesAt(wallMs),
  };
}

/** What a receiver says in one second. */
export function sentencesAt(wallMs: number): readonly Sentence[] {
  const angle = ((wallMs % roundMs) / roundMs) * 2 * Math.PI;
  const latitude = centre.latitude + radiusDeg * Math.cos(angle);
  const longitude = centre.longitude + (radiusDeg * Math.sin(angle)) / Math.cos((centre.latitude * Math.PI) / 180);
  const speed = (2 * Math.PI * radiusDeg * metresPerDegree * 1_000) / roundMs;
  const course = ((angle * 180) / Math.PI + 90) % 360;
  const knots = (speed * 3_600) / 1_852;
  const { time, date, day, month, year } = civil(wallMs);
  const place = [...angleFields(latitude, 2, 'NS'), ...angleFields(longitude, 3, 'EW')];
  const used = String(gps.length + beidou.length);
  return [
    sentence('GNGGA', time, ...place, '1', used, '0.8', '12.5', 'M', '8.1', 'M', '', ''),
    sentence('GNGSA', 'A', '3', ...twelve(gps), '1.4', '0.8', '1.1', '1'),
    sentence('GNGSA', 'A', '3', ...twelve(beidou), '1.4', '0.8', '1.1', '4'),
    ...inView('GP', gps, '1'),
    ...inView('GB', beidou, '1'),
    sentence('GNRMC', time, 'A', ...place, knots.toFixed(3), course.toFixed(2), date, '', '', 'A', 'V'),
    sentence('GNVTG', course.toFixed(2), 'T', '', 'M', knots.toFixed(3), 'N', (speed * 3.6).toFixed(3), 'K', 'A'),
    sentence('GNZDA', time, day, month, year, '00', '00'),
  ];
}

const twelve = (satellites: readonly Satellite[]): readonly string[] =>
  Array.from({ length: 12 }, (_unused, index) => satellites[index]?.id ?? '');

function inView(talker: string, satellites: readonly Satellite[], signal: string): readonly Sentence[] {
  const parts = Math.ceil(satellites.length / 4);
  return Array.from({ length: parts }, (_unused, part) =>
    sentence(
      `${talker}GSV`,
      String(parts),
      String(part + 1),
      String(satellites.length).padStart(2, '0'),
      ...satellites
        .slice(part * 4, part * 4 + 4)
        .flatMap(({ id, elevation, azimuth, snr }) => [
          id,
          String(elevation).padStart(2, '0'),
          String(azimuth).padStart(3, '0'),
          String(snr),
        ]),
      signal,
    ),
  );
}

function angleFields(degrees: number, width: number, sides: string): readonly [string, string] {
  // rounded in minutes first, so that 59.999999 does not become 60
  const minutes = Math.round(Math.abs(degrees) * 60 * 1e5);
  const whole = Math.floor(minutes / 60e5);
  const rest = (minutes - whole * 60e5) / 1e5;
  return [
    `${String(whole).padStart(width, '0')}${rest.toFixed(5).padStart(8, '0')}`,
    sides[degrees < 0 ? 1 : 0] as string,
  ];
}

function civil(wallMs: number) {
  const iso = new Date(wallMs).toISOString();
  const [year, month, day] = iso.slice(0, 10).split('-') as [string, string, string];
  const time = `${iso.slice(11, 13)}${iso.slice(14, 16)}${iso.slice(17, 23)}`;
  return { time, date: `${day}${month}${year.slice(2)}`, day, month, year };
}
