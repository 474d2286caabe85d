/** The printer as the suite wants it. */
import { describeDriver } from '../conformance.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);
