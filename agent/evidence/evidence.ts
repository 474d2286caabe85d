/**
 * Pictures and other blobs on disk, under a quota: each is wholly there or not at all, and the oldest make room.
 *
 *   put --> .N.part --fsync--> rename N-id.jpg --fsync folder--> path        what is to be uploaded: due.ts
 *             oldest N-…  <--- removed, counted, while there is too much
 *
 * Age is the order of writing, kept in the name: no clock decides what is given up.
 */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import { DueFolder } from './due.ts';
import {
  type EvidenceName,
  fileName,
  type MarkerName,
  parseFileName,
  parseMarkerName,
  partName,
  partPattern,
} from './names.ts';

export interface EvidenceOptions {
  readonly folder: string;
  readonly maxSizeBytes: number;
  readonly log: Log;
}

interface Stored extends EvidenceName {
  readonly path: string;
  readonly bytes: number;
}

export interface Evidence extends AsyncDisposable {
  /**
   * Durable when it resolves. An id is written once: a second put of it leaves the first and gives its path.
   * @param dueFor what it is a picture of, such as `camera/front`, when it is to be uploaded
   * @throws OutpostError evidence-name, evidence-full (quota or disk) or evidence-unavailable; nothing half is left
   */
  put(id: string, mediaType: string, bytes: Uint8Array, dueFor?: string): Promise<{ readonly path: string }>;
  /** What is still to be uploaded. */
  readonly due: DueFolder;
  /** Where it lies, or undefined when it was never here or made room. */
  path(id: string): string | undefined;
  readonly sizeBytes: number;
  readonly count: number;
  /** How many made room since this was opened. */
  readonly removed: number;
}

/** @throws OutpostError evidence-unavailable */
export async function openEvidence(options: EvidenceOptions): Promise<Evidence> {
  const folder = resolve(options.folder);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { files, markers } = await scan(folder);
    const store = new EvidenceFolder({ ...options, folder }, files, new DueFolder(folder, markers));
    await store.makeRoom(0);
    return store;
  } catch (error) {
    throw asEvidenceError(error, folder);
  }
}

class EvidenceFolder implements Evidence {
  readonly due: DueFolder;
  readonly #folder: string;
  readonly #maxSizeBytes: number;
  readonly #log: Log;
  /** In the order of writing. */
  readonly #stored: Map<string, Stored>;
  #sizeBytes: number;
  #next: number;
  #removed = 0;
  #last: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor({ folder, maxSizeBytes, log }: EvidenceOptions, found: readonly Stored[], due: DueFolder) {
    this.due = due;
    this.#folder = folder;
    this.#maxSizeBytes = maxSizeBytes;
    this.#log = log;
    this.#stored = new Map(found.map((stored) => [stored.id, stored]));
    this.#sizeBytes = found.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#next = Math.max(0, due.lastOrder, ...found.map(({ order }) => order)) + 1;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get count(): number {
    return this.#stored.size;
  }

  get removed(): number {
    return this.#removed;
  }

  path(id: string): string | undefined {
    return this.#stored.get(id)?.path;
  }

  put(id: string, mediaType: string, bytes: Uint8Array, dueFor?: string): Promise<{ readonly path: string }> {
    const writing = this.#last.then(() => this.#write(id, mediaType, bytes, dueFor));
    this.#last = writing.catch(() => undefined);
    return writing;
  }

  async #write(
    id: string,
    mediaType: string,
    bytes: Uint8Array,
    dueFor: string | undefined,
  ): Promise<{ readonly path: string }> {
    if (this.#disposed) throw new OutpostError('evidence-unavailable', 'The evidence is closed.');
    const order = this.#next;
    const name = fileName(order, id, mediaType);
    const before = this.#stored.get(id);
    if (before) return { path: before.path };
    if (bytes.byteLength > this.#maxSizeBytes) {
      throw new OutpostError('evidence-full', 'A piece of evidence is larger than the whole quota.', {
        context: { bytes: bytes.byteLength, maxSizeBytes: this.#maxSizeBytes },
      });
    }
    const path = join(this.#folder, name);
    try {
      await this.makeRoom(bytes.byteLength);
      if (dueFor !== undefined) await this.due.write(name, dueFor, bytes);
      await writeDurably(this.#folder, join(this.#folder, partName(order)), path, bytes);
    } catch (error) {
      if (dueFor !== undefined) await this.due.forget(name);
      throw asEvidenceError(error, this.#folder);
    }
    this.#next = order + 1;
    this.#stored.set(id, { id, order, path, bytes: bytes.byteLength });
    this.#sizeBytes += bytes.byteLength;
    if (dueFor !== undefined) this.due.remember(order, id, name);
    return { path };
  }

  /** Removes the oldest until `bytes` more fit. */
  async makeRoom(bytes: number): Promise<void> {
    const removedBefore = this.#removed;
    for (const stored of this.#stored.values()) {
      if (this.#sizeBytes + bytes <= this.#maxSizeBytes) break;
      await this.due.isGoing(stored.order);
      await rm(stored.path, { force: true });
      this.#stored.delete(stored.id);
      this.#sizeBytes -= stored.bytes;
      this.#removed += 1;
    }
    const count = this.#removed - removedBefore;
    if (count > 0) this.#log.info('The oldest evidence made room.', { count, sizeBytes: this.#sizeBytes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#last;
  }
}

/** What is there, oldest first; removes what a crash left half written, and leaves alone what is not ours. */
async function scan(folder: string): Promise<{ readonly files: Stored[]; readonly markers: MarkerName[] }> {
  const found: Stored[] = [];
  const markers: MarkerName[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (partPattern.test(name)) await rm(path, { force: true });
    const marker = parseMarkerName(name);
    if (marker) markers.push(marker);
    const parsed = parseFileName(name);
    if (!parsed) continue;
    const info = await stat(path).catch(() => undefined);
    if (info?.isFile()) found.push({ ...parsed, path, bytes: info.size });
  }
  return { files: found.sort((a, b) => a.order - b.order), markers };
}

async function writeDurably(folder: string, part: string, path: string, bytes: Uint8Array): Promise<void> {
  try {
    await using file = await open(part, 'wx', 0o600);
    await file.writeFile(bytes);
    await file.sync();
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
  await using directory = await open(folder, 'r');
  await directory.sync();
}

function asEvidenceError(error: unknown, folder: string): OutpostError {
  if (error instanceof OutpostError) return error;
  const full = ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
  return new OutpostError(full ? 'evidence-full' : 'evidence-unavailable', messageOf(error), {
    context: { folder },
    cause: error,
  });
}
