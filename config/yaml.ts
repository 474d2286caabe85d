/**
 * YAML text into plain data, with the place of every value; hostile texts are bounded in bytes, depth and nodes.
 *
 *   text --parseDocument--> nodes --visit--> data, marks by path, problems
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { type Path, pathText } from './path.ts';
import type { Position, Problem } from './problem.ts';

export interface Parsed {
  readonly data: unknown;
  /** Where each value was written: its key, or the value itself in a list. */
  readonly marks: ReadonlyMap<string, Position>;
  readonly problems: readonly Problem[];
}

export const maxFileBytes = 1024 * 1024;
const maxDepth = 32;
/** After aliases are followed: a small text can name a large tree. */
const maxNodes = 50_000;
const maxFaults = 20;

export function parseYaml(text: string): Parsed {
  const lines = new LineCounter();
  const content = text.replace(/^\u{FEFF}/u, '');
  const document = compose(content, lines);
  if (!document) return { data: {}, marks: new Map(), problems: [{ path: '', message: tooLarge }] };
  const place = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const faults = [...document.errors, ...document.warnings]
    .slice(0, maxFaults)
    .map(({ message, pos }) =>
      Object.assign(place(pos[0]), { path: '', message: `is not valid YAML: ${firstLine(message)}` }),
    );
  if (faults.length > 0) return { data: {}, marks: new Map(), problems: faults };
  const visit = new Visit(place);
  const data = visit.value(document.contents, [], 0);
  return { data, marks: visit.marks, problems: visit.problems };
}

const nameOf = (key: unknown): string | undefined =>
  typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' ? String(key) : undefined;

const firstLine = (message: string): string => (message.split('\n')[0] ?? message).replace(/:$/, '');

/** @returns undefined for a text so deep that the parser runs out of stack */
function compose(content: string, lineCounter: LineCounter): Document | undefined {
  try {
    // Doubled keys are found by the visit: the parser would compare each with each.
    return parseDocument(content, { lineCounter, prettyErrors: false, uniqueKeys: false, strict: true });
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

class Visit {
  readonly marks = new Map<string, Position>();
  readonly problems: Problem[] = [];
  readonly #anchors = new Map<string, unknown>();
  readonly #place: (offset: number) => Position;
  #nodes = 0;
  #isFull = false;
  #isInAlias = false;

  constructor(place: (offset: number) => Position) {
    this.#place = place;
  }

  value(node: unknown, path: Path, depth: number): unknown {
    this.#nodes += 1;
    if (depth > maxDepth || this.#nodes > maxNodes) {
      if (!this.#isFull) this.problems.push({ path: '', message: tooLarge, ...this.#position(node) });
      this.#isFull = true;
    }
    if (this.#isFull) return null;
    if (isAlias(node)) return this.#alias(node.source, path, depth + 1);
    const { anchor } = (node ?? {}) as { anchor?: string };
    if (anchor !== undefined && !this.#isInAlias) this.#anchors.set(anchor, node);
    if (isSeq(node)) return node.items.map((item, index) => this.#item(item, [...path, index], depth + 1));
    if (isMap(node)) return this.#map(node.items, path, depth + 1);
    return isScalar(node) ? node.value : null;
  }

  /** The anchors are kept on the way: the parser's own `resolve` walks the whole document each time. */
  #alias(name: string, path: Path, depth: number): unknown {
    const wasInAlias = this.#isInAlias;
    this.#isInAlias = true;
    const data = this.value(this.#anchors.get(name), path, depth);
    this.#isInAlias = wasInAlias;
    return data;
  }

  #item(node: unknown, path: Path, depth: number): unknown {
    this.#mark(node, path);
    return this.value(node, path, depth);
  }

  #map(pairs: readonly { key: unknown; value: unknown }[], path: Path, depth: number): Record<string, unknown> {
    const data: Record<string, unknown> = {};
    for (const { key, value } of pairs) {
      if (this.#isFull) break;
      const name = isScalar(key) ? nameOf(key.value) : undefined;
      if (name === undefined || name === '__proto__') this.#report(key ?? value, path, 'has a key that is not a name');
      else if (Object.hasOwn(data, name)) this.#report(key, [...path, name], 'is written twice');
      else {
        this.#mark(key, [...path, name]);
        const read = this.value(value, [...path, name], depth);
        // `uplink:` with all its keys commented out means what it would without that line.
        if (read !== null) data[name] = read;
      }
    }
    return data;
  }

  #position(node: unknown): Position | undefined {
    const offset = (node as Node | null | undefined)?.range?.[0];
    return offset === undefined ? undefined : this.#place(offset);
  }

  #mark(node: unknown, path: Path): void {
    const position = this.#position(node);
    if (position) this.marks.set(pathText(path), position);
  }

  #report(node: unknown, path: Path, message: string): void {
    this.problems.push({ path: pathText(path), message, ...this.#position(node) });
  }
}

const tooLarge = `is too deep or too large: at most ${maxDepth} levels and ${maxNodes} values, aliases followed`;
