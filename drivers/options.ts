/** A driver's options as somebody wrote them, checked by the driver's own schema. */
import { z } from 'zod';
import { OutpostError } from '#agent/core/errors.ts';
import type { Driver } from './driver.ts';

/** @throws OutpostError `driver-options` with every mistake */
export function parseOptions(driver: Driver, written: unknown): unknown {
  const parsed = driver.options.safeParse(written);
  if (parsed.success) return parsed.data;
  throw new OutpostError(
    'driver-options',
    `The options of ${driver.name} are wrong:\n${z.prettifyError(parsed.error)}`,
    {
      hint: `See \`outpost drivers describe ${driver.name}\`.`,
    },
  );
}
