/**
 * The package for systems with rpm, such as Kylin's server and openEuler.
 *
 *   payload --stage--> build root + spec --rpmbuild--> outpost-<version>-1.<arch>.rpm
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configMode, folders, places, serviceUser } from './layout.ts';
import { payload, type Placed, stage } from './payload.ts';
import { octal, rpmScripts } from './scripts.ts';
import { type Arch, type Build, runTool } from './tool.ts';

export const rpmArch: Readonly<Record<Arch, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/** Any font that says it has Chinese will do: fonts say so themselves. */
const requires = [
  'libc.so.6(GLIBC_2.28)(64bit)',
  'libstdc++.so.6(GLIBCXX_3.4.24)(64bit)',
  'ffmpeg',
  'font(:lang=zh-cn)',
  'systemd',
];

const attributes = ({ path, mode }: Placed): string => {
  const marks = path.startsWith(places.docs) || path.startsWith('/usr/share/man/') ? '%doc ' : '';
  return `${marks}%attr(${octal(mode)},root,root) ${path}`;
};

function spec(version: string, files: readonly Placed[], root: string, epoch: number): string {
  const listed = files.filter(({ path }) => path !== places.config).map(attributes);
  const dirs = folders.map(({ path, mode, owner, group }) => `%dir %attr(${octal(mode)},${owner},${group}) ${path}`);
  const scripts = Object.entries(rpmScripts).map(([name, text]) => `%${name}\n${text}`);
  return `%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
%global _buildhost localhost
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1

Name: outpost
Version: ${version}
Release: 1
Packager: The Outpost authors
Summary: Program inside patrol robots, kiosks and unmanned police stations
License: Apache-2.0
Group: System Environment/Daemons
URL: file:${places.docs}
AutoReqProv: no
${requires.map((name) => `Requires: ${name}`).join('\n')}
Requires(pre): /usr/sbin/useradd, /usr/sbin/groupadd, /usr/sbin/usermod, /usr/bin/getent

%description
Watches cameras with a model on the device itself, writes what matters to disk
before it tells anyone, and sends it upstream over MQTT when there is a line.

%install
cp -a ${root}/. %{buildroot}

%files
%dir ${places.docs}
%dir /usr/lib/outpost
%dir /usr/share/outpost
${listed.join('\n')}
${dirs.join('\n')}
%config(noreplace) %attr(${octal(configMode)},root,${serviceUser}) ${places.config}

${scripts.join('\n')}
%changelog
* ${changelogDate(epoch)} The Outpost authors <outpost@users.noreply.github.com> - ${version}-1
- See the release notes of this version.
`;
}

function changelogDate(epoch: number): string {
  const [weekday, day, month, year] = new Date(epoch * 1000).toUTCString().replace(',', '').split(' ');
  return `${weekday} ${month} ${day} ${year}`;
}

export async function buildRpm(build: Build): Promise<string> {
  const { version, arch, out, work, epoch, isFast } = build;
  const [root, top] = [join(work, `rpm-root-${arch}`), join(work, `rpm-top-${arch}`)];
  const placed = await payload(build, 'rpm');
  const starter = placed.find(({ path }) => path.endsWith('/outpost.yaml')) as Placed;
  const files = [...placed, { ...starter, path: places.config, mode: configMode }];
  await stage(root, files, epoch);
  for (const { path } of folders) await mkdir(join(root, path), { recursive: true });
  await mkdir(top, { recursive: true });
  const specFile = join(top, 'outpost.spec');
  await writeFile(specFile, spec(version, files, root, epoch));
  const name = `outpost-${version}-1.${rpmArch[arch]}.rpm`;
  const definitions = {
    _topdir: top,
    _rpmdir: top,
    _build_name_fmt: name,
    _binary_payload: isFast ? 'w1.gzdio' : 'w6.xzdio',
    // Debian's rpmbuild would look for an architecture of its own.
    _arch: rpmArch[arch],
  };
  await runTool(
    'rpmbuild',
    [
      '-bb',
      '--target',
      `${rpmArch[arch]}-linux`,
      '--nodeps',
      ...Object.entries(definitions).flatMap(([key, value]) => ['--define', `${key} ${value}`]),
      specFile,
    ],
    { debian: 'rpm', environment: { SOURCE_DATE_EPOCH: String(epoch) } },
  );
  await rename(join(top, name), join(out, name)).catch(
    async () => await runTool('mv', [join(top, name), join(out, name)]),
  );
  return join(out, name);
}
