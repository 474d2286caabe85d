/** The only door to sharp, set for an agent: pictures are few and each is another one, so nothing is kept between them. */
import sharp from 'sharp';

// By default libvips keeps 50 MB of what it did last, and starts a thread a core with stacks and arenas of its own.
sharp.cache(false);
sharp.concurrency(1);

export default sharp;
export type { Sharp } from 'sharp';
