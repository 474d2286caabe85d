/** Leaves of the configuration that many sections share, above all those that people write with a unit. */
import { z } from 'zod';
import { parseBytes } from '#agent/core/bytes.ts';
import { type Duration, parseDuration } from '#agent/core/duration.ts';
import { idPattern } from '#agent/core/ids.ts';

/** Text that is read into a value; `unit` tells editors, the reference and error hints how it is written. */
const written = <T>(unit: string, example: string, parse: (text: string) => T | undefined) =>
  z
    .string()
    .meta({ unit, examples: [example] })
    .transform((text, context): T => {
      const parsed = parse(text);
      if (parsed !== undefined) return parsed;
      context.issues.push({ code: 'custom', input: text, message: `must be a ${unit}, such as ${example}` });
      return z.NEVER;
    });

/** A span such as `1500ms`, `30s` or `5m`; milliseconds inside. */
export const duration = (byDefault: string) =>
  written<Duration>('duration', byDefault, parseDuration).prefault(byDefault);

/** An amount such as `512KiB` or `2GiB`; bytes inside. */
export const bytes = (byDefault: string) => written<number>('size', byDefault, parseBytes).prefault(byDefault);

/** A time such as `22:00`, up to `24:00`; minutes since midnight inside. */
export const timeOfDay = (byDefault: string) =>
  written<number>('time of day', byDefault, parseTimeOfDay).prefault(byDefault);

export const percentage = (byDefault: number) => z.int().min(1).max(100).default(byDefault);

export const fraction = z.number().min(0).max(1);

export const id = (description: string) =>
  z
    .string()
    .regex(idPattern, 'must be 1 to 32 of a-z, 0-9, _ and -, starting with a letter or digit')
    .meta({ title: 'Id', description });

/** @returns minutes since midnight, or undefined when the text is not 00:00 to 24:00 */
export function parseTimeOfDay(text: string): number | undefined {
  const match = /^(\d{1,2}):(\d{2})$/.exec(text.trim());
  if (!match) return undefined;
  const [hours, minutes] = [Number(match[1]), Number(match[2])];
  const total = hours * 60 + minutes;
  return minutes < 60 && total <= 24 * 60 ? total : undefined;
}

export const formatTimeOfDay = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
