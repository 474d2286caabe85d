/** What the agent opens before it runs, and what its health says of it. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { silentLog } from '#agent/core/log.ts';
import { systemRandom } from '#agent/core/random.ts';
import { openOutbox } from '#agent/outbox/outbox.ts';
import { WaitingWriter } from '#agent/outbox/waiting-writer.ts';
import { parseConfig } from '#config/load.ts';
import { openOutpost, type OutpostOptions } from './opening.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-opening-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const optionsOf = (path: string): OutpostOptions => ({
  config: parseConfig({ device: { id: 'robot-07' }, storage: { path } }),
  model: async () => await Promise.reject(new OutpostError('model-missing')),
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
});

const outboxOf = async (path: string) =>
  await openOutbox({ path, device: 'robot-07', maxSizeBytes: 64 * 1024 * 1024, clock: systemClock, log: silentLog });

describe('the agent, opened', () => {
  it('has nothing to complain of in an empty folder', async () => {
    await using outpost = await openOutpost(optionsOf(folder));
    expect(outpost.status().health).toEqual({ worst: 'ok', conditions: [] });
  });

  it('says in its health that a damaged store was kept aside', async () => {
    {
      await using outbox = await outboxOf(folder);
      expect(outbox.epoch).not.toBe('');
    }
    {
      await using file = await open(join(folder, 'outbox.db'), 'r+');
      await file.write(Buffer.alloc(4_096, 0xa5), 0, 4_096, 0);
    }
    await using outpost = await openOutpost(optionsOf(folder));
    expect(outpost.status().health.conditions).toMatchObject([{ code: 'outbox-lost', subject: 'agent' }]);
  });

  it('takes a writer that was started before, and ends one that nobody took', async () => {
    using idle = new WaitingWriter();
    const ended = new Promise<void>((resolve) => idle.worker.once('exit', () => resolve()));
    idle[Symbol.dispose]();
    await ended;
    using writer = new WaitingWriter();
    {
      await using outpost = await openOutpost({ ...optionsOf(folder), writer });
      expect(outpost.status().outbox.event).toMatchObject({ depth: 0 });
    }
    // It has let go of the store: another one may have it.
    await using outbox = await outboxOf(folder);
    expect(outbox.state.event.depth).toBe(0);
  });

  it('says so when the writer ended before it was asked for anything', async () => {
    using writer = new WaitingWriter();
    await writer.worker.terminate();
    await expect(openOutpost({ ...optionsOf(folder), writer })).rejects.toMatchObject({ code: 'outbox-unavailable' });
  });

  it('is refused where another one holds the store, which goes on', async () => {
    await using outbox = await outboxOf(folder);
    using writer = new WaitingWriter();
    await expect(openOutpost({ ...optionsOf(folder), writer })).rejects.toMatchObject({ code: 'outbox-locked' });
    expect(outbox.state.event.depth).toBe(0);
  });
});
