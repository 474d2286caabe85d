/**
 * Unpacks in a process of its own: 74 MB of libraries pass through its memory, and go with it.
 *
 *   program --__unpack--> child: unpack.ts --one line of JSON--> the folder, or the error
 */
import { spawnSync } from 'node:child_process';
import { getAsset, getRawAsset } from 'node:sea';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { ErrorCode } from '#agent/core/error-codes.ts';
import { choices, thisUser } from '#agent/core/cache-folder.ts';
import { type Content, contentAsset, unpackArgument } from './content.ts';
import { unpack } from './unpack.ts';

type Answer =
  | { readonly folder: string }
  | { readonly code: ErrorCode; readonly message: string; readonly hint: string };

export const readAsset = (name: string): Uint8Array => new Uint8Array(getRawAsset(name));

export const readContent = (): Content => JSON.parse(getAsset(contentAsset, 'utf8')) as Content;

/** The whole of the child. */
export function unpackForParent(): void {
  let answer: Answer;
  try {
    answer = { folder: unpackHere() };
  } catch (thrown) {
    const { code, message, hint } = toOutpostError(thrown);
    answer = { code, message, hint };
  }
  process.stdout.write(JSON.stringify(answer));
}

const unpackHere = (): string => unpack(readContent(), readAsset, choices(), thisUser());

/**
 * @returns the folder that holds the whole content
 * @throws OutpostError as unpack does
 */
export function unpackApart(): string {
  const { stdout, error, status } = spawnSync(process.execPath, [unpackArgument], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  // Where no process can be started, this one does it, and is larger for a while.
  if (error) return unpackHere();
  if (status !== 0) throw new OutpostError('cache-unusable', 'The process that unpacks Outpost was ended.');
  const answer = JSON.parse(stdout) as Answer;
  if ('folder' in answer) return answer.folder;
  throw new OutpostError(answer.code, answer.message, { hint: answer.hint });
}
