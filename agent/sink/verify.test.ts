import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openTestOutbox, testEvent } from '#agent/outbox/test-rig.ts';
import type { SinkDatabase } from './database.ts';
import { openDatabase } from './open-database.ts';
import { readDeviceStore } from './device-store.ts';
import { parsePresence } from './presence.ts';
import { droppedText, epochA, events, intakeOf, range, received } from './test-rig.ts';
import { verify } from './verify.ts';

let folder: string;
let database: SinkDatabase;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-verify-'));
  database = await openDatabase(`sqlite:${join(folder, 'sink.db')}`, 'migrate');
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function tell(lanes: Record<string, { first: number; last: number; depth: number }>): Promise<void> {
  const message = { online: true, epochs: { [epochA]: lanes } };
  const presence = parsePresence('robot-07', Buffer.from(JSON.stringify(message)));
  if (typeof presence === 'string') throw new Error(presence);
  await database.commit({ events: [], rejected: [], presences: [presence] });
}

const verdict = async (): Promise<Record<string, unknown>> =>
  Object.fromEntries((await verify(database, {})).map(({ lane, ...rest }) => [lane, rest]));

it('holds the numbers of up/state against those of the database', async () => {
  await database.commit(events(range(1, 100)));
  await database.commit(events(range(91, 100)));
  await tell({ event: { first: 101, last: 130, depth: 30 } });
  expect(await verdict()).toMatchObject({
    event: { appended: 130, received: 100, duplicates: 10, late: 30, dropped: 0, lost: 0 },
  });
});

it('tells lost from declared and from late', async () => {
  await database.commit(events([...range(1, 10), ...range(21, 30), ...range(41, 50)]));
  await database.commit(intakeOf(received('audit', droppedText(1, { first: 11, last: 20 }))));
  await tell({ event: { first: 51, last: 55, depth: 5 }, audit: { first: 2, last: 1, depth: 0 } });
  expect(await verdict()).toMatchObject({
    event: { appended: 55, received: 30, late: 5, dropped: 10, lost: 10, lostRanges: [[31, 40]] },
    audit: { appended: 1, received: 1, lost: 0 },
  });
});

it('waits with its verdict while declarations are on their way', async () => {
  await database.commit(events([...range(1, 10), ...range(21, 30)]));
  await tell({ event: { first: 31, last: 30, depth: 0 }, audit: { first: 1, last: 1, depth: 1 } });
  expect(await verdict()).toMatchObject({ event: { late: 10, lost: 0 }, audit: { late: 1 } });
  await database.commit(intakeOf(received('audit', droppedText(1, { first: 11, last: 20 }))));
  expect(await verdict()).toMatchObject({ event: { dropped: 10, late: 0, lost: 0 }, audit: { late: 0, received: 1 } });
});

it('does not believe that a declaration covers more than it counts', async () => {
  await database.commit(events([1, 12]));
  const text = droppedText(1, { first: 2, last: 11 }).replace('"count":10', '"count":4');
  await database.commit(intakeOf(received('audit', text)));
  await tell({ audit: { first: 2, last: 1, depth: 0 } });
  expect(await verdict()).toMatchObject({ event: { appended: 12, received: 2, dropped: 4, lost: 6 } });
});

it('reads the store of a device, beside the agent that writes it', async () => {
  const store = join(folder, 'device');
  const outbox = await openTestOutbox(store);
  const { epoch } = outbox;
  await outbox.append(range(1, 40).map((n) => testEvent('event', n)));
  await outbox.append([testEvent('alarm', 1)]);
  await database.commit(events(range(1, 20), { epoch }));
  await outbox.ack('event', { epoch, seq: 25 });
  const lanes = await verify(database, { store: readDeviceStore(store) });
  await outbox[Symbol.asyncDispose]();
  expect(lanes.find(({ lane }) => lane === 'event')).toMatchObject({
    device: 'robot-07',
    appended: 40,
    received: 20,
    late: 15,
    dropped: 0,
    lost: 5,
    lostRanges: [[21, 25]],
  });
  expect(lanes.find(({ lane }) => lane === 'alarm')).toMatchObject({ appended: 1, received: 0, late: 1, lost: 0 });
  // the same from the store that was left behind
  expect(await verify(database, { store: readDeviceStore(store) })).toEqual(lanes);
  expect(await verify(database, { device: 'another' })).toEqual([]);
});

it('counts what the device gave up by its ledger, before the sink has heard of it', async () => {
  const store = join(folder, 'device');
  const outbox = await openTestOutbox(store, { maxSizeBytes: 1024 * 1024 });
  for (const n of range(1, 200)) await outbox.append(range(1, 10).map((m) => testEvent('event', n * 10 + m, 1_000)));
  await outbox[Symbol.asyncDispose]();
  const lanes = await verify(database, { store: readDeviceStore(store) });
  const event = lanes.find(({ lane }) => lane === 'event');
  expect(event).toMatchObject({ appended: 2_000, received: 0, lost: 0 });
  expect(event?.dropped).toBeGreaterThan(500);
  expect((event?.late ?? 0) + (event?.dropped ?? 0)).toBe(2_000);
});

it('has no verdict while what can be read of a damaged store is not taken over yet', async () => {
  const store = join(folder, 'device');
  await (await openTestOutbox(store))[Symbol.asyncDispose]();
  await writeFile(join(store, 'outbox.salvaging-20261127T010203Z.db'), '');
  expect(() => readDeviceStore(store)).toThrow(
    expect.objectContaining({ code: 'verify-store', message: expect.stringContaining('outbox.salvaging-') as string }),
  );
});

it('says of a folder that it holds no store', async () => {
  expect(() => readDeviceStore(folder)).toThrow(expect.objectContaining({ code: 'verify-store', kind: 'config' }));
  await writeFile(join(folder, 'outbox.db'), 'a letter'.repeat(1_000));
  expect(() => readDeviceStore(folder)).toThrow(expect.objectContaining({ code: 'verify-store' }));
});
