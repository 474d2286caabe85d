/**
 * Where a device is: written in the configuration, found again after each loss.
 *
 *   /dev/serial/by-id/… · usb:10c4:ea60/SERIAL · tcp://host:port · ask   --resolve--> /dev/ttyUSB1 | host, port
 */
import { readFile, readdir, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export type PortSpec =
  | { readonly is: 'path'; readonly path: string }
  | { readonly is: 'usb'; readonly vendor: string; readonly product: string; readonly serial?: string }
  | { readonly is: 'tcp'; readonly host: string; readonly port: number }
  /** every serial port that nobody holds is asked who it is */
  | { readonly is: 'ask' };

export const portForms =
  'a path such as /dev/serial/by-id/NAME, usb:VENDOR:PRODUCT or usb:VENDOR:PRODUCT/SERIAL, tcp://HOST:PORT, or ask';

/** @returns undefined when the text is none of `portForms` */
export function parsePort(text: string): PortSpec | undefined {
  if (text === 'ask') return { is: 'ask' };
  if (text.startsWith('/')) return { is: 'path', path: text };
  const usb = /^usb:([0-9a-f]{4}):([0-9a-f]{4})(?:\/(.+))?$/i.exec(text);
  if (usb) {
    const [, vendor = '', product = '', serial] = usb;
    const ids = { vendor: vendor.toLowerCase(), product: product.toLowerCase() };
    return { is: 'usb', ...ids, ...(serial === undefined ? {} : { serial }) };
  }
  return parseTcp(text);
}

function parseTcp(text: string): PortSpec | undefined {
  const match = /^tcp:\/\/(\[[0-9a-f:]+\]|[^:/\s]+):(\d{1,5})$/i.exec(text);
  if (!match) return undefined;
  const [, host = '', digits = ''] = match;
  const port = Number(digits);
  return port >= 1 && port <= 65_535 ? { is: 'tcp', host: host.replace(/^\[|\]$/g, ''), port } : undefined;
}

/** A serial port of this machine. */
export interface FoundPort {
  /** `/dev/ttyUSB0` */
  readonly path: string;
  readonly vendor?: string;
  readonly product?: string;
  readonly serial?: string;
  /** What the adapter calls itself. */
  readonly title?: string;
  /** Links below /dev/serial that stay the same. */
  readonly links: readonly string[];
}

/** The folders of the system; tests bring their own. */
export interface SystemFolders {
  readonly sys: string;
  readonly dev: string;
}

const system: SystemFolders = { sys: '/sys', dev: '/dev' };

/** Every serial port with hardware behind it, sorted by path. */
export async function listPorts(folders: SystemFolders = system): Promise<readonly FoundPort[]> {
  const classFolder = join(folders.sys, 'class/tty');
  const names = await readdir(classFolder).catch(() => []);
  const links = await linksOf(folders);
  const found = await Promise.all(names.map(async (name) => await lookAt(name, classFolder, folders, links)));
  return found.filter((port) => port !== undefined).sort((a, b) => a.path.localeCompare(b.path));
}

async function lookAt(
  name: string,
  classFolder: string,
  folders: SystemFolders,
  links: readonly (readonly [link: string, target: string])[],
): Promise<FoundPort | undefined> {
  const device = await realpath(join(classFolder, name, 'device')).catch(() => undefined);
  if (device === undefined) return undefined;
  const driver = await readlink(join(device, 'driver')).catch(() => '');
  // the legacy UARTs of a PC exist whether they are there or not
  if (
    basename(driver) === 'serial8250' &&
    basename(await realpath(join(device, 'subsystem')).catch(() => '')) === 'platform'
  )
    return undefined;
  const path = join(folders.dev, name);
  return { path, ...(await usbOf(device)), links: links.filter(([, to]) => to === path).map(([link]) => link) };
}

/** A USB port lies a few folders below its device, which has the ids. */
async function usbOf(device: string): Promise<Partial<FoundPort>> {
  let folder = device;
  for (let up = 0; up < 6 && folder !== '/'; up += 1, folder = dirname(folder)) {
    const vendor = await attribute(folder, 'idVendor');
    if (vendor === undefined) continue;
    const [product, serial, title] = await Promise.all(
      ['idProduct', 'serial', 'product'].map(async (name) => await attribute(folder, name)),
    );
    return {
      vendor,
      ...(product === undefined ? {} : { product }),
      ...(serial === undefined ? {} : { serial }),
      ...(title === undefined ? {} : { title }),
    };
  }
  return {};
}

const attribute = async (folder: string, name: string): Promise<string | undefined> =>
  await readFile(join(folder, name), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );

async function linksOf({ dev }: SystemFolders): Promise<readonly (readonly [string, string])[]> {
  const folders = ['by-id', 'by-path'].map((name) => join(dev, 'serial', name));
  const all = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => []);
      return await Promise.all(
        names.map(async (name) => {
          const link = join(folder, name);
          return [link, await realpath(link).catch(() => '')] as const;
        }),
      );
    }),
  );
  return all.flat();
}

/**
 * The paths that a spec may mean now, the likeliest first; `ask` means every port.
 * @returns nothing when it is not plugged in
 */
export async function pathsOf(spec: PortSpec, folders: SystemFolders = system): Promise<readonly string[]> {
  switch (spec.is) {
    case 'tcp':
      return [];
    case 'path':
      return await realpath(spec.path).then(
        (path) => [path],
        () => [],
      );
    case 'ask':
      return (await listPorts(folders)).map(({ path }) => path);
    case 'usb':
      return (await listPorts(folders))
        .filter(({ vendor, product }) => vendor === spec.vendor && product === spec.product)
        .filter(({ serial }) => spec.serial === undefined || serial === spec.serial)
        .map(({ path }) => path);
  }
}

export interface Holder {
  readonly pid: number;
  readonly name: string;
}

/** Processes that have the port open, as far as this user may see; ourselves left out. */
export async function holdersOf(path: string, proc = '/proc'): Promise<readonly Holder[]> {
  const pids = (await readdir(proc).catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const held = await Promise.all(
    pids
      .filter((pid) => pid !== process.pid)
      .map(async (pid) => ((await holds(join(proc, String(pid)), path)) ? pid : undefined)),
  );
  return await Promise.all(
    held
      .filter((pid) => pid !== undefined)
      .map(async (pid) => ({ pid, name: (await attribute(join(proc, String(pid)), 'comm')) ?? '?' })),
  );
}

async function holds(folder: string, path: string): Promise<boolean> {
  const fds = await readdir(join(folder, 'fd')).catch(() => []);
  const targets = await Promise.all(fds.map(async (fd) => await readlink(join(folder, 'fd', fd)).catch(() => '')));
  return targets.includes(path);
}
