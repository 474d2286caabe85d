/**
 * Which Outpost a file is, read out of it without running it: the build writes down itself, uncompressed (content.ts).
 *
 *   bytes --> e_machine of its head, `"about":{"version":…,"commit":…,"committed":…` --> Identity
 */

export interface Identity {
  /** `e_machine` of ELF; undefined for what is no ELF file. */
  readonly machine: number | undefined;
  /** Undefined for what does not say so: it is no program of Outpost. */
  readonly release: { readonly version: string; readonly commit: string; readonly committed: string } | undefined;
}

/** `e_machine` (System V ABI, figure 4-3). */
export const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

const mark = Buffer.from('"about":{"version":"');
const facts = /^"about":\{"version":"([^"]{1,64})","commit":"([^"]{1,64})","committed":"([^"]{1,32})"/;
/** No longer than the facts can be. */
const margin = 256;

/** @param chunks of the whole file */
export async function identityOf(chunks: AsyncIterable<Uint8Array>): Promise<Identity> {
  let machine: number | undefined;
  let release: Identity['release'];
  let isFirst = true;
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = Buffer.concat([held, chunk]);
    if (isFirst && held.length < 20) continue;
    if (isFirst) machine = machineOf(held);
    isFirst = false;
    release ??= releaseIn(held);
    held = held.subarray(-margin);
  }
  // The end of the file: what was too near to the end of a chunk before.
  return { machine, release: release ?? releaseIn(held) };
}

const machineOf = (head: Buffer): number | undefined =>
  head.toString('latin1', 0, 4) === '\x7fELF' ? head.readUInt16LE(18) : undefined;

function releaseIn(bytes: Buffer): Identity['release'] {
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    const [, version, commit, committed] = facts.exec(bytes.toString('latin1', at, at + margin)) ?? [];
    if (version && commit && committed) return { version, commit, committed };
  }
  return undefined;
}

/**
 * Whether one release came before another: by version, then by the time of its commit.
 * Versions as in Semantic Versioning 2.0.0, section 11; of two that are not yet released, the later commit is the newer.
 */
export function isOlder(one: NonNullable<Identity['release']>, other: NonNullable<Identity['release']>): boolean {
  const [ours, theirs] = [orderOf(one.version), orderOf(other.version)];
  for (let index = 0; index < 4; index += 1) {
    const difference = (ours[index] ?? 0) - (theirs[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return Date.parse(one.committed) < Date.parse(other.committed);
}

/** Three numbers, and 0 for what comes before the release itself. */
const orderOf = (version: string): readonly number[] => {
  const [, major, minor, patch, before] = /^(\d+)\.(\d+)\.(\d+)(-)?/.exec(version) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0), Number(patch ?? 0), before ? 0 : 1];
};
