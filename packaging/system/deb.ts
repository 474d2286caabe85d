/**
 * The package for Debian, and for what descends from it, such as Kylin's desktop.
 *
 *   payload --stage--> tree + DEBIAN/{control, postinst, prerm, postrm, md5sums} --dpkg-deb--> outpost_<version>_<arch>.deb
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Arch, runTool, type Build } from './tool.ts';
import { gzip, payload, type Placed, stage } from './payload.ts';
import { places } from './layout.ts';
import { debScripts } from './scripts.ts';

export const debArch: Readonly<Record<Arch, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * What the program itself cannot start without: held before anything is unpacked, or an upgrade would have replaced a program
 * that runs by one that cannot.
 */
const preDepends = ['libc6 (>= 2.28)', 'libstdc++6 (>= 8)'];

/** Cameras are decoded by ffmpeg, captions drawn in a font that has Chinese: one of those that the distributions have. */
const depends = [
  'passwd',
  'init-system-helpers (>= 1.54~)',
  'ffmpeg',
  'fonts-noto-cjk | fonts-wqy-zenhei | fonts-wqy-microhei | fonts-droid-fallback | fonts-arphic-uming',
];

const control = (version: string, arch: Arch, kibibytes: number): string => `Package: outpost
Version: ${version}
Architecture: ${debArch[arch]}
Maintainer: The Outpost authors <outpost@users.noreply.github.com>
Installed-Size: ${kibibytes}
Pre-Depends: ${preDepends.join(', ')}
Depends: ${depends.join(', ')}
Recommends: systemd, udev
Section: utils
Priority: optional
Description: program inside patrol robots, kiosks and unmanned police stations
 Watches cameras with a model on the device itself, writes what matters to disk
 before it tells anyone, and sends it upstream over MQTT when there is a line.
 .
 The package makes a user, its groups and folders, a first configuration that
 says nothing, and a hardened systemd service that starts at boot.
`;

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: outpost
Comment: What the program carries inside, and its licences: ${places.docs}/THIRD-PARTY-NOTICES.gz

Files: *
Copyright: The Outpost authors
License: Apache-2.0
 On Debian systems the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
`;

const changelog = (version: string, epoch: number): string => `outpost (${version}) unstable; urgency=medium

  * See the release notes of this version.

 -- The Outpost authors <outpost@users.noreply.github.com>  ${new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')}
`;

/** What lintian calls an error, and why it stays. */
const overrides = `# One file that needs nothing else: Node.js and its libraries are inside it, by design. They are named, with
# versions and licences, in ${places.docs}/THIRD-PARTY-NOTICES.gz.
outpost: embedded-library
`;

export async function buildDeb(build: Build): Promise<string> {
  const { version, arch, out, work, epoch, isFast } = build;
  const root = join(work, `deb-${arch}`);
  const text = (path: string, content: string | Uint8Array): Placed => ({
    path,
    mode: 0o644,
    content: Buffer.from(content),
  });
  const files = [
    ...(await payload(build, 'deb')),
    text(join(places.docs, 'copyright'), copyright),
    text(join(places.docs, 'changelog.gz'), gzip(changelog(version, epoch))),
    text('/usr/share/lintian/overrides/outpost', overrides),
  ];
  await stage(root, files, epoch);
  await writeControl(root, files, build);
  await settleTimes(root, epoch);
  const deb = join(out, `outpost_${version}_${debArch[arch]}.deb`);
  const compression = isFast ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6'];
  await runTool('dpkg-deb', ['--root-owner-group', '--threads-max=1', ...compression, '--build', root, deb], {
    debian: 'dpkg',
    environment: { SOURCE_DATE_EPOCH: String(epoch) },
  });
  return deb;
}

async function writeControl(root: string, files: readonly Placed[], { version, arch }: Build): Promise<void> {
  const meta = join(root, 'DEBIAN');
  await mkdir(meta, { recursive: true });
  const bytes = await Promise.all(files.map(async ({ path }) => (await stat(join(root, path))).size));
  const kibibytes = Math.ceil(bytes.reduce((sum, size) => sum + size, 0) / 1024);
  await writeFile(join(meta, 'control'), control(version, arch, kibibytes));
  const sums = await Promise.all(
    files.map(async ({ path }) => `${hashOf(await readFile(join(root, path)))}  ${path.slice(1)}\n`),
  );
  await writeFile(join(meta, 'md5sums'), sums.toSorted().join(''));
  for (const [name, script] of Object.entries(debScripts)) {
    await writeFile(join(meta, name), script);
    await chmod(join(meta, name), 0o755);
  }
}

const hashOf = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

async function settleTimes(root: string, epoch: number): Promise<void> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  for (const entry of entries) await utimes(join(entry.parentPath, entry.name), epoch, epoch);
}
