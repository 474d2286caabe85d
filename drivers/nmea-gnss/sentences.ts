/** What the fields of a sentence mean. Pure; a field that is empty or wrong is undefined, never a guess. */
import type { Sentence } from './codec.ts';

export interface Place {
  /** Degrees, north and east positive. */
  readonly latitude: number;
  readonly longitude: number;
}

export interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** What one sentence says; each member only where it does. */
export interface Statement {
  /** Milliseconds since midnight UTC. */
  readonly timeOfDayMs?: number | undefined;
  readonly date?: CivilDate | undefined;
  /** Whether the position counts. */
  readonly valid?: boolean | undefined;
  readonly place?: Place | undefined;
  /** GGA's quality indicator. */
  readonly quality?: number | undefined;
  /** As GGA and GNS count them; many receivers stop at 12. */
  readonly satellites?: number | undefined;
  readonly hdop?: number | undefined;
  /** Metres above mean sea level. */
  readonly altitude?: number | undefined;
  /** m/s */
  readonly speed?: number | undefined;
  /** Degrees from true north. */
  readonly course?: number | undefined;
  /** GSA: 1 none, 2 2D, 3 3D, with the satellites that it names. */
  readonly gsa?: { readonly mode: number; readonly system: string; readonly used: readonly string[] } | undefined;
  /** GSV: satellites in view of one system, part of a series. */
  readonly gsv?: { readonly system: string; readonly part: number; readonly inView: readonly string[] } | undefined;
}

const metresPerSecondPerKnot = 1_852 / 3_600;

/** @returns undefined for sentences that say nothing of a fix */
export function statementOf({ talker, formatter, fields }: Sentence): Statement | undefined {
  return talker === 'P' ? undefined : readers[formatter]?.(fields, talker);
}

const readers: Readonly<Record<string, (fields: readonly string[], talker: string) => Statement>> = {
  GGA: (f) => {
    const quality = number(f[5]);
    return {
      timeOfDayMs: timeOfDay(f[0]),
      place: place(f, 1),
      quality,
      valid: quality === undefined ? undefined : quality > 0,
      satellites: number(f[6]),
      hdop: number(f[7]),
      altitude: number(f[8]),
    };
  },
  GNS: (f) => ({
    timeOfDayMs: timeOfDay(f[0]),
    place: place(f, 1),
    // one letter a constellation, N: not used
    valid: f[5] ? /[^N]/.test(f[5]) : undefined,
    satellites: number(f[6]),
    hdop: number(f[7]),
    altitude: number(f[8]),
  }),
  RMC: (f) => ({
    timeOfDayMs: timeOfDay(f[0]),
    valid: validity(f[1]),
    place: place(f, 2),
    speed: scaled(number(f[6]), metresPerSecondPerKnot),
    course: number(f[7]),
    date: dateOf(f[8]),
  }),
  GLL: (f) => ({ place: place(f, 0), timeOfDayMs: timeOfDay(f[4]), valid: validity(f[5]) }),
  VTG: (f) => ({
    course: number(f[0]),
    speed: scaled(number(f[4]), metresPerSecondPerKnot) ?? scaled(number(f[6]), 1 / 3.6),
  }),
  ZDA: (f) => ({ timeOfDayMs: timeOfDay(f[0]), date: civil(number(f[3]), number(f[2]), number(f[1])) }),
  GBS: (f) => ({ timeOfDayMs: timeOfDay(f[0]) }),
  GST: (f) => ({ timeOfDayMs: timeOfDay(f[0]) }),
  GSA: (f, talker) => {
    // NMEA 4.11 says the system at the end; before, each constellation had its talker or its own numbers
    const system = f.length > 17 && f[17] ? f[17] : talker;
    const used = f.slice(2, 14).filter((id) => id !== '');
    return { gsa: { mode: number(f[1]) ?? 1, system, used }, hdop: number(f[15]) };
  },
  GSV: (f, talker) => {
    const inView: string[] = [];
    for (let at = 3; at + 3 < f.length; at += 4) if (f[at]) inView.push(f[at] as string);
    return { gsv: { system: talker, part: number(f[1]) ?? 1, inView } };
  },
};

const validity = (status: string | undefined): boolean | undefined =>
  status === 'A' || status === 'D' ? true : status === 'V' ? false : undefined;

function number(text: string | undefined): number | undefined {
  if (text === undefined || !/^\s*[-+]?(\d+\.?\d*|\.\d+)\s*$/.test(text)) return undefined;
  return Number(text);
}

const scaled = (value: number | undefined, factor: number): number | undefined =>
  value === undefined ? undefined : value * factor;

/** hhmmss, hhmmss.s… ; a leap second (60) is the last of the minute, as in POSIX. */
function timeOfDay(text: string | undefined): number | undefined {
  const match = /^(\d{2})(\d{2})(\d{2})(\.\d*)?$/.exec(text ?? '');
  if (!match) return undefined;
  const [hours, minutes, seconds] = match.slice(1, 4).map(Number) as [number, number, number];
  if (hours > 23 || minutes > 59 || seconds > 60) return undefined;
  const fraction = Math.round(Number(match[4] === undefined || match[4] === '.' ? 0 : `0${match[4]}`) * 1_000);
  return (hours * 3_600 + minutes * 60 + Math.min(seconds, 59)) * 1_000 + fraction;
}

/** ddmmyy; the century is that of GPS. */
function dateOf(text: string | undefined): CivilDate | undefined {
  const match = /^(\d{2})(\d{2})(\d{2})$/.exec(text ?? '');
  if (!match) return undefined;
  const [day, month, year] = match.slice(1).map(Number) as [number, number, number];
  return civil(year < 80 ? 2_000 + year : 1_900 + year, month, day);
}

function civil(year: number | undefined, month: number | undefined, day: number | undefined): CivilDate | undefined {
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (year < 1_980 || month < 1 || month > 12 || day < 1 || day > 31) return undefined;
  return { year, month, day };
}

/** ddmm.mmm, N or S, dddmm.mmm, E or W, from field `at`. */
function place(fields: readonly string[], at: number): Place | undefined {
  const [latitude, longitude] = [
    angle(fields[at], fields[at + 1], 'NS', 90),
    angle(fields[at + 2], fields[at + 3], 'EW', 180),
  ];
  return latitude === undefined || longitude === undefined ? undefined : { latitude, longitude };
}

function angle(text: string | undefined, side: string | undefined, sides: string, most: number): number | undefined {
  const match = /^(\d{1,3})(\d{2}(?:\.\d*)?)$/.exec(text ?? '');
  if (!match || side === undefined || side === '' || !sides.includes(side)) return undefined;
  const [degrees, minutes] = [Number(match[1]), Number(match[2])];
  const value = degrees + minutes / 60;
  if (minutes >= 60 || value > most) return undefined;
  return side === sides[0] ? value : -value;
}
