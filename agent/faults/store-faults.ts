/** What happens to the store: killed processes, cut power, disks that are full, broken or read-only, clocks, flipped bits. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, unlink } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { damageCounters } from '#agent/outbox/test-rig.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsProgram } from '#agent/testing/require.ts';
import { Account, checkStore, Tally } from './account.ts';
import { Disk, needsMount } from './disk.ts';
import type { Fault } from './fault.ts';
import { Workload } from './workload.ts';

const randomInt = (from: number, to: number): number => from + Math.floor(Math.random() * (to - from + 1));

const kill: Fault = {
  name: 'kill',
  point: 1,
  what: 'SIGKILL of the appending process at random moments, the same store again and again',
  full: 100,
  small: 3,
  needs: [],
  async run(count, folder) {
    const [tally, account] = [new Tally(), new Account()];
    for (let n = 1; n <= count; n += 1) {
      const before = account.taken.size;
      await using workload = new Workload({ path: folder, prefix: `k${n}`, account, maxSizeBytes: 4e9 });
      await workload.takes(1);
      await delay(randomInt(0, 120));
      await workload.kill();
      tally.add(await checkStore(folder, account), account.taken.size - before);
    }
    return tally.outcome();
  },
};

const powerCut: Fault = {
  name: 'power-cut',
  point: 2,
  what: 'power cut while it writes: ext4 on a loop device shut down without a flush, its image copied, mounted, checked',
  full: 100,
  small: 2,
  needs: [needsMount, needsProgram('mkfs.ext4', 'e2fsprogs'), needsProgram('perl')],
  async run(count, folder) {
    const tally = new Tally();
    for (let n = 1; n <= count; n += 1) {
      const account = new Account();
      // New files each time: the kernel may still hold the loop device of the last one.
      const [image, copy] = [join(folder, `disk-${n}.img`), join(folder, `copy-${n}.img`)];
      {
        await using disk = await Disk.ext4(join(folder, 'disk'), image, 64);
        await using workload = new Workload({
          path: join(disk.path, 'outbox'),
          prefix: `p${n}`,
          account,
          maxSizeBytes: 16e6,
        });
        await workload.takes(randomInt(1, 1_500));
        await delay(randomInt(0, 30));
        const cutAt = disk.cutPower();
        await workload.kill();
        account.endAt(cutAt);
        await disk.copy(copy);
      }
      await rm(image);
      await using disk = await Disk.mounted(join(folder, 'after'), copy);
      await rm(copy);
      const checked = await checkStore(join(disk.path, 'outbox'), account, { bootId: 'boot-2' });
      tally.add(checked, account.taken.size, account.late.size);
      const kept = (await readdir(join(disk.path, 'outbox'))).filter((name) => name.includes('damaged'));
      if (kept.length > 0) tally.notes.push(`FAILED run ${n}: taken for damaged`);
    }
    return tally.outcome();
  },
};

const diskFull: Fault = {
  name: 'disk-full',
  point: 3,
  what: 'the disk fills up under load (tmpfs), and is freed again',
  full: 20,
  small: 1,
  needs: [needsMount],
  async run(count, folder) {
    const tally = new Tally();
    for (let n = 1; n <= count; n += 1) {
      const account = new Account();
      await using disk = await Disk.tmpfs(join(folder, 'disk'), `${randomInt(20, 28)}m`);
      const path = join(disk.path, 'outbox');
      await using workload = new Workload({ path, prefix: `f${n}`, account });
      await workload.takes(randomInt(100, 1_000));
      await eventually(() => existsSync(join(path, 'outbox.reserve')), 'the reserve is there');
      const ballast = join(disk.path, 'ballast');
      spawnSync('sh', ['-c', `cat /dev/zero > "${ballast}" 2>/dev/null`]);
      const before = { ...alarms(account) };
      await workload.takes(500);
      await eventually(() => alarms(account).taken >= before.taken + 50, 'alarms and submissions are still taken');
      await unlink(ballast);
      await workload.takes(500);
      await workload.stop();
      if (!workload.hasClosed) tally.notes.push(`FAILED run ${n}: it ended: ${workload.errors.slice(0, 200)}`);
      if (alarms(account).refused > 0)
        tally.notes.push(`FAILED run ${n}: ${alarms(account).refused} alarms or submissions refused`);
      tally.add(await checkStore(path, account), account.taken.size);
    }
    return tally.outcome();
  },
};

function alarms(account: Account): { taken: number; refused: number } {
  const taken = [...account.taken.keys()].filter((number) => /alarm|submission/.test(number)).length;
  const refused = [...account.refused].filter((marker) => /-[01]-/.test(marker)).length;
  return { taken, refused };
}

/** @param every how many calls lie between two that fail: a commit must now and then go through */
const injected = (
  name: string,
  what: string,
  call: string,
  error: string,
  every: readonly [number, number],
): Fault => ({
  name,
  point: 3,
  what,
  full: 20,
  small: 1,
  needs: [needsProgram('strace')],
  async run(count, folder) {
    const tally = new Tally();
    const codes = new Map<string, number>();
    // a store that cannot be opened is refused in order; this is about one that is open
    const opening = await callsToOpen(call, folder);
    for (let n = 1; n <= count; n += 1) {
      const account = new Account();
      const path = join(folder, `store-${n}`);
      const inject = `inject=${call}:error=${error}:when=${opening + randomInt(20, 190)}+${randomInt(...every)}`;
      const under = [...straceOf(call, '/dev/null'), '-e', inject];
      await using workload = new Workload({ path, prefix: `i${n}`, account, under });
      await eventually(() => workload.refused > 0 || !workload.isRunning, 'the disk refuses');
      await workload.takes(200);
      await workload.stop();
      if (!workload.hasClosed) tally.notes.push(`FAILED run ${n}: it ended: ${workload.errors.slice(0, 200)}`);
      tally.add(await checkStore(path, account), account.taken.size);
      for (const [code, times] of account.codes) codes.set(code, (codes.get(code) ?? 0) + times);
      await rm(path, { recursive: true });
    }
    tally.notes.push(`refused: ${[...codes].map(([code, times]) => `${code} ${times}`).join(', ')}`);
    return tally.outcome();
  },
});

const straceOf = (call: string, into: string): string[] => [
  'strace',
  '-f',
  '-qq',
  '--seccomp-bpf',
  '-e',
  `trace=${call}`,
  '-o',
  into,
];

/** How often one thread makes the call until a new store is open; strace counts for each thread by itself. */
async function callsToOpen(call: string, folder: string): Promise<number> {
  const [path, calls] = [join(folder, 'opened'), join(folder, 'calls')];
  {
    await using workload = new Workload({ path, prefix: '', account: new Account(), under: straceOf(call, calls) });
    await eventually(() => workload.hasClosed && !workload.isRunning, 'a store was opened');
  }
  const made = new Map<string, number>();
  for (const line of (await readFile(calls, 'utf8')).split('\n')) {
    const [thread = ''] = line.split(' ');
    if (line.includes(' = ')) made.set(thread, (made.get(thread) ?? 0) + 1);
  }
  await rm(path, { recursive: true });
  return Math.max(0, ...made.values());
}

const readOnly: Fault = {
  name: 'read-only',
  point: 3,
  what: 'the kernel turns the file system read-only under load; it is repaired and mounted again',
  full: 20,
  small: 1,
  needs: [needsMount, needsProgram('mkfs.ext4', 'e2fsprogs')],
  async run(count, folder) {
    const tally = new Tally();
    for (let n = 1; n <= count; n += 1) {
      const account = new Account();
      await using disk = await Disk.ext4(join(folder, 'disk'), join(folder, `disk-${n}.img`), 96);
      const path = join(disk.path, 'outbox');
      await using workload = new Workload({ path, prefix: `r${n}`, account });
      await workload.takes(randomInt(50, 1_000));
      disk.turnReadOnly();
      await eventually(() => workload.refused > 0, 'appends are refused');
      await disk.repair();
      await workload.takes(200);
      await workload.stop();
      if (!workload.hasClosed) tally.notes.push(`FAILED run ${n}: it ended: ${workload.errors.slice(0, 200)}`);
      tally.add(await checkStore(path, account), account.taken.size);
    }
    return tally.outcome();
  },
};

const clock: Fault = {
  name: 'clock',
  point: 4,
  what: 'the wall clock at 1970, then right, an hour back, a year ahead (faketime), monotonic time true',
  full: 20,
  small: 1,
  needs: [needsProgram('faketime')],
  async run(count, folder) {
    const tally = new Tally();
    for (let n = 1; n <= count; n += 1) {
      const account = new Account();
      const path = join(folder, `store-${n}`);
      for (const at of ['@1970-01-01 00:00:10', '+0', '-1h', '+1y', '@1970-01-01 00:00:01']) {
        const under = ['faketime', '--exclude-monotonic', '-f', at];
        await using workload = new Workload({ path, prefix: `c${n}${at.replace(/\W/g, '')}`, account, under });
        await workload.takes(200);
        await workload.stop();
        if (!workload.hasClosed) tally.notes.push(`FAILED run ${n}: it ended: ${workload.errors.slice(0, 200)}`);
      }
      const checked = await checkStore(path, account);
      tally.add(checked, account.taken.size);
      if (checked.declared > 0) tally.notes.push(`FAILED run ${n}: ${checked.declared} given up`);
      await rm(path, { recursive: true });
    }
    return tally.outcome();
  },
};

const flippedBytes: Fault = {
  name: 'flipped-bytes',
  point: 8,
  what: '1 to 64 bytes flipped anywhere in the files of a store that was in use',
  full: 300,
  small: 6,
  needs: [],
  async run(count, folder) {
    const tally = new Tally();
    const used = join(folder, 'used');
    let account = new Account();
    let asides = 0;
    for (let n = 1; n <= count; n += 1) {
      if (n % runsAStore === 1) account = await useAnew(used);
      const path = join(folder, `copy-${n}`);
      await cp(used, path, { recursive: true });
      const where = await flip(path, randomInt(1, 4) === 1 ? randomInt(2, 64) : 1);
      try {
        // every second as if it were too large to be salvaged first
        const checked = await checkStore(path, account, { isLarge: n % 2 === 0 });
        tally.add(checked, account.taken.size);
        if (checked.startMs > 10_000) tally.notes.push(`FAILED ${where}: ${checked.startMs} ms to start`);
        if (checked.lost.length + checked.wrong.length + checked.gaps.length > 0) tally.notes.push(`flipped ${where}`);
      } catch (thrown) {
        tally.notes.push(`FAILED ${where}: ${String(thrown)}`);
      }
      asides += (await readdir(path)).some((name) => name.includes('damaged')) ? 1 : 0;
      await rm(path, { recursive: true });
    }
    tally.notes.push(`${asides} of ${count} stores were kept aside`);
    return tally.outcome();
  },
};

const salvageKill: Fault = {
  name: 'salvage-kill',
  point: 8,
  what: 'SIGKILL of the appending process while its damaged store is salvaged, one to four times before it may end',
  full: 100,
  small: 3,
  needs: [],
  async run(count, folder) {
    const tally = new Tally();
    let inTime = 0;
    let killed = 0;
    for (let n = 1; n <= count; n += 1) {
      const account = new Account();
      const path = join(folder, `store-${n}`);
      const options = { path, account, maxSizeBytes: 1e9, salvageFirstBytes: 0 };
      {
        await using workload = new Workload({ ...options, prefix: `s${n}` });
        await workload.takes(randomInt(2_000, 6_000));
        await workload.stop();
      }
      await damageCounters(path);
      const kills = randomInt(1, 4);
      for (let k = 1; k <= kills; k += 1) {
        await using workload = new Workload({ ...options, prefix: `s${n}k${k}` });
        await workload.takes(1);
        await delay(randomInt(0, 800));
        await workload.kill();
        killed += 1;
        inTime += (await readdir(path)).some((name) => name.includes('salvaging')) ? 1 : 0;
      }
      const checked = await checkStore(path, account, { isLarge: true });
      tally.add(checked, account.taken.size);
      const kept = (await readdir(path)).filter((name) => /damaged-.*\.db$/.test(name)).length;
      if (kept === 0) tally.notes.push(`FAILED run ${n}: it was not found damaged`);
      if (checked.declared > 0) tally.notes.push(`FAILED run ${n}: ${checked.declared} given up`);
      await rm(path, { recursive: true });
    }
    tally.notes.push(`${inTime} of ${killed} kills came before it was taken over`);
    return tally.outcome();
  },
};

/** How far a store's log is when its process is killed decides what lies in it. */
const runsAStore = 25;

async function useAnew(path: string): Promise<Account> {
  const account = new Account();
  await rm(path, { recursive: true, force: true });
  await mkdir(path);
  await using workload = new Workload({ path, prefix: 'b', account, maxSizeBytes: 1e9 });
  await workload.takes(randomInt(2_000, 6_000));
  await workload.kill();
  return account;
}

/** @returns where, as `file@offset` */
async function flip(path: string, times: number): Promise<string> {
  const names = (await readdir(path)).filter((name) => name !== 'outbox.reserve');
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size));
  const where: string[] = [];
  // Small files as often as large ones, and the beginning of each more often than its rest.
  for (let n = 0; n < times; n += 1) {
    const file = randomInt(0, names.length - 1);
    const size = sizes[file] ?? 0;
    if (size === 0) continue;
    const at = randomInt(0, (randomInt(0, 3) === 0 ? Math.min(size, 4_096) : size) - 1);
    const handle = await open(join(path, names[file] ?? ''), 'r+');
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ randomInt(1, 255);
    await handle.write(byte, 0, 1, at);
    await handle.close();
    where.push(`${names[file]}@${at}`);
  }
  return where.join(' ');
}

export const storeFaults: readonly Fault[] = [
  kill,
  powerCut,
  diskFull,
  injected('no-space', 'ENOSPC for single writes, injected by strace', 'pwrite64', 'ENOSPC', [60, 900]),
  injected('fsync-eio', 'EIO for single fsync calls, injected by strace', 'fsync,fdatasync', 'EIO', [7, 60]),
  readOnly,
  clock,
  flippedBytes,
  salvageKill,
];
