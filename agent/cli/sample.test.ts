import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { describeWith, needsData } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { hashFile } from '#models/weights.ts';
import { type Sample, sample, sampleClip } from './sample.ts';

const clip = Buffer.from('a clip of people walking '.repeat(1000));

let cacheDir: string;
let server: Server | undefined;
beforeEach(() => {
  cacheDir = join(mkdtempSync(join(tmpdir(), 'outpost-sample-')), 'samples');
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  server = undefined;
  rmSync(join(cacheDir, '..'), { recursive: true, force: true });
});

async function serve(answer: RequestListener): Promise<Sample> {
  const started = createServer(answer);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  const { port } = started.address() as AddressInfo;
  const sha256 = createHash('sha256').update(clip).digest('hex');
  return { file: 'clip.avi', url: `http://127.0.0.1:${port}/clip.avi`, sha256, bytes: clip.length };
}

const { signal } = new AbortController();

test('is pulled once, told of, and taken from the cache afterwards', async () => {
  let asked = 0;
  const wanted = await serve((_request, response) => {
    asked += 1;
    response.end(clip);
  });
  const received: number[] = [];
  const path = await sampleClip({
    signal,
    cacheDir,
    wanted,
    onProgress: ({ receivedBytes }) => received.push(receivedBytes),
  });
  expect(path).toBe(join(cacheDir, 'clip.avi'));
  expect(readFileSync(path ?? '')).toEqual(clip);
  expect(received.at(-1)).toBe(clip.length);
  expect(await sampleClip({ signal, cacheDir, wanted })).toBe(path);
  expect(asked).toBe(1);
});

test('is pulled again where the cache holds something else', async () => {
  const wanted = await serve((_request, response) => response.end(clip));
  mkdirSync(cacheDir, { recursive: true });
  writeFileSync(join(cacheDir, 'clip.avi'), 'damaged');
  const path = await sampleClip({ signal, cacheDir, wanted });
  expect(readFileSync(path ?? '')).toEqual(clip);
});

test('is undefined where the server has another file, and nothing is kept', async () => {
  const wanted = await serve((_request, response) => response.end('x'.repeat(clip.length)));
  const codes: string[] = [];
  expect(await sampleClip({ signal, cacheDir, wanted, onRefusal: ({ code }) => codes.push(code) })).toBeUndefined();
  expect(codes).toEqual(['download-mismatch']);
  expect(existsSync(join(cacheDir, 'clip.avi'))).toBe(false);
});

test('is undefined where nobody answers', async () => {
  const wanted = { ...(await serve(() => undefined)), url: 'http://127.0.0.1:1/clip.avi' };
  expect(await sampleClip({ signal, cacheDir, wanted })).toBeUndefined();
});

test('is undefined after five seconds with a server that takes the connection and says nothing', async () => {
  let asked = false;
  const wanted = await serve(() => {
    asked = true;
  });
  const clock = new ManualClock();
  const pulling = sampleClip({ signal, cacheDir, wanted, clock });
  await eventually(() => asked && clock.sleeping === 1, 'the request');
  await clock.advance(5000);
  expect(await pulling).toBeUndefined();
});

test('stops when it is told to', async () => {
  const stop = new AbortController();
  const wanted = await serve(() => stop.abort(new Error('enough')));
  await expect(sampleClip({ signal: stop.signal, cacheDir, wanted })).rejects.toThrow('enough');
});

describeWith('the declared sample', [needsData('video', 'vtest.avi')], () => {
  test('is the footage that the tests know', async () => {
    expect(await hashFile(testData('video', 'vtest.avi'))).toEqual({ sha256: sample.sha256, bytes: sample.bytes });
  });
});
