/** A measurement of a peripheral at a moment. */

export type ReadingMember = number | boolean | string;
/** One value, or a few that belong together, such as latitude and longitude. */
export type ReadingValue = ReadingMember | Readonly<Record<string, ReadingMember>>;

/** `good`: as the device vouches for it · `uncertain`: it says that it may be wrong · `bad`: it says that it is none. */
export const readingQualities = ['good', 'uncertain', 'bad'] as const;
export type ReadingQuality = (typeof readingQualities)[number];

export interface Reading {
  /** Id of the peripheral. */
  readonly peripheral: string;
  /** Name of the property in the driver's manifest: the quantity that is measured. */
  readonly property: string;
  readonly value: ReadingValue;
  /** UCUM, such as `Cel`, `m/s`, `%`; absent for what has none. */
  readonly unit?: string;
  readonly quality: ReadingQuality;
  /** Wall time at which it arrived. */
  readonly wallMs: number;
  /** The same moment on the monotonic clock of this boot. */
  readonly monoMs: number;
}
