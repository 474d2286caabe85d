/**
 * Commands of which nobody knows whether they were carried out; kept on the disk, for a restart settles nothing.
 *
 *   begun --keep--> written --answered--> settled
 *                          \--unknown, or the agent died--> refused: what moves, unlocks, prints --a human looks--> settled
 */
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { systemCode } from '#agent/core/errors.ts';
import { z } from 'zod';

const doubtSchema = z.strictObject({
  peripheral: z.string(),
  action: z.string(),
  reason: z.string(),
  at: z.string(),
});
export type Doubt = z.infer<typeof doubtSchema>;

async function readDoubts(path: string, peripherals: readonly string[]): Promise<readonly Doubt[]> {
  try {
    return z.array(doubtSchema).parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return [];
    const reason = 'The record of commands cannot be read.';
    return peripherals.map((peripheral) => ({ peripheral, action: 'a command', reason, at: 'an unknown time' }));
  }
}

export class Doubts {
  readonly #path: string;
  readonly #held: Map<string, Doubt>;

  private constructor(path: string, held: Map<string, Doubt>) {
    this.#path = path;
    this.#held = held;
  }

  /** @param peripherals of which each is in doubt when the file cannot be read */
  static async open(path: string, peripherals: readonly string[]): Promise<Doubts> {
    return new Doubts(path, new Map((await readDoubts(path, peripherals)).map((doubt) => [doubt.peripheral, doubt])));
  }

  of(peripheral: string): Doubt | undefined {
    return this.#held.get(peripheral);
  }

  all(): readonly Doubt[] {
    return [...this.#held.values()];
  }

  async keep(doubt: Doubt): Promise<void> {
    this.#held.set(doubt.peripheral, doubt);
    await this.#write();
  }

  /** @returns false when there was none */
  async settle(peripheral: string): Promise<boolean> {
    if (!this.#held.delete(peripheral)) return false;
    await this.#write();
    return true;
  }

  /** Whole or not at all, also through a power cut. */
  async #write(): Promise<void> {
    const next = `${this.#path}.new`;
    await writeFile(next, JSON.stringify(this.all()), { mode: 0o600 });
    await using file = await open(next, 'r+');
    await file.sync();
    await rename(next, this.#path);
  }
}
