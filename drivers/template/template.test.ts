/** What every driver has to hold; what is special to this device comes below. */
import { describeDriver } from '../conformance.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);
