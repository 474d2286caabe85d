/**
 * Who is in a zone: foot points through a latch each, so that one trembling on the edge is in once.
 *
 *   tracks --label, score, foot in polygon--> Latch a track --> occupants
 */
import { type Box, boxFoot, type Point } from '#agent/domain/box.ts';
import type { Sighting } from '#agent/domain/event.ts';
import type { Track } from '#agent/domain/track.ts';
import { insidePolygon } from './geometry.ts';
import type { Incident } from './incident.ts';
import { type Latch, type LatchOptions, openLatch, stepLatch } from './latch.ts';
import type { Scene } from './reducer.ts';

export interface Occupant {
  readonly latch: Latch;
  /** Its score has once been enough. */
  readonly scored: boolean;
  /** Where it was last seen, not where it is believed to be. */
  readonly sighting: Sighting;
  /** Time of the first frame of the stay that turned the latch on. */
  readonly enteredMs: number;
  /** Its track is in the newest frame, seen or coasting. */
  readonly present: boolean;
  /** Of rules that tell of each object alone. */
  readonly incident?: Incident;
}

/** By track and time of birth: a restarted tracker counts from 1 again. */
export type Occupants = Readonly<Record<string, Occupant>>;

export interface OccupancyOptions {
  readonly labels: readonly string[];
  readonly minScore: number;
  /** Absent: the whole picture. */
  readonly polygon?: readonly Point[];
  readonly latch: LatchOptions;
}

export const trackKey = ({ id, firstSeenMs }: Track): string => `${id}@${firstSeenMs}`;

export const countsLabel = (labels: readonly string[], label: string): boolean =>
  labels.length === 0 || labels.includes(label);

/** @param active false: nobody counts as inside */
export function stepOccupants(
  occupants: Occupants,
  scene: Scene,
  active: boolean,
  options: OccupancyOptions,
): Occupants {
  const tracks = new Map(scene.tracks.map((track) => [trackKey(track), track]));
  const next: Record<string, Occupant> = {};
  for (const [key, occupant] of Object.entries(occupants)) {
    const track = tracks.get(key);
    tracks.delete(key);
    const after = track ? stepSeen(occupant, track, scene, active, options) : stepGone(occupant, scene, options);
    if (after.latch.on || after.incident || track) next[key] = after;
  }
  for (const [key, track] of tracks) {
    const newcomer: Occupant = {
      latch: openLatch,
      scored: false,
      sighting: sightingOf(track),
      enteredMs: scene.atMs,
      present: true,
    };
    if (countsLabel(options.labels, track.label)) next[key] = stepSeen(newcomer, track, scene, active, options);
  }
  return next;
}

function stepSeen(
  occupant: Occupant,
  track: Track,
  scene: Scene,
  active: boolean,
  options: OccupancyOptions,
): Occupant {
  // A coasting track keeps its place: where it is believed to be is no evidence that it entered or left.
  if (track.coasting && active) return { ...occupant, present: true };
  const scored = occupant.scored || track.score >= options.minScore;
  const inside = options.polygon === undefined || insidePolygon(boxFoot(track.box), options.polygon);
  const counts = active && scored && inside && countsLabel(options.labels, track.label);
  const after = withLatch(occupant, counts, scene.atMs, options.latch);
  return { ...after, scored, present: true, ...(track.coasting ? {} : { sighting: sightingOf(track) }) };
}

const stepGone = (occupant: Occupant, scene: Scene, options: OccupancyOptions): Occupant => ({
  ...withLatch(occupant, false, scene.atMs, options.latch),
  present: false,
});

function withLatch(occupant: Occupant, condition: boolean, atMs: number, options: LatchOptions): Occupant {
  const latch = stepLatch(occupant.latch, condition, atMs, options);
  const enters = latch.on && !occupant.latch.on;
  const firstInsideMs = occupant.latch.against > 0 ? occupant.latch.againstSinceMs : atMs;
  return { ...occupant, latch, enteredMs: enters ? firstInsideMs : occupant.enteredMs };
}

/** Rounded to what a pixel of a 4K picture is worth: bytes on the line cost more than the rest is worth. */
export function sightingOf({ id, label, score, box }: Track): Sighting {
  return { track: id, label, score: round(clamp(score, 0, 1), 1e3), box: roundBox(box) };
}

const roundBox = ([x1, y1, x2, y2]: Box): [number, number, number, number] => [
  roundCoordinate(x1),
  roundCoordinate(y1),
  roundCoordinate(x2),
  roundCoordinate(y2),
];

const roundCoordinate = (value: number): number => round(clamp(value, -1, 2), 1e4);
const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
const round = (value: number, scale: number): number => Math.round(value * scale) / scale;
