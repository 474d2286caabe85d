import { describe, expect, test } from 'vitest';
import { cacheChoices } from './cache-folder.ts';

describe('cacheChoices', () => {
  test('a folder that somebody named is the only choice', () => {
    const environment = { XDG_CACHE_HOME: '/x', CACHE_DIRECTORY: '/var/cache/outpost', HOME: '/home/a' };
    expect(cacheChoices(environment, '/tmp', 7, () => true)).toEqual([{ folder: '/x/outpost', named: true }]);
  });

  test('then the folder of the service, the first of several', () => {
    const environment = { CACHE_DIRECTORY: '/var/cache/outpost:/var/cache/b', HOME: '/' };
    expect(cacheChoices(environment, '/tmp', 7, () => true)).toEqual([{ folder: '/var/cache/outpost', named: true }]);
  });

  test('else the home, then the temporary folder, one for each user', () => {
    expect(cacheChoices({ HOME: '/home/a' }, '/tmp', 7, () => true)).toEqual([
      { folder: '/home/a/.cache/outpost', named: false },
      { folder: '/tmp/outpost-7', named: false },
    ]);
  });

  test('no home is made for a user who has none', () => {
    expect(cacheChoices({ HOME: '/nonexistent' }, '/tmp', 7, () => false)).toEqual([
      { folder: '/tmp/outpost-7', named: false },
    ]);
  });

  test.each([{}, { HOME: '' }, { HOME: 'relative', XDG_CACHE_HOME: 'relative', CACHE_DIRECTORY: '' }])(
    'what is empty or relative counts as absent: %o',
    (environment) => {
      expect(cacheChoices(environment, '/tmp', 7, () => true)).toEqual([{ folder: '/tmp/outpost-7', named: false }]);
    },
  );
});
