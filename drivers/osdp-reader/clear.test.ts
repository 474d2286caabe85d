/** What every driver has to hold, with a reader that knows neither channel nor CRC. */
import { describeDriver } from '../conformance.ts';
import { driver } from './driver.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors, { options: { channel: 'clear', check: 'checksum', address: 126 } });
