/**
 * All that a store's files hold of its pages, read without SQLite.
 *
 *   outbox.db ----every page---------------.
 *   outbox.db-wal --frames, newest last----+--> current: what the store was    former: what lies beneath
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type LogFrame, logFrames } from './log-file.ts';
import { pageBytes } from './schema.ts';

export interface PageImage {
  readonly number: number;
  readonly bytes: Buffer;
  /** False: a newer one lies over it, or the page is free. */
  readonly isCurrent: boolean;
}

const pagesAtOnce = 128;
const mostTrunkEntries = pageBytes / 4 - 2;

export class PageImages {
  readonly #file: number;
  readonly #frames: readonly LogFrame[];
  readonly #newest = new Map<number, LogFrame>();
  readonly #free: ReadonlySet<number>;
  /** Read last by `all`: what a page goes on in mostly lies close by. */
  #chunk: { readonly first: number; readonly bytes: Buffer } = { first: 1, bytes: Buffer.alloc(0) };

  /** @throws a system error when there is no such file */
  constructor(database: string) {
    this.#file = openSync(database, 'r');
    this.#frames = logFrames(database);
    for (const frame of this.#frames) this.#newest.set(frame.page, frame);
    this.#free = this.#freePages();
  }

  /** As the store had it last. */
  readonly page = (number: number): Buffer | undefined => {
    const frame = this.#newest.get(number);
    if (frame) return frame.bytes;
    if (number < 1) return undefined;
    const at = (number - this.#chunk.first) * pageBytes;
    if (at >= 0 && at < this.#chunk.bytes.length) return this.#chunk.bytes.subarray(at, at + pageBytes);
    const bytes = Buffer.alloc(pageBytes);
    return this.#read(bytes, number) > 0 ? bytes : undefined;
  };

  *all(): Generator<PageImage> {
    const pages = Math.ceil(fstatSync(this.#file).size / pageBytes);
    for (let first = 1; first <= pages; first += pagesAtOnce) {
      const count = Math.min(pagesAtOnce, pages - first + 1);
      const chunk = Buffer.allocUnsafe(count * pageBytes);
      // the last page may be cut
      chunk.fill(0, this.#read(chunk, first));
      this.#chunk = { first, bytes: chunk };
      for (let number = first; number < first + count; number += 1) {
        const bytes = chunk.subarray((number - first) * pageBytes, (number - first + 1) * pageBytes);
        yield { number, bytes, isCurrent: !this.#newest.has(number) && !this.#free.has(number) };
      }
    }
    for (const frame of this.#frames) {
      const { page: number, bytes } = frame;
      yield { number, bytes, isCurrent: this.#newest.get(number) === frame && !this.#free.has(number) };
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  /** What the disk does not give is zeros. @returns bytes; fewer at the end of the file */
  #read(into: Buffer, first: number): number {
    try {
      return readSync(this.#file, into, 0, into.length, (first - 1) * pageBytes);
    } catch {
      into.fill(0);
      for (let at = 0; at < into.length && into.length > pageBytes; at += pageBytes) {
        this.#read(into.subarray(at, at + pageBytes), first + at / pageBytes);
      }
      return into.length;
    }
  }

  /** Section 1.5 of the file format: a list of lists, as far as it makes sense. */
  #freePages(): Set<number> {
    const free = new Set<number>();
    let trunk = this.page(1)?.readUInt32BE(32) ?? 0;
    while (trunk !== 0 && !free.has(trunk)) {
      const page = this.page(trunk);
      const count = page?.readUInt32BE(4) ?? 0;
      if (!page || count > mostTrunkEntries) break;
      free.add(trunk);
      for (let index = 0; index < count; index += 1) free.add(page.readUInt32BE(8 + 4 * index));
      trunk = page.readUInt32BE(0);
    }
    return free;
  }
}
