/**
 * Commands of which nobody knows whether they were carried out; kept on the disk, for a restart settles nothing.
 *
 *   begun --keep--> written --answered--> settled
 *                          \--unknown, or the agent died--> refused: what moves, unlocks, prints --a human looks--> settled
 */
import { type DurableText, durableFile } from '#agent/core/durable-text.ts';
import { z } from 'zod';

const doubtSchema = z.strictObject({
  peripheral: z.string(),
  action: z.string(),
  reason: z.string(),
  at: z.string(),
});
export type Doubt = z.infer<typeof doubtSchema>;

async function readDoubts(file: DurableText, peripherals: readonly string[]): Promise<readonly Doubt[]> {
  try {
    return z.array(doubtSchema).parse(JSON.parse((await file.read()) ?? '[]'));
  } catch {
    const reason = 'The record of commands cannot be read.';
    return peripherals.map((peripheral) => ({ peripheral, action: 'a command', reason, at: 'an unknown time' }));
  }
}

export class Doubts {
  readonly #file: DurableText;
  readonly #held: Map<string, Doubt>;

  private constructor(file: DurableText, held: Map<string, Doubt>) {
    this.#file = file;
    this.#held = held;
  }

  /** @param peripherals of which each is in doubt when the file cannot be read */
  static async open(path: string, peripherals: readonly string[]): Promise<Doubts> {
    const file = durableFile(path);
    return new Doubts(file, new Map((await readDoubts(file, peripherals)).map((doubt) => [doubt.peripheral, doubt])));
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

  async #write(): Promise<void> {
    await this.#file.write(JSON.stringify(this.all()));
  }
}
