/**
 * A head that says nothing but its position: what was done is seen by asking where it looks.
 *
 *   before? --> command --> where now? … --changes--> acknowledged · --stands still--> stopped again, rejected · --silent--> unknown
 */
import type { Clock } from '#agent/core/clock.ts';
import type { Outcome } from '../driver.ts';
import type { Link } from '../link.ts';
import type { HeadMessage } from './codec.ts';
import type { Head } from './head.ts';
import type { Options } from './manifest.ts';
import { extended, fastest, motionBits, type PelcoFrame, pelcoFrame, valueOf } from './pelco-d.ts';
import { isNear, normalised, type Pose, speedOf, type Velocity } from './pose.ts';

/** Looks at where it is, after which a head that has not begun to move will not. */
const mostLooks = 8;
const lookEveryMs = 40;
/** A change of less is its rounding. */
const noticedDeg = 0.02;
const arrivedDeg = 0.3;
const zoomSteps = 0xffff;

export class PelcoHead implements Head {
  readonly #link: Link<HeadMessage, HeadMessage>;
  readonly #clock: Clock;
  readonly #options: Options;
  /** Where presets were seen to lead, in this connection. */
  readonly #seen = new Map<number, Pose>();
  #going: number | undefined;

  constructor(link: Link<HeadMessage, HeadMessage>, clock: Clock, options: Options) {
    this.#link = link;
    this.#clock = clock;
    this.#options = options;
  }

  async identify(signal: AbortSignal): Promise<{ model: string } | undefined> {
    return (await this.pose(signal)) ? { model: `Pelco-D head ${this.#options.address}` } : undefined;
  }

  async configure(): Promise<void> {
    // nothing is set on it
  }

  async pose(signal: AbortSignal): Promise<Pose | undefined> {
    const pan = await this.#ask(extended.askPan, extended.pan, signal);
    const tilt = pan === undefined ? undefined : await this.#ask(extended.askTilt, extended.tilt, signal);
    const zoom =
      tilt === undefined || !this.#options.zoom ? 0 : await this.#ask(extended.askZoom, extended.zoom, signal);
    if (pan === undefined || tilt === undefined || zoom === undefined) return undefined;
    return { pan: panOf(pan), tilt: tiltOf(tilt), zoom: zoom / zoomSteps };
  }

  async move({ pan, tilt, zoom }: Velocity, signal: AbortSignal): Promise<Outcome> {
    this.#going = undefined;
    const frames = [this.#frame(motionOf({ pan, tilt, zoom }))];
    if (zoom !== 0) frames.unshift(pelcoFrame(this.#options.address, extended.setZoomSpeed, speedOf(zoom, 4) - 1));
    return await this.#shown(frames, () => false, signal);
  }

  async stop(signal: AbortSignal): Promise<Outcome> {
    await this.halt(signal);
    let last = await this.pose(signal);
    for (let looks = 0; looks < mostLooks && last; looks += 1) {
      await this.#clock.sleep(lookEveryMs, signal);
      const now = await this.pose(signal);
      if (now && isNear(now, last, noticedDeg)) return { status: 'acknowledged' };
      last = now;
    }
    return { status: 'unknown', reason: last ? 'The head still moves.' : 'The head did not answer where it looks.' };
  }

  async halt(signal: AbortSignal): Promise<void> {
    this.#going = undefined;
    await this.#link.send(this.#frame({ command2: 0, data1: 0, data2: 0 }), signal);
  }

  async goTo({ pan, tilt, zoom }: Pick<Pose, 'pan' | 'tilt'> & Partial<Pose>, signal: AbortSignal): Promise<Outcome> {
    this.#going = undefined;
    const { address } = this.#options;
    const frames = [
      pelcoFrame(address, extended.setPan, hundredths(pan)),
      pelcoFrame(address, extended.setTilt, hundredths(-tilt)),
      ...(zoom === undefined || !this.#options.zoom
        ? []
        : [pelcoFrame(address, extended.setZoom, Math.round(zoom * zoomSteps))]),
    ];
    return await this.#shown(frames, (now) => isNear(now, { pan, tilt, zoom: zoom ?? now.zoom }, arrivedDeg), signal);
  }

  async preset(deed: 'go' | 'set' | 'clear', number: number, signal: AbortSignal): Promise<Outcome> {
    const command = { go: extended.goPreset, set: extended.setPreset, clear: extended.clearPreset }[deed];
    const frame = pelcoFrame(this.#options.address, command, number);
    if (deed === 'go') {
      await this.#learn(signal);
      const seen = this.#seen.get(number);
      const outcome = await this.#shown([frame], (now) => seen !== undefined && isNear(now, seen, arrivedDeg), signal);
      this.#going = number;
      return outcome;
    }
    await this.#link.send(frame, signal);
    this.#seen.delete(number);
    // that it hears is all that can be known
    if (!(await this.pose(signal))) return { status: 'unknown', reason: 'The head did not answer where it looks.' };
    return { status: 'unknown', reason: 'Pelco-D does not say whether a preset was kept.' };
  }

  /** Where the last preset led, once it stands there. */
  async #learn(signal: AbortSignal): Promise<void> {
    if (this.#going === undefined) return;
    const first = await this.pose(signal);
    await this.#clock.sleep(lookEveryMs, signal);
    const second = first && (await this.pose(signal));
    if (second && isNear(first, second, noticedDeg)) this.#seen.set(this.#going, second);
  }

  async #shown(frames: readonly PelcoFrame[], isThere: (now: Pose) => boolean, signal: AbortSignal): Promise<Outcome> {
    const before = await this.pose(signal);
    for (const frame of frames) await this.#link.send(frame, signal);
    let last = before;
    for (let looks = 0; looks < mostLooks; looks += 1) {
      const now = await this.pose(signal);
      if (!now) return { status: 'unknown', reason: 'The head did not answer where it looks.' };
      if (isThere(now)) return { status: 'acknowledged', result: { moving: false } };
      if (last && !isNear(now, last, noticedDeg)) return { status: 'acknowledged', result: { moving: true } };
      last = now;
      await this.#clock.sleep(lookEveryMs, signal);
    }
    // it answers, and stands: made certain, so that it does not begin later
    await this.halt(signal);
    return {
      status: 'rejected',
      reason: 'The head stands still: at its end, there already, or without such a preset.',
    };
  }

  async #ask(command2: number, answer: number, signal: AbortSignal): Promise<number | undefined> {
    const { address } = this.#options;
    const answered = await this.#link.request(
      pelcoFrame(address, command2),
      {
        matches: (message) =>
          message.protocol === 'pelco-d' && message.address === address && message.command2 === answer,
      },
      signal,
    );
    return answered.is === 'answered' && answered.message.protocol === 'pelco-d'
      ? valueOf(answered.message)
      : undefined;
  }

  #frame({ command2, data1, data2 }: Pick<PelcoFrame, 'command2' | 'data1' | 'data2'>): PelcoFrame {
    return { ...pelcoFrame(this.#options.address, command2), data1, data2 };
  }
}

const panOf = (value: number): number => normalised(value / 100);
const tiltOf = (value: number): number => -normalised(value / 100);

/** What a recorded answer tells. */
export function pelcoTold(frame: PelcoFrame, { address }: Options): Partial<Pose> {
  const value = valueOf(frame);
  if (frame.address !== address) return {};
  if (frame.command2 === extended.pan) return { pan: panOf(value) };
  if (frame.command2 === extended.tilt) return { tilt: tiltOf(value) };
  return frame.command2 === extended.zoom ? { zoom: value / zoomSteps } : {};
}

/** On the wire, down is positive, and what is negative begins at 360 degrees. */
const hundredths = (degrees: number): number => Math.round(degrees * 100 + 36_000) % 36_000;

function motionOf({ pan, tilt, zoom }: Velocity): Pick<PelcoFrame, 'command2' | 'data1' | 'data2'> {
  const bit = (share: number, positive: number, negative: number): number =>
    share > 0 ? positive : share < 0 ? negative : 0;
  return {
    command2:
      bit(pan, motionBits.right, motionBits.left) |
      bit(tilt, motionBits.up, motionBits.down) |
      bit(zoom, motionBits.zoomIn, motionBits.zoomOut),
    data1: speedOf(pan, fastest),
    data2: speedOf(tilt, fastest),
  };
}
