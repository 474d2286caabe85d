/**
 * Where a box is and where it goes: centre and size, each coordinate filtered alone.
 *
 * Every deviation is a fraction of the box's own width (x) or height (y), as in DeepSORT and ByteTrack, so that the
 * filter behaves alike near and far, and in normalised coordinates whatever the picture's aspect.
 */
import { type Box, boxCentre, boxHeight, boxWidth } from '#agent/domain/box.ts';
import { CoordinateFilter } from './kalman.ts';

/** Standard deviations in sizes of the box. */
export interface MotionNoise {
  /** Of a detection's centre. */
  readonly centre: number;
  /** Of a detection's width and height. */
  readonly size: number;
  /** How fast a new object may move, sizes/s. */
  readonly speed: number;
  /** How much its velocity may change in a second, sizes/s. */
  readonly acceleration: number;
  /** The same for the growth of its box. */
  readonly growth: number;
}

/** No box gets smaller than this part of the picture. */
const leastSize = 1e-5;
const square = (value: number): number => value * value;

export class BoxFilter {
  readonly #noise: MotionNoise;
  readonly #x: CoordinateFilter;
  readonly #y: CoordinateFilter;
  readonly #width: CoordinateFilter;
  readonly #height: CoordinateFilter;

  constructor(box: Box, noise: MotionNoise) {
    this.#noise = noise;
    const [x, y] = boxCentre(box);
    const [width, height] = [boxWidth(box), boxHeight(box)];
    this.#x = new CoordinateFilter(x, square(noise.centre * width), square(noise.speed * width));
    this.#y = new CoordinateFilter(y, square(noise.centre * height), square(noise.speed * height));
    this.#width = new CoordinateFilter(width, square(noise.size * width), square(noise.growth * width));
    this.#height = new CoordinateFilter(height, square(noise.size * height), square(noise.growth * height));
  }

  predict(seconds: number): void {
    const { acceleration, growth } = this.#noise;
    const [width, height] = [this.#width.position, this.#height.position];
    this.#x.predict(seconds, square(acceleration * width));
    this.#y.predict(seconds, square(acceleration * height));
    this.#width.predict(seconds, square(growth * width));
    this.#height.predict(seconds, square(growth * height));
    this.#width.position = Math.max(leastSize, this.#width.position);
    this.#height.position = Math.max(leastSize, this.#height.position);
  }

  correct(box: Box): void {
    const { centre, size } = this.#noise;
    const [x, y] = boxCentre(box);
    const [width, height] = [boxWidth(box), boxHeight(box)];
    this.#x.correct(x, square(centre * width));
    this.#y.correct(y, square(centre * height));
    this.#width.correct(width, square(size * width));
    this.#height.correct(height, square(size * height));
  }

  /** While it is not seen its size is kept: extrapolated growth turns people at the edge of a pole into slivers. */
  holdSize(): void {
    this.#width.halt(square(this.#noise.growth * this.#width.position));
    this.#height.halt(square(this.#noise.growth * this.#height.position));
  }

  get box(): Box {
    const [halfWidth, halfHeight] = [this.#width.position / 2, this.#height.position / 2];
    return [
      this.#x.position - halfWidth,
      this.#y.position - halfHeight,
      this.#x.position + halfWidth,
      this.#y.position + halfHeight,
    ];
  }

  /** Of the centre, picture sizes a second. */
  get velocity(): readonly [x: number, y: number] {
    return [this.#x.velocity, this.#y.velocity];
  }
}
