/** What every driver has to hold, for each kind of channel and check value. */
import { describeDriver } from '../conformance.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors, { undecoded: 'the channel is encrypted' });
