import { afterEach, describe, expect, test, vi } from 'vitest';
import { cacheChoices, cacheFolder } from './cache-folder.ts';

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

describe('cacheFolder', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test('is none where only the shared temporary folder is left', () => {
    for (const name of ['XDG_CACHE_HOME', 'CACHE_DIRECTORY']) vi.stubEnv(name, undefined);
    vi.stubEnv('HOME', '/nonexistent');
    expect(cacheFolder()).toBeUndefined();
    vi.stubEnv('HOME', '/');
    expect(cacheFolder()).toBe('/.cache/outpost');
    vi.stubEnv('CACHE_DIRECTORY', '/var/cache/outpost');
    expect(cacheFolder()).toBe('/var/cache/outpost');
  });
});
