/** What is wrong with a configuration: where, what, and what to write instead. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Problem {
  /** Such as `cameras[0].stallAfter`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** One line for a person, as editors and terminals link it: `outpost.yaml:4:15: path: message (hint)`. */
export function problemText({ path, message, hint, file, line, column }: Problem): string {
  const place = file === undefined ? '' : line === undefined ? `${file}: ` : `${file}:${line}:${column ?? 1}: `;
  return `${place}${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : ` (${hint})`}`;
}
