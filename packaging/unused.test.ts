/** An upgrade leaves what the version before unpacked; it goes when nobody has used it for long, and nothing else does. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { thisUser } from '#agent/core/cache-folder.ts';
import { removeUnused, stampUse } from './unused.ts';

const nowMs = Date.UTC(2026, 10, 26);
const daysAgo = (days: number): number => (nowMs - days * 24 * 3_600_000) / 1_000;

let cache: string;
beforeEach(() => void (cache = mkdtempSync(join(tmpdir(), 'outpost-unused-'))));
afterEach(() => rmSync(cache, { recursive: true, force: true }));

function folder(name: string, days: number): string {
  const path = join(cache, name);
  mkdirSync(join(path, 'natives'), { recursive: true });
  writeFileSync(join(path, 'natives', 'some.node'), 'x');
  utimesSync(path, daysAgo(days), daysAgo(days));
  return path;
}

const content = (digit: string): string => digit.repeat(32);

describe('what other versions unpacked', () => {
  it('goes after two weeks without use', () => {
    const [now, old, recent] = [folder(content('a'), 400), folder(content('b'), 15), folder(content('c'), 13)];
    expect(removeUnused(now, thisUser(), nowMs)).toEqual([old]);
    expect([now, old, recent].map((path) => existsSync(path))).toEqual([true, false, true]);
  });

  it('stays when it was used since', () => {
    const [now, other] = [folder(content('a'), 0), folder(content('b'), 100)];
    stampUse(other, nowMs - 1_000);
    expect(removeUnused(now, thisUser(), nowMs)).toEqual([]);
    expect(existsSync(other)).toBe(true);
  });

  it('stays when the clock says 1970, or a time before it was used', () => {
    const [now, other] = [folder(content('a'), 0), folder(content('b'), 100)];
    expect(removeUnused(now, thisUser(), 0)).toEqual([]);
    expect(existsSync(other)).toBe(true);
  });

  it('is not anything else in the cache, nor another user’s, nor a link', () => {
    const now = folder(content('a'), 0);
    const others = [folder('models', 400), folder('0123', 400), folder(`${content('b')}.db`, 400)];
    const target = mkdtempSync(join(tmpdir(), 'outpost-target-'));
    symlinkSync(target, join(cache, content('d')));
    expect(removeUnused(now, thisUser(), nowMs)).toEqual([]);
    const foreign = folder(content('e'), 400);
    expect(removeUnused(now, thisUser() + 1, nowMs)).toEqual([]);
    expect([...others, target, foreign].every((path) => existsSync(path))).toBe(true);
    rmSync(target, { recursive: true });
  });

  it('is no reason to fail where the cache is gone', () => {
    expect(removeUnused(join(cache, 'gone', content('a')), thisUser(), nowMs)).toEqual([]);
    expect(() => stampUse(join(cache, 'gone'), nowMs)).not.toThrow();
  });
});
