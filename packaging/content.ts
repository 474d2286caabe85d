/**
 * What the single binary carries beside the program: a list of files, each with its hash, and one hash over the list.
 *
 *   build:  files --describe--> content.json + one compressed asset a file
 *   start:  content.json --unpack--> <cache>/<content hash>/<path>
 */

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
}

/** Name of the asset that holds the Content itself. */
export const contentAsset = 'content.json';

/** The bundle, below the content's folder: what threads run. */
export const bundleFile = 'outpost.cjs';

/** Folder of the native libraries, below the content's folder. */
export const nativesFolder = 'natives';
