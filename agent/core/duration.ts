/** Spans of time: milliseconds inside, `1500ms`, `30s`, `5m`, `2h` or `7d` where people write them. */

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

declare const durationBrand: unique symbol;
/** Milliseconds. */
export type Duration = number & { readonly [durationBrand]: true };

/** @returns the span, or undefined when the text is not a number followed by ms, s, m, h or d */
export function parseDuration(text: string): Duration | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) return undefined;
  const [, amount, unit] = match;
  return (Number(amount) * unitMs[unit as keyof typeof unitMs]) as Duration;
}

/** The shortest exact text, such as `90s` for 90,000 ms. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= unitMs[unit] && ms % unitMs[unit] === 0) return `${ms / unitMs[unit]}${unit}`;
  }
  return `${ms}ms`;
}
