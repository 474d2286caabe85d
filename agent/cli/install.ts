/** `outpost install` and `outpost uninstall`: the service on a machine without a package manager, or from a stick. */
import { Command } from 'commander';
import type { Piece, Step } from '#packaging/system/install.ts';
import { print, printJson } from './output.ts';

const examples = `
Examples:
  sudo ./outpost-linux-arm64 install                                this file, as a service that starts at boot
  sudo ./outpost-linux-arm64 install --from /media/usb --key release.pub
  sudo ./outpost-linux-arm64 install --from outpost-0.1.0-linux-arm64.tar --dry-run
  outpost install --root /mnt/image                                 into an image that is mounted there

It makes the user \`outpost\` with its groups, folders, a first configuration, the systemd unit and udev’s rules. What is
there and right is left alone, a configuration is never written over: run it again to mend or to upgrade.
With --from nothing is used before the signature over SHA256SUMS and every checksum in it are right. An older program than
the installed one is refused: its signature is right, too, and its faults are known.`;

const uninstallExamples = `
Examples:
  sudo outpost uninstall               configuration, events that wait, and the user stay
  sudo outpost uninstall --purge       nothing stays`;

interface InstallChoice {
  readonly from?: string;
  readonly key?: string;
  readonly allowDowngrade?: boolean;
  readonly root: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const shared = (command: Command): Command =>
  command
    .option('--root <folder>', 'the root of an image, instead of this machine', '/')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--json', 'one JSON object');

export const installCommand = (): Command =>
  shared(
    new Command('install')
      .description('install this program as a service of systemd')
      .option('--from <path>', 'a release: its folder, or its .tar')
      .option('--key <file>', 'the public key of who made the release (Ed25519, PEM or base64)')
      .option('--allow-downgrade', 'put an older program in the place of a newer one'),
  )
    .addHelpText('after', examples)
    .action(install);

export const uninstallCommand = (): Command =>
  shared(
    new Command('uninstall')
      .description('remove what `install` made')
      .option('--purge', 'configuration, stored events and the user too'),
  )
    .addHelpText('after', uninstallExamples)
    .action(uninstall);

async function install(choice: InstallChoice): Promise<void> {
  const [{ planInstall }, { machines }] = await Promise.all([
    import('#packaging/system/install.ts'),
    import('#packaging/system/identity.ts'),
  ]);
  const pieces = choice.from === undefined ? await ownPieces() : await releasePieces(choice.from, choice.key);
  await needRoot(choice);
  const { root, allowDowngrade } = choice;
  await perform(await planInstall({ root, ...pieces, machine: machines[process.arch], allowDowngrade }), choice);
}

async function uninstall(choice: Omit<InstallChoice, 'from' | 'key'> & { readonly purge?: boolean }): Promise<void> {
  const { planUninstall } = await import('#packaging/system/install.ts');
  await needRoot(choice);
  await perform(await planUninstall(choice.root, choice.purge ?? false), choice);
}

async function needRoot({ dryRun }: InstallChoice): Promise<void> {
  if (dryRun || process.getuid?.() === 0) return;
  const { OutpostError } = await import('#agent/core/errors.ts');
  throw new OutpostError('install-root');
}

interface Pieces {
  readonly program: Piece;
  readonly notify: Piece;
}

/** This very program. */
async function ownPieces(): Promise<Pieces> {
  const [{ createReadStream }, { packaged }, { addonPath }, { OutpostError }] = await Promise.all([
    import('node:fs'),
    import('#agent/core/program.ts'),
    import('#agent/core/addon.ts'),
    import('#agent/core/errors.ts'),
  ]);
  if (!packaged()) {
    throw new OutpostError('install-source', 'This is the program from source, and no single file.', {
      hint: 'npm run package, then run install of the binary in dist/; or name a release: --from.',
    });
  }
  const notify = addonPath();
  if (notify === undefined) throw new OutpostError('install-source');
  return {
    program: { read: () => createReadStream(process.execPath) },
    notify: { read: () => createReadStream(notify) },
  };
}

async function releasePieces(from: string, keyFile: string | undefined): Promise<Pieces> {
  const [{ readFile }, { openRelease }, { releaseKeys }] = await Promise.all([
    import('node:fs/promises'),
    import('#packaging/release/open.ts'),
    import('#packaging/release/keys.ts'),
  ]);
  const release = await openRelease(from, keyFile === undefined ? releaseKeys : [await readFile(keyFile, 'utf8')]);
  const piece = (name: string): Piece => ({ read: () => release.read(name) });
  if (!release.names.includes(`outpost-linux-${process.arch}`)) {
    const { OutpostError } = await import('#agent/core/errors.ts');
    const has = release.names.filter((name) => name.startsWith('outpost-linux-')).join(', ') || 'no program';
    throw new OutpostError('release-missing', `This machine is ${process.arch}; the release has ${has}.`, {
      hint: `Take the release for linux-${process.arch}.`,
    });
  }
  return { program: piece(`outpost-linux-${process.arch}`), notify: piece(`notify-linux-${process.arch}.node`) };
}

async function perform(steps: readonly Step[], { dryRun, json }: InstallChoice): Promise<void> {
  for (const { what, run } of steps) {
    if (!json) print(`${dryRun ? 'would ' : ''}${what}`);
    if (!dryRun) await run();
  }
  if (json) printJson({ dryRun: dryRun ?? false, steps: steps.map(({ what }) => what) });
  else if (steps.length === 0) print('Nothing to do.');
}
