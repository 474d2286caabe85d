import { expect, it } from 'vitest';
import { residentBytes } from './resident.ts';

it('is what the process itself believes, whatever a page is; nothing of one that is gone', () => {
  const [seen, own] = [residentBytes(process.pid), process.memoryUsage.rss()];
  expect(seen / own).toBeGreaterThan(0.5);
  expect(seen / own).toBeLessThan(2);
  expect(residentBytes(2 ** 30)).toBe(0);
});
