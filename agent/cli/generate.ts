/** `outpost generate`, for developers: writes every file that is made from the code, or says which have drifted. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { assetPath, packaged } from '#agent/core/program.ts';
import { exitCodes, note, print } from './output.ts';
import { deviceSchema } from './running.ts';

export interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly content: string;
}

export function generateCommand(): Command {
  return new Command('generate')
    .description('Writes every file of the repository that is made from the code.')
    .option('--check', 'write nothing; fail when a file is not what it would be')
    .action(async ({ check }: { readonly check?: boolean }) => {
      if (packaged()) return note('There is nothing to generate here: this is the packaged program.');
      const stale = await staleFiles();
      if (check === true) reportDrift(stale);
      else await writeAll(stale);
    });
}

/** Every generated file as it should be. */
export async function generatedFiles(): Promise<readonly GeneratedFile[]> {
  const schema = await deviceSchema();
  const [{ configJsonSchema }, { configReference }, { starterConfig }, { errorReference }, catalogue, system] =
    await Promise.all([
      import('#config/json-schema.ts'),
      import('#config/reference.ts'),
      import('#config/starter.ts'),
      import('#agent/core/error-reference.ts'),
      import('#agent/domain/catalogue.ts'),
      import('#packaging/system/unit.ts'),
    ]);
  return [
    { path: 'config/outpost.schema.json', content: `${JSON.stringify(configJsonSchema(schema), undefined, 2)}\n` },
    { path: 'config/REFERENCE.md', content: configReference(schema) },
    { path: 'packaging/system/outpost.yaml', content: starterConfig({ storagePath: '/var/lib/outpost' }) },
    { path: 'packaging/system/outpost.service', content: system.unitText() },
    { path: 'packaging/system/70-outpost.rules', content: system.udevRules() },
    { path: 'agent/core/ERRORS.md', content: errorReference() },
    ...catalogue.generatedFiles().map(({ path, text }) => ({ path, content: text })),
  ];
}

/** Those that are not on disk as they should be. */
export async function staleFiles(): Promise<readonly GeneratedFile[]> {
  const files = await generatedFiles();
  const onDisk = await Promise.all(
    files.map(async ({ path }) => await readFile(assetPath(path), 'utf8').catch(() => '')),
  );
  return files.filter(({ content }, index) => content !== onDisk[index]);
}

function reportDrift(stale: readonly GeneratedFile[]): void {
  for (const { path } of stale) note(`${path} is not what the code says.`);
  if (stale.length === 0) return;
  note('Run `npm run generate` and commit what it writes.');
  process.exitCode = exitCodes.negative;
}

async function writeAll(stale: readonly GeneratedFile[]): Promise<void> {
  for (const { path, content } of stale) {
    await mkdir(dirname(assetPath(path)), { recursive: true });
    await writeFile(assetPath(path), content);
    print(path);
  }
}
