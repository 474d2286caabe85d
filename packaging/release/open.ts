/**
 * A release on a stick: a folder, or the .tar of one. Nothing of it is used before its signature and checksums are right.
 *
 *   folder | archive --names, read--> SHA256SUMS.sig over SHA256SUMS --> every file in it --> Release
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { checkSignature, readSums, releaseName, sha256Of, signatureFile, sumsFile } from './sums.ts';

/** Where bytes lie: in a file of their own, or in the archive. */
interface Place {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

export interface Release {
  /** Every file that SHA256SUMS names. */
  readonly names: readonly string[];
  /** Its bytes, checked once more while they are read: a stick can change its mind. @throws OutpostError `release-damaged` */
  readonly read: (name: string) => AsyncIterable<Uint8Array>;
}

const mostSumsBytes = 64 * 1024;
const block = 512;

/**
 * @param path a folder or an archive
 * @param keys whose signature counts
 * @throws OutpostError `release-missing`, `release-untrusted`, `release-damaged`
 */
export async function openRelease(path: string, keys: readonly string[]): Promise<Release> {
  const places = await placesOf(path);
  const sumsBytes = await whole(places, sumsFile);
  checkSignature(sumsBytes, await whole(places, signatureFile), keys);
  const sums = readSums(sumsBytes.toString('utf8'));
  for (const [name, sha256] of sums) {
    const place = places.get(name);
    if (!place) throw new OutpostError('release-damaged', `${name} is missing from ${path}.`);
    if ((await sha256Of(bytesOf(place))) !== sha256) throw damaged(name);
  }
  return { names: [...sums.keys()], read: (name) => checked(name, places.get(name), sums.get(name)) };
}

const damaged = (name: string): OutpostError =>
  new OutpostError('release-damaged', `${name} is not what ${sumsFile} says.`);

async function* checked(
  name: string,
  place: Place | undefined,
  sha256: string | undefined,
): AsyncGenerator<Uint8Array> {
  if (!place || sha256 === undefined) throw new OutpostError('release-damaged', `The release has no ${name}.`);
  const { createHash } = await import('node:crypto');
  const hashing = createHash('sha256');
  for await (const chunk of bytesOf(place)) {
    hashing.update(chunk);
    yield chunk;
  }
  if (hashing.digest('hex') !== sha256) throw damaged(name);
}

async function* bytesOf({ file, offset, bytes }: Place): AsyncGenerator<Uint8Array> {
  if (bytes === 0) return;
  yield* createReadStream(file, { start: offset, end: offset + bytes - 1 }) as AsyncIterable<Buffer>;
}

async function whole(places: ReadonlyMap<string, Place>, name: string): Promise<Buffer> {
  const place = places.get(name);
  if (!place || place.bytes > mostSumsBytes) {
    throw new OutpostError('release-untrusted', `There is no ${name} that could be read: nothing says who made this.`);
  }
  return (await readFile(place.file)).subarray(place.offset, place.offset + place.bytes);
}

async function placesOf(path: string): Promise<ReadonlyMap<string, Place>> {
  try {
    return (await stat(path)).isDirectory() ? await inFolder(path) : await inArchive(path);
  } catch (thrown) {
    if (thrown instanceof OutpostError) throw thrown;
    throw new OutpostError('release-missing', `${path} cannot be read: ${messageOf(thrown)}.`, { cause: thrown });
  }
}

async function inFolder(path: string): Promise<ReadonlyMap<string, Place>> {
  const entries = await readdir(path, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && releaseName.test(entry.name));
  return new Map(
    await Promise.all(
      files.map(async ({ name }) => {
        const file = join(path, name);
        return [name, { file, offset: 0, bytes: (await stat(file)).size }] as const;
      }),
    ),
  );
}

/** POSIX ustar, regular files with plain names alone: what packaging/release/make.ts writes. */
async function inArchive(path: string): Promise<ReadonlyMap<string, Place>> {
  const places = new Map<string, Place>();
  const file = await open(path, 'r');
  try {
    for (let at = 0; ;) {
      const header = await headerAt(file, at);
      if (!header) return places;
      if (places.has(header.name)) throw new OutpostError('release-damaged', `The archive has ${header.name} twice.`);
      places.set(header.name, { file: path, offset: at + block, bytes: header.bytes });
      at += block + Math.ceil(header.bytes / block) * block;
    }
  } finally {
    await file.close();
  }
}

async function headerAt(file: FileHandle, at: number): Promise<{ name: string; bytes: number } | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(block), 0, block, at);
  if (bytesRead === 0 || buffer.every((byte) => byte === 0)) return undefined;
  const text = (from: number, length: number): string =>
    buffer.toString('latin1', from, from + length).split('\0', 1)[0] ?? '';
  const name = text(0, 100);
  const bytes = Number.parseInt(text(124, 12).trim(), 8);
  const isFile = ['0', ''].includes(text(156, 1)) && text(345, 155) === '';
  if (bytesRead < block || text(257, 5) !== 'ustar' || !isFile || !releaseName.test(name) || !(bytes >= 0)) {
    throw new OutpostError('release-damaged', 'That is no archive of a release.');
  }
  return { name, bytes };
}
