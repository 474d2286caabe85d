/** The small parts of the room, without a process: queue, assembler, splitter, ring, gate, watchdog, pace. */
import { once } from 'node:events';
import * as fc from 'fast-check';
import { expect, describe, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { DamageGate } from './damage-gate.ts';
import { FrameAssembler } from './frame-assembler.ts';
import { openFramePipe } from './frame-pipe.ts';
import { FrameQueue } from './frame-queue.ts';
import { JpegSplitter } from './jpeg-splitter.ts';
import { Pace } from './pace.ts';
import { PictureRing } from './picture-ring.ts';
import { Watchdog } from './watchdog.ts';

const format = { width: 2, height: 2, pixels: 'bgr-planar', fit: 'stretch', padding: 0 } as const;
const frameBytes = 12;
const source = { width: 8, height: 8 };
const never = new AbortController().signal;
const at = { wallMs: 1, monoMs: 1 };

function queueOf(frames: 'newest' | 'every'): FrameQueue {
  return new FrameQueue({ camera: 'a', format, frames });
}

function put(queue: FrameQueue, value: number): boolean {
  const slot = queue.slot();
  if (!slot) return false;
  queue.deliver(slot.fill(value), at, source);
  return true;
}

describe('FrameQueue', () => {
  it('keeps one frame, the newest, and counts what it drops', async () => {
    const queue = queueOf('newest');
    for (let value = 0; value < 10; value += 1) put(queue, value);
    using frame = await queue.next(never);
    expect(frame?.number).toBe(9);
    expect(frame?.bytes[0]).toBe(9);
    expect(queue.dropped).toBe(9);
    expect(queue.decoded).toBe(10);
  });

  it('drops nothing in a replay: without a free slot the decoder waits', async () => {
    const queue = queueOf('every');
    let value = 0;
    while (put(queue, value)) value += 1;
    expect(value).toBe(6);
    let freed = 0;
    queue.onceFree(() => (freed += 1));
    const first = await queue.next(never);
    first?.[Symbol.dispose]();
    first?.[Symbol.dispose]();
    expect(freed).toBe(1);
    expect(put(queue, value)).toBe(true);
    expect(put(queue, value)).toBe(false);
    for (let number = 1; number <= 6; number += 1) {
      using frame = await queue.next(never);
      expect(frame?.number).toBe(number);
    }
    expect(queue.dropped).toBe(0);
  });

  it('has always room for a live decoder while the reader holds up to four frames', async () => {
    const queue = queueOf('newest');
    for (let round = 0; round < 4; round += 1) {
      put(queue, round);
      await queue.next(never);
    }
    for (let value = 0; value < 100; value += 1) expect(put(queue, value)).toBe(true);
  });

  it('hands a frame to the reader who waits, and ends for the one who waits', async () => {
    const queue = queueOf('newest');
    const waiting = queue.next(never);
    put(queue, 3);
    using frame = await waiting;
    expect(frame?.bytes[0]).toBe(3);
    const last = queue.next(never);
    queue.end();
    expect(await last).toBeUndefined();
    expect(await queue.next(never)).toBeUndefined();
  });

  it('still gives what waits after the end, and lets an aborted reader go', async () => {
    const queue = queueOf('every');
    put(queue, 1);
    queue.end();
    using frame = await queue.next(never);
    expect(frame?.number).toBe(0);
    const stop = new AbortController();
    const other = queueOf('newest');
    const waiting = other.next(stop.signal);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    put(other, 5);
    using later = await other.next(never);
    expect(later?.bytes[0]).toBe(5);
  });
});

const assemble = (
  queue: FrameQueue,
  frames: 'newest' | 'every',
  options: Partial<ConstructorParameters<typeof FrameAssembler>[0]> = {},
): FrameAssembler =>
  new FrameAssembler({
    queue,
    frames,
    frameBytes,
    clock: new ManualClock(),
    facts: () => ({ source, sound: true }),
    onFrame: () => undefined,
    ...options,
  });

/** As the kernel and Node do: writes to the target, which was asked for before the last bytes were accepted. */
function pour(assembler: FrameAssembler, bytes: Uint8Array, cuts: readonly number[] = [bytes.length]): number {
  let taken = 0;
  let into = assembler.target();
  for (let turn = 0; taken < bytes.length; turn += 1) {
    const count = Math.min(into.length, bytes.length - taken, cuts[turn % cuts.length] ?? 1);
    into.set(bytes.subarray(taken, taken + count));
    taken += count;
    const goOn = assembler.accept(count, into);
    into = assembler.target();
    if (!goOn) break;
  }
  return taken;
}

describe('FrameAssembler', () => {
  it('makes the same frames of any cutting', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }), async (cuts) => {
        const bytes = Uint8Array.from({ length: 5 * frameBytes }, (_value, index) => index);
        const queue = queueOf('every');
        expect(pour(assemble(queue, 'every'), bytes, cuts)).toBe(bytes.length);
        queue.end();
        for (let number = 0; number < 5; number += 1) {
          using frame = await queue.next(never);
          expect([...(frame?.bytes ?? [])]).toEqual([
            ...bytes.subarray(number * frameBytes, (number + 1) * frameBytes),
          ]);
        }
        expect(await queue.next(never)).toBeUndefined();
      }),
    );
  });

  it('takes only what there is room for when nothing may be dropped, and goes on where it was', async () => {
    const queue = queueOf('every');
    const assembler = assemble(queue, 'every');
    const bytes = Uint8Array.from({ length: 8 * frameBytes }, (_value, index) => index);
    const taken = pour(assembler, bytes);
    expect(taken).toBe(6 * frameBytes);
    expect(assembler.proceed()).toBe(false);
    // Node asked for this while there was no room, and uses it for the first bytes after the rest.
    const stale = assembler.target();
    (await queue.next(never))?.[Symbol.dispose]();
    expect(assembler.proceed()).toBe(true);
    stale.set(bytes.subarray(taken, taken + 5));
    expect(assembler.accept(5, stale)).toBe(true);
    pour(assembler, bytes.subarray(taken + 5, taken + frameBytes));
    queue.end();
    const numbers: number[] = [];
    for (;;) {
      using frame = await queue.next(never);
      if (!frame) break;
      numbers.push(frame.number);
      expect(frame.bytes[0]).toBe(frame.number * frameBytes);
      expect(frame.bytes[11]).toBe(frame.number * frameBytes + 11);
    }
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('holds a whole frame until the size of its source is known', async () => {
    const queue = queueOf('newest');
    let known: typeof source | undefined;
    const assembler = assemble(queue, 'newest', { facts: () => known && { source: known, sound: true } });
    expect(pour(assembler, new Uint8Array(2 * frameBytes).fill(9))).toBe(frameBytes);
    expect(queue.decoded).toBe(0);
    expect(assembler.target().length).toBeGreaterThan(0);
    known = source;
    expect(assembler.proceed()).toBe(true);
    using frame = await queue.next(never);
    expect(frame).toMatchObject({ number: 0, source });
  });

  it('gives up, and counts, what a live reader has no room for, without losing its place', async () => {
    const queue = queueOf('newest');
    const assembler = assemble(queue, 'newest');
    const held = [];
    for (let value = 0; value < 6; value += 1) {
      const next = queue.next(never);
      pour(assembler, new Uint8Array(frameBytes).fill(value));
      held.push(await next);
    }
    pour(assembler, new Uint8Array(frameBytes + 5).fill(66));
    expect(queue.dropped).toBe(1);
    for (const frame of held) frame?.[Symbol.dispose]();
    pour(assembler, new Uint8Array(frameBytes - 5).fill(66));
    pour(assembler, new Uint8Array(frameBytes).fill(77));
    using frame = await queue.next(never);
    expect([...(frame?.bytes ?? [])]).toEqual(Array<number>(frameBytes).fill(77));
    expect(frame?.number).toBe(8);
  });

  it('keeps an unsound frame from the reader and counts it', async () => {
    const queue = queueOf('newest');
    let sound = false;
    const assembler = assemble(queue, 'newest', { facts: () => ({ source, sound }) });
    pour(assembler, new Uint8Array(frameBytes));
    sound = true;
    pour(assembler, new Uint8Array(frameBytes));
    using frame = await queue.next(never);
    expect(frame?.number).toBe(1);
    expect(queue.dropped).toBe(1);
  });
});

describe('openFramePipe', () => {
  it('carries bytes into the memory that the reader names, stops and goes on, and closes with its far end', async () => {
    const memory = new Uint8Array(8);
    const beyond = new Uint8Array(4);
    let filled = 0;
    const { near, far } = await openFramePipe({
      target: () => (filled < 4 ? memory.subarray(filled, 4) : beyond),
      accept(count, into) {
        if (into === beyond) memory.set(into.subarray(0, count), filled);
        filled += count;
        return filled !== 4;
      },
    });
    far.write(Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]));
    await eventually(() => filled === 4, 'half of the bytes');
    near.resume();
    await eventually(() => filled === 8, 'all bytes');
    expect([...memory]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const closed = once(near, 'close');
    far.destroy();
    await closed;
    expect(near.destroyed).toBe(true);
  });
});

/** A picture as its markers make it: header segment, size, scan with stuffed bytes and a restart marker. */
function jpegOf(width: number, height: number, data: readonly number[]): Buffer {
  const app = [0xff, 0xe1, 0x00, 0x06, 0xff, 0xd8, 0xff, 0xd9];
  const sof = [0xff, 0xc0, 0x00, 0x08, 0x08, height >> 8, height & 255, width >> 8, width & 255, 0x00];
  const entropy = data.flatMap((byte) => (byte === 0xff ? [0xff, 0x00] : [byte]));
  return Buffer.from([
    0xff,
    0xd8,
    ...app,
    ...sof,
    0xff,
    0xda,
    0x00,
    0x03,
    0x01,
    ...entropy,
    0xff,
    0xd3,
    1,
    2,
    0xff,
    0xd9,
  ]);
}

describe('JpegSplitter', () => {
  it('finds every picture with its size, in any cutting, between any text', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            width: fc.integer({ min: 1, max: 65_535 }),
            height: fc.integer({ min: 1, max: 65_535 }),
            data: fc.array(byte, { maxLength: 60 }),
          }),
          { maxLength: 5 },
        ),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 }),
        (pictures, cuts) => {
          const made = pictures.map(({ width, height, data }) => jpegOf(width, height, data));
          const stream = Buffer.concat(
            made.flatMap((jpeg) => [Buffer.from('\r\n--edge\r\nContent-Type: image/jpeg\r\n\r\n'), jpeg]),
          );
          const splitter = new JpegSplitter(10_000);
          const found = [];
          for (let from = 0, turn = 0; from < stream.length; turn += 1) {
            const chunk = stream.subarray(from, from + (cuts[turn % cuts.length] ?? 1));
            found.push(...splitter.push(chunk));
            from += chunk.length;
          }
          expect(found.map(({ bytes }) => bytes)).toEqual(made);
          expect(found.map(({ size }) => size)).toEqual(pictures.map(({ width, height }) => ({ width, height })));
        },
      ),
    );
  });

  it('stays bounded on a stream that never ends a picture, and goes on with the next', () => {
    const splitter = new JpegSplitter(1_000);
    const endless = Buffer.concat([jpegOf(4, 4, []).subarray(0, -2), Buffer.alloc(5_000, 1)]);
    expect([...splitter.push(endless)]).toEqual([]);
    expect(splitter.overflows).toBe(1);
    expect([...splitter.push(jpegOf(6, 5, [1, 2]))].map(({ size }) => size)).toEqual([{ width: 6, height: 5 }]);
  });

  it('never throws on noise', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (chunks) => {
        const splitter = new JpegSplitter(300);
        for (const chunk of chunks) {
          for (const { bytes } of splitter.push(Buffer.from([...chunk, 0xff, 0xd8, 0xff])))
            expect(bytes.length).toBeGreaterThan(4);
        }
      }),
    );
  });
});

describe('PictureRing', () => {
  it('keeps the last few and gives the nearest', () => {
    const ring = new PictureRing(3);
    expect(ring.nearest(1)).toBeUndefined();
    for (const frame of [0, 5, 10, 15]) ring.push({ frame, jpeg: Buffer.alloc(0), size: source });
    expect(ring.nearest(0)?.frame).toBe(5);
    expect(ring.nearest(12)?.frame).toBe(10);
    expect(ring.nearest(99)?.frame).toBe(15);
  });

  it('keeps nothing when nothing is asked for', () => {
    const ring = new PictureRing(0);
    ring.push({ frame: 0, jpeg: Buffer.alloc(0), size: source });
    expect(ring.nearest(0)).toBeUndefined();
  });
});

describe('DamageGate', () => {
  it('closes at a complaint and opens at the next key frame', () => {
    const gate = new DamageGate(new ManualClock());
    expect(gate.isOpen()).toBe(true);
    gate.damage(false);
    gate.damage(false);
    expect(gate.isOpen()).toBe(false);
    gate.keyFrame();
    expect(gate.isOpen()).toBe(true);
    expect(gate.incidents).toBe(1);
  });

  it('is not opened by the key frame that is itself damaged', () => {
    const gate = new DamageGate(new ManualClock());
    gate.damage(true);
    gate.keyFrame();
    expect(gate.isOpen()).toBe(false);
    gate.keyFrame();
    expect(gate.isOpen()).toBe(true);
  });

  it('opens by itself where no key frame comes', async () => {
    const clock = new ManualClock();
    const gate = new DamageGate(clock);
    gate.damage(false);
    await clock.advance(4_999);
    expect(gate.isOpen()).toBe(false);
    await clock.advance(1);
    expect(gate.isOpen()).toBe(true);
  });
});

describe('Watchdog', () => {
  it('throws when no frame came, patient at first, strict after the first', async () => {
    const clock = new ManualClock();
    const watchdog = new Watchdog(clock, 5_000);
    const watching = watchdog.watch(never).catch((thrown: unknown) => thrown);
    await clock.advance(14_000);
    watchdog.feed();
    await clock.advance(4_000);
    watchdog.feed();
    await clock.advance(5_000);
    await clock.advance(1_000);
    expect(await watching).toMatchObject({ code: 'source-stalled', message: 'No frame came for 5s.' });
  });

  it('is strict from the first frame on, not only after the patience for it', async () => {
    const clock = new ManualClock();
    const watchdog = new Watchdog(clock, 1_000);
    const watching = watchdog.watch(never).catch((thrown: unknown) => thrown);
    await clock.advance(500);
    watchdog.feed();
    await clock.advance(2_000);
    expect(await watching).toMatchObject({ code: 'source-stalled' });
  });

  it('rests while the reader is the slow one', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const watchdog = new Watchdog(clock, 5_000);
    watchdog.feed();
    watchdog.rest();
    const watching = watchdog.watch(stop.signal);
    await clock.advance(600_000);
    expect(clock.sleeping).toBe(1);
    stop.abort();
    await watching;
  });
});

describe('Pace', () => {
  it('keeps the rhythm and does not make up for lost steps', async () => {
    const clock = new ManualClock();
    const pace = new Pace(clock, 100);
    const steps: number[] = [];
    const stop = new AbortController();
    const running = (async () => {
      for (;;) {
        await pace.next(stop.signal);
        steps.push(clock.monoMs());
        if (steps.length === 2) await clock.sleep(1_000, stop.signal);
      }
    })().catch(() => undefined);
    await clock.advance(1_350);
    stop.abort();
    await running;
    expect(steps).toEqual([0, 100, 1_100, 1_200, 1_300]);
  });
});
