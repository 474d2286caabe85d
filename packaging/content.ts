/**
 * What the single binary carries beside the program: a list of files, each with its hash, and one hash over the list.
 *
 *   build:  files --describe--> content.json + one compressed asset a file
 *   start:  content.json --unpack--> <cache>/<content hash>/<path>
 */
import type { About } from '#agent/core/program.ts';

export type { About } from '#agent/core/program.ts';

export interface ContentFile {
  /** Below the content's folder, and the name of the asset that holds it. Mirrors the repository where it can. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface Content {
  /** 64 hexadecimal digits over all paths and hashes: another content never meets this one's folder. */
  readonly hash: string;
  readonly files: readonly ContentFile[];
  readonly about: About;
}

/** Name of the asset that holds the Content itself. */
export const contentAsset = 'content.json';

/** The program, below the content's folder: what runs, in the main thread and in others. */
export const bundleFile = 'outpost.cjs';

/** Folder of the native libraries, below the content's folder. */
export const nativesFolder = 'natives';

/** Native libraries are stored with their branches absolute: see branches.ts. */
export const isCode = (path: string): boolean => path.startsWith(`${nativesFolder}/`);

export const noticesFile = 'THIRD-PARTY-NOTICES';

/** Argument of the process that unpacks, so that its memory goes with it. */
export const unpackArgument = '__unpack';
