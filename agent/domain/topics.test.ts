import fc from 'fast-check';
import { expect, it } from 'vitest';
import golden from './golden/topics.json' with { type: 'json' };
import {
  checkRoot,
  clientId,
  type DownName,
  downNames,
  downTopic,
  parseTopic,
  topicLimits,
  type UpName,
  upNames,
  upTopic,
} from './topics.ts';

const { root, device } = golden;
const build = (direction: string, name: string): string =>
  direction === 'up' ? upTopic(root, device, name as UpName) : downTopic(root, device, name as DownName);

it('builds and parses every golden topic', () => {
  expect(golden.topics).toHaveLength(upNames.length + downNames.length);
  for (const [direction = '', name = '', topic = ''] of golden.topics) {
    expect(build(direction, name)).toBe(topic);
    expect(parseTopic(root, topic)).toEqual({ device, direction, name });
  }
});

it('refuses everything else', () => {
  expect(golden.refused.filter((topic) => parseTopic(root, topic) !== undefined)).toEqual([]);
});

it('keeps to what every broker allows, for the longest names', () => {
  const longestRoot = 'abcdefg/hijklmno';
  const longestDevice = 'd'.repeat(32);
  expect(checkRoot(longestRoot)).toBeUndefined();
  for (const topic of [
    ...upNames.map((name) => upTopic(longestRoot, longestDevice, name)),
    ...downNames.map((name) => downTopic(longestRoot, longestDevice, name)),
  ]) {
    expect(topic.length).toBeLessThanOrEqual(topicLimits.characters);
    expect(topic.split('/').length - 1).toBeLessThanOrEqual(topicLimits.slashes);
    expect(parseTopic(longestRoot, topic)).toBeDefined();
  }
});

it('refuses roots that brokers do not take', () => {
  const bad = ['', '/', 'a/', '/a', 'a/b/c', 'A', 'a b', 'a+', '#', 'abcdefghijklmnopq', 'ä'];
  expect(bad.filter((text) => checkRoot(text) === undefined)).toEqual([]);
});

it('never throws, and only accepts what it would build', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'outpsv1/robot-07epdwnackcmd+#\0'.split('')), maxLength: 80 }),
      (text) => {
        const topic = parseTopic(root, text);
        if (!topic) return;
        expect(
          topic.direction === 'up'
            ? upTopic(root, topic.device, topic.name)
            : downTopic(root, topic.device, topic.name),
        ).toBe(text);
      },
    ),
  );
});

it('gives lane alarm a client of its own', () => {
  expect(clientId('robot-07', 'main')).toBe('robot-07');
  expect(clientId('robot-07', 'alarm')).toBe('robot-07-alarm');
});
