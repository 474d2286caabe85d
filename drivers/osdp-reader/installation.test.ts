/** What every driver has to hold, while a reader is given its key. */
import { describeDriver } from '../conformance.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors, {
  options: { ...driver.example, channel: 'installation', address: 3 },
  undecoded: 'the channel is encrypted',
});
