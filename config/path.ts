/** Where a value stands in the configuration: `cameras[0].zones[1].polygon`. */
export type Path = readonly (string | number)[];

export function pathText(path: Path): string {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  return text.startsWith('.') ? text.slice(1) : text;
}

export type Plain = Readonly<Record<string, unknown>>;

export const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

/** What stands at a path, or undefined. */
export function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (typeof step === 'number') value = listOf(value)[step];
    else value = isPlain(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

/** A copy with another value at a path that exists. */
export function withValueAt(data: unknown, [step, ...rest]: Path, value: unknown): unknown {
  if (step === undefined) return value;
  if (typeof step === 'number')
    return listOf(data).map((item, index) => (index === step ? withValueAt(item, rest, value) : item));
  const object = isPlain(data) ? data : {};
  return { ...object, [step]: withValueAt(object[step], rest, value) };
}
