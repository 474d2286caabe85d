/**
 * The door to our own addon (packaging/notify): what Linux has and Node has no door to.
 *
 *   send       datagrams to the service manager        exclusive  a terminal that nobody else may open
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assetPath, packaged } from './program.ts';

export interface Addon {
  /** One datagram to a Unix socket. @returns errno, or 0 */
  readonly send: (address: string, text: string) => number;
  /** TIOCEXCL or TIOCNXCL of tty_ioctl(4). Absent from an addon of an older installation. @returns errno, or 0 */
  readonly exclusive?: (fd: number, isHeld: boolean) => number;
}

/** Inside the binary; beside it, where a package laid it; in a checkout, where packaging/notify/build.ts puts it. */
export const addonPlaces = (): readonly string[] =>
  packaged()
    ? [assetPath('natives', 'notify.node'), join(dirname(process.execPath), '..', 'lib', 'outpost', 'notify.node')]
    : [assetPath('dist', 'natives', `linux-${process.arch}`, 'notify.node')];

/** @returns undefined when it is nowhere */
export const addonPath = (): string | undefined => addonPlaces().find((place) => existsSync(place));

/** @throws Error when it is nowhere, or cannot be loaded */
export function openAddon(): Addon {
  const path = addonPath();
  if (path === undefined) throw new Error(`there is none at ${addonPlaces().join(' nor at ')}`);
  const addon = { exports: {} as Addon };
  process.dlopen(addon, path);
  return addon.exports;
}
