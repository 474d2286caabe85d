/**
 * Defaults, profile, file and overrides laid over each other, and who said what.
 *
 *   profile < file < overrides --merge--> data + origin by path      (what nobody says is the schema's default)
 */
import { isPlain, type Path, pathText, type Plain } from './path.ts';
import type { Position } from './problem.ts';

export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'profile'; readonly name: string; readonly file: string; readonly line?: number }
  | { readonly kind: 'file'; readonly file: string; readonly line?: number; readonly column?: number }
  | { readonly kind: 'override' };

export interface Layer {
  readonly data: unknown;
  /** @param mark where the value was written, if it was written in a text */
  readonly origin: (mark: Position | undefined) => Origin;
  readonly marks: ReadonlyMap<string, Position>;
}

export interface Merged {
  readonly data: Plain;
  /** By path, of every value that some layer gives, lists and sections too. */
  readonly origins: ReadonlyMap<string, Origin>;
}

/** Sections merge key by key; lists and values of a later layer replace those of an earlier one. */
export function mergeLayers(layers: readonly Layer[]): Merged {
  const origins = new Map<string, Origin>();
  let data: unknown = {};
  for (const layer of layers) data = merge(data, layer.data, [], layer, origins);
  return { data: isPlain(data) ? data : {}, origins };
}

function merge(below: unknown, above: unknown, path: Path, layer: Layer, origins: Map<string, Origin>): unknown {
  if (above === undefined) return below;
  const key = pathText(path);
  if (below !== undefined && !(isPlain(above) && isPlain(below))) forget(origins, key);
  origins.set(key, layer.origin(layer.marks.get(key)));
  if (Array.isArray(above)) {
    return (above as unknown[]).map((item, index) => merge(undefined, item, [...path, index], layer, origins));
  }
  if (!isPlain(above)) return above;
  const merged: Record<string, unknown> = isPlain(below) ? { ...below } : {};
  for (const [name, value] of Object.entries(above)) {
    if (value !== undefined) merged[name] = merge(merged[name], value, [...path, name], layer, origins);
  }
  return merged;
}

function forget(origins: Map<string, Origin>, key: string): void {
  for (const known of origins.keys()) {
    if (known.startsWith(`${key}.`) || known.startsWith(`${key}[`)) origins.delete(known);
  }
}

export function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'profile':
      return `profile ${origin.name}`;
    case 'file':
      return origin.line === undefined ? origin.file : `${origin.file}:${origin.line}`;
    case 'override':
      return 'override';
  }
}
