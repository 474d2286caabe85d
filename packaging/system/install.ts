/**
 * `outpost install` and `outpost uninstall`: what a package does, for machines without a package manager.
 *
 *   plan: what differs from layout.ts --> steps, each said --> done, in order; a second run finds nothing to do
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, chown, lstat, mkdir, readFile, rename, rm, stat, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { OutpostError } from '#agent/core/errors.ts';
import { starterConfig } from '#config/starter.ts';
import { identityOf, isOlder, machines } from './identity.ts';
import {
  configMode,
  deviceGroups,
  type Folder,
  folders,
  places,
  serviceUser,
  stateFolder,
  udevFolders,
  udevName,
  unitFolders,
  unitName,
} from './layout.ts';
import { runTool } from './tool.ts';
import { udevRules, unitText } from './unit.ts';

export interface Step {
  /** What it does, as a line for the reader. */
  readonly what: string;
  readonly run: () => Promise<void>;
}

/** Bytes that are read when they are wanted, and their hash if it is known. */
export interface Piece {
  readonly read: () => AsyncIterable<Uint8Array>;
}

export interface InstallOptions {
  /** Where the machine's files are: `/`, or the root of an image. */
  readonly root: string;
  readonly program: Piece;
  readonly notify: Piece;
  /** `e_machine` of the program; undefined takes any. */
  readonly machine?: number | undefined;
  readonly allowDowngrade?: boolean | undefined;
}

/**
 * @throws OutpostError `install-owned` when a package manager has it in its care, `install-machine` when the program is for
 *   another processor, `install-downgrade` when a newer one is there
 */
export async function planInstall(options: InstallOptions): Promise<readonly Step[]> {
  const { root, program, notify } = options;
  await refuseOwned(root);
  await refuseOther(options);
  const unit = join(unitFolders.own, unitName);
  return [
    ...(await planUser(root)),
    ...(await some(folders.map(async (folder) => await planFolder(root, folder)))),
    ...(await some([
      planFile(root, places.program, 0o755, program),
      planFile(root, places.notify, 0o644, notify),
      planFile(root, unit, 0o644, text(unitText())),
      planFile(root, join(udevFolders.own, udevName), 0o644, text(udevRules())),
      planConfig(root),
    ])),
    ...(await planEnable(root, unit)),
  ];
}

/** @param purge configuration, state and user too */
export async function planUninstall(root: string, purge: boolean): Promise<readonly Step[]> {
  await refuseOwned(root);
  const unit = join(unitFolders.own, unitName);
  const files = [unit, join(udevFolders.own, udevName), places.notify, places.program];
  const removals = await some(
    [...files, ...(purge ? folders.map(({ path }) => path) : [])].map(async (path) =>
      (await isThere(join(root, path)))
        ? { what: `remove ${path}`, run: async () => await rm(join(root, path), { recursive: true }) }
        : undefined,
    ),
  );
  const hasUser = purge && (await idsOf(root)) !== undefined;
  return [
    ...((await isThere(join(root, unit))) ? await planDisable(root) : []),
    ...removals,
    ...(hasUser
      ? [
          {
            what: `remove the user ${serviceUser}`,
            run: async () => await callUserTool(root, 'userdel', [serviceUser]),
          },
        ]
      : []),
    ...(removals.length > 0 && (await hasSystemd(root)) ? [reload] : []),
  ];
}

/** An old release is signed as well as a new one: whoever has it must not bring back what was mended since. */
async function refuseOther({ root, program, machine, allowDowngrade }: InstallOptions): Promise<void> {
  const offered = await identityOf(program.read());
  if (machine !== undefined && offered.machine !== machine) {
    const found =
      Object.keys(machines).find((name) => machines[name] === offered.machine) ?? 'no machine that is known';
    throw new OutpostError('install-machine', `The program is for ${found}; this machine is ${process.arch}.`);
  }
  const place = join(root, places.program);
  const { release: installed } = (await isThere(place)) ? await identityOf(createReadStream(place)) : {};
  if (!installed || allowDowngrade) return;
  if (offered.release && !isOlder(offered.release, installed)) return;
  const name = ({ version, commit, committed }: typeof installed): string =>
    `${version} (${commit.slice(0, 12)}, ${committed.slice(0, 10)})`;
  const what = offered.release ? name(offered.release) : 'one that does not say which';
  throw new OutpostError('install-downgrade', `${name(installed)} is installed; this is an older one: ${what}.`);
}

const rpmDatabases = ['/var/lib/rpm', '/usr/lib/sysimage/rpm'];

async function refuseOwned(root: string): Promise<void> {
  const isDeb = await isThere(join(root, '/var/lib/dpkg/info/outpost.list'));
  const dpkg = isDeb ? await readFile(join(root, '/var/lib/dpkg/info/outpost.list'), 'utf8') : '';
  if (dpkg.includes(places.program)) {
    throw new OutpostError('install-owned', undefined, {
      hint: 'Use dpkg: `dpkg -i outpost_….deb`, `apt-get purge outpost`.',
    });
  }
  // Asked of a root without a database, rpm would make one.
  const databases = await Promise.all(rpmDatabases.map(async (path) => await isThere(join(root, path))));
  if (!databases.includes(true)) return;
  const rpm = await runTool('rpm', ['--root', root, '-q', 'outpost']).catch(() => '');
  if (rpm.startsWith('outpost-')) {
    throw new OutpostError('install-owned', undefined, { hint: 'Use rpm: `rpm -U outpost-….rpm`, `rpm -e outpost`.' });
  }
}

const some = async (steps: readonly Promise<Step | undefined>[]): Promise<readonly Step[]> =>
  (await Promise.all(steps)).filter((step) => step !== undefined);

const text = (content: string): Piece => ({
  // eslint-disable-next-line typescript/require-await
  read: async function* () {
    yield Buffer.from(content);
  },
});

/** A link counts, wherever it leads: within an image it leads nowhere. */
const isThere = async (path: string): Promise<boolean> =>
  await lstat(path).then(
    () => true,
    () => false,
  );

interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** Of the service's user, in the machine's own files. */
async function idsOf(root: string): Promise<Ids | undefined> {
  const passwd = await readFile(join(root, '/etc/passwd'), 'utf8').catch(() => '');
  const [, uid, gid] = new RegExp(`^${serviceUser}:[^:]*:(\\d+):(\\d+):`, 'm').exec(passwd) ?? [];
  return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

const callUserTool = async (root: string, tool: string, args: readonly string[]): Promise<void> => {
  await runTool(tool, [...(root === '/' ? [] : ['--root', root]), ...args], { debian: 'passwd' });
};

async function planUser(root: string): Promise<readonly Step[]> {
  const group = await readFile(join(root, '/etc/group'), 'utf8').catch(() => '');
  const membersOf = (name: string): readonly string[] | undefined =>
    new RegExp(`^${name}:[^:]*:\\d+:(.*)$`, 'm').exec(group)?.[1]?.split(',');
  const missing = deviceGroups.filter((name) => membersOf(name)?.includes(serviceUser) === false);
  const add = `--system --user-group --home-dir ${stateFolder} --no-create-home --shell /usr/sbin/nologin --comment Outpost ${serviceUser}`;
  return [
    ...((await idsOf(root))
      ? []
      : [
          {
            what: `make the user ${serviceUser}`,
            run: async () => await callUserTool(root, 'useradd', add.split(' ')),
          },
        ]),
    ...(missing.length === 0
      ? []
      : [
          {
            what: `put it into ${missing.join(', ')}`,
            run: async () =>
              await callUserTool(root, 'usermod', ['--append', '--groups', missing.join(','), serviceUser]),
          },
        ]),
  ];
}

async function planFolder(root: string, { path, mode, owner, group }: Folder): Promise<Step | undefined> {
  const place = join(root, path);
  const wanted = async (): Promise<Ids> => {
    const ids = await idsOf(root);
    return { uid: owner === 'root' ? 0 : (ids?.uid ?? 0), gid: group === 'root' ? 0 : (ids?.gid ?? 0) };
  };
  const found = await stat(place).catch(() => undefined);
  const { uid, gid } = await wanted();
  if (found && (found.mode & 0o7777) === mode && found.uid === uid && found.gid === gid && gid !== 0) return undefined;
  return {
    what: `folder ${path}, ${owner}:${group} ${mode.toString(8)}`,
    run: async () => {
      await mkdir(place, { recursive: true });
      const ids = await wanted();
      await chown(place, ids.uid, ids.gid);
      await chmod(place, mode);
    },
  };
}

const hashOf = async (chunks: AsyncIterable<Uint8Array>): Promise<string> => {
  const hashing = createHash('sha256');
  for await (const chunk of chunks) hashing.update(chunk);
  return hashing.digest('hex');
};

/** Whole or not at all: a program that runs keeps its file until the new one has its name. */
async function planFile(root: string, path: string, mode: number, piece: Piece): Promise<Step | undefined> {
  const place = join(root, path);
  const isSame =
    (await isThere(place)) &&
    ((await stat(place)).mode & 0o7777) === mode &&
    (await hashOf(createReadStream(place))) === (await hashOf(piece.read()));
  if (isSame) return undefined;
  return {
    what: `write ${path}`,
    run: async () => {
      await mkdir(dirname(place), { recursive: true });
      const temporary = `${place}.new`;
      await rm(temporary, { force: true });
      await pipeline(piece.read(), createWriteStream(temporary, { flags: 'wx', mode, flush: true }));
      await chmod(temporary, mode);
      await rename(temporary, place);
      await syncFolder(dirname(place));
    },
  };
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** Never over one that is there. */
async function planConfig(root: string): Promise<Step | undefined> {
  const place = join(root, places.config);
  if (await isThere(place)) return undefined;
  const first = await planFile(root, places.config, configMode, text(starterConfig({ storagePath: stateFolder })));
  return {
    what: `write ${places.config}: every key, commented out`,
    run: async () => {
      await first?.run();
      await chown(place, 0, (await idsOf(root))?.gid ?? 0);
    },
  };
}

const hasSystemd = async (root: string): Promise<boolean> => root === '/' && (await isThere('/run/systemd/system'));
const reload: Step = {
  what: 'systemctl daemon-reload',
  run: async () => void (await runTool('systemctl', ['daemon-reload'], { debian: 'systemd' })),
};

async function planEnable(root: string, unit: string): Promise<readonly Step[]> {
  if (await hasSystemd(root)) {
    const start = ['enable', '--now', unitName];
    return [
      reload,
      { what: `systemctl ${start.join(' ')}`, run: async () => void (await runTool('systemctl', start)) },
    ];
  }
  const link = join(dirname(unit), 'multi-user.target.wants', unitName);
  const hasTool = await runTool('systemctl', ['--version']).catch(() => '');
  if (hasTool === '' || (await isThere(join(root, link)))) return [];
  return [
    {
      what: 'enable it for the next boot',
      run: async () => void (await runTool('systemctl', [`--root=${root}`, 'enable', unitName])),
    },
  ];
}

async function planDisable(root: string): Promise<readonly Step[]> {
  const disable = (await hasSystemd(root)) ? ['disable', '--now', unitName] : [`--root=${root}`, 'disable', unitName];
  const hasTool = await runTool('systemctl', ['--version']).catch(() => '');
  if (hasTool === '') return [];
  return [{ what: `systemctl ${disable.join(' ')}`, run: async () => void (await runTool('systemctl', disable)) }];
}
