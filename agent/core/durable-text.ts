/**
 * A small text that outlives a power cut: replaced whole or not at all.
 *
 *   text --> FILE.new --fsync--> rename --fsync of the folder--> FILE
 */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from './errors.ts';

export interface DurableText {
  /** @returns undefined when nothing was ever written */
  read(): Promise<string | undefined>;
  /** On the disk when it returns. @throws the file system's error */
  write(text: string): Promise<void>;
}

export const durableFile = (path: string): DurableText => ({
  async read() {
    try {
      return await readFile(path, 'utf8');
    } catch (thrown) {
      if (systemCode(thrown) === 'ENOENT') return undefined;
      throw thrown;
    }
  },
  async write(text) {
    const next = `${path}.new`;
    {
      await using file = await open(next, 'w', 0o600);
      await file.writeFile(text);
      await file.sync();
    }
    await rename(next, path);
    await using folder = await open(dirname(path), 'r');
    await folder.sync();
  },
});

/** For where there is no disk to write to: it lasts as long as the program. */
export function volatileText(): DurableText {
  let held: string | undefined;
  return {
    read: async () => await Promise.resolve(held),
    async write(text) {
      held = await Promise.resolve(text);
    },
  };
}
