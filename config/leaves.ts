/** Leaves of the configuration that people write with a unit. */
import { z } from 'zod';
import { parseBytes } from '#agent/core/bytes.ts';
import { type Duration, parseDuration } from '#agent/core/duration.ts';

/** A span such as `1500ms`, `30s` or `5m`; milliseconds inside. */
export const duration = (byDefault: string) =>
  z
    .string()
    .transform((text, context): Duration => {
      const parsed = parseDuration(text);
      if (parsed !== undefined) return parsed;
      context.issues.push({
        code: 'custom',
        input: text,
        message: 'must be a number with ms, s, m, h or d, such as 30s',
      });
      return z.NEVER;
    })
    .prefault(byDefault);

/** An amount such as `512KiB` or `2GiB`; bytes inside. */
export const bytes = (byDefault: string) =>
  z
    .string()
    .transform((text, context): number => {
      const parsed = parseBytes(text);
      if (parsed !== undefined) return parsed;
      context.issues.push({
        code: 'custom',
        input: text,
        message: 'must be a number with B, KiB, MiB, GiB or TiB, such as 2GiB',
      });
      return z.NEVER;
    })
    .prefault(byDefault);

export const percentage = (byDefault: number) => z.int().min(1).max(100).default(byDefault);
