/** A head that turns as fast as it is told, knows its presets, and speaks one of the two protocols. */
import type { Simulator } from '../simulator.ts';
import type { HeadMessage } from './codec.ts';
import type { Options } from './manifest.ts';
import { extended, fastest, motionBits, type PelcoFrame, pelcoFrame, valueOf } from './pelco-d.ts';
import { normalised, type Pose, still, type Velocity } from './pose.ts';
import { bufferFull, cancelled, nibbles, noSocket, signed, unsigned, type ViscaPacket } from './visca.ts';

const tickMs = 20;
/** Degrees a second at full speed; zoom: all of it in two seconds. */
const fastestDeg = 90;
const zoomPerSecond = 0.5;
const tiltEnds = [-30, 90] as const;

export interface HeadSimulator extends Simulator<HeadMessage, HeadMessage> {
  readonly pose: Pose;
  readonly isMoving: boolean;
}

export function headSimulator(of: Options): HeadSimulator {
  const body = new Body();
  const speak = of.protocol === 'visca' ? viscaSide(of, body) : pelcoSide(of, body);
  return {
    get state() {
      const { velocity, target } = body;
      return { velocity, target, presets: [...body.presets] };
    },
    intervalMs: tickMs,
    get pose() {
      return body.pose;
    },
    get isMoving() {
      return body.isMoving;
    },
    receive: (message) => speak.receive(message),
    tell({ monoMs }) {
      body.live(monoMs);
      return speak.tell();
    },
  };
}

interface Side {
  receive(message: HeadMessage): readonly HeadMessage[];
  tell(): readonly HeadMessage[];
}

class Body {
  pose: Pose = { pan: 0, tilt: 0, zoom: 0 };
  velocity: Velocity = still;
  target: Partial<Pose> = {};
  readonly presets = new Map<number, Pose>([[1, { pan: 60, tilt: 20, zoom: 0 }]]);
  isMoving = false;
  #nowMs: number | undefined;

  drive(velocity: Velocity): void {
    this.velocity = velocity;
    this.target = {};
    if (Object.values(velocity).every((share) => share === 0)) this.isMoving = false;
  }

  go(target: Partial<Pose>): void {
    this.velocity = still;
    this.target = { ...this.target, ...target };
  }

  get isThere(): boolean {
    return Object.entries(this.target).every(([axis, value]) => Math.abs(this.pose[axis as keyof Pose] - value) < 1e-6);
  }

  live(nowMs: number): void {
    const seconds = (nowMs - (this.#nowMs ?? nowMs)) / 1_000;
    this.#nowMs = nowMs;
    const { pan, tilt, zoom } = this.pose;
    const next = {
      pan: normalised(this.#axis('pan', pan, fastestDeg * seconds)),
      tilt: Math.min(tiltEnds[1], Math.max(tiltEnds[0], this.#axis('tilt', tilt, fastestDeg * seconds))),
      zoom: Math.min(1, Math.max(0, this.#axis('zoom', zoom, zoomPerSecond * seconds))),
    };
    this.isMoving = next.pan !== pan || next.tilt !== tilt || next.zoom !== zoom;
    this.pose = next;
  }

  #axis(axis: keyof Pose, value: number, most: number): number {
    const target = this.target[axis];
    if (target === undefined) return value + this.velocity[axis] * most;
    return Math.abs(target - value) <= most ? target : value + Math.sign(target - value) * most;
  }
}

function pelcoSide(of: Options, body: Body): Side {
  const answer = (command2: number, value: number): readonly HeadMessage[] => [
    pelcoFrame(of.address, command2, ((Math.round(value) % 0x10000) + 0x10000) % 0x10000),
  ];
  const hundredths = (degrees: number): number => Math.round(degrees * 100 + 36_000) % 36_000;
  const answers: Readonly<Record<number, (value: number) => readonly HeadMessage[]>> = {
    [extended.askPan]: () => answer(extended.pan, hundredths(body.pose.pan)),
    [extended.askTilt]: () => answer(extended.tilt, hundredths(-body.pose.tilt)),
    [extended.askZoom]: () => answer(extended.zoom, body.pose.zoom * 0xffff),
    [extended.setPan]: (value) => done(body.go({ pan: normalised(value / 100) })),
    [extended.setTilt]: (value) => done(body.go({ tilt: -normalised(value / 100) })),
    [extended.setZoom]: (value) => done(body.go({ zoom: value / 0xffff })),
    [extended.setPreset]: (value) => done(body.presets.set(value, body.pose)),
    [extended.clearPreset]: (value) => done(body.presets.delete(value)),
    [extended.goPreset]: (value) => done(body.go(body.presets.get(value) ?? {})),
    [extended.setZoomSpeed]: () => [],
  };
  return {
    receive(message) {
      if (message.protocol !== 'pelco-d' || message.address !== of.address) return [];
      if ((message.command2 & 1) === 1) return answers[message.command2]?.(valueOf(message)) ?? [];
      body.drive(velocityOf(message));
      return [];
    },
    tell: () => [],
  };
}

/** It says nothing of it. */
const done = (_deed: unknown): readonly HeadMessage[] => [];

function velocityOf({ command2, data1, data2 }: PelcoFrame): Velocity {
  const sign = (positive: number, negative: number): number =>
    (command2 & positive) !== 0 ? 1 : (command2 & negative) !== 0 ? -1 : 0;
  return {
    pan: (sign(motionBits.right, motionBits.left) * data1) / fastest || 0,
    tilt: (sign(motionBits.up, motionBits.down) * data2) / fastest || 0,
    zoom: sign(motionBits.zoomIn, motionBits.zoomOut) || 0,
  };
}

function viscaSide(of: Options, body: Body): Side {
  /** Sockets that run something until it is there. */
  const running = new Set<number>();
  const say = (payload: readonly number[]): HeadMessage => ({
    protocol: 'visca',
    from: of.address,
    to: 0,
    payload: Uint8Array.from(payload),
  });
  const steps = (degrees: number): readonly number[] => nibbles(Math.round(degrees * of.stepsPerDegree));
  const degrees = (bytes: Uint8Array, at: number): number => signed(bytes, at) / of.stepsPerDegree;

  /** @param begin returns whether it takes its time */
  const command = (begin: () => boolean): readonly HeadMessage[] => {
    const socket = [1, 2].find((each) => !running.has(each));
    if (socket === undefined) return [say([0x60, bufferFull])];
    if (!begin()) return [say([0x40 | socket]), say([0x50 | socket])];
    running.add(socket);
    return [say([0x40 | socket])];
  };
  const takesTime = (_deed: unknown): boolean => true;
  const isDone = (_deed: unknown): boolean => false;
  const completed = (): readonly HeadMessage[] => {
    const sockets = [...running];
    running.clear();
    return sockets.map((socket) => say([0x50 | socket]));
  };

  const memory = (deed: number, number: number): boolean => {
    if (deed === 2) return takesTime(body.go(body.presets.get(number + 1) ?? {}));
    return isDone(deed === 1 ? body.presets.set(number + 1, body.pose) : body.presets.delete(number + 1));
  };
  const commands: Readonly<Record<string, (bytes: Uint8Array) => readonly HeadMessage[]>> = {
    '010001': () => (running.clear(), [say([0x50])]),
    '010601': (bytes) => command(() => isDone(body.drive({ ...driveOf(bytes), zoom: body.velocity.zoom }))),
    '010602': (bytes) => command(() => takesTime(body.go({ pan: degrees(bytes, 5), tilt: degrees(bytes, 9) }))),
    '010407': ([, , , zoom = 0]) => command(() => isDone(body.drive({ ...body.velocity, zoom: zoomOf(zoom) }))),
    '010447': (bytes) => command(() => takesTime(body.go({ zoom: unsigned(bytes, 3) / 0x4000 }))),
    '01043f': ([, , , deed = 0, number = 0]) => command(() => memory(deed, number)),
    '090002': () => [say([0x50, 0x00, 0x20, 0x04, 0x5c, 0x01, 0x00, 0x02])],
    '090612': () => [say([0x50, ...steps(body.pose.pan), ...steps(body.pose.tilt)])],
    '090447': () => [say([0x50, ...nibbles(Math.round(body.pose.zoom * 0x4000))])],
  };

  const receive = ({ to, payload }: ViscaPacket): readonly HeadMessage[] => {
    if (to !== of.address) return [];
    const [first = 0] = payload;
    if (first >> 4 === 2 && payload.length === 1) {
      const socket = first & 0x0f;
      const wasRunning = running.delete(socket);
      if (wasRunning && running.size === 0) body.drive(still);
      return [say([0x60 | socket, wasRunning ? cancelled : noSocket])];
    }
    const known = commands[Buffer.from(payload.subarray(0, 3)).toString('hex')];
    return known ? known(payload) : [say([0x60, 0x02])];
  };
  return {
    receive: (message) => (message.protocol === 'visca' ? receive(message) : []),
    tell: () => (body.isThere ? completed() : []),
  };
}

function driveOf(bytes: Uint8Array): Omit<Velocity, 'zoom'> {
  const [, , , panSpeed = 0, tiltSpeed = 0, pan = 3, tilt = 3] = bytes;
  return {
    pan: ({ 1: -1, 2: 1 }[pan] ?? 0) * (panSpeed / 0x18) || 0,
    tilt: ({ 1: 1, 2: -1 }[tilt] ?? 0) * (tiltSpeed / 0x14) || 0,
  };
}

const zoomOf = (value: number): number => {
  const speed = ((value & 0x0f) + 1) / 8;
  return value >> 4 === 2 ? speed : value >> 4 === 3 ? -speed : 0;
};
