/**
 * What the agent has open before it runs. The store comes first: its thread starts while this one loads the rooms.
 *
 *   storage.path -> outbox (a thread) -.
 *   outpost.ts and all rooms -----------+-> evidence, doubts -> Outpost
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError, toOutpostError } from '#agent/core/errors.ts';
import { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { ServiceManager } from '#agent/core/notify.ts';
import type { Random } from '#agent/core/random.ts';
import type { Event } from '#agent/domain/event.ts';
import type { TrackedFrame } from '#agent/domain/track.ts';
import type { Evidence } from '#agent/evidence/evidence.ts';
import { openOutbox, type Outbox } from '#agent/outbox/outbox.ts';
import type { WaitingWriter } from '#agent/outbox/waiting-writer.ts';
import type { Doubts } from '#agent/peripherals/doubts.ts';
import type { Identity } from '#agent/trust/identity.ts';
import type { WaitingChild } from '#agent/vision/waiting-child.ts';
import type { Config } from '#config/schema.ts';
import type { Model } from '#models/model.ts';
import type { Outpost } from './outpost.ts';

export interface OutpostOptions {
  readonly config: Config;
  /** Finds the model; called at each start of the inference child. */
  readonly model: () => Promise<Model>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** An inference child that was started beforehand. */
  readonly child?: WaitingChild | undefined;
  /** A writer thread that was started beforehand. */
  readonly writer?: WaitingWriter | undefined;
  /** systemd, where it started us. */
  readonly manager?: ServiceManager | undefined;
  /** The device's own key, or why it has none. */
  readonly identity?: Identity | OutpostError | undefined;
  readonly onEvents?: (events: readonly Event[]) => void;
  readonly onFrame?: (frame: TrackedFrame) => void;
  readonly onPicture?: (path: string, event: Event) => void;
}

export interface Opened {
  readonly health: Health;
  readonly outbox: Outbox;
  readonly evidence: Evidence | undefined;
  readonly doubts: Doubts;
}

/** @throws OutpostError when the store cannot be opened at all, or another agent holds it */
export async function openOutpost(options: OutpostOptions): Promise<Outpost> {
  const { config, clock, log, identity } = options;
  const { path } = config.storage;
  await mkdir(path, { recursive: true, mode: 0o750 });
  const health = new Health(clock);
  const { id: device } = config.device;
  const { writer } = options;
  const opening = openOutbox({ path, device, maxSizeBytes: config.outbox.maxSize, clock, log, health, writer });
  const rooms = Promise.all([import('./outpost.ts'), import('#agent/peripherals/doubts.ts')]);
  // What either throws is thrown below; whoever throws first must not leave the other unheard.
  rooms.catch(() => undefined);
  const outbox = await opening;
  try {
    const [{ Outpost: Agent }, { Doubts: Doubted }] = await rooms;
    if (identity instanceof OutpostError) health.set('identity-unusable', 'agent', identity.message);
    const evidence = config.evidence.enabled ? await openPictures(options, health) : undefined;
    const ids = config.peripherals.map(({ id }) => id);
    const doubts = await Doubted.open(join(path, 'peripherals.json'), ids);
    return new Agent(options, { health, outbox, evidence, doubts });
  } catch (thrown) {
    await outbox[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** Without a folder for pictures events go on, and health says so. */
async function openPictures({ config, log }: OutpostOptions, health: Health): Promise<Evidence | undefined> {
  const { openEvidence } = await import('#agent/evidence/evidence.ts');
  try {
    const folder = join(config.storage.path, 'evidence');
    return await openEvidence({ folder, maxSizeBytes: config.evidence.maxSize, log });
  } catch (thrown) {
    const error = toOutpostError(thrown);
    log.error('Pictures cannot be stored.', { error });
    health.set('evidence-down', 'agent', error.message);
    return undefined;
  }
}
