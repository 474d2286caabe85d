/** Jobs through power cuts, empty rolls and open covers: printed once, or known not to be known. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DurableText, durableFile, volatileText } from '#agent/core/durable-text.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { carryOut } from '../command.ts';
import { clock, openRig, type Rig } from '../conformance/rig.ts';
import { type Outcome, sealed } from '../driver.ts';
import { driver as printer } from './driver.ts';
import { openJournal } from './journal.ts';
import { options as optionsSchema } from './manifest.ts';
import type { PrinterSimulator } from './simulator.ts';

const driver = sealed(printer);
const options = optionsSchema.parse({ pollEvery: 100 });

/** About six parts: enough for something to happen in the middle. */
const long = Array.from({ length: 120 }, (_unused, line) => ({ is: 'text', text: `line ${line} of a long receipt` }));
const short = [{ is: 'text', text: '回执' }];

interface Desk {
  readonly rig: Rig;
  readonly simulator: PrinterSimulator;
  readonly print: (job: string, content?: readonly object[]) => Promise<Outcome>;
  readonly do: (action: string, args: object) => Promise<Outcome>;
}

function deskOf(rig: Rig): Desk {
  const act = async (action: string, args: object): Promise<Outcome> =>
    await carryOut(action, args, { opened: rig.opened, clock, latest: () => undefined }, rig.signal);
  return {
    rig,
    simulator: rig.simulator as PrinterSimulator,
    print: async (job, content = short) => await act('print', { job, content }),
    do: act,
  };
}

async function desk(
  memory: DurableText = volatileText(),
  chosen: object = {},
  simulator?: PrinterSimulator,
): Promise<Desk> {
  const rig = openRig(driver, { ...options, ...chosen }, { memory, ...(simulator ? { simulator } : {}) });
  await rig.opened.peripheral.identify(rig.signal);
  await rig.opened.peripheral.configure?.(rig.signal);
  return deskOf(rig);
}

/** Happens once as many lines are on the paper, before the printer answers. */
function afterLines(
  simulator: PrinterSimulator,
  lines: number,
  happen: () => ReturnType<PrinterSimulator['load']>,
): void {
  const receive = simulator.receive.bind(simulator);
  let isOver = false;
  Object.assign(simulator, {
    receive(message: Parameters<typeof receive>[0]) {
      const answers = receive(message);
      if (isOver || linesOn(simulator) < lines) return answers;
      isOver = true;
      return [...answers, ...happen()];
    },
  });
}

const statusOf = async (memory: DurableText, job: string): Promise<string | undefined> =>
  (await openJournal(memory)).find(job)?.status;
const linesOn = ({ paper }: PrinterSimulator): number => (paper.text.match(/^line /gm) ?? []).length;

describe('a job', () => {
  it('is printed once, however often it is said', async () => {
    const memory = volatileText();
    const { rig, simulator, print } = await desk(memory);
    await using _rig = rig;
    expect(await print('r-1')).toMatchObject({ status: 'acknowledged', result: { job: 'r-1', parts: 1 } });
    expect(await print('r-1')).toMatchObject({ status: 'acknowledged', result: { again: true } });
    expect(simulator.paper.text).toBe('回执');
    expect(simulator.paper.cuts).toBe(1);
    expect(await statusOf(memory, 'r-1')).toBe('printed');
  });

  it('is one of another connection, too', async () => {
    const memory = volatileText();
    const first = await desk(memory);
    await first.print('r-1');
    await first.rig[Symbol.asyncDispose]();
    const second = await desk(memory, {}, first.simulator);
    await using _rig = second.rig;
    expect(await second.print('r-1')).toMatchObject({ status: 'acknowledged', result: { again: true } });
    expect(first.simulator.paper.cuts).toBe(1);
  });

  it('of many parts is printed whole, and each part is confirmed before the next is sent', async () => {
    const { rig, simulator, print } = await desk();
    await using _rig = rig;
    const outcome = await print('r-1', long);
    expect(outcome).toMatchObject({ status: 'acknowledged' });
    expect('result' in outcome && outcome.result?.['parts']).toBeGreaterThan(4);
    expect(linesOn(simulator)).toBe(120);
  });

  it('is not begun while the printer is not ready', async () => {
    const memory = volatileText();
    const { rig, simulator, print } = await desk(memory);
    await using _rig = rig;
    simulator.cover(true);
    expect(await print('r-1')).toMatchObject({
      status: 'rejected',
      reason: expect.stringContaining('ready must be true') as string,
    });
    expect(await statusOf(memory, 'r-1')).toBeUndefined();
    simulator.cover(false);
    expect(await print('r-1')).toMatchObject({ status: 'acknowledged' });
    expect(simulator.paper.cuts).toBe(1);
  });

  it.each([
    ['a command inside a name', 'Li\u001bp\u0000'],
    ['half of a character', 'Li \ud800'],
  ])('with %s is refused before the line', async (_what, text) => {
    const { rig, print } = await desk();
    await using _rig = rig;
    const written = rig.opened.link.bytesWritten;
    expect(await print('r-1', [{ is: 'text', text }])).toMatchObject({ status: 'rejected' });
    // what was asked is whether it is ready
    expect(rig.opened.link.bytesWritten - written).toBeLessThanOrEqual(12);
  });

  it('that is longer than any receipt is refused', async () => {
    const { rig, simulator, print } = await desk();
    await using _rig = rig;
    const endless = Array.from({ length: 40 }, () => ({ is: 'text', text: 'x'.repeat(2_000) }));
    expect(await print('r-1', endless)).toMatchObject({
      status: 'rejected',
      reason: expect.stringContaining('too long') as string,
    });
    expect(simulator.paper.height).toBe(0);
  });

  it('with characters that the printer does not have is refused', async () => {
    const { rig, simulator, print } = await desk(volatileText(), { charset: 'ascii' });
    await using _rig = rig;
    expect(await print('r-1')).toMatchObject({ status: 'rejected', reason: expect.stringContaining('回执') as string });
    expect(simulator.paper.height).toBe(0);
  });
});

describe('an interrupted job', () => {
  /** Long, on a roll that ends in the middle of it. */
  async function outOfPaper(memory: DurableText): Promise<Desk & { outcome: Outcome }> {
    const made = await desk(memory);
    made.simulator.load(1_500);
    return { ...made, outcome: await made.print('r-1', long) };
  }

  it('is not known when the paper ends, and what is left of it is thrown away: a new roll prints nothing', async () => {
    const memory = volatileText();
    const { rig, simulator, print, outcome } = await outOfPaper(memory);
    await using _rig = rig;
    expect(outcome).toMatchObject({
      status: 'unknown',
      reason: expect.stringMatching(
        /Job r-1: It stopped in part \d of \d: the paper is at its end; the rest was thrown away/,
      ) as string,
    });
    expect(await statusOf(memory, 'r-1')).toBe('unknown');
    const printed = linesOn(simulator);
    expect(printed).toBeGreaterThan(10);
    expect(printed).toBeLessThan(120);
    expect(simulator.state).toMatchObject({ waiting: 0, cleared: 1, cuts: 0 });
    simulator.load(100_000);
    expect(linesOn(simulator)).toBe(printed);
    // and never by itself, or by saying it again
    expect(await print('r-1', long)).toMatchObject({ status: 'unknown' });
    expect(linesOn(simulator)).toBe(printed);
  });

  it('is a human’s affair: settled, and printed under another identity', async () => {
    const memory = volatileText();
    const { rig, simulator, print, do: act } = await outOfPaper(memory);
    await using _rig = rig;
    simulator.load(100_000);
    expect(await act('settle', { as: 'given-up', job: 'r-9' })).toMatchObject({ status: 'rejected' });
    expect(await act('settle', { as: 'given-up', job: 'r-1' })).toMatchObject({
      status: 'acknowledged',
      result: { settled: 'r-1', count: 1 },
    });
    expect(await print('r-1', long)).toMatchObject({
      status: 'rejected',
      reason: expect.stringContaining('another identity') as string,
    });
    expect(await print('r-1b', long)).toMatchObject({ status: 'acknowledged' });
    expect(simulator.paper.cuts).toBe(1);
  });

  it('is told in readings and events', async () => {
    const memory = volatileText();
    const { rig } = await outOfPaper(memory);
    await using _rig = rig;
    const seen = new Map<string, unknown>();
    for await (const each of rig.opened.peripheral.observe(rig.signal)) {
      if (each.is === 'event') seen.set(each.event, each.data);
      else seen.set(each.property, each.value);
      if (seen.has('unsettled')) break;
    }
    expect(Object.fromEntries(seen)).toMatchObject({
      paperOut: {},
      ready: false,
      paper: 'out',
      job: { id: 'r-1', status: 'unknown' },
      unsettled: 1,
    });
  });

  it('is not known when the cover is opened in the middle', async () => {
    const { rig, simulator, print } = await desk();
    await using _rig = rig;
    afterLines(simulator, 30, () => simulator.cover(true));
    expect(await print('r-1', long)).toMatchObject({
      status: 'unknown',
      reason: expect.stringContaining('the cover is open') as string,
    });
    simulator.cover(false);
    expect(simulator.paper.cuts).toBe(0);
  });

  it('is not known when the printer loses its power, and does not come again when it is back', async () => {
    const memory = volatileText();
    const { rig, simulator, print } = await desk(memory);
    await using _rig = rig;
    afterLines(simulator, 30, () => {
      rig.faults = { silent: true };
      simulator.cutPower();
      return [];
    });
    expect(await print('r-1', long)).toMatchObject({
      status: 'unknown',
      reason: expect.stringContaining('does not answer') as string,
    });
    rig.faults = {};
    const printed = linesOn(simulator);
    await rig.opened.peripheral.configure?.(rig.signal);
    expect(linesOn(simulator)).toBe(printed);
    expect(await statusOf(memory, 'r-1')).toBe('unknown');
  });

  it('turns out to be printed when a printer that threw nothing away says so late', async () => {
    const memory = volatileText();
    const { rig, simulator, print } = await desk(memory);
    await using _rig = rig;
    rig.faults = { silent: true };
    expect(await print('r-1')).toMatchObject({ status: 'rejected' });
    rig.faults = {};
    const { peripheral } = rig.opened;
    rig.faults = { slowMs: 2_000 };
    const args = {
      job: 'r-2',
      content: [{ is: 'text', text: 'late', align: 'left', bold: false, underline: false, size: 1 }],
      cut: true,
    };
    expect(await peripheral.perform?.('print', args, rig.signal)).toMatchObject({ status: 'unknown' });
    expect(simulator.paper.cuts).toBe(1);
    rig.faults = {};
    for await (const each of peripheral.observe(rig.signal)) {
      if (each.is === 'reading' && each.property === 'unsettled' && each.value === 0) break;
    }
    expect(await statusOf(memory, 'r-2')).toBe('printed');
  });

  it('of a printer without process numbers is sent in one piece, for its answers have no names', async () => {
    const { rig, simulator, print } = await desk(volatileText(), { confirm: 'sensors' });
    await using _rig = rig;
    expect(await print('r-1', long)).toMatchObject({ status: 'acknowledged', result: { parts: 1 } });
    expect(linesOn(simulator)).toBe(120);
  });
});

describe('the journal', () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'outpost-journal-'))));
  afterEach(async () => await rm(folder, { recursive: true, force: true }));
  const file = (): DurableText => durableFile(join(folder, 'journal.json'));

  it('has a job before the printer has a byte of it', async () => {
    const order: string[] = [];
    const kept = volatileText();
    const memory: DurableText = {
      read: async () => await kept.read(),
      async write(text) {
        order.push(`journal ${/"status":"([a-z-]+)"/.exec(text)?.[1] ?? ''}`);
        await kept.write(text);
      },
    };
    const { rig, simulator, print } = await desk(memory);
    await using _rig = rig;
    const receive = simulator.receive.bind(simulator);
    Object.assign(simulator, {
      receive(message: Parameters<typeof receive>[0]) {
        if (message.is === 'text') order.push('paper');
        return receive(message);
      },
    });
    await print('r-1');
    expect(order).toEqual(['journal queued', 'journal printing', 'paper', 'journal printed']);
  });

  it.each([
    ['queued', 'given-up'],
    ['printing', 'unknown'],
    ['printed', 'printed'],
  ])('finds a job that was %s at a power cut to be %s', async (before, after) => {
    const job = { id: 'r-1', status: before, at: '2026-11-26T00:00:00Z', parts: 2, done: 1, first: 7 };
    await file().write(JSON.stringify({ next: 9, jobs: [job] }));
    const memory = file();
    expect(await statusOf(memory, 'r-1')).toBe(after);
    const { rig, simulator, print } = await desk(memory);
    await using _rig = rig;
    await print('r-1');
    expect(simulator.paper.height).toBe(0);
  });

  it('survives an agent that ends in the middle, and holds no word of what was printed', async () => {
    const first = await desk(file());
    afterLines(first.simulator, 30, () => {
      first.rig.faults = { silent: true };
      return [];
    });
    const job = first.print('r-1', long).catch(() => undefined);
    await eventually(() => first.rig.faults.silent, 'the middle of the job');
    const text = await readFile(join(folder, 'journal.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ jobs: [{ id: 'r-1', status: 'printing' }] });
    expect(text).not.toContain('receipt');
    // the disk as it is now is what the next start finds
    await writeFile(join(folder, 'later.json'), text);
    await first.rig[Symbol.asyncDispose]();
    await job;
    expect(await statusOf(durableFile(join(folder, 'later.json')), 'r-1')).toBe('unknown');
    expect(await statusOf(file(), 'r-1')).toBe('unknown');
  });

  it('that cannot be written keeps the printer from printing', async () => {
    const kept = volatileText();
    let isFull = false;
    const memory: DurableText = {
      read: async () => await kept.read(),
      async write(text) {
        if (isFull) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        await kept.write(text);
      },
    };
    const { rig, simulator, print } = await desk(memory);
    await using _rig = rig;
    isFull = true;
    expect(await print('r-1')).toMatchObject({
      status: 'rejected',
      reason: expect.stringContaining('ENOSPC') as string,
    });
    expect(simulator.paper.height).toBe(0);
    isFull = false;
    expect(await print('r-1')).toMatchObject({ status: 'acknowledged' });
  });

  it('that cannot be read lets nobody print until somebody has looked', async () => {
    await writeFile(join(folder, 'journal.json'), '{"next":3,"jobs":[{"id":"r-1","sta');
    const { rig, simulator, print, do: act } = await desk(file());
    await using _rig = rig;
    expect(await print('r-1')).toMatchObject({
      status: 'rejected',
      reason: expect.stringContaining('settle') as string,
    });
    expect(simulator.paper.height).toBe(0);
    expect(await act('settle', { as: 'given-up' })).toMatchObject({ result: { settled: 'journal' } });
    expect(await print('r-2')).toMatchObject({ status: 'acknowledged' });
  });

  it('is bounded: it forgets settled jobs, oldest first, and never one that is not known', async () => {
    const journal = await openJournal(volatileText());
    await journal.queue('doubt', 1, 'now');
    await journal.become('doubt', 'unknown');
    for (let count = 0; count < 520; count += 1) {
      await journal.queue(`r-${count}`, 1, 'now');
      await journal.become(`r-${count}`, 'printed');
    }
    expect(journal.find('r-0')).toBeUndefined();
    expect(journal.find('r-519')).toMatchObject({ status: 'printed' });
    expect(journal.find('doubt')).toMatchObject({ status: 'unknown' });
  });
});
