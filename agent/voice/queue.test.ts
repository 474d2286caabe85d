/** What is said first, and what is given up. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Priority } from '#config/voice.ts';
import { AnnouncementQueue, type Queued } from './queue.ts';

const item = (id: string, priority: Priority, expiresAtMs = Infinity): Queued => ({ id, priority, expiresAtMs });
const rank = { information: 0, warning: 1, alarm: 2 } as const;

function emptied(queue: AnnouncementQueue<Queued>, nowMs = 0): string[] {
  const ids: string[] = [];
  for (let { next } = queue.take(nowMs); next; { next } = queue.take(nowMs)) ids.push(next.id);
  return ids;
}

describe('the queue', () => {
  it('gives alarms first, then warnings, then information, each in the order of coming', () => {
    const queue = new AnnouncementQueue<Queued>(10);
    for (const [id, priority] of [
      ['i1', 'information'],
      ['w1', 'warning'],
      ['a1', 'alarm'],
      ['i2', 'information'],
      ['a2', 'alarm'],
      ['w2', 'warning'],
    ] as const)
      queue.offer(item(id, priority));
    expect(emptied(queue)).toEqual(['a1', 'a2', 'w1', 'w2', 'i1', 'i2']);
  });

  it('holds the same once, no more than its capacity, and nothing that is too late', () => {
    const queue = new AnnouncementQueue<Queued>(3);
    expect(queue.offer(item('a', 'warning', 100)).isTaken).toBe(true);
    expect(queue.offer(item('a', 'alarm', 100)).isTaken).toBe(false);
    queue.offer(item('b', 'information', 50));
    queue.offer(item('c', 'information', 300));
    expect(queue.offer(item('d', 'information'))).toEqual({ isTaken: false });
    const { next, expired } = queue.take(100);
    expect(next?.id).toBe('c');
    expect(expired.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(queue.size).toBe(0);
  });

  it('that is full takes an alarm for what is less urgent', () => {
    const queue = new AnnouncementQueue<Queued>(2);
    queue.offer(item('w', 'warning'));
    queue.offer(item('i', 'information'));
    expect(queue.offer(item('a', 'alarm'))).toMatchObject({ isTaken: true, displaced: { id: 'i' } });
    expect(queue.offer(item('b', 'alarm'))).toMatchObject({ isTaken: true, displaced: { id: 'w' } });
    expect(queue.offer(item('c', 'alarm'))).toEqual({ isTaken: false });
    expect(emptied(queue)).toEqual(['a', 'b']);
  });

  it('never gives a lower priority before a higher one, whatever comes', () => {
    const offers = fc.array(fc.constantFrom<Priority>('information', 'warning', 'alarm'), { maxLength: 30 });
    fc.assert(
      fc.property(offers, (all) => {
        const queue = new AnnouncementQueue<Queued>(64);
        for (const [index, priority] of all.entries()) queue.offer(item(`${priority} ${index}`, priority));
        const ids = emptied(queue);
        const expected = all
          .map((priority, index) => ({ priority, index }))
          .toSorted((a, b) => rank[b.priority] - rank[a.priority] || a.index - b.index)
          .map(({ priority, index }) => `${priority} ${index}`);
        expect(ids).toEqual(expected);
      }),
      { seed: 20_261_126 },
    );
  });
});
