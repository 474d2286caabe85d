/** What a simulated device shows, as a PNG file: the paper of a printer. */
import { rename, writeFile } from 'node:fs/promises';
import type { Clock } from '#agent/core/clock.ts';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import type { Simulator } from '#drivers/simulator.ts';

const lookMs = 300;

/** @throws OutpostError `picture-unwritable` */
export async function writePicture(simulator: Simulator<unknown, unknown>, path: string): Promise<void> {
  const svg = simulator.picture?.();
  if (svg === undefined) throw new OutpostError('picture-unwritable', 'This device shows nothing.');
  const { default: sharp } = await import('#agent/core/sharp.ts');
  try {
    const png = await sharp(Buffer.from(svg)).png().toBuffer();
    await writeFile(`${path}.part`, png);
    await rename(`${path}.part`, path);
  } catch (cause) {
    throw new OutpostError('picture-unwritable', `${path} cannot be written: ${messageOf(cause)}`, { cause });
  }
}

/** Written anew whenever the device has changed, and once more at the end. @throws OutpostError `picture-unwritable` */
export async function keepPicture(
  simulator: Simulator<unknown, unknown>,
  path: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let shown = '';
  for (;;) {
    const state = JSON.stringify(simulator.state ?? {});
    if (state !== shown) await writePicture(simulator, path);
    shown = state;
    if (signal.aborted) return;
    await clock.sleep(lookMs, signal).catch(() => undefined);
  }
}
