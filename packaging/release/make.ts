/**
 * `npm run package:release -- [x64|arm64] --key FILE`: the offline bundle, signed.
 *
 *   binary, addon, .deb, .rpm, documents, SBOM --> SHA256SUMS, SHA256SUMS.sig --> outpost-<version>-linux-<arch>.tar
 */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { note, print, reportError } from '#agent/cli/output.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { version } from '#agent/core/version.ts';
import { type Arch, buildNotify } from '../notify/build.ts';
import { sourceEpoch } from '../packages.ts';
import { debArch } from '../system/deb.ts';
import { rpmArch } from '../system/rpm.ts';
import { runTool } from '../system/tool.ts';
import { sha256Of, signatureFile, signSums, sumsFile, writeSums } from './sums.ts';

const repository = resolve(import.meta.dirname, '../..');

const usage = `npm run package:release -- [x64|arm64] --key FILE [--from DIR] [--out DIR]

  --key FILE    the release key: Ed25519, PKCS #8 in PEM; \`outpost keys new\` makes one. It never leaves its file
  --from DIR    where binary and packages are (dist)
  --out DIR     where the archive goes (dist)

What is missing of .deb, .rpm and SBOM is left out, and said. Check by hand:
  openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig && sha256sum -c SHA256SUMS`;

export interface ReleaseInputs {
  readonly arch: Arch;
  readonly from: string;
  readonly out: string;
  readonly keyPem: string;
  readonly epoch: number;
}

/** @returns the path of the archive. @throws OutpostError `package-failed`, `trust-key` */
export async function makeRelease({ arch, from, out, keyPem, epoch }: ReleaseInputs): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'outpost-release-'));
  try {
    await gather(folder, arch, from);
    const names = (await readdir(folder)).toSorted();
    const hashes = new Map<string, string>();
    for (const name of names) hashes.set(name, await sha256Of(createReadStream(join(folder, name))));
    const sums = writeSums(hashes);
    await writeFile(join(folder, sumsFile), sums);
    await writeFile(join(folder, signatureFile), signSums(sums, keyPem));
    await mkdir(out, { recursive: true });
    const archive = join(out, `outpost-${version}-linux-${arch}.tar`);
    const settled = [
      '--format=ustar',
      `--mtime=@${epoch}`,
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=u=rwX,go=rX',
    ];
    await runTool('tar', ['-C', folder, ...settled, '-cf', archive, sumsFile, signatureFile, ...names], {
      debian: 'tar',
    });
    return archive;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function gather(folder: string, arch: Arch, from: string): Promise<void> {
  const needed = [
    [join(from, `outpost-linux-${arch}`), `outpost-linux-${arch}`],
    [buildNotify(arch), `notify-linux-${arch}.node`],
    [join(from, `outpost-linux-${arch}.notices.txt`), 'THIRD-PARTY-NOTICES'],
    [join(repository, 'LICENSE'), 'LICENSE'],
    [join(repository, 'config', 'REFERENCE.md'), 'REFERENCE.md'],
  ] as const;
  const pages = join(repository, 'packaging', 'docs');
  const documents = (await readdir(pages))
    .filter((name) => name.endsWith('.md'))
    .map((name) => [join(pages, name), name] as const);
  for (const [file, name] of [...needed, ...documents]) {
    await copyFile(file, join(folder, name)).catch((cause: unknown) => {
      throw new OutpostError('package-failed', `${file} is not there.`, { hint: `npm run package -- ${arch}`, cause });
    });
  }
  const optional = [
    `outpost_${version}_${debArch[arch]}.deb`,
    `outpost-${version}-1.${rpmArch[arch]}.rpm`,
    `outpost-linux-${arch}.cdx.json`,
  ];
  for (const name of optional) {
    await copyFile(join(from, name), join(folder, name)).catch(() => note(`  without ${name}: it is not in ${from}`));
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      key: { type: 'string' },
      from: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return note(usage);
  const arch = positionals[0] ?? process.arch;
  if (arch !== 'x64' && arch !== 'arm64') throw new OutpostError('package-target', `There is no target ${arch}.`);
  if (values.key === undefined)
    throw new OutpostError('trust-key', 'A release is signed: --key FILE.', { hint: usage });
  const from = resolve(values.from ?? join(repository, 'dist'));
  const archive = await makeRelease({
    arch,
    from,
    out: resolve(values.out ?? from),
    keyPem: await readFile(values.key, 'utf8'),
    epoch: sourceEpoch(),
  });
  print(`${archive}  ${(await stat(archive)).size} bytes`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (thrown) {
    reportError(thrown, false);
  }
}
