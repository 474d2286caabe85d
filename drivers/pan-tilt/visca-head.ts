/**
 * A camera that acknowledges: ACK with the socket in which a command runs, then its completion. Two may run at a time; a stop
 * that finds no room cancels them first.
 */
import type { Identity, Outcome } from '../driver.ts';
import { outcomeOf } from '../link.ts';
import type { Link } from '../link.ts';
import type { HeadMessage } from './codec.ts';
import type { Head } from './head.ts';
import type { Options } from './manifest.ts';
import { type Pose, speedOf, still, type Velocity } from './pose.ts';
import {
  bufferFull,
  cancelled,
  nibbles,
  noSocket,
  signed,
  unsigned,
  viscaAnswer,
  type ViscaAnswer,
  viscaErrorText,
  type ViscaPacket,
} from './visca.ts';

const panFastest = 0x18;
const tiltFastest = 0x14;
const zoomFastest = 7;
/** The optical range of CAM_Zoom Direct. */
const zoomSteps = 0x4000;
/** Of the answers to Pan-tiltPosInq and CAM_ZoomPosInq. */
const placeBytes = 8;
const zoomBytes = 4;
const sonyVendors: ReadonlySet<number> = new Set([0x0001, 0x0020]);

export class ViscaHead implements Head {
  readonly #link: Link<HeadMessage, HeadMessage>;
  readonly #options: Options;
  #zooming = false;

  constructor(link: Link<HeadMessage, HeadMessage>, options: Options) {
    this.#link = link;
    this.#options = options;
  }

  async identify(signal: AbortSignal): Promise<Identity | undefined> {
    const data = await this.#inquire([0x00, 0x02], 7, signal);
    if (!data) return undefined;
    const word = (at: number): number => ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
    return {
      model: `VISCA camera ${word(2).toString(16).padStart(4, '0')}`,
      ...(sonyVendors.has(word(0)) ? { maker: 'Sony' } : {}),
      firmware: word(4).toString(16).padStart(4, '0'),
    };
  }

  /** IF_Clear: what an earlier controller left in its sockets is forgotten. */
  async configure(signal: AbortSignal): Promise<void> {
    await this.#link.request(this.#packet([0x01, 0x00, 0x01]), { matches: this.#answers(isClosing) }, signal);
  }

  async pose(signal: AbortSignal): Promise<Pose | undefined> {
    const place = await this.#inquire([0x06, 0x12], placeBytes, signal);
    if (!place) return undefined;
    const zoom = this.#options.zoom ? await this.#inquire([0x04, 0x47], zoomBytes, signal) : undefined;
    if (this.#options.zoom && !zoom) return undefined;
    return { ...placeOf(place, this.#options), zoom: zoom ? zoomOf(zoom) : 0 };
  }

  async move(velocity: Velocity, signal: AbortSignal): Promise<Outcome> {
    const outcome = await this.#command(drive(velocity), signal);
    if (outcome.status !== 'acknowledged' || (velocity.zoom === 0 && !this.#zooming)) return outcome;
    this.#zooming = velocity.zoom !== 0;
    return await this.#command(zoomDrive(velocity.zoom), signal);
  }

  async stop(signal: AbortSignal): Promise<Outcome> {
    const outcome = await this.#stopped(drive(still), signal);
    if (!this.#options.zoom) return outcome;
    const zoom = await this.#stopped(zoomDrive(0), signal);
    return outcome.status === 'acknowledged' ? zoom : outcome;
  }

  async halt(signal: AbortSignal): Promise<void> {
    await this.#link.send(this.#packet(drive(still)), signal);
    if (this.#options.zoom) await this.#link.send(this.#packet(zoomDrive(0)), signal);
  }

  async goTo({ pan, tilt, zoom }: Pick<Pose, 'pan' | 'tilt'> & Partial<Pose>, signal: AbortSignal): Promise<Outcome> {
    const steps = (degrees: number): readonly number[] => nibbles(Math.round(degrees * this.#options.stepsPerDegree));
    const outcome = await this.#command(
      [0x01, 0x06, 0x02, panFastest, tiltFastest, ...steps(pan), ...steps(tilt)],
      signal,
    );
    if (outcome.status !== 'acknowledged' || zoom === undefined || !this.#options.zoom) return outcome;
    return await this.#command([0x01, 0x04, 0x47, ...nibbles(Math.round(zoom * zoomSteps))], signal);
  }

  /** CAM_Memory counts from 0. */
  async preset(deed: 'go' | 'set' | 'clear', number: number, signal: AbortSignal): Promise<Outcome> {
    return await this.#command([0x01, 0x04, 0x3f, { clear: 0, set: 1, go: 2 }[deed], number - 1], signal);
  }

  async #stopped(command: readonly number[], signal: AbortSignal): Promise<Outcome> {
    const first = await this.#exchange(command, signal);
    if (first.is !== 'full') return first.outcome;
    // both sockets run something that is to stop
    for (const socket of [1, 2])
      await this.#link.request(this.#packet([0x20 | socket]), { matches: this.#answers(isCancelling) }, signal);
    return (await this.#exchange(command, signal)).outcome;
  }

  async #command(command: readonly number[], signal: AbortSignal): Promise<Outcome> {
    return (await this.#exchange(command, signal)).outcome;
  }

  async #exchange(
    command: readonly number[],
    signal: AbortSignal,
  ): Promise<{ readonly is: 'done' | 'full'; readonly outcome: Outcome }> {
    const answer = await this.#link.request(this.#packet(command), { matches: this.#answers(isOpening) }, signal);
    let is: 'done' | 'full' = 'done';
    const outcome = outcomeOf(answer, (message) => {
      const said = viscaAnswer(message as ViscaPacket);
      if (said.is !== 'error') return true;
      if (said.code === bufferFull) is = 'full';
      return viscaErrorText(said.code);
    });
    return { is, outcome };
  }

  async #inquire(inquiry: readonly number[], bytes: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const isAnswer = (said: ViscaAnswer): boolean =>
      (said.is === 'completion' && said.data.length === bytes) || (said.is === 'error' && said.socket === 0);
    const answer = await this.#link.request(
      this.#packet([0x09, ...inquiry]),
      { matches: this.#answers(isAnswer) },
      signal,
    );
    if (answer.is !== 'answered') return undefined;
    const said = viscaAnswer(answer.message as ViscaPacket);
    return said.is === 'completion' ? said.data : undefined;
  }

  #packet(payload: readonly number[]): ViscaPacket {
    return { protocol: 'visca', from: 0, to: this.#options.address, payload: Uint8Array.from(payload) };
  }

  #answers(isIt: (said: ViscaAnswer) => boolean): (message: HeadMessage) => boolean {
    return (message) =>
      message.protocol === 'visca' && message.from === this.#options.address && isIt(viscaAnswer(message));
  }
}

const placeOf = (data: Uint8Array, { stepsPerDegree }: Options): Pick<Pose, 'pan' | 'tilt'> => ({
  pan: signed(data, 0) / stepsPerDegree,
  tilt: signed(data, 4) / stepsPerDegree,
});
const zoomOf = (data: Uint8Array): number => Math.min(1, unsigned(data, 0) / zoomSteps);

/** What a recorded answer tells: its length says which question it was, of those that we ask. */
export function viscaTold(packet: ViscaPacket, of: Options): Partial<Pose> {
  const said = viscaAnswer(packet);
  if (packet.from !== of.address || said.is !== 'completion') return {};
  if (said.data.length === placeBytes) return placeOf(said.data, of);
  return said.data.length === zoomBytes ? { zoom: zoomOf(said.data) } : {};
}

/** To a command: not the completion, nor the cancelling, of one before. */
const isOpening = (said: ViscaAnswer): boolean =>
  said.is === 'ack' || (said.is === 'error' && said.code !== cancelled && said.code !== noSocket);
const isClosing = (said: ViscaAnswer): boolean => said.is === 'completion' || said.is === 'error';
const isCancelling = (said: ViscaAnswer): boolean =>
  said.is === 'error' && (said.code === cancelled || said.code === noSocket);

/** Pan-tiltDrive: 1 left and up, 2 right and down, 3 neither; a speed of 0 is none. */
const drive = ({ pan, tilt }: Velocity): readonly number[] => [
  0x01,
  0x06,
  0x01,
  Math.max(1, speedOf(pan, panFastest)),
  Math.max(1, speedOf(tilt, tiltFastest)),
  pan < 0 ? 1 : pan > 0 ? 2 : 3,
  tilt > 0 ? 1 : tilt < 0 ? 2 : 3,
];

/** CAM_Zoom: 2p tele, 3p wide, p from 0 to 7. */
const zoomDrive = (zoom: number): readonly number[] => [
  0x01,
  0x04,
  0x07,
  zoom === 0 ? 0 : (zoom > 0 ? 0x20 : 0x30) | Math.min(zoomFastest, speedOf(zoom, zoomFastest)),
];
