/** The third-party notices: every work inside the binary, with its licence, and the text of it where it brings one. */
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Component, inOrder, packageComponent } from './components.ts';

const rule = '='.repeat(80);

/** What is said where a package has no file with its licence. */
function withoutText({ name, version, licence, source }: Component): string {
  const where = source === undefined ? '' : ` Its sources, with the text and with what they build on: ${source}`;
  return `The package carries no licence text; its metadata names ${licence} for ${name} ${version}.${where}`;
}

function chapter(component: Component): string {
  const { name, version, licence, text, parts } = component;
  const inside = parts.map((part) => `  ${part.name} ${part.version} (${part.licence})`);
  return [
    `${rule}\n${name} ${version}\nLicence: ${licence}\n`,
    ...(inside.length > 0 ? [`It holds:\n${inside.join('\n')}\n`] : []),
    `${text || withoutText(component)}\n`,
  ].join('\n');
}

export function writeNotices(components: readonly Component[]): string {
  const sorted = inOrder(components);
  const list = sorted.map(({ name, version, licence }) => `  ${name} ${version} (${licence})`);
  return `Outpost contains the following works of others:\n\n${list.join('\n')}\n\n${sorted.map(chapter).join('\n')}`;
}

/** What the program uses when it runs from source: the packages of the lock file that do not serve development alone. */
export async function sourceNotices(repository: string): Promise<string> {
  const lock = JSON.parse(await readFile(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, { dev?: boolean }>>;
  };
  const folders = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path]) => join(repository, path))
    .filter((folder) => existsSync(join(folder, 'package.json')));
  return writeNotices(await Promise.all(folders.map(async (folder) => await packageComponent(folder))));
}
