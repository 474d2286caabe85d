/**
 * What every rule is: a pure reducer over what one camera shows.
 *
 *   (state, scene) -> (state, events)
 */
import type { Event } from '#agent/domain/event.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { Track } from '#agent/domain/track.ts';
import type { Schedule } from './schedule.ts';

/** One moment of one camera, as rules see it. */
export interface Scene {
  readonly frame: number;
  readonly atMs: number;
  readonly wallMs: number;
  /** From capture to now; absent in replays. */
  readonly ageMs?: number;
  readonly tracks: readonly Track[];
}

export interface Outcome<S> {
  readonly state: S;
  readonly events: readonly Event[];
}

/** `S` is plain data: it survives JSON. */
export interface Reducer<S> {
  readonly initial: S;
  step(state: S, scene: Scene): Outcome<S>;
  /** Nothing can be seen any more: ends what is open and forgets all objects, but no count. */
  finish(state: S, scene: Scene): Outcome<S>;
}

/** What a rule on a camera is told when it is compiled. */
export interface Site {
  readonly camera: string;
  /** Makes incident ids unique across starts of the agent. */
  readonly run: string;
  readonly schedule: Schedule;
}

interface Named {
  readonly id: string;
  readonly lane: Lane;
}

/** The fields of an event that do not depend on its kind. */
export const stamp = (rule: Named, site: Site, scene: Scene) => ({
  lane: rule.lane,
  subject: `camera/${site.camera}`,
  wallMs: scene.wallMs,
  monoMs: scene.atMs,
});

/** The fields of its data that do not depend on its kind. */
export const seenIn = (rule: Named, scene: Scene, incident: string) => ({
  incident,
  rule: rule.id,
  frame: scene.frame,
  ...(scene.ageMs === undefined ? {} : { ageMs: scene.ageMs }),
});
