/**
 * What is inside the binary, as a list of works with their versions, licences and files: said once, for the notices, the
 * bill of materials and `outpost --version`.
 *
 *   inputs of the bundle -> packages -+
 *   native files -> their packages ---+-> Component[]
 *   Node, the default model ----------+
 */
import { hash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentFile } from './content.ts';

export interface Component {
  readonly kind: 'package' | 'runtime' | 'model' | 'part';
  readonly name: string;
  readonly version: string;
  /** As its maker names it: an SPDX expression, or a name. */
  readonly licence: string;
  /** The licence texts that come with it; empty when there are none. */
  readonly text: string;
  /** Where its sources are, as its maker says. */
  readonly source?: string;
  /** `sha512-…` of its package. */
  readonly integrity?: string;
  /** Files of it that lie beside the program. */
  readonly files: readonly ContentFile[];
  /** Works that it holds itself. */
  readonly parts: readonly Component[];
}

/** `node_modules/@a/b/lib/c.js` -> `node_modules/@a/b`; undefined for a file of our own. */
export function packageOf(input: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
}

interface PackageFacts {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly repository?: string | { readonly url: string };
}

/** libvips names the licences of the libraries inside it in its README, and nowhere else. */
const licenceFile = (name: string): RegExp =>
  name.includes('libvips') ? /^readme/i : /^(licen[cs]e|copying|notice|thirdparty)/i;

/** @param folder of a package, as installed */
export async function packageComponent(
  folder: string,
  more: Partial<Pick<Component, 'kind' | 'files' | 'integrity'>> = {},
): Promise<Component> {
  const facts = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageFacts;
  const { name, version, license: licence = 'not named', repository } = facts;
  const names = (await readdir(folder)).filter((file) => licenceFile(name).test(file)).toSorted();
  const texts = await Promise.all(
    names.map(async (file) => await readFile(join(folder, file), 'utf8').catch(() => '')),
  );
  const source = typeof repository === 'string' ? repository : repository?.url;
  const text = texts.join('\n\n').trim();
  const parts = await partsOf(name, folder, text);
  return { kind: 'package', name, version, licence, text, ...(source ? { source } : {}), files: [], parts, ...more };
}

async function partsOf(name: string, folder: string, text: string): Promise<readonly Component[]> {
  if (name.includes('libvips')) return librariesOfVips(await readFile(join(folder, 'versions.json'), 'utf8'), text);
  if (name === 'better-sqlite3') return [await sqliteInside(folder)];
  return [];
}

/** The table in its README names libraries as people do; versions.json as its build does. */
const spelled: Readonly<Record<string, string>> = {
  libarchive: 'archive',
  libexif: 'exif',
  libffi: 'ffi',
  libheif: 'heif',
  libimagequant: 'imagequant',
  libpng: 'png',
  librsvg: 'rsvg',
  libtiff: 'tiff',
  libultrahdr: 'uhdr',
  libvips: 'vips',
  libwebp: 'webp',
  libxml2: 'xml2',
};

/** Those that the table names and versions.json does not have no version: `not named`. */
function librariesOfVips(versions: string, readme: string): readonly Component[] {
  const known = JSON.parse(versions) as Readonly<Record<string, string>>;
  return [...readme.matchAll(/^\| (\S+) +\| (.+?) +\|$/gm)]
    .filter(([, name = '']) => name !== 'Library' && !name.startsWith('-'))
    .map(([, name = '', licence = '']) => ({
      ...part(name, known[spelled[name] ?? name] ?? 'not named'),
      licence: licence.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'),
    }));
}

async function sqliteInside(folder: string): Promise<Component> {
  const header = await readFile(join(folder, 'deps/sqlite3/sqlite3.h'), 'utf8');
  const version = /#define SQLITE_VERSION\s+"([^"]+)"/.exec(header)?.[1] ?? 'not named';
  return { ...part('sqlite', version), licence: 'blessing' };
}

const part = (name: string, version: string): Component => ({
  kind: 'part',
  name,
  version,
  licence: 'not named',
  text: '',
  files: [],
  parts: [],
});

export async function modelComponent(folder: string, files: readonly ContentFile[]): Promise<Component> {
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as {
    name: string;
    weights: { sha256: string; sources: readonly { url?: string }[] };
    licence: { weights: string; notice: string };
  };
  const source = manifest.weights.sources.find(({ url }) => url !== undefined)?.url;
  return {
    kind: 'model',
    name: manifest.name,
    // Models have no version of their own: their hash is the only name that holds.
    version: manifest.weights.sha256.slice(0, 12),
    licence: manifest.licence.weights,
    text: manifest.licence.notice,
    ...(source ? { source } : {}),
    files,
    parts: [],
  };
}

export const contentFile = (path: string, bytes: Uint8Array): ContentFile => ({
  path,
  sha256: hash('sha256', bytes),
  bytes: bytes.length,
});

/** One of a version can be installed in several places: below each that asks for it. */
export function onceEach(components: readonly Component[]): readonly Component[] {
  const found = new Map<string, Component>();
  for (const component of components) {
    const key = `${component.name}@${component.version}`;
    const before = found.get(key);
    found.set(key, before ? { ...before, files: [...before.files, ...component.files] } : component);
  }
  return [...found.values()];
}

/** By name, then by version: the order of every list that is made from them. */
export const inOrder = (components: readonly Component[]): readonly Component[] =>
  components.toSorted((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
