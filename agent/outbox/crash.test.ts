import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, type Requirement } from '#agent/testing/require.ts';
import { numbers, openTestOutbox, range, testEvent, waiting, waitingEverywhere } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-crash-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The writing process, and what it said was acknowledged. */
class Appender implements AsyncDisposable {
  readonly acknowledged: Record<'alarm' | 'event', number[]> = { alarm: [], event: [] };
  readonly refused = new Set<string>();
  readonly #child: ChildProcess;
  #rest = '';

  constructor(path: string, shell = 'exec "$@"') {
    const script = resolve(import.meta.dirname, '../testing/append-forever.ts');
    const command = ['-c', shell, 'sh', process.execPath, script, path];
    this.#child = spawn('sh', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
  }

  get count(): number {
    return this.acknowledged.alarm.length + this.acknowledged.event.length;
  }

  /** What it had said before it was killed has all been read when this returns. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [word, value] = line.split(' ');
      if (word === 'alarm' || word === 'event') this.acknowledged[word].push(Number(value));
      if (word === 'refused') this.refused.add(value ?? '');
    }
  }
}

/** Nothing acknowledged is missing, and there is no gap. */
async function nothingLost(path: string, known: Record<'alarm' | 'event', Set<number>>): Promise<void> {
  await using outbox = await openTestOutbox(path);
  for (const lane of ['alarm', 'event'] as const) {
    const stored = numbers(await waiting(outbox, lane));
    expect(stored).toEqual(range(1, outbox.state[lane].lastSeq));
    const there = new Set(stored);
    expect([...known[lane]].filter((seq) => !there.has(seq))).toEqual([]);
  }
}

describe('a process that is killed while it writes', () => {
  it('loses nothing that was acknowledged, and leaves no gap', async () => {
    const known = { alarm: new Set<number>(), event: new Set<number>() };
    for (const appends of [1, 40, 150, 77, 300]) {
      const appender = new Appender(folder);
      await eventually(() => appender.count >= appends, `${appends} appends`);
      await appender.kill();
      for (const lane of ['alarm', 'event'] as const) {
        for (const seq of appender.acknowledged[lane]) {
          expect(known[lane].has(seq)).toBe(false);
          known[lane].add(seq);
        }
      }
      await nothingLost(folder, known);
    }
  });

  it('holds the store while it lives, and names its process', async () => {
    await using appender = new Appender(folder);
    await eventually(() => appender.acknowledged.event.length > 0, 'it writes');
    await expect(openTestOutbox(folder)).rejects.toMatchObject({ code: 'outbox-locked' });
    await appender.kill();
    await using outbox = await openTestOutbox(folder);
    expect(outbox.state.event.depth).toBeGreaterThan(0);
  });
});

describe('a damaged store', () => {
  const fill = async (): Promise<string> => {
    await using outbox = await openTestOutbox(folder);
    for (const n of range(1, 40)) {
      await outbox.append([
        ...range(1, 10).map((m) => testEvent('event', n * 100 + m, 900)),
        testEvent('alarm', n, 900),
      ]);
    }
    await outbox.ack('event', { epoch: outbox.epoch, seq: 100 });
    return outbox.epoch;
  };
  const file = (): string => join(folder, 'outbox.db');
  const overwrite = async (from: number, to: number): Promise<void> => {
    const { open } = await import('node:fs/promises');
    const handle = await open(file(), 'r+');
    await handle.write(Buffer.alloc(to - from, 0xa5), 0, to - from, from);
    await handle.close();
  };
  /** Each number above the last acknowledged either waits in its old epoch, or is declared lost. */
  const accountsFor = async (epoch: string): Promise<{ salvaged: number; declared: number }> => {
    await using outbox = await openTestOutbox(folder);
    expect(outbox.epoch).not.toBe(epoch);
    const events = await waitingEverywhere(outbox);
    const old = events.filter((event) => event.epoch === epoch);
    const declared = events
      .filter(({ type, data }) => type === 'outpost.dropped' && data['reason'] === 'corrupt' && data['epoch'] === epoch)
      .map(({ data }) => data as { lane: string; first: string; last: string });
    for (const [lane, first, last] of [
      ['event', 101, 400],
      ['alarm', 1, 40],
    ] as const) {
      const there = numbers(old.filter((event) => event.lane === lane));
      const lost = declared
        .filter((data) => data.lane === lane)
        .flatMap((data) => range(Number(data.first), Number(data.last)));
      expect([...there, ...lost].toSorted((a, b) => a - b)).toEqual(range(first, last));
    }
    const [fresh] = await outbox.append([testEvent('event', 1)]);
    expect(fresh?.seq).toBe(1n);
    return { salvaged: old.length, declared: declared.length };
  };

  it('is kept aside; what can be read is taken over in its epoch, and the rest is declared', async () => {
    const epoch = await fill();
    await overwrite(40 * 8192, 42 * 8192);
    const { salvaged, declared } = await accountsFor(epoch);
    expect(salvaged).toBeGreaterThan(200);
    expect(declared).toBeGreaterThan(0);
    const { readdir } = await import('node:fs/promises');
    expect((await readdir(folder)).filter((name) => name.includes('damaged') && name.endsWith('.db'))).toHaveLength(1);
  });

  it('that was cut short loses only its end', async () => {
    const epoch = await fill();
    await truncate(file(), 50 * 8192);
    await accountsFor(epoch);
  });

  it.each([
    ['garbage', async () => await writeFile(file(), Buffer.alloc(50_000, 'garbage!'))],
    ['an empty file', async () => await writeFile(file(), '')],
    [
      'another program’s database',
      async () => {
        const { openSqlite } = await import('#agent/core/sqlite.ts');
        const db = openSqlite(file(), { busyMs: 0 });
        db.exec('CREATE TABLE meta (a); CREATE TABLE other (b)');
        db.close();
      },
    ],
  ])('%s does not keep the agent from starting', async (_title, write) => {
    await mkdir(folder, { recursive: true });
    await write();
    await using outbox = await openTestOutbox(folder);
    await outbox.append([testEvent('alarm', 1)]);
    expect(numbers(await waiting(outbox, 'alarm'))).toEqual([1]);
  });

  it('notices damage while it runs, keeps aside, and goes on', async () => {
    const epoch = await fill();
    await using outbox = await openTestOutbox(folder);
    expect(outbox.epoch).toBe(epoch);
    // pages are in the cache of the writer: only what it must read again shows the damage
    await overwrite(8192, 35 * 8192);
    const codes = new Set<string>();
    await eventually(async () => {
      try {
        await waitingEverywhere(outbox);
        await outbox.append([testEvent('event', 1, 2_000)]);
        return outbox.epoch !== epoch || codes.size > 0;
      } catch (thrown) {
        codes.add((thrown as { code: string }).code);
        return false;
      }
    }, 'it writes again');
    expect([...codes].filter((code) => !['outbox-corrupt', 'outbox-unavailable'].includes(code))).toEqual([]);
    const [envelope] = await outbox.append([testEvent('alarm', 9)]);
    expect(envelope).toBeDefined();
  });
});

describe('a folder that cannot be used', () => {
  it('is named, with what to do', async () => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    await expect(openTestOutbox(path)).rejects.toMatchObject({ code: 'outbox-unavailable', kind: 'transient' });
    await expect(openTestOutbox('/dev/null/outpost')).rejects.toMatchObject({ code: 'outbox-unavailable' });
  });
});

const needsMount: Requirement = () => {
  const probe = spawnSync('sh', [
    '-c',
    'd=$(mktemp -d) && mount -t tmpfs -o size=64k tmpfs "$d" && umount "$d"; r=$?; rmdir "$d"; exit $r',
  ]);
  return probe.status === 0 ? undefined : 'the right to mount a tmpfs (root)';
};

describeWith('a disk that is full (tmpfs)', [needsMount], () => {
  it('refuses clearly, keeps alarms coming from its reserve, loses nothing, and recovers alone', async () => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]).status).toBe(0);
    try {
      const known = { alarm: new Set<number>(), event: new Set<number>() };
      {
        await using outbox = await openTestOutbox(disk);
        const append = async (lane: 'alarm' | 'event', n: number): Promise<void> => {
          for (const { seq } of await outbox.append([testEvent(lane, n, 4_000)])) known[lane].add(Number(seq));
        };
        for (const n of range(1, 300)) await append('event', n);
        await eventually(() => existsSync(join(disk, 'outbox.reserve')), 'the reserve is there');
        const ballast = join(disk, 'ballast');
        spawnSync('sh', ['-c', `cat /dev/zero > "${ballast}" 2>/dev/null`]);
        const codes = new Set<string>();
        for (const n of range(1, 2_000)) {
          await append(n % 10 === 0 ? 'alarm' : 'event', n).catch((thrown: unknown) =>
            codes.add((thrown as { code: string }).code),
          );
        }
        expect([...codes].filter((code) => code !== 'outbox-full')).toEqual([]);
        expect(known.alarm.size).toBe(200);
        expect(existsSync(join(disk, 'outbox.reserve'))).toBe(false);
        await unlink(ballast);
        await append('event', 9_999);
      }
      await using again = await openTestOutbox(disk);
      expect(numbers(await waiting(again, 'alarm'))).toEqual(range(1, known.alarm.size));
      const there = new Set(numbers(await waiting(again, 'event')));
      const declared = (await waiting(again, 'audit')).flatMap(({ data }) =>
        data['lane'] === 'event' ? range(Number(data['first']), Number(data['last'])) : [],
      );
      expect([...known.event].filter((seq) => !there.has(seq) && !declared.includes(seq))).toEqual([]);
      expect([...there, ...declared].toSorted((a, b) => a - b)).toEqual(range(1, again.state.event.lastSeq));
    } finally {
      spawnSync('umount', [disk]);
    }
  });
});

describeWith('a damaged store on a disk without room for another', [needsMount], () => {
  it('gives up the lower lanes, in their order, says so, and goes on', async () => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', disk]).status).toBe(0);
    try {
      const epoch = await (async () => {
        await using outbox = await openTestOutbox(disk, { maxSizeBytes: 32 * 1024 * 1024 });
        for (const n of range(1, 40)) {
          await outbox.append([testEvent('alarm', n, 4_000), testEvent('event', n, 4_000)]);
          await outbox.append(range(1, 50).map((m) => testEvent('telemetry', m, 4_000)));
        }
        return outbox.epoch;
      })();
      const store = await readFile(join(disk, 'outbox.db'));
      // the page of the counters
      store.writeUInt8(0xff, 2 * 8_192 + 3);
      await writeFile(join(disk, 'outbox.db'), store);
      await using outbox = await openTestOutbox(disk, { maxSizeBytes: 32 * 1024 * 1024 });
      for (const lane of ['alarm', 'event'] as const) {
        const events = await waiting(outbox, lane);
        expect(numbers(events)).toEqual(range(1, 40));
        expect(events.every((event) => event.epoch === epoch)).toBe(true);
      }
      expect(await waiting(outbox, 'telemetry')).toEqual([]);
      expect((await waiting(outbox, 'audit')).map(({ data }) => data)).toMatchObject([
        { epoch, lane: 'telemetry', first: '1', last: '2000', count: 2_000, reason: 'disk-full' },
      ]);
      await outbox.append([testEvent('alarm', 41)]);
    } finally {
      spawnSync('umount', [disk]);
    }
  });
});

describe('a file that may not grow (ulimit -f)', () => {
  it('refuses, and loses nothing that was acknowledged', async () => {
    await using appender = new Appender(folder, 'ulimit -f 6000; exec "$@"');
    await eventually(() => appender.refused.size > 0 && appender.count > 0, 'it is refused');
    await appender.kill();
    const known = { alarm: new Set(appender.acknowledged.alarm), event: new Set(appender.acknowledged.event) };
    expect([...appender.refused].filter((code) => !['outbox-unavailable', 'outbox-full'].includes(code))).toEqual([]);
    await using outbox = await openTestOutbox(folder);
    const there = new Set(numbers(await waiting(outbox, 'alarm')));
    expect([...known.alarm].filter((seq) => !there.has(seq))).toEqual([]);
    const events = new Set(numbers(await waiting(outbox, 'event')));
    expect([...known.event].filter((seq) => !events.has(seq))).toEqual([]);
  });
});
