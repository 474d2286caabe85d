/** What lies where once Outpost is installed, and for whom: by .deb, by .rpm, or by `outpost install`. */
import { assetPath } from '#agent/core/program.ts';

/** The user of the service: static, so that what it owns stays its own, and udev's groups open the devices to it. */
export const serviceUser = 'outpost';

/** Of those that the machine has: serial lines, cameras, loudspeakers, printers. */
export const deviceGroups = ['dialout', 'video', 'audio', 'lp'] as const;

export const places = {
  program: '/usr/bin/outpost',
  /** What systemd is told through (agent/core/notify.ts). */
  notify: '/usr/lib/outpost/notify.node',
  config: '/etc/outpost/outpost.yaml',
  docs: '/usr/share/doc/outpost',
} as const;

export interface Folder {
  readonly path: string;
  readonly mode: number;
  readonly owner: 'root' | typeof serviceUser;
  readonly group: 'root' | typeof serviceUser;
  /** Removed by a purge alone. */
  readonly holds: 'configuration' | 'state' | 'cache';
}

/** Configuration may hold passwords: root writes it, the service reads it, nobody else does. */
export const folders: readonly Folder[] = [
  { path: '/etc/outpost', mode: 0o750, owner: 'root', group: serviceUser, holds: 'configuration' },
  { path: '/var/lib/outpost', mode: 0o750, owner: serviceUser, group: serviceUser, holds: 'state' },
  { path: '/var/cache/outpost', mode: 0o750, owner: serviceUser, group: serviceUser, holds: 'cache' },
];

export const stateFolder = '/var/lib/outpost';
export const configMode = 0o640;

/** Where packages lay what an administrator may override, and where an administrator does. */
export const unitFolders = {
  deb: '/lib/systemd/system',
  rpm: '/usr/lib/systemd/system',
  own: '/etc/systemd/system',
} as const;
export const udevFolders = {
  deb: '/lib/udev/rules.d',
  rpm: '/usr/lib/udev/rules.d',
  own: '/etc/udev/rules.d',
} as const;

export const unitName = 'outpost.service';
export const udevName = '70-outpost.rules';

/** A file of this folder's generated ones, in a checkout. */
export const generatedPath = (name: string): string => assetPath('packaging', 'system', name);
