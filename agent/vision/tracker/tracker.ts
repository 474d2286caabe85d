/**
 * Detections of successive frames -> objects over time, for one camera.
 *
 *   detections --intake--> high, low
 *   predict all --> high x confirmed (IoU) --> low x seen just now (IoU) --> high left x confirmed left (buffered IoU)
 *     --> high left x tentative --> high left x lost (near the predicted place) --> births --> Track[]
 *
 * Two stages: Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022,
 * algorithm 1. Motion: A. Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016. The rest: README.md.
 * Pure of time and randomness: the same calls give the same tracks.
 */
import { boxCentre, iou } from '#agent/domain/box.ts';
import type { Detection } from '#agent/domain/detection.ts';
import type { Track } from '#agent/domain/track.ts';
import { nearness, overlap } from './affinity.ts';
import { type Affinity, associate } from './association.ts';
import { isUsable } from './intake.ts';
import type { TrackerParameters } from './parameters.ts';
import { TrackedObject } from './tracked-object.ts';

export type { TrackerParameters } from './parameters.ts';

export class Tracker {
  readonly #parameters: TrackerParameters;
  readonly #groups: ReadonlyMap<string, string>;
  #objects: TrackedObject[] = [];
  #lastMs: number | undefined;
  #ids = 0;
  #restarts = 0;
  #refused = 0;
  #shed = 0;

  constructor(parameters: TrackerParameters) {
    this.#parameters = parameters;
    this.#groups = new Map(parameters.groups.flatMap((labels) => labels.map((label) => [label, labels[0] ?? label])));
  }

  /** How often time went back and everything was forgotten. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Detections that were no boxes. */
  get refused(): number {
    return this.#refused;
  }

  /** Detections left out because a frame had too many. */
  get shed(): number {
    return this.#shed;
  }

  /**
   * @param atMs the frame's time. Going back forgets all tracks and starts new ids; no number changes nothing.
   * @returns all confirmed tracks, by id; those without a detection in this frame have `coasting`
   */
  step(detections: readonly Detection[], atMs: number): readonly Track[] {
    if (Number.isFinite(atMs)) {
      const usable = this.#intake(detections);
      this.#advance(atMs);
      const unclaimed = this.#continue(usable, atMs);
      this.#bear(unclaimed, atMs);
      this.#forget(atMs);
    }
    return this.#objects
      .filter(({ confirmed }) => confirmed)
      .sort((a, b) => a.id - b.id)
      .map(({ track }) => track);
  }

  /** The best usable detections, best first. */
  #intake(detections: readonly Detection[]): readonly Detection[] {
    const { low, maxDetections } = this.#parameters;
    const boxes = detections.filter(isUsable);
    this.#refused += detections.length - boxes.length;
    const usable = boxes.filter(({ score }) => score >= low).sort((a, b) => b.score - a.score);
    this.#shed += Math.max(0, usable.length - maxDetections);
    return usable.slice(0, maxDetections);
  }

  #advance(atMs: number): void {
    const { coastMs, predictMs, maxGapMs } = this.#parameters;
    const elapsedMs = atMs - (this.#lastMs ?? atMs);
    this.#lastMs = atMs;
    if (elapsedMs < 0) this.#restarts += 1;
    if (elapsedMs < 0 || elapsedMs > Math.max(coastMs, maxGapMs)) this.#objects = [];
    for (const object of this.#objects) object.predict(Math.min(elapsedMs, predictMs) / 1000);
  }

  /** @returns the detections that are nobody's yet and may be somebody new */
  #continue(detections: readonly Detection[], atMs: number): readonly Detection[] {
    const { high, gates, buffer, rebirth, birth } = this.#parameters;
    const strong = detections.filter(({ score }) => score >= high);
    const weak = detections.filter(({ score }) => score < high);
    const exact = this.#among((object, detection) => overlap(object.box, detection.box));
    const near = this.#among((object, detection) => overlap(object.box, detection.box, buffer));
    const back = this.#among((object, detection) =>
      detection.score >= birth ? nearness(object.box, detection.box, atMs - object.lastSeenMs, rebirth) : 0,
    );

    const first = associate(
      this.#objects.filter(({ confirmed }) => confirmed),
      strong,
      exact,
      gates.high,
    );
    const second = associate(
      first.objects.filter(({ misses }) => misses === 0),
      weak,
      exact,
      gates.low,
    );
    const saved = new Set(second.pairs.map(([object]) => object));
    const third = associate(
      first.objects.filter((object) => !saved.has(object)),
      first.detections,
      near,
      gates.buffered,
    );
    const tentative = associate(
      this.#objects.filter(({ confirmed }) => !confirmed),
      third.detections,
      near,
      gates.buffered,
    );
    const fourth = associate(third.objects, tentative.detections, back, 0);

    for (const object of [...fourth.objects, ...tentative.objects]) object.miss();
    for (const { pairs } of [first, second, third, tentative, fourth]) {
      for (const [object, detection] of pairs) object.see(detection, atMs);
    }
    return fourth.detections;
  }

  #among(affinity: Affinity): Affinity {
    return (object, detection) =>
      this.#group(object.label) === this.#group(detection.label) ? affinity(object, detection) : 0;
  }

  #group(label: string): string {
    return this.#groups.get(label) ?? label;
  }

  #bear(unclaimed: readonly Detection[], atMs: number): void {
    const { birth, duplicate, maxTracks, minHits } = this.#parameters;
    for (const detection of unclaimed) {
      if (detection.score < birth) continue;
      const known = this.#objects.some(
        (object) =>
          object.misses === 0 &&
          this.#group(object.label) === this.#group(detection.label) &&
          iou(object.box, detection.box) >= duplicate,
      );
      if (known) continue;
      if (this.#objects.length >= maxTracks) this.#shed += 1;
      else this.#objects.push(new TrackedObject(detection, atMs, this.#parameters));
    }
    for (const object of this.#objects) {
      if (object.confirmed || object.hits < minHits) continue;
      this.#ids += 1;
      object.id = this.#ids;
    }
  }

  #forget(atMs: number): void {
    const { coastMs, youngCoast, tentativeMisses } = this.#parameters;
    this.#objects = this.#objects.filter((object) => {
      if (object.misses === 0) return true;
      if (!object.confirmed) return object.misses <= tentativeMisses;
      // One frame of grace, for cameras that are slower than the coasting time.
      const limitMs = Math.min(coastMs, youngCoast * (object.lastSeenMs - object.firstSeenMs));
      const expired = atMs - object.lastSeenMs > limitMs && object.misses > 1;
      return !expired && insidePicture(boxCentre(object.box));
    });
  }
}

const insidePicture = ([x, y]: readonly [number, number]): boolean => x >= 0 && x <= 1 && y >= 0 && y <= 1;
