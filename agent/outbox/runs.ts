/**
 * Several events in one row: their texts as they are sent, side by side, and what each of them is.
 *
 *   json:  {…},{…},{…}       parts: bytes, checksum | bytes, checksum | …      32 bits each, little-endian
 *
 * SQLite frees the pages of such a row without writing them, and a statement for each event is spared (decision 44). A row
 * of one event has no parts.
 */
import { type RowFacts, rowSum } from './sums.ts';

/** Two such texts fit a batch (uplink/line.ts). */
const mostTextBytes = 32_000;
export const mostEvents = 32;
/** Beyond it the time of the first does not stand for the others. */
const mostMs = 1_000;

const bytesAPart = 8;
const comma = 0x2c;

/** How many events a row holds, and the bytes of their texts: in SQL, which reads neither text nor parts for it. */
export const countSql = `coalesce(octet_length(parts) / ${bytesAPart}, 1)`;
export const bytesSql = `(octet_length(json) - ${countSql} + 1)`;

/** A row, and the numbers of its events: the first is that of the row. */
export interface StoredRun extends RowFacts {
  /** null in rows of version 1. */
  readonly sum: number | null;
  readonly parts: Buffer | null;
}

/** What a `WholeRow` is read by. */
export const wholeRowSql =
  'SELECT id, boot, mono_ms AS monoMs, keep, CAST(json AS BLOB) AS json, sum, parts FROM outbox';

/** With its text. */
export interface WholeRow extends StoredRun {
  readonly json: Buffer;
}

export interface Part {
  /** Where the event's text begins in that of the row. */
  readonly at: number;
  readonly bytes: number;
  /** null: nothing says what the text should be. */
  readonly sum: number | null;
}

/** @param textBytes of the whole row. @returns undefined when the row cannot be taken apart: it is damaged */
export function partsOf({ sum, parts }: Pick<StoredRun, 'sum' | 'parts'>, textBytes: number): Part[] | undefined {
  if (parts === null) return [{ at: 0, bytes: textBytes, sum }];
  const found: Part[] = [];
  let at = 0;
  for (let offset = 0; offset + bytesAPart <= parts.length; offset += bytesAPart) {
    const part = { at, bytes: parts.readUInt32LE(offset), sum: parts.readUInt32LE(offset + 4) };
    found.push(part);
    at += part.bytes + 1;
  }
  return found.length * bytesAPart === parts.length && found.length > 0 && at - 1 === textBytes ? found : undefined;
}

/** One row to be written. */
export interface RunRow {
  readonly id: number;
  readonly monoMs: number;
  readonly json: Buffer;
  /** Of the text when it holds one event, else of `parts`, which have the sums of the texts. */
  readonly sum: number;
  readonly parts: Buffer | null;
}

/** Some of a row's events, as a row of their own. They keep what they are, and their checksums. */
export function slicedRun(
  row: RowFacts & { readonly json: Buffer; readonly parts: Buffer },
  parts: readonly Part[],
  from: number,
  end: number,
): Omit<RunRow, 'monoMs'> {
  const [first, last] = [parts[from], parts[end - 1]];
  const id = row.id + from;
  const json = row.json.subarray(first?.at ?? 0, (last?.at ?? 0) + (last?.bytes ?? 0));
  if (end - from === 1) return { id, json, sum: first?.sum ?? 0, parts: null };
  const own = row.parts.subarray(from * bytesAPart, end * bytesAPart);
  return { id, json, sum: rowSum({ ...row, id }, own), parts: own };
}

/** Events that follow each other in one lane, until they are written. */
export class OpenRun {
  readonly #boot: number;
  readonly #parts = Buffer.alloc(mostEvents * bytesAPart);
  #text = Buffer.allocUnsafeSlow(mostTextBytes);
  #id = 0;
  #monoMs = 0;
  #count = 0;
  #bytes = 0;
  #sum = 0;

  /** @param boot of all events */
  constructor(boot: number) {
    this.#boot = boot;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether this event belongs to the same row. */
  fits(id: number, monoMs: number, bytes: number): boolean {
    return (
      this.#count > 0 &&
      this.#count < mostEvents &&
      id === this.#id + this.#count &&
      this.#bytes + 1 + bytes <= mostTextBytes &&
      monoMs >= this.#monoMs &&
      monoMs - this.#monoMs <= mostMs
    );
  }

  /** Copies the text. The run is empty, or it fits. */
  add(id: number, monoMs: number, text: Uint8Array): void {
    if (this.#count === 0) {
      this.#id = id;
      this.#monoMs = monoMs;
      if (text.length > this.#text.length) this.#text = Buffer.allocUnsafeSlow(text.length);
    } else {
      this.#text[this.#bytes] = comma;
      this.#bytes += 1;
    }
    this.#text.set(text, this.#bytes);
    this.#bytes += text.length;
    this.#sum = rowSum({ id, boot: this.#boot, monoMs: this.#monoMs, keep: 0 }, text);
    this.#parts.writeUInt32LE(text.length, this.#count * bytesAPart);
    this.#parts.writeUInt32LE(this.#sum, this.#count * bytesAPart + 4);
    this.#count += 1;
  }

  /** Its views hold until the next `add`. */
  take(): RunRow {
    const [id, monoMs, count] = [this.#id, this.#monoMs, this.#count];
    const json = this.#text.subarray(0, this.#bytes);
    this.forget();
    if (count === 1) return { id, monoMs, json, sum: this.#sum, parts: null };
    const parts = this.#parts.subarray(0, count * bytesAPart);
    return { id, monoMs, json, sum: rowSum({ id, boot: this.#boot, monoMs, keep: 0 }, parts), parts };
  }

  /** What is in it belonged to a transaction that was undone. */
  forget(): void {
    this.#count = 0;
    this.#bytes = 0;
  }
}
