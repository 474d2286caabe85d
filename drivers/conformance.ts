/**
 * What every driver has to hold, in one call beside its own tests:
 *
 *   describeDriver(driver, vectors);
 *
 *   conformance/codec.ts   bytes: vectors, splits, truncation, garbage, flipped bits, endless input
 *   conformance/device.ts  the device: identify, properties, actions, events, faults, late and doubled answers, echo, abort
 *   conformance/port.ts    the line: real pseudo terminals, hang-ups, another name, a second opener, a wedged neighbour
 */
import { describe } from 'vitest';
import { needsProgram, describeWith } from '#agent/testing/require.ts';
import { codecTests } from './conformance/codec.ts';
import { deviceTests } from './conformance/device.ts';
import { portTests } from './conformance/port.ts';
import { type VectorFile, readVectors } from './conformance/vectors.ts';
import { type Driver, sealed } from './driver.ts';

export interface Leniency {
  /** Options other than the driver's example. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Why a single flipped bit may pass although the manifest says `checksum`; said in the test's title. */
  readonly flips?: string;
  /** Actions that the device never answers, each with the reason; they end as `unknown`, and must be idempotent. */
  readonly unanswered?: Readonly<Record<string, string>>;
  /** Why nothing can be made of a recording of the device. */
  readonly undecoded?: string;
}

export function describeDriver<O, F, T>(driver: Driver<O, F, T>, vectors: VectorFile, leniency: Leniency = {}): void {
  const any = sealed(driver);
  const options = any.options.parse(leniency.options ?? any.example);
  describe(`conformance of ${driver.name}`, () => {
    codecTests(any, options, readVectors(vectors), leniency.flips);
    deviceTests(any, options, leniency);
    describeWith('on pseudo terminals', [needsProgram('perl'), needsProgram('stty', 'coreutils')], () =>
      portTests(any, options),
    );
  });
}
