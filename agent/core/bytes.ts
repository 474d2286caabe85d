/** Amounts of bytes: numbers inside, `512KiB` or `2GiB` where people write them. */

const unitBytes = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

/** @returns the bytes, or undefined when the text is not a number followed by B, KiB, MiB, GiB or TiB */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)$/.exec(text.trim());
  if (!match) return undefined;
  const [, amount, unit] = match;
  return Math.round(Number(amount) * unitBytes[unit as keyof typeof unitBytes]);
}

/** A short text with at most one decimal, such as `3.7MiB`. */
export function formatBytes(bytes: number): string {
  const units = Object.keys(unitBytes) as (keyof typeof unitBytes)[];
  const unit = units.findLast((name) => bytes >= unitBytes[name]) ?? 'B';
  const amount = bytes / unitBytes[unit];
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)}${unit}`;
}
