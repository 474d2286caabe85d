/**
 * Whether something stands: it does when it stayed near one place for some seconds, and it goes on to stand until it
 * is clearly away from there, so that a box that trembles at the limit does not toggle.
 */
import { type Box, type Point, boxCentre, boxHeight, boxWidth } from '#agent/domain/box.ts';
import type { TrackerParameters } from './parameters.ts';

export class Stillness {
  readonly #limits: TrackerParameters['stationary'];
  #place: Point;
  #sinceMs: number;
  stationary = false;

  constructor(box: Box, atMs: number, limits: TrackerParameters['stationary']) {
    this.#limits = limits;
    this.#place = boxCentre(box);
    this.#sinceMs = atMs;
  }

  observe(box: Box, atMs: number): void {
    const centre = boxCentre(box);
    const away = Math.hypot(
      (centre[0] - this.#place[0]) / boxWidth(box),
      (centre[1] - this.#place[1]) / boxHeight(box),
    );
    if (away > (this.stationary ? this.#limits.leave : this.#limits.enter)) {
      this.#place = centre;
      this.#sinceMs = atMs;
      this.stationary = false;
    } else if (atMs - this.#sinceMs >= this.#limits.afterMs) {
      this.stationary = true;
    }
  }
}
