/**
 * Pan and tilt heads. A move lives as long as somebody renews it:
 *
 *   move --lease--> renewed by the next move | silence, an agent that is unwell, the end --> stop, until it is answered
 */
import type { Clock } from '#agent/core/clock.ts';
import type { Driver, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import { type HeadMessage, headCodec } from './codec.ts';
import type { Head } from './head.ts';
import { manifest, options, type Options, type StopCause } from './manifest.ts';
import { PelcoHead, pelcoTold } from './pelco-head.ts';
import { isNear, type Pose, still, type Velocity } from './pose.ts';
import { headSimulator } from './simulator.ts';
import { ViscaHead, viscaTold } from './visca-head.ts';

type Context = OpenContext<Options, HeadMessage, HeadMessage>;

export const driver: Driver<Options, HeadMessage, HeadMessage> = {
  name: 'pan-tilt',
  options,
  example: {},
  manifest,
  protocol: ({ protocol }) => ({
    host: () => headCodec(protocol, 'cameras'),
    device: () => headCodec(protocol, 'controller'),
  }),
  open: (context) => peripheral(context),
  simulator: (of) => headSimulator(of),
  decoder: (of) => {
    let known: Partial<Pose> = {};
    return (message) => {
      if (!message) return [];
      const told = message.protocol === 'visca' ? viscaTold(message, of) : pelcoTold(message, of);
      known = { ...known, ...told };
      const { pan, tilt } = known;
      const isPlaced = pan !== undefined && tilt !== undefined && ('pan' in told || 'tilt' in told);
      return [
        ...(isPlaced ? [{ is: 'reading', property: 'position', value: { pan, tilt } } as const] : []),
        ...(of.zoom && told.zoom !== undefined ? [{ is: 'reading', property: 'zoom', value: told.zoom } as const] : []),
      ];
    };
  },
};

/** How often a lease is looked at, and a stop that was not answered said again, ms. */
const watchEveryMs = 50;
const movedDeg = 0.05;
const soonerWhileMoving = 5;
/** One of them may have begun before the motion did. */
const looksToBeSure = 2;

function peripheral(context: Context): Peripheral {
  const { link, clock, options: of } = context;
  const head: Head = of.protocol === 'visca' ? new ViscaHead(link, of) : new PelcoHead(link, clock, of);
  const lease = new Lease(context, head);
  let last: Pose | undefined;
  let isMoving = false;
  /** On its way to where we sent it; what another moves is left to them. */
  let isUnderWay = false;
  /** Looks in a row that saw it stand still. */
  let quietLooks = 0;

  const look = async (signal: AbortSignal): Promise<readonly Observation[]> => {
    const pose = await head.pose(signal);
    if (!pose) return [];
    isMoving = last !== undefined && !isNear(pose, last, movedDeg);
    last = pose;
    quietLooks = isMoving ? 0 : quietLooks + 1;
    if (quietLooks >= looksToBeSure) isUnderWay = false;
    return observationsOf(pose, isMoving, lease.stoppedBy, of);
  };

  /** What was answered has ended the move before it; without an answer the lease runs out, and a stop is said. */
  const ended = (outcome: Outcome): Outcome => {
    if (outcome.status === 'acknowledged') lease.end('caller');
    return outcome;
  };

  /** Begun, or perhaps: a look of before does not count. */
  const under = (outcome: Outcome): Outcome => {
    isUnderWay = true;
    quietLooks = 0;
    return outcome;
  };

  const deeds: Readonly<Record<string, (args: never, signal: AbortSignal) => Promise<Outcome>>> = {
    async stop(_args, signal) {
      // until it is answered, the stop is said again
      lease.expire('caller');
      return ended(await head.stop(signal));
    },
    async move(velocity: Velocity, signal) {
      if (isNear(velocity, still, 0)) {
        lease.expire('caller');
        return ended(await head.stop(signal));
      }
      // from the first byte on: also a move that is not answered may have begun
      lease.renew();
      const outcome = await head.move(velocity, signal);
      // the one before may go on
      if (outcome.status === 'rejected') lease.expire('caller');
      return outcome;
    },
    async step({ ms, ...velocity }: Velocity & { ms: number }, signal) {
      lease.renew(ms);
      try {
        return ended(await stepped(head, clock, velocity, ms, signal));
      } finally {
        if (lease.isHeld) lease.expire('caller');
      }
    },
    async goTo(place: Pick<Pose, 'pan' | 'tilt'> & Partial<Pose>, signal) {
      lease.renewHeld();
      return under(ended(await head.goTo(place, signal)));
    },
    async goPreset({ preset }: { preset: number }, signal) {
      lease.renewHeld();
      return under(ended(await head.preset('go', preset, signal)));
    },
    setPreset: async ({ preset }: { preset: number }, signal) => await head.preset('set', preset, signal),
    clearPreset: async ({ preset }: { preset: number }, signal) => await head.preset('clear', preset, signal),
  };
  const moves: ReadonlySet<string> = new Set(['move', 'step', 'goTo', 'goPreset']);

  return {
    identify: async (signal) => await head.identify(signal),
    configure: async (signal) => await head.configure(signal),

    async *observe(signal) {
      while (link.isOpen) {
        yield* await look(signal);
        // completions, and what others said: nobody waits for them
        for (const _message of link.unread());
        await clock.sleep(isMoving || lease.isHeld ? of.pollEvery / soonerWhileMoving : of.pollEvery, signal);
      }
    },

    async read(_property, signal) {
      const first = await look(signal);
      if (first.length === 0) return first;
      await clock.sleep(watchEveryMs, signal);
      return await look(signal);
    },

    async close(signal) {
      if (!lease.isHeld && !isUnderWay) return;
      lease.end('end');
      await head.halt(signal);
    },

    async perform(action, args, signal) {
      if (moves.has(action) && !context.isHealthy())
        return { status: 'rejected', reason: 'The agent is unwell; nothing is moved.' };
      const deed = deeds[action];
      return deed ? await deed(args as never, signal) : { status: 'rejected', reason: `There is no ${action}.` };
    },
  };
}

/** A move's right to go on. */
class Lease {
  readonly #context: Context;
  readonly #head: Head;
  #untilMs: number | undefined;
  #cause: StopCause = 'none';
  #pending: 'caller' | 'silence' = 'silence';
  #isWatched = false;

  constructor(context: Context, head: Head) {
    this.#context = context;
    this.#head = head;
  }

  get isHeld(): boolean {
    return this.#untilMs !== undefined;
  }

  /** Why the last move ended. */
  get stoppedBy(): StopCause {
    return this.#cause;
  }

  /** @param moreMs beyond the lease */
  renew(moreMs = 0): void {
    const { clock, options: of } = this.#context;
    this.#untilMs = clock.monoMs() + of.lease + moreMs;
    this.#pending = 'silence';
    if (!this.#isWatched) void this.#watch();
  }

  renewHeld(): void {
    if (this.isHeld) this.renew();
  }

  /** It is to end now, for this reason; it has ended when the stop is answered. */
  expire(cause: 'caller' | 'silence'): void {
    if (!this.isHeld) return;
    this.#untilMs = this.#context.clock.monoMs();
    this.#pending = cause;
  }

  end(cause: StopCause): void {
    if (this.isHeld) this.#cause = cause;
    this.#untilMs = undefined;
  }

  /** As long as the connection: whoever began the move may be gone. */
  async #watch(): Promise<void> {
    const { link, clock } = this.#context;
    this.#isWatched = true;
    try {
      while (link.isOpen && this.#untilMs !== undefined) {
        await clock.sleep(watchEveryMs, link.closed);
        const cause = this.#overdue();
        if (cause === undefined) continue;
        const outcome = await this.#head.stop(link.closed);
        // renewed meanwhile, or not stopped for certain: looked at again
        if (outcome.status === 'acknowledged' && this.#overdue() !== undefined) this.end(cause);
      }
    } catch {
      // the line is gone: what stops the head then is its own affair
    } finally {
      this.#isWatched = false;
    }
  }

  #overdue(): 'caller' | 'silence' | 'unwell' | undefined {
    if (this.#untilMs === undefined) return undefined;
    if (!this.#context.isHealthy()) return 'unwell';
    return this.#context.clock.monoMs() >= this.#untilMs ? this.#pending : undefined;
  }
}

async function stepped(
  head: Head,
  clock: Clock,
  velocity: Velocity,
  ms: number,
  signal: AbortSignal,
): Promise<Outcome> {
  const startedMs = clock.monoMs();
  try {
    const outcome = await head.move(velocity, signal);
    if (outcome.status !== 'acknowledged') return outcome;
    await clock.sleep(Math.max(0, startedMs + ms - clock.monoMs()), signal);
  } finally {
    // whatever happened: no step outlives its command
    await head.halt(new AbortController().signal).catch(() => undefined);
  }
  return await head.stop(signal);
}

function observationsOf(
  { pan, tilt, zoom }: Pose,
  moving: boolean,
  stoppedBy: StopCause,
  of: Options,
): readonly Observation[] {
  return [
    { is: 'reading', property: 'position', value: { pan, tilt } },
    ...(of.zoom ? [{ is: 'reading', property: 'zoom', value: zoom } as const] : []),
    { is: 'reading', property: 'moving', value: moving },
    { is: 'reading', property: 'stoppedBy', value: stoppedBy },
  ];
}
