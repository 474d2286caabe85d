/** The picture of the demo's first event, kept where a person looks for it. */
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Event } from '#agent/domain/event.ts';

/** @returns the path of the copy */
export async function keepPicture(path: string, folder: string, event: Event): Promise<string> {
  await mkdir(folder, { recursive: true });
  const kept = join(folder, `first-event-${event.kind}.jpg`);
  await copyFile(path, kept);
  return kept;
}
