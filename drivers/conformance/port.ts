/** What every driver has to hold on a real terminal of the kernel. A fresh one a test. */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import type { Driver } from '../driver.ts';
import { openPort } from '../open.ts';
import { openPty, type Pty } from '../pty.ts';
import type { Transport } from '../transport.ts';
import { ready } from './device.ts';
import { clock, openRig, type Rig } from './rig.ts';

const hangUps = 100;
/** Of one core, over the second after the last hang-up: a spinning read takes all of it. */
const idleShare = 0.5;
const mostGrowthBytes = 100 * 1024 ** 2;

export function portTests(driver: Driver, options: unknown): void {
  const { line } = driver.manifest(options);
  const open = async (path: string): Promise<Transport> => await openPort({ is: 'path', path }, line, clock);
  const plugged = async (): Promise<{ rig: Rig; pty: Pty }> => {
    const pty = openPty(clock);
    return { rig: openRig(driver, options, { ends: [await open(pty.path), pty] }), pty };
  };

  it('is identified on a pseudo terminal', async () => {
    const { rig } = await plugged();
    await using _rig = rig;
    expect(await rig.opened.peripheral.identify(rig.signal)).toBeDefined();
  });

  it(`sees ${hangUps} hang-ups, idle, sending and receiving, and leaves nothing behind`, async () => {
    await hangUpOnce(plugged, 0);
    const [before, memoryBefore] = [openDescriptors(), process.memoryUsage.rss()];
    for (let count = 0; count < hangUps; count += 1) await hangUpOnce(plugged, count);
    await eventually(() => openDescriptors() <= before, `${before} descriptors, as before`);
    expect(process.memoryUsage.rss() - memoryBefore).toBeLessThan(mostGrowthBytes);
    const cpu = process.cpuUsage();
    await clock.sleep(1_000);
    const { user, system } = process.cpuUsage(cpu);
    expect((user + system) / 1e6).toBeLessThan(idleShare);
  });

  it('comes back under another name, as another connection, to which nothing old is written', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-port-'));
    const link = join(folder, 'device');
    try {
      const first = openPty(clock, link);
      const old = openRig(driver, options, { ends: [await open(link), first] });
      await ready(old);
      const { epoch } = old.bus.transport;
      await first[Symbol.asyncDispose]();
      await eventually(() => !old.opened.link.isOpen, 'the loss');

      const second = openPty(clock, link);
      const again = openRig(driver, options, { ends: [await open(link), second] });
      expect(again.bus.transport.epoch).toBeGreaterThan(epoch);
      // what the old one may still want to say goes nowhere
      for (const [name, { args, example }] of Object.entries(driver.manifest(options).actions)) {
        await old.opened.peripheral.perform?.(name, args.parse(example), old.signal).catch(() => undefined);
      }
      await expect(old.bus.transport.write(Uint8Array.of(0x55, 0xaa))).rejects.toMatchObject({ code: 'port-lost' });
      const heard = again.received.length;
      expect(heard).toBe(0);
      await ready(again);
      await old[Symbol.asyncDispose]();
      await again[Symbol.asyncDispose]();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('is refused to a second opener', async () => {
    const { rig, pty } = await plugged();
    await using _rig = rig;
    await expect(open(pty.path)).rejects.toMatchObject({ code: 'port-busy' });
    expect(rig.opened.link.isOpen).toBe(true);
  });

  it('goes on at seven ports while the eighth takes no bytes', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, plugged));
    try {
      const [wedged, ...others] = all;
      wedged?.pty.pause();
      const stuck = wedge(wedged?.rig.bus.transport as Transport);
      await Promise.all(others.map(async ({ rig }) => await ready(rig)));
      await expect(stuck).rejects.toMatchObject({ code: 'port-stuck' });
      expect(wedged?.rig.opened.link.isOpen).toBe(false);
      expect(others.every(({ rig }) => rig.opened.link.isOpen)).toBe(true);
    } finally {
      await Promise.all(all.map(async ({ rig }) => await rig[Symbol.asyncDispose]()));
    }
  });

  describe('a loss', () => {
    it('is told once, also when it is closed at the same moment', async () => {
      const pty = openPty(clock);
      const transport = await open(pty.path);
      const closed: unknown[] = [];
      transport.attach({ onBytes: () => undefined, onClosed: (error) => closed.push(error) });
      await Promise.all([
        pty[Symbol.asyncDispose](),
        transport[Symbol.asyncDispose](),
        transport[Symbol.asyncDispose](),
      ]);
      await clock.sleep(50);
      expect(closed).toHaveLength(1);
    });
  });
}

async function hangUpOnce(plugged: () => Promise<{ rig: Rig; pty: Pty }>, count: number): Promise<void> {
  const { rig, pty } = await plugged();
  const { transport } = rig.bus;
  const way = count % 3;
  // one pulls while we write, one while the device does
  const busy =
    way === 1
      ? keepWriting(async () => await transport.write(new Uint8Array(64)), rig)
      : way === 2
        ? keepWriting(async () => await pty.write(new Uint8Array(256).fill(0x55)), rig)
        : Promise.resolve();
  if (way > 0) await new Promise((resolve) => setImmediate(resolve));
  await pty[Symbol.asyncDispose]();
  await eventually(() => !rig.opened.link.isOpen, 'the hang-up', 10_000);
  await rig[Symbol.asyncDispose]();
  await busy;
}

async function keepWriting(write: () => Promise<void>, { opened }: Rig): Promise<void> {
  try {
    while (opened.link.isOpen) {
      await write();
      await new Promise((resolve) => setImmediate(resolve));
    }
  } catch {
    // that is how it ends
  }
}

async function wedge(transport: Transport): Promise<void> {
  for (;;) await transport.write(new Uint8Array(4_096));
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;
