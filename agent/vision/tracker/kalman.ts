/**
 * Constant-velocity Kalman filter of one coordinate, for any time step.
 *
 * State: position p and velocity v, driven by white-noise acceleration (Y. Bar-Shalom, X. R. Li, T. Kirubarajan,
 * "Estimation with Applications to Tracking and Navigation", 2001, section 6.2.2). The four coordinates of a box do not
 * influence each other in the filters of SORT and ByteTrack either, so a box takes four of these and no matrix.
 */
export class CoordinateFilter {
  position: number;
  velocity = 0;
  #pp: number;
  #pv = 0;
  #vv: number;

  /** @param velocityVariance of the first moment, when nothing is known of the movement; (unit/s)² */
  constructor(position: number, positionVariance: number, velocityVariance: number) {
    this.position = position;
    this.#pp = positionVariance;
    this.#vv = velocityVariance;
  }

  /** @param noise power spectral density of the acceleration, unit²/s³ */
  predict(seconds: number, noise: number): void {
    this.position += this.velocity * seconds;
    this.#pp += seconds * (2 * this.#pv + seconds * (this.#vv + (noise * seconds) / 3));
    this.#pv += seconds * (this.#vv + (noise * seconds) / 2);
    this.#vv += noise * seconds;
  }

  correct(measured: number, variance: number): void {
    const total = this.#pp + variance;
    const positionGain = this.#pp / total;
    const velocityGain = this.#pv / total;
    const innovation = measured - this.position;
    this.position += positionGain * innovation;
    this.velocity += velocityGain * innovation;
    this.#vv -= velocityGain * this.#pv;
    this.#pv *= 1 - positionGain;
    this.#pp *= 1 - positionGain;
  }

  /** Forgets the movement: position stays, velocity starts over with this variance. */
  halt(velocityVariance: number): void {
    this.velocity = 0;
    this.#pv = 0;
    this.#vv = velocityVariance;
  }
}
