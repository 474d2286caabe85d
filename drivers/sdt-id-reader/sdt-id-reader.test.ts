/** What every driver has to hold, with each card that is laid down read. */
import { describeDriver } from '../conformance.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors, { options: { reading: 'always' } });
