/** One text for one JSON value: what is signed must not depend on who wrote it. (RFC 8785, JCS.) */

const deepest = 16;

/**
 * Members sorted by UTF-16 code units, no white space, numbers as ECMAScript writes them.
 * @param value what `JSON.parse` gives
 * @returns undefined for what is nested deeper than 16, or is no JSON value
 */
export function canonicalJson(value: unknown, depth = 0): string | undefined {
  if (depth > deepest) return undefined;
  if (Array.isArray(value))
    return joined(
      '[',
      value.map((item: unknown) => canonicalJson(item, depth + 1)),
      ']',
    );
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]: [string, unknown]) => {
        const text = canonicalJson(member, depth + 1);
        return text === undefined ? undefined : `${JSON.stringify(name)}:${text}`;
      });
    return joined('{', members, '}');
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return undefined;
  const text: string | undefined = JSON.stringify(value);
  return text;
}

const joined = (open: string, parts: readonly (string | undefined)[], close: string): string | undefined =>
  parts.includes(undefined) ? undefined : open + parts.join(',') + close;
