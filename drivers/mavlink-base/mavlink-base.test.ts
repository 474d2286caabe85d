/** What every driver has to hold, and what a base has to: nothing moves that should not, and silence stops it. */
import { describeDriver } from '../conformance.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);
