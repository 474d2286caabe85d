/** Reads small files from outside: never more than was asked for, whatever the file claims to be. */
import { open } from 'node:fs/promises';

/** @returns the bytes, or undefined when there are more than `maxBytes` */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer | undefined> {
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(maxBytes + 1);
  let size = 0;
  while (size <= maxBytes) {
    const { bytesRead } = await file.read(buffer, size, buffer.length - size);
    if (bytesRead === 0) return buffer.subarray(0, size);
    size += bytesRead;
  }
  return undefined;
}
