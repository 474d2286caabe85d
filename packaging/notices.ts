/**
 * The third-party notices: the licence texts of every package that is in the binary, and of Node.
 *
 *   inputs of the bundle + packages of the natives --> packages --> name, version, licence, text
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface Notice {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** The licence as the package has it; empty when it has none beside its name. */
  readonly text: string;
}

/** libvips names the licences of the libraries inside it in its README, and nowhere else. */
const licenceFile = (name: string): RegExp =>
  name.includes('libvips') ? /^readme/i : /^(licen[cs]e|copying|notice|thirdparty)/i;

/** `node_modules/@a/b/lib/c.js` -> `node_modules/@a/b`; undefined for a file of our own. */
export function packageOf(input: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
}

/** @param files paths relative to the repository */
export async function noticesFor(repository: string, files: readonly string[]): Promise<readonly Notice[]> {
  const folders = [...new Set(files.map(packageOf).filter((folder) => folder !== undefined))];
  const notices = await Promise.all(folders.map((folder) => noticeOf(join(repository, folder))));
  return notices.toSorted((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
}

async function noticeOf(folder: string): Promise<Notice> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  const names = (await readdir(folder)).filter((file) => licenceFile(name).test(file));
  const texts = await Promise.all(names.toSorted().map((file) => readFile(join(folder, file), 'utf8').catch(() => '')));
  return { name, version, licence: license ?? 'not named', text: texts.join('\n\n').trim() };
}

export function writeNotices(notices: readonly Notice[]): string {
  const list = notices.map(({ name, version, licence }) => `  ${name} ${version} (${licence})`);
  const texts = notices.map(
    ({ name, version, licence, text }) =>
      `${'='.repeat(80)}\n${name} ${version}\nLicence: ${licence}\n\n${text || 'The package carries no licence text.'}\n`,
  );
  return `Outpost contains the following works of others:\n\n${list.join('\n')}\n\n${texts.join('\n')}`;
}
