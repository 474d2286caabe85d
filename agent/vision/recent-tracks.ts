/** Where the tracks were in the last frames, so that a picture taken between two results is hidden and marked rightly. */
import type { Box } from '#agent/domain/box.ts';
import type { Track } from '#agent/domain/track.ts';

export interface PlacedTrack {
  readonly id: number;
  readonly label: string;
  readonly box: Box;
}

const framesKept = 256;

export class RecentTracks {
  readonly #frames: { readonly frame: number; readonly tracks: readonly Track[] }[] = [];

  add(frame: number, tracks: readonly Track[]): void {
    const last = this.#frames.at(-1);
    if (last && frame <= last.frame) this.#frames.length = 0;
    this.#frames.push({ frame, tracks });
    if (this.#frames.length > framesKept) this.#frames.shift();
  }

  /** Every track of the results before and after the frame, its box interpolated where both know it. */
  around(frame: number): readonly PlacedTrack[] {
    const before = this.#frames.findLast((entry) => entry.frame <= frame);
    const after = this.#frames.find((entry) => entry.frame >= frame);
    const placed = new Map<number, PlacedTrack>();
    for (const { id, label, box } of after?.tracks ?? []) placed.set(id, { id, label, box });
    for (const { id, label, box } of before?.tracks ?? []) {
      const next = placed.get(id);
      if (!next || !before || !after || after.frame === before.frame) placed.set(id, { id, label, box });
      else
        placed.set(id, {
          id,
          label,
          box: between(box, next.box, (frame - before.frame) / (after.frame - before.frame)),
        });
    }
    return [...placed.values()];
  }
}

const between = (a: Box, b: Box, part: number): Box => [
  a[0] + (b[0] - a[0]) * part,
  a[1] + (b[1] - a[1]) * part,
  a[2] + (b[2] - a[2]) * part,
  a[3] + (b[3] - a[3]) * part,
];
