/**
 * What is still to be uploaded, kept as files beside the evidence, so that a restart forgets none of it.
 *
 *   put --> .N-id.jpg.due --> N-id.jpg         durable together
 *           removed <-- uploaded, and told to the outbox
 *           .N-id.jpg.gone <-- N-id.jpg made room --> declared --> removed
 */
import { createHash } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '#agent/core/errors.ts';
import { markerName, type MarkerName, mediaTypeOf } from './names.ts';

/** `quota`: it made room. `missing`: nobody knows where it went. `damaged`: its bytes are not those that were written. */
export type Gone = 'quota' | 'missing' | 'damaged';

export interface Due {
  readonly order: number;
  readonly id: string;
  readonly mediaType: string;
  /** Such as `camera/front`. */
  readonly subject: string;
  /** Of what was written, lower-case hexadecimal; undefined when nobody knows any more. */
  readonly sha256: string | undefined;
  readonly size: number;
  readonly content: Buffer | Gone;
}

interface Marker {
  readonly subject: string;
  readonly sha256: string | undefined;
  readonly size: number;
}

const unknown: Marker = { subject: 'evidence', sha256: undefined, size: 0 };

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export class DueFolder {
  readonly #folder: string;
  readonly #markers: Map<number, MarkerName>;
  readonly #listeners = new Set<() => void>();

  constructor(folder: string, found: readonly MarkerName[]) {
    this.#folder = folder;
    const sorted = found.toSorted((a, b) => a.order - b.order);
    this.#markers = new Map(sorted.map((marker) => [marker.order, marker]));
  }

  get count(): number {
    return this.#markers.size;
  }

  /** 0: none. */
  get lastOrder(): number {
    return Math.max(0, ...this.#markers.keys());
  }

  /** @returns a function that ends the subscription */
  onDue(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Before the file itself has its name; `remember` once it has. */
  async write(name: string, subject: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#folder, markerName(name, 'due'));
    try {
      await using file = await open(path, 'w', 0o600);
      await file.writeFile(JSON.stringify({ subject, sha256: sha256Of(bytes), size: bytes.byteLength }));
      await file.sync();
    } catch (error) {
      await rm(path, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async forget(name: string): Promise<void> {
    await rm(join(this.#folder, markerName(name, 'due')), { force: true }).catch(() => undefined);
  }

  remember(order: number, id: string, name: string): void {
    this.#markers.set(order, { order, id, name, state: 'due' });
    for (const listener of this.#listeners) listener();
  }

  /** Its file is about to make room. */
  async isGoing(order: number): Promise<void> {
    const marker = this.#markers.get(order);
    if (marker?.state !== 'due') return;
    await rename(this.#path(marker), join(this.#folder, markerName(marker.name, 'gone')));
    this.#markers.set(order, { ...marker, state: 'gone' });
    for (const listener of this.#listeners) listener();
  }

  /** The next in the order of writing, the first again after the last. */
  async next(after: number): Promise<Due | undefined> {
    const orders = [...this.#markers.keys()].toSorted((a, b) => a - b);
    const marker = this.#markers.get(orders.find((order) => order > after) ?? orders[0] ?? 0);
    if (!marker) return undefined;
    const { order, id, name, state } = marker;
    const { subject, sha256, size } = parse(await readIfThere(this.#path(marker)));
    const about = { order, id, subject, mediaType: mediaTypeOf(name) ?? 'application/octet-stream' };
    const bytes = state === 'due' ? await readIfThere(join(this.#folder, name)) : undefined;
    if (!bytes) return { ...about, sha256, size, content: state === 'gone' ? 'quota' : 'missing' };
    const found = sha256Of(bytes);
    if (sha256 !== undefined && found !== sha256) return { ...about, sha256, size, content: 'damaged' };
    return { ...about, sha256: found, size: bytes.byteLength, content: bytes };
  }

  /** It was told: where it lies, or that it does not. */
  async settle(order: number): Promise<void> {
    const marker = this.#markers.get(order);
    if (!marker) return;
    await rm(this.#path(marker), { force: true });
    this.#markers.delete(order);
  }

  #path({ name, state }: MarkerName): string {
    return join(this.#folder, markerName(name, state));
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A damaged marker still says by its name that something is to be uploaded. */
function parse(bytes: Buffer | undefined): Marker {
  try {
    const { subject, sha256, size } = JSON.parse(bytes?.toString('utf8') ?? '') as Partial<Record<string, unknown>>;
    if (typeof subject !== 'string' || typeof size !== 'number') return unknown;
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return unknown;
    return { subject, sha256, size };
  } catch {
    return unknown;
  }
}
