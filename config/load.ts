/**
 * The configuration of this device, and who said each value of it.
 *
 *   profile < outpost.yaml < overrides --merge--> secrets from files --parse--> Config, origins
 */
import { dirname } from 'node:path';
import type { z } from 'zod';
import { OutpostError, systemCode } from '#agent/core/errors.ts';
import { assetPath } from '#agent/core/program.ts';
import { type Layer, mergeLayers, type Origin } from './layers.ts';
import { nearest, type Complaint } from './issues.ts';
import { checkConfig } from './check.ts';
import { isPlain, listOf, type Path, pathText } from './path.ts';
import { type Problem, problemText } from './problem.ts';
import { readBounded } from './read-bounded.ts';
import { type Config, type configSchema, type ConfigSchema, profileNames, type ProfileName } from './schema.ts';
import { resolveSecrets } from './secrets.ts';
import { maxFileBytes, type Parsed, parseYaml } from './yaml.ts';

/** As it is written: every key optional, durations and sizes as text. */
export type ConfigInput = z.input<typeof configSchema>;

export type SchemaFor = (drivers: ReadonlySet<string>) => Promise<ConfigSchema>;

export interface LoadOptions {
  /** Absent: the first of `searchedFiles` that is there, or none. */
  readonly file?: string | undefined;
  /** Stronger than the file's own `profile`. */
  readonly profile?: string | undefined;
  /** Stronger than the file; lists replace lists. */
  readonly overrides?: ConfigInput | undefined;
  /**
   * Given the names of the drivers in it, the schema with their options, as `buildSchema` makes it; without, options are
   * looked at when a device is opened.
   */
  readonly schemaFor?: SchemaFor;
  /** Where to look when no file is named. */
  readonly search?: readonly string[];
}

export interface LoadResult {
  readonly config: Config;
  /** Undefined: none was named and none was found. */
  readonly file: string | undefined;
  /** Who said the value at this path. */
  readonly originOf: (path: Path) => Origin;
}

export type ReadResult =
  | ({ readonly ok: true } & LoadResult)
  | { readonly ok: false; readonly file: string | undefined; readonly problems: readonly Problem[] };

export const searchedFiles = ['outpost.yaml', '/etc/outpost/outpost.yaml'] as const;

/**
 * @throws OutpostError `config-missing`, `config-unreadable`; `config-invalid` with every problem in its message and
 * as `context.problems`
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadResult> {
  const result = await readConfig(options);
  if (result.ok) return result;
  throw invalid(result.problems, result.file);
}

/**
 * A configuration that the program makes itself, from no file and no profile.
 * @throws OutpostError `config-invalid`
 */
export function parseConfig(input: ConfigInput): Config {
  const checked = checkConfig(input);
  if (checked.ok) return checked.config;
  throw invalid(
    checked.complaints.map((complaint) => placed(complaint, { kind: 'override' })),
    undefined,
  );
}

function invalid(problems: readonly Problem[], file: string | undefined): OutpostError {
  const lines = problems.map((problem) => `\n  ${problemText(problem)}`).join('');
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  const message = `${file ?? 'The configuration'} has ${count}:${lines}`;
  return new OutpostError('config-invalid', message, { context: { file, problems } });
}

/**
 * As `loadConfig`, with what is wrong as a value.
 * @throws OutpostError `config-missing`, `config-unreadable`
 */
export async function readConfig(options: LoadOptions = {}): Promise<ReadResult> {
  const file = await readText(options.file === undefined ? (options.search ?? searchedFiles) : [options.file]);
  if (!file && options.file !== undefined) {
    throw new OutpostError('config-missing', `${options.file} is not there.`, { context: { file: options.file } });
  }
  const parsed = file ? parseYaml(file.text) : emptyText;
  const problems = file ? fileProblems(parsed, file.path) : [];
  const chosen = chooseProfile(options.profile, parsed.data);
  if (chosen.problem) problems.push(chosen.problem);
  const merged = mergeLayers([
    ...(chosen.name === undefined ? [] : [await profileLayer(chosen.name)]),
    ...(file ? [fileLayer(parsed, file.path)] : []),
    { data: options.overrides, origin: () => ({ kind: 'override' }), marks: new Map() },
    { data: { profile: chosen.name }, origin: () => profileOrigin(options, parsed, file?.path), marks: parsed.marks },
  ]);
  const schema = await options.schemaFor?.(namedDrivers(merged.data));
  const resolved = await resolveSecrets(merged.data, file ? dirname(file.path) : '.', schema);
  const originOf = (path: Path): Origin => merged.origins.get(pathText(path)) ?? { kind: 'default' };
  // A file that is no YAML says nothing that could be judged.
  const result = problems.some(({ path }) => path === '') ? undefined : checkConfig(resolved.data, schema);
  const complaints = [...resolved.complaints, ...(result?.ok === false ? result.complaints : [])];
  problems.push(...complaints.map((complaint) => placed(complaint, nearestOrigin(merged.origins, complaint.path))));
  if (result?.ok && problems.length === 0) return { ok: true, config: result.config, file: file?.path, originOf };
  return { ok: false, file: file?.path, problems: problems.sort(inOrder) };
}

const namedDrivers = (data: unknown): ReadonlySet<string> =>
  new Set(
    listOf(isPlain(data) ? data['peripherals'] : undefined).flatMap((each) =>
      isPlain(each) && typeof each['driver'] === 'string' ? [each['driver']] : [],
    ),
  );

const emptyText: Parsed = { data: {}, marks: new Map(), problems: [] };

function fileProblems(parsed: Parsed, file: string): Problem[] {
  const problems = parsed.problems.map((problem) => ({ ...problem, file }));
  const isWrongTop = parsed.data !== null && !isPlain(parsed.data);
  const message = 'must be keys with values, such as `device:`';
  return isWrongTop ? [...problems, { path: '', message, file, line: 1, column: 1 }] : problems;
}

const fileLayer = (parsed: Parsed, file: string): Layer => ({
  data: isPlain(parsed.data) ? parsed.data : {},
  marks: parsed.marks,
  origin: (mark) => ({ kind: 'file', file, ...mark }),
});

function chooseProfile(option: string | undefined, data: unknown): { name?: ProfileName; problem?: Problem } {
  const written = option ?? (isPlain(data) ? data['profile'] : undefined);
  const name = profileNames.find((known) => known === written);
  if (name !== undefined) return { name };
  // What the file says wrongly, the schema rejects with its line.
  if (option === undefined) return {};
  const near = nearest(option, profileNames);
  const hint = near === undefined ? `there are: ${profileNames.join(', ')}` : `did you mean ${near}?`;
  return { problem: { path: 'profile', message: `${option} is not a known profile`, hint } };
}

function profileOrigin(options: LoadOptions, parsed: Parsed, file: string | undefined): Origin {
  const mark = parsed.marks.get('profile');
  return options.profile !== undefined || file === undefined ? { kind: 'override' } : { kind: 'file', file, ...mark };
}

async function profileLayer(name: ProfileName): Promise<Layer> {
  const file = assetPath('config', 'profiles', `${name}.yaml`);
  const content = await readBounded(file, maxFileBytes);
  const { data, marks } = parseYaml(content?.toString('utf8') ?? '');
  return { data, marks, origin: (mark) => ({ kind: 'profile', name, file, ...(mark ? { line: mark.line } : {}) }) };
}

/** What is missing is complained of where it would be written: the nearest section above it. */
function nearestOrigin(origins: ReadonlyMap<string, Origin>, path: Path): Origin {
  for (let length = path.length; length > 0; length -= 1) {
    const origin = origins.get(pathText(path.slice(0, length)));
    if (origin) return origin;
  }
  return { kind: 'default' };
}

/** A complaint with the place in the file that it is about. */
export function placed({ path, message, hint }: Complaint, origin: Origin): Problem {
  const place = origin.kind === 'file' || origin.kind === 'profile' ? { ...origin } : {};
  const { file, line, column } = place as { file?: string; line?: number; column?: number };
  return {
    path: pathText(path),
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
  };
}

const inOrder = (a: Problem, b: Problem): number =>
  (a.line ?? Infinity) - (b.line ?? Infinity) || (a.column ?? 0) - (b.column ?? 0) || 0;

async function readText(paths: readonly string[]): Promise<{ path: string; text: string } | undefined> {
  for (const path of paths) {
    const content = await readFileAt(path);
    if (content) return { path, text: decode(content, path) };
  }
  return undefined;
}

async function readFileAt(path: string): Promise<Buffer | undefined> {
  try {
    const content = await readBounded(path, maxFileBytes);
    if (content) return content;
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    const detail = `${path} cannot be read: ${systemCode(cause) ?? 'unknown'}.`;
    throw new OutpostError('config-unreadable', detail, { context: { file: path }, cause });
  }
  throw new OutpostError('config-unreadable', `${path} is larger than 1 MiB.`, { context: { file: path } });
}

function decode(content: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (cause) {
    throw new OutpostError('config-unreadable', `${path} is not a text in UTF-8.`, { context: { file: path }, cause });
  }
}
