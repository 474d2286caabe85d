/** The last few full-size pictures of a camera. They show people as they are: memory only, never the disk, never a log. */
import type { PictureSize } from '#agent/domain/frame.ts';

export interface StoredPicture {
  /** Number of the frame that it shows. */
  readonly frame: number;
  readonly jpeg: Buffer;
  readonly size: PictureSize;
}

export class PictureRing {
  readonly #keep: number;
  readonly #pictures: StoredPicture[] = [];

  constructor(keep: number) {
    this.#keep = keep;
  }

  push(picture: StoredPicture): void {
    this.#pictures.push(picture);
    if (this.#pictures.length > this.#keep) this.#pictures.shift();
  }

  nearest(frame: number): StoredPicture | undefined {
    const distance = (picture: StoredPicture): number => Math.abs(picture.frame - frame);
    return this.#pictures.reduce<StoredPicture | undefined>(
      (best, picture) => (best && distance(best) <= distance(picture) ? best : picture),
      undefined,
    );
  }
}
