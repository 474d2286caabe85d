/** Spans, amounts and URLs as people write and read them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes, parseBytes } from './bytes.ts';
import { formatDuration, parseDuration } from './duration.ts';
import { redactIn, redactUrl } from './redact-url.ts';

describe('durations', () => {
  it.each([
    ['1500ms', 1_500],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['5', '', '-1s', '1w', 's', '1 s s'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('reads what it wrote', () => {
    fc.assert(fc.property(fc.nat(10 ** 9), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('bytes', () => {
  it.each([
    ['512KiB', 524_288],
    ['2GiB', 2_147_483_648],
    ['1B', 1],
  ])('%s is %d', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(['512', '1KB', '2 GB', '-1MiB'])('%j is none', (text) => {
    expect(parseBytes(text)).toBeUndefined();
  });

  it('formats with one decimal at most', () => {
    expect(formatBytes(0)).toBe('0B');
    expect(formatBytes(1536)).toBe('1.5KiB');
    expect(formatBytes(3_660_092)).toBe('3.5MiB');
  });
});

describe('URLs', () => {
  it.each([
    ['rtsp://admin:p@ss@10.0.0.5/cam', 'rtsp://***@10.0.0.5/cam'],
    ['http://cam/snap?token=abc', 'http://cam/snap?***'],
    ['sim://street?seed=7&fps=10', 'sim://street?seed=7&fps=10'],
    ['/var/video/a.mp4', '/var/video/a.mp4'],
  ])('%s is shown as %s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown);
  });

  it('takes the secrets out of what another program wrote', () => {
    const url = 'rtsp://admin:s%23cret@10.0.0.5/cam?key=k1';
    const clean = redactIn(`error opening ${url}: user admin, password s#cret, key=k1`, url);
    for (const secret of ['admin', 's%23cret', 's#cret', 'k1']) expect(clean).not.toContain(secret);
  });
});
