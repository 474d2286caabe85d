/** The address of a simulated street: `sim://street?seed=1&fps=10&seconds=60`. */
import { OutpostError } from '#agent/core/errors.ts';

export interface StreetAddress {
  readonly seed: number;
  /** Frames a second. */
  readonly fps: number;
  readonly seconds: number;
}

const limits = { seed: [0, 2 ** 32 - 1], fps: [1, 60], seconds: [1, 86_400] } as const;
const defaults: StreetAddress = { seed: 1, fps: 10, seconds: 60 };

/** @throws OutpostError sim-url */
export function parseStreetUrl(text: string): StreetAddress {
  const url = URL.parse(text);
  if (url?.protocol !== 'sim:' || url.host !== 'street') {
    throw new OutpostError('sim-url', `There is no simulated camera ${text.slice(0, 80)}.`);
  }
  const values = { ...defaults };
  for (const [key, value] of url.searchParams) {
    if (!Object.hasOwn(limits, key)) {
      throw new OutpostError('sim-url', `A simulated street knows no ${key.slice(0, 40)}.`);
    }
    const name = key as keyof StreetAddress;
    const [least, most] = limits[name];
    const number = value === '' ? Number.NaN : Number(value);
    if (!(number >= least && number <= most) || (name === 'seed' && !Number.isInteger(number))) {
      throw new OutpostError(
        'sim-url',
        `${name} must be ${name === 'seed' ? 'a whole number ' : ''}from ${least} to ${most}.`,
      );
    }
    Object.assign(values, { [name]: number });
  }
  return values;
}
