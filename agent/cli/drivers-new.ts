/** `outpost drivers new`: a driver's folder from the template, which is a driver itself and passes its own tests. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { assetPath } from '#agent/core/program.ts';
import { isDriverName } from '#drivers/registry.ts';

const namePattern = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const entry = "  'nmea-gnss': {";

/**
 * @returns the files that were written
 * @throws OutpostError `driver-exists`
 */
export async function writeDriver(name: string, folder: string): Promise<readonly string[]> {
  if (
    !namePattern.test(name) ||
    name.length > 32 ||
    name === 'template' ||
    name === 'conformance' ||
    isDriverName(name)
  ) {
    throw new OutpostError('driver-exists', `${name} cannot be the name of a new driver.`);
  }
  const to = join(folder, name);
  const from = assetPath('drivers', 'template');
  try {
    await readFile(join(folder, 'registry.ts'));
    await mkdir(to);
    const files = await readdir(from);
    const written = await Promise.all(
      files.map(async (file) => await copy(join(from, file), join(to, file.replace('template', name)), name)),
    );
    return [...written, ...(await register(name, folder))];
  } catch (cause) {
    const hint = `Run it at the root of the repository, or name its folder of drivers with --folder.`;
    throw new OutpostError('driver-exists', `${to} cannot be written: ${messageOf(cause)}`, { hint, cause });
  }
}

async function copy(from: string, to: string, name: string): Promise<string> {
  const text = await readFile(from, 'utf8');
  await writeFile(to, renamed(text, name), { flag: 'wx' });
  return to;
}

const renamed = (text: string, name: string): string =>
  text
    .replaceAll("'template'", `'${name}'`)
    .replaceAll('driver: template', `driver: ${name}`)
    .replaceAll('# template', `# ${name}`);

/** The one line elsewhere that a new driver needs. */
async function register(name: string, folder: string): Promise<readonly string[]> {
  const path = join(folder, 'registry.ts');
  const text = await readFile(path, 'utf8');
  if (!text.includes(entry)) return [];
  const own = [
    `  '${name}': {`,
    `    title: 'Switch of the template',`,
    `    options: async () => (await import('./${name}/manifest.ts')).options,`,
    `    load: async () => sealed((await import('./${name}/driver.ts')).driver),`,
    '  },',
  ].join('\n');
  await writeFile(path, text.replace(entry, `${own}\n${entry}`));
  return [path];
}
