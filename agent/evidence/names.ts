/**
 * Names of evidence on disk: `00000042-ID.jpg`, the order of writing first; beside it `.00000042-ID.jpg.due` while it is
 * to be uploaded, `.00000042-ID.jpg.gone` when it made room before that.
 */
import { OutpostError } from '#agent/core/errors.ts';

export interface EvidenceName {
  readonly id: string;
  /** From 1, greater the later it was written. */
  readonly order: number;
}

const extensions = { 'image/jpeg': 'jpg', 'image/png': 'png', 'video/mp4': 'mp4' } as const;
const idPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/;
const namePattern = /^(\d{8,15})-([A-Za-z0-9][A-Za-z0-9_-]{0,99})\.(jpg|png|mp4)$/;
const markerPattern = /^\.(.+)\.(due|gone)$/;

/** A file that is being written. */
export const partName = (order: number): string => `.${order}.part`;
export const partPattern = /^\.\d+\.part$/;

/** @throws OutpostError evidence-name */
export function fileName(order: number, id: string, mediaType: string): string {
  const extension = Object.entries(extensions).find(([type]) => type === mediaType)?.[1];
  if (!idPattern.test(id) || extension === undefined) {
    throw new OutpostError('evidence-name', undefined, { context: { id: id.slice(0, 100), mediaType } });
  }
  return `${String(order).padStart(8, '0')}-${id}.${extension}`;
}

/** @returns undefined for a file that this room did not write */
export function parseFileName(name: string): EvidenceName | undefined {
  const [, order, id] = namePattern.exec(name) ?? [];
  return order === undefined || id === undefined ? undefined : { order: Number(order), id };
}

/** @returns undefined for a name of another kind */
export const mediaTypeOf = (name: string): string | undefined =>
  Object.entries(extensions).find(([, extension]) => name.endsWith(`.${extension}`))?.[0];

export type MarkerState = 'due' | 'gone';

export interface MarkerName extends EvidenceName {
  readonly state: MarkerState;
  /** Of the file that it speaks of. */
  readonly name: string;
}

export const markerName = (name: string, state: MarkerState): string => `.${name}.${state}`;

/** @returns undefined for a file that is no marker of ours */
export function parseMarkerName(marker: string): MarkerName | undefined {
  const [, name = '', state] = markerPattern.exec(marker) ?? [];
  const parsed = parseFileName(name);
  return parsed && (state === 'due' || state === 'gone') ? { ...parsed, state, name } : undefined;
}
