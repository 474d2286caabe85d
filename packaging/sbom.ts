/**
 * The bill of materials beside the binary: CycloneDX 1.6 in JSON (ECMA-424), made from what really went in, and the same
 * for the same commit.
 *
 *   Component[], files of the content, the executable --> dist/outpost-linux-x64.cdx.json
 */
import { hash } from 'node:crypto';
import type { About, ContentFile } from './content.ts';
import { type Component, inOrder } from './components.ts';
import { keptLanguages } from './languages.ts';

export interface SbomFacts {
  readonly about: About;
  readonly components: readonly Component[];
  /** Every file of the content: those of no component are Outpost's own. */
  readonly files: readonly ContentFile[];
  /** Of the executable. */
  readonly sha256: string;
}

export function writeSbom({ about, components, files, sha256 }: SbomFacts): string {
  const taken = new Set(components.flatMap((component) => component.files.map(({ path }) => path)));
  const name = `pkg:generic/outpost@${about.version}?arch=${about.arch}`;
  const sbom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: serialNumber(sha256),
    version: 1,
    metadata: {
      // Of the commit: a second build says the same.
      timestamp: about.committed,
      component: {
        'bom-ref': name,
        type: 'application',
        name: 'outpost',
        version: about.version,
        licenses: [{ license: { id: 'Apache-2.0' } }],
        hashes: [{ alg: 'SHA-256', content: sha256 }],
        properties: [
          { name: 'outpost:commit', value: about.commit },
          { name: 'outpost:target', value: `linux-${about.arch}` },
          { name: 'outpost:content', value: about.content },
        ],
        components: files.filter(({ path }) => !taken.has(path)).map((file) => fileOf(file, name)),
      },
    },
    components: inOrder(components).map((component) => entryOf(component)),
    dependencies: [{ ref: name, dependsOn: inOrder(components).map((component) => refOf(component)) }],
  };
  return `${JSON.stringify(sbom, undefined, 1)}\n`;
}

/** A UUID of version 8 (RFC 9562 section 5.8), made from the executable's hash instead of chance. */
function serialNumber(sha256: string): string {
  const digits = `${sha256.slice(0, 12)}8${sha256.slice(13, 16)}8${sha256.slice(17, 32)}`;
  return `urn:uuid:${digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}`;
}

const types = {
  package: 'library',
  part: 'library',
  runtime: 'platform',
  model: 'machine-learning-model',
} as const;

const purlOf = ({ kind, name, version }: Component): string | undefined =>
  kind === 'package' || kind === 'runtime' ? `pkg:npm/${name.replace('@', '%40')}@${version}` : undefined;

const refOf = (component: Component, inside = ''): string =>
  purlOf(component) ?? `${inside}${component.kind}:${component.name}@${component.version}`;

function entryOf(component: Component, inside = ''): object {
  const { kind, name, version, source, integrity, files, parts } = component;
  const ref = refOf(component, inside);
  const purl = purlOf(component);
  const within = [...files.map((file) => fileOf(file, ref)), ...parts.map((part) => entryOf(part, `${ref}#`))];
  return {
    'bom-ref': ref,
    type: types[kind],
    name,
    version,
    ...(integrity ? { hashes: [{ alg: 'SHA-512', content: hexOf(integrity) }] } : {}),
    licenses: [licenceOf(component)],
    ...(purl ? { purl } : {}),
    ...(source ? { externalReferences: [{ type: 'vcs', url: source }] } : {}),
    ...(kind === 'runtime' ? { pedigree: { notes: changesToNode } } : {}),
    ...(within.length > 0 ? { components: within } : {}),
  };
}

const changesToNode = `bin/node without its symbol table, and without ICU's data for languages but ${keptLanguages.join(', ')}; its code is as published.`;

const fileOf = ({ path, sha256 }: ContentFile, ref: string): object => ({
  'bom-ref': `${ref}#file:${path}`,
  type: 'file',
  name: path,
  hashes: [{ alg: 'SHA-256', content: sha256 }],
});

/** The identifiers of SPDX that are met here; anything else goes under `name`, which may be any text. */
const identifiers = new Set(
  '0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BlueOak-1.0.0 ISC LGPL-3.0-or-later MIT Unlicense blessing'.split(' '),
);

const licenceOf = ({ licence }: Component): object => ({
  license: identifiers.has(licence) ? { id: licence } : { name: licence },
});

const hexOf = (integrity: string): string => Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex');

export const sha256Of = (bytes: Uint8Array): string => hash('sha256', bytes);
