/** The rendered street as a camera: at its own pace when live, as fast as it is read in a replay. */
import { Pace } from './pace.ts';
import type { Sink } from './sink.ts';
import { deliverStill } from './still.ts';
import { openStreet } from './street/street.ts';

/** Live it goes on for ever; in a replay it ends where its address says. */
export async function playSimulation(url: string, sink: Sink, signal: AbortSignal): Promise<void> {
  const street = openStreet(url);
  const { width, height, fps } = street;
  const live = sink.frames === 'newest';
  const pace = new Pace(sink.clock, live && sink.camera.pace === 'real-time' ? 1_000 / fps : 0);
  for (let n = 0; live ? sink.camera.loop || n < street.frames : n < street.frames; n += 1) {
    await pace.next(signal);
    await deliverStill({ rgb: await street.frame(n), size: { width, height } }, sink, fps, signal);
  }
}
