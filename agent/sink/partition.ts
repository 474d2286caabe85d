/** Which sink takes which device, where the broker cannot share a subscription. */

export interface Partition {
  /** From 1. */
  readonly index: number;
  readonly of: number;
}

/** @param text such as `2/4`. @returns undefined for anything else */
export function parsePartition(text: string): Partition | undefined {
  const [, index, of] = /^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(text) ?? [];
  const partition = { index: Number(index), of: Number(of) };
  return partition.index <= partition.of ? partition : undefined;
}

export const takes = ({ index, of }: Partition, device: string): boolean => fnv1a(device) % of === index - 1;

/** FNV-1a, 32 bits (Fowler, Noll, Vo; RFC 9923). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
