/**
 * JPEGs out of a stream of bytes, whatever lies between them, by their markers (ITU-T T.81, annex B).
 *
 *   ...text... FFD8 [FFxx length data]... FFDA length entropy-coded FFD9 ...text...
 */
import type { PictureSize } from '#agent/domain/frame.ts';

export interface Jpeg {
  readonly bytes: Buffer;
  readonly size: PictureSize;
}

export class JpegSplitter {
  readonly #maxBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  /** Where the walk through the picture stands. */
  #at = 0;
  #size: PictureSize | undefined;
  #started = false;
  #scanning = false;
  #overflows = 0;

  /** @param maxBytes a picture larger than this is given up */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Pictures given up because they were too large. */
  get overflows(): number {
    return this.#overflows;
  }

  *push(chunk: Buffer): Generator<Jpeg, void, undefined> {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const end = this.#walk();
      if (end === undefined) break;
      const bytes = Buffer.from(this.#buffer.subarray(0, end));
      const size = this.#size;
      this.#restart(end);
      if (size) yield { bytes, size };
    }
    if (this.#buffer.length <= this.#maxBytes) return;
    this.#overflows += 1;
    this.#restart(this.#buffer.length);
  }

  /** @returns where the picture ends, or undefined when more bytes are needed */
  #walk(): number | undefined {
    if (!this.#started && !this.#findStart()) return undefined;
    while (this.#at + 2 <= this.#buffer.length) {
      if (this.#scanning && !this.#skipEntropyCoded()) return undefined;
      const marker = this.#buffer[this.#at + 1];
      if (this.#buffer[this.#at] !== 0xff || marker === undefined) {
        // not a JPEG after all
        this.#restart(this.#at);
        if (!this.#findStart()) return undefined;
        continue;
      }
      if (marker === 0xd9) return this.#at + 2;
      if (marker === 0xff) this.#at += 1;
      else if (isStandalone(marker)) this.#at += 2;
      else if (!this.#skipSegment(marker)) return undefined;
    }
    return undefined;
  }

  #findStart(): boolean {
    const start = this.#buffer.indexOf('ffd8ff', 0, 'hex');
    this.#restart(start < 0 ? Math.max(0, this.#buffer.length - 2) : start);
    this.#started = start >= 0;
    this.#at = start >= 0 ? 2 : 0;
    return this.#started;
  }

  #skipSegment(marker: number): boolean {
    if (this.#at + 4 > this.#buffer.length) return false;
    const next = this.#at + 2 + this.#buffer.readUInt16BE(this.#at + 2);
    if (next > this.#buffer.length) return false;
    if (isFrameHeader(marker) && next - this.#at >= 9) {
      this.#size = { height: this.#buffer.readUInt16BE(this.#at + 5), width: this.#buffer.readUInt16BE(this.#at + 7) };
    }
    this.#scanning = marker === 0xda;
    this.#at = next;
    return true;
  }

  /** Stuffed bytes (FF00) and restart markers belong to the data. */
  #skipEntropyCoded(): boolean {
    for (;;) {
      const found = this.#buffer.indexOf(0xff, this.#at);
      this.#at = found < 0 ? this.#buffer.length : found;
      if (this.#at + 2 > this.#buffer.length) return false;
      const marker = this.#buffer[this.#at + 1] ?? 0;
      if (marker !== 0x00 && !(marker >= 0xd0 && marker <= 0xd7)) break;
      this.#at += 2;
    }
    this.#scanning = false;
    return true;
  }

  #restart(from: number): void {
    this.#buffer = this.#buffer.subarray(from);
    this.#at = 0;
    this.#size = undefined;
    this.#started = false;
    this.#scanning = false;
  }
}

const isStandalone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
/** SOF0 to SOF15, without DHT, JPG and DAC. */
const isFrameHeader = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
