/**
 * `npm run package:system -- [deb|rpm|all] [x64|arm64|all]`: system packages around binaries that are built.
 *
 *   dist/outpost-linux-<arch> -> system/deb.ts -> dist/outpost_<version>_<arch>.deb
 *                             -> system/rpm.ts -> dist/outpost-<version>-1.<arch>.rpm
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { note, printTable, reportError } from '#agent/cli/output.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { version } from '#agent/core/version.ts';
import { buildNotify } from './notify/build.ts';
import { buildDeb } from './system/deb.ts';
import { buildRpm } from './system/rpm.ts';
import type { Arch, Build } from './system/tool.ts';

const repository = resolve(import.meta.dirname, '..');
const builders = { deb: buildDeb, rpm: buildRpm } as const;
type Kind = keyof typeof builders;

const usage = `npm run package:system -- [deb|rpm|all] [x64|arm64|all] [--from DIR] [--binary FILE] [--out DIR] [--fast]

  --from DIR      where the binaries are (dist)
  --binary FILE   the binary itself, for one architecture
  --out DIR       where the packages go (dist)
  --fast          compress less: for trying

Two builds from one commit are the same bytes: all times are SOURCE_DATE_EPOCH, or that of the commit.`;

const choose = <Name extends string>(given: string | undefined, names: readonly Name[], byDefault: string): Name[] => {
  const chosen = names.filter((name) => (given ?? byDefault) === 'all' || name === (given ?? byDefault));
  if (chosen.length === 0) throw new OutpostError('package-target', `There is no ${given}.`, { hint: usage });
  return chosen;
};

/** Of the environment's SOURCE_DATE_EPOCH, else of the commit. */
export function sourceEpoch(): number {
  const given = Number(process.env['SOURCE_DATE_EPOCH']);
  if (Number.isInteger(given) && given > 0) return given;
  return Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: repository, encoding: 'utf8' }));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      from: { type: 'string' },
      binary: { type: 'string' },
      out: { type: 'string' },
      fast: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return note(usage);
  const kinds = choose<Kind>(positionals[0], ['deb', 'rpm'], 'all');
  const from = resolve(values.from ?? join(repository, 'dist'));
  const out = resolve(values.out ?? from);
  const work = await mkdtemp(join(tmpdir(), 'outpost-packages-'));
  await mkdir(out, { recursive: true });
  const rows: [string, number][] = [];
  try {
    for (const arch of choose<Arch>(positionals[1], ['x64', 'arm64'], process.arch)) {
      const build: Build = {
        version,
        arch,
        binary: resolve(values.binary ?? join(from, `outpost-linux-${arch}`)),
        notify: buildNotify(arch),
        notices: join(from, `outpost-linux-${arch}.notices.txt`),
        out,
        work,
        epoch: sourceEpoch(),
        isFast: values.fast ?? false,
      };
      await checkInputs(build);
      for (const kind of kinds) {
        note(`${kind} for ${arch}`);
        const path = await builders[kind](build);
        rows.push([path, (await stat(path)).size]);
      }
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  printTable([['package', 'bytes'], ...rows]);
}

async function checkInputs({ arch, binary, notices }: Build): Promise<void> {
  for (const path of [binary, notices]) {
    await stat(path).catch((cause: unknown) => {
      const hint = `npm run package -- ${arch}`;
      throw new OutpostError('package-failed', `${path} is not there.`, { hint, cause });
    });
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (thrown) {
    reportError(thrown, false);
  }
}
