import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openStreet } from './street.ts';
import { truthText } from './truth.ts';

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('openStreet', () => {
  test('has defaults, and takes what the address says', () => {
    expect(openStreet('sim://street')).toMatchObject({ width: 960, height: 540, fps: 10, frames: 600 });
    expect(openStreet('sim://street?seed=7&fps=25&seconds=2')).toMatchObject({ fps: 25, frames: 50 });
  });

  test.each([
    'sim://sea',
    'street',
    '',
    'sim://street?speed=2',
    'sim://street?fps=0',
    'sim://street?fps=fast',
    'sim://street?seed=1.5',
    'sim://street?seed=-1',
    'sim://street?seconds=',
    'sim://street?seconds=1e9',
    'sim://street?__proto__=1',
    'http://street',
  ])('refuses %j with a hint', (url) => {
    expect(() => openStreet(url)).toThrow(
      expect.objectContaining({ code: 'sim-url', hint: expect.stringContaining('sim://street?seed=1') }),
    );
  });

  test('gives the same frames and truth for a seed, in any order, and others for another', async () => {
    const [one, two, other] = [
      openStreet('sim://street?seed=3'),
      openStreet('sim://street?seed=3'),
      openStreet('sim://street?seed=4'),
    ];
    const frames = [0, 57, 130];
    const first = [];
    for (const n of frames) first.push([digest(await one.frame(n)), one.truth(n)]);
    for (const [index, n] of [...frames.entries()].toReversed()) {
      expect([digest(await two.frame(n)), two.truth(n)]).toEqual(first[index]);
      expect(digest(await other.frame(n))).not.toBe(first[index]?.[0]);
    }
  });

  test('gives the caller a frame of its own', async () => {
    const street = openStreet('sim://street?seed=3');
    const frame = await street.frame(5);
    expect(frame).toHaveLength(960 * 540 * 3);
    const before = digest(frame);
    frame.fill(0);
    expect(digest(await street.frame(5))).toBe(before);
  });

  test('moves on after what its address asks for', async () => {
    const street = openStreet('sim://street?seconds=1');
    expect(digest(await street.frame(5000))).not.toBe(digest(await street.frame(5001)));
    expect(street.truth(5000).length).toBeGreaterThan(2);
  });
});

describe('truth', () => {
  test('is inside the picture, and each id is one thing', () => {
    const street = openStreet('sim://street?seed=2');
    const labels = new Map<number, string>();
    for (let n = 0; n < 300; n += 10) {
      const objects = street.truth(n);
      expect(new Set(objects.map(({ id }) => id)).size).toBe(objects.length);
      for (const { id, label, box } of objects) {
        expect(labels.get(id) ?? label).toBe(label);
        labels.set(id, label);
        expect(box[0]).toBeGreaterThanOrEqual(0);
        expect(box[1]).toBeGreaterThanOrEqual(0);
        expect(box[2]).toBeLessThanOrEqual(1);
        expect(box[3]).toBeLessThanOrEqual(1);
        expect(box[2]).toBeGreaterThan(box[0]);
        expect(box[3]).toBeGreaterThan(box[1]);
      }
    }
    expect(new Set(labels.values())).toEqual(new Set(['person', 'car']));
  });

  test('moves without jumps: nobody walks faster than people do', () => {
    const street = openStreet('sim://street?seed=5&fps=10');
    let before = new Map(street.truth(0).map(({ id, box }) => [id, box]));
    for (let n = 1; n < 200; n++) {
      const objects = street.truth(n).filter(({ label }) => label === 'person');
      for (const { id, box } of objects) {
        const earlier = before.get(id);
        if (earlier) expect(Math.abs(box[3] - earlier[3])).toBeLessThan(0.25);
      }
      before = new Map(objects.map(({ id, box }) => [id, box]));
    }
  });

  test.each([1, 2, 3])(
    'tells a story within twenty seconds (seed %i): a crowd, somebody who lingers, some who cross',
    (seed) => {
      const street = openStreet(`sim://street?seed=${seed}&fps=2`);
      const centres = new Map<number, number[]>();
      let most = 0;
      for (let n = 0; n < 40; n++) {
        const people = street.truth(n).filter(({ label }) => label === 'person');
        most = Math.max(most, people.length);
        for (const { id, box } of people) {
          if (box[3] > 0.8) centres.set(id, [...(centres.get(id) ?? []), (box[0] + box[2]) / 2]);
        }
      }
      const near = [...centres.values()];
      expect(most).toBeGreaterThanOrEqual(6);
      expect(near.some((xs) => xs.length >= 24 && xs.every((x) => x > 0.3 && x < 0.75))).toBe(true);
      expect(near.some((xs) => Math.min(...xs) < 0.5 && Math.max(...xs) > 0.5)).toBe(true);
    },
  );
});

describe('truthText', () => {
  test('is MOTChallenge, people only, frames from 1', () => {
    const street = openStreet('sim://street?seed=2');
    const lines = truthText(street, 3).trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^[123],\d+(,\d+(\.\d{1,2})?){4},1,-1,-1,-1$/);
    const people = [0, 1, 2].flatMap((n) => street.truth(n).filter(({ label }) => label === 'person'));
    expect(lines).toHaveLength(people.length);
    expect(lines[0]?.split(',')[0]).toBe('1');
    expect(truthText(street, 0)).toBe('');
  });
});
