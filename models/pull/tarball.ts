/** Reads named files out of a .tgz into memory and leaves all others where they are (ustar, POSIX.1-1988). */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { OutpostError, messageOf } from '#agent/core/errors.ts';

const block = 512;
/** Of one file that is asked for. */
const maxFileBytes = 256 * 1024 ** 2;

/**
 * @param names paths below the tarball's own folder, such as `models/nanodet.json`
 * @returns what was found of them, by name
 * @throws OutpostError `npm-failed` when it is no tarball
 */
export async function readTarball(path: string, names: readonly string[]): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const unpacked = createReadStream(path).pipe(createGunzip());
  const bytes = new ByteReader(unpacked);
  try {
    while (found.size < names.length) {
      const header = await bytes.read(block);
      if (!header || header.every((byte) => byte === 0)) break;
      const { name, size } = readHeader(header);
      const padded = Math.ceil(size / block) * block;
      if (!names.includes(name)) {
        await bytes.skip(padded);
        continue;
      }
      if (size > maxFileBytes) throw new RangeError(`${name} has ${size} bytes`);
      const content = await bytes.read(padded);
      if (!content) throw new RangeError(`it ends inside ${name}`);
      found.set(name, content.subarray(0, size));
    }
  } catch (cause) {
    throw new OutpostError('npm-failed', `The package cannot be read: ${messageOf(cause)}.`, { cause });
  } finally {
    unpacked.destroy();
  }
  return found;
}

function readHeader(header: Buffer): { readonly name: string; readonly size: number } {
  const text = (from: number, to: number): string => header.toString('latin1', from, to).replace(/\0.*$/s, '');
  const size = Number.parseInt(text(124, 136), 8);
  if (text(257, 262) !== 'ustar' || !(size >= 0)) throw new RangeError('it is no tarball');
  const prefix = text(345, 500);
  const whole = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
  const isFile = ['0', ''].includes(text(156, 157));
  // The first level is the tarball's own folder.
  return { name: isFile ? whole.replace(/^[^/]*\//, '') : '', size };
}

/** Exact amounts out of a stream of chunks. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** @returns undefined at the end, or where fewer bytes are left */
  async read(size: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    let missing = size;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#next())) return undefined;
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  async skip(size: number): Promise<void> {
    let missing = size;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#next())) return;
      const skipped = Math.min(missing, this.#rest.length);
      this.#rest = this.#rest.subarray(skipped);
      missing -= skipped;
    }
  }

  async #next(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    this.#rest = done ? Buffer.alloc(0) : value;
    return !done;
  }
}
