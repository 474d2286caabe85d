/** What `doctor` looks at on the machine itself: ffmpeg, CPU, memory, disk, clock. */
import type { Config } from '#config/schema.ts';
import type { Finding } from './doctor-finding.ts';

const freeBytesWarn = 2 * 1024 ** 3;
const freeBytesFail = 256 * 1024 ** 2;
const freeMemoryWarn = 512 * 1024 ** 2;
/** Kinds of file system by their magic number (statfs(2)). */
const diskKinds: ReadonlyMap<number, { readonly name: string; readonly hint?: string }> = new Map([
  [0xef53, { name: 'ext4' }],
  [0x58465342, { name: 'xfs' }],
  [0x9123683e, { name: 'btrfs' }],
  [0xf2f52010, { name: 'f2fs' }],
  [
    0x794c7630,
    { name: 'overlay', hint: 'What is written there may go with the container: mount a volume for storage.path.' },
  ],
  [0x01021994, { name: 'tmpfs', hint: 'Memory forgets at a power cut: set storage.path to a folder on a disk.' }],
  [0x6969, { name: 'nfs', hint: 'A store on a network is not durable: set storage.path to a folder on a local disk.' }],
  [
    0xff534d42,
    { name: 'cifs', hint: 'A store on a network is not durable: set storage.path to a folder on a local disk.' },
  ],
  [0x4d44, { name: 'vfat', hint: 'It knows no owners and no log: format the disk as ext4.' }],
]);
/** No Outpost was built before. */
const earliest = Date.UTC(2026, 0, 1);

export async function checkFfmpeg(): Promise<readonly Finding[]> {
  const { developmentFfmpeg, findFfmpeg } = await import('#agent/capture/ffmpeg.ts');
  const { path, version } = await findFfmpeg();
  const isDevelopment = path === (await developmentFfmpeg());
  const detail = `${version} at ${path}`;
  if (!isDevelopment) return [{ check: 'ffmpeg', verdict: 'ok', detail }];
  const hint = 'That is the one for development, which never ships: apt-get install ffmpeg, or dnf install ffmpeg.';
  return [{ check: 'ffmpeg', verdict: 'warn', detail, hint }];
}

export async function checkCpu(): Promise<readonly Finding[]> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const features = new Set((/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '').split(' '));
  const wanted = process.arch === 'arm64' ? ['asimd', 'atomics', 'asimddp'] : ['sse4_2', 'avx2', 'avx512f'];
  const detail = wanted.map((name) => `${name} ${features.has(name) ? 'yes' : 'no'}`).join(', ');
  const needed = wanted[0] as string;
  if (features.size < 2) return [{ check: 'cpu', verdict: 'warn', detail: '/proc/cpuinfo tells no features' }];
  if (features.has(needed)) return [{ check: 'cpu', verdict: 'ok', detail: `${process.arch}: ${detail}` }];
  return [
    {
      check: 'cpu',
      verdict: 'fail',
      detail,
      hint: `The inference runtime needs ${needed}; this processor cannot run it.`,
    },
  ];
}

export async function checkMemory(): Promise<readonly Finding[]> {
  const { freemem, totalmem } = await import('node:os');
  const { formatBytes } = await import('#agent/core/bytes.ts');
  const detail = `${formatBytes(freemem())} free of ${formatBytes(totalmem())}`;
  if (freemem() >= freeMemoryWarn) return [{ check: 'memory', verdict: 'ok', detail }];
  return [
    {
      check: 'memory',
      verdict: 'warn',
      detail,
      hint: 'An agent with one camera needs about half a gigabyte; end what else runs.',
    },
  ];
}

export async function checkDisk(config: Config): Promise<readonly Finding[]> {
  const { mkdir, open, rm, statfs } = await import('node:fs/promises');
  const path = await import('node:path');
  const { formatBytes } = await import('#agent/core/bytes.ts');
  const folder = config.storage.path;
  await mkdir(folder, { recursive: true });
  const { bavail, bsize, type } = await statfs(folder);
  const free = bavail * bsize;
  const probe = path.join(folder, `.doctor-${process.pid}`);
  const file = await open(probe, 'w');
  const startedAt = performance.now();
  try {
    await file.write('x');
    await file.datasync();
  } finally {
    await file.close();
    await rm(probe, { force: true });
  }
  const syncMs = (performance.now() - startedAt).toFixed(1);
  const kind = diskKinds.get(type);
  const detail = `${folder}: ${formatBytes(free)} free${kind ? ` on ${kind.name}` : ''}, a durable write takes ${syncMs} ms`;
  if (kind?.hint !== undefined) return [{ check: 'disk', verdict: 'warn', detail, hint: kind.hint }];
  if (free >= freeBytesWarn) return [{ check: 'disk', verdict: 'ok', detail }];
  const hint = 'Free some space, or choose another `storage.path`.';
  return [{ check: 'disk', verdict: free < freeBytesFail ? 'fail' : 'warn', detail, hint }];
}

export async function checkClock(): Promise<readonly Finding[]> {
  const { access } = await import('node:fs/promises');
  const { systemClock } = await import('#agent/core/clock.ts');
  const now = systemClock.wallMs();
  const detail = new Date(now).toISOString();
  const hint = 'timedatectl set-ntp true';
  if (now < earliest)
    return [{ check: 'clock', verdict: 'fail', detail: `${detail} is before this program was made`, hint }];
  const isSynced = await access('/run/systemd/timesync/synchronized').then(
    () => true,
    () => false,
  );
  if (isSynced) return [{ check: 'clock', verdict: 'ok', detail: `${detail}, synchronised` }];
  return [{ check: 'clock', verdict: 'warn', detail: `${detail}; nothing says that it is synchronised`, hint }];
}
