import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { ManualClock } from '#agent/testing/manual-clock.ts';
import { type DownloadRequest, download } from './download.ts';
import type { Progress } from './progress.ts';

const content = Buffer.from(Array.from({ length: 300_000 }, (_byte, index) => (index * 31) % 251));
const sha256 = createHash('sha256').update(content).digest('hex');

/** Short waits are over at once; long ones, which only guard, last until they are called off. */
const impatient: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => await systemClock.sleep(ms < 10_000 ? 0 : ms, signal),
};

type Answer = (request: IncomingMessage, response: ServerResponse, number: number) => void;

let server: Server;
let answer: Answer;
let ranges: (string | undefined)[];
let folder: string;
let target: string;
let base: string;
let hangUp: (() => void) | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-download-'));
  target = join(folder, 'cache', 'model.onnx');
  ranges = [];
  hangUp = undefined;
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response, ranges.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const fetchIt = async (more: Partial<DownloadRequest> = {}): Promise<void> =>
  await download({
    url: `${base}/model.onnx`,
    target,
    sha256,
    bytes: content.length,
    clock: impatient,
    onProgress: () => hangUp?.(),
    ...more,
  });

const whole: Answer = (_request, response) => {
  response.writeHead(200, { 'content-length': content.length }).end(content);
};
const honest: Answer = (request, response, number) => {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN);
  if (Number.isNaN(from)) whole(request, response, number);
  else {
    const range = `bytes ${from}-${content.length - 1}/${content.length}`;
    response.writeHead(206, { 'content-range': range, 'content-length': content.length - from });
    response.end(content.subarray(from));
  }
};
/** Sends that much of what it announced, and hangs up once some of it has arrived. */
const breakAfter =
  (bytes: number): Answer =>
  (_request, response) => {
    hangUp = () => response.destroy();
    response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, bytes));
  };

const remains = (): string[] => (existsSync(join(folder, 'cache')) ? readdirSync(join(folder, 'cache')) : []);
const place = (name: string, bytes: Uint8Array): void => {
  writeFileSync(join(folder, 'cache', name), bytes);
};
/** Makes the folder, with a part in it as a broken pull leaves it. */
async function leavePart(bytes: number): Promise<void> {
  answer = breakAfter(bytes);
  await expect(fetchIt()).rejects.toMatchObject({ code: 'download-broken', kind: 'transient' });
  expect(remains()).toEqual(['model.onnx.part']);
  ranges = [];
  hangUp = undefined;
}

describe('a download', () => {
  test('arrives whole under its name, with progress to the last byte', async () => {
    answer = whole;
    const seen: Progress[] = [];
    await fetchIt({ onProgress: (progress) => seen.push(progress) });
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(remains()).toEqual(['model.onnx']);
    expect(seen.at(-1)).toEqual({ receivedBytes: content.length, totalBytes: content.length });
  });

  test('of a length that nobody announces is taken too', async () => {
    answer = (_request, response) => {
      response.writeHead(200).end(content);
    };
    await fetchIt({ bytes: undefined });
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  test('goes on after a break where it stopped, in the same call', async () => {
    answer = (request, response, number) =>
      number === 1 ? breakAfter(100_000)(request, response, number) : honest(request, response, number);
    await fetchIt();
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
  });

  test('goes on in a later call, or in the next process', async () => {
    await leavePart(100_000);
    answer = honest;
    await fetchIt();
    expect(ranges[0]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(remains()).toEqual(['model.onnx']);
  });

  test('takes over what a killed process left', async () => {
    answer = honest;
    await leavePart(10);
    rmSync(join(folder, 'cache', 'model.onnx.part'));
    // No process has this number: it is above what Linux gives out.
    place('model.onnx.4194305.0123abcd.part', content.subarray(0, 200_000));
    answer = honest;
    await fetchIt();
    expect(ranges).toEqual(['bytes=200000-']);
    expect(remains()).toEqual(['model.onnx']);
  });

  test('starts again when the file has changed on the server meanwhile', async () => {
    await leavePart(100_000);
    place('model.onnx.part', Buffer.alloc(100_000, 7));
    answer = honest;
    await fetchIt();
    expect(ranges).toEqual(['bytes=100000-', undefined]);
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  test.each([
    ['ignores the range and sends all', whole, 1],
    [
      'goes on elsewhere',
      (request: IncomingMessage, response: ServerResponse, number: number) => {
        if (request.headers.range === undefined) whole(request, response, number);
        else response.writeHead(206, { 'content-range': `bytes 5-9/${content.length}` }).end('01234');
      },
      2,
    ],
    [
      'says 416',
      (request: IncomingMessage, response: ServerResponse, number: number) => {
        if (request.headers.range === undefined) whole(request, response, number);
        else response.writeHead(416).end();
      },
      2,
    ],
  ])('a server that %s still leads to the whole file', async (_what, behaviour, requests) => {
    await leavePart(100_000);
    answer = behaviour;
    await fetchIt();
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(ranges).toHaveLength(requests);
  });

  test('follows redirects', async () => {
    answer = (request, response, number) => {
      if (request.url === '/model.onnx') response.writeHead(302, { location: '/moved/there' }).end();
      else whole(request, response, number);
    };
    await fetchIt();
    expect(readFileSync(target).equals(content)).toBe(true);
  });

  test('two at once do not disturb each other', async () => {
    answer = honest;
    await Promise.all([fetchIt(), fetchIt(), fetchIt()]);
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(remains()).toEqual(['model.onnx']);
  });
});

describe('a server that is not honest, or not well', () => {
  const refused = async (code: string, more: Partial<DownloadRequest> = {}): Promise<OutpostError> => {
    const thrown = await fetchIt(more).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(thrown).toBeInstanceOf(OutpostError);
    const error = thrown as OutpostError;
    expect(error.code).toBe(code);
    expect(error.hint.length).toBeGreaterThan(20);
    expect(existsSync(target)).toBe(false);
    return error;
  };

  test('ends early each time: broken, and what came is kept', async () => {
    answer = breakAfter(50_000);
    await refused('download-broken');
    expect(ranges.length).toBe(4);
    expect(remains()).toEqual(['model.onnx.part']);
  });

  test('ends early without having said how long', async () => {
    answer = (_request, response) => {
      response.writeHead(200).end(content.subarray(0, 1000));
    };
    expect((await refused('download-broken')).message).toContain('1000 of 300000');
  });

  test('announces another length: refused before the body', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length + 1 }).end(Buffer.concat([content, Buffer.of(0)]));
    };
    expect((await refused('download-mismatch')).message).toContain('300001');
    expect(remains()).toEqual([]);
  });

  test('sends without end: cut at the known length', async () => {
    answer = (_request, response) => {
      response.writeHead(200);
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        response.once('drain', pour);
      };
      pour();
    };
    await refused('download-mismatch');
    expect(remains()).toEqual([]);
  });

  test('sends something else of the same length: nothing is kept', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length }).end(Buffer.alloc(content.length, 1));
    };
    expect((await refused('download-mismatch')).message).toContain(sha256);
    expect(remains()).toEqual([]);
  });

  test.each([401, 403, 404, 410])('answers %i: not tried again', async (status) => {
    answer = (_request, response) => {
      response.writeHead(status).end('no');
    };
    expect((await refused('download-refused')).message).toContain(String(status));
    expect(ranges).toHaveLength(1);
  });

  test.each([429, 500, 503])('answers %i: tried again', async (status) => {
    answer = (request, response, number) => {
      if (number < 3) response.writeHead(status).end();
      else whole(request, response, number);
    };
    await fetchIt();
    expect(ranges).toHaveLength(3);
  });

  test('redirects in a circle, to nowhere, or away from https', async () => {
    answer = (_request, response) => {
      response.writeHead(302, { location: '/again' }).end();
    };
    expect((await refused('download-refused')).message).toContain('more than 5 times');
    for (const location of [undefined, 'http://', 'http://example.com/model', 'file:///etc/passwd']) {
      answer = (_request, response) => {
        response.writeHead(302, location === undefined ? {} : { location }).end();
      };
      await refused('download-refused');
    }
  });

  test('is not there', async () => {
    await refused('download-unreachable', { url: 'http://127.0.0.1:1/model.onnx' });
    await refused('download-unreachable', { url: 'https://host.invalid/model.onnx' });
  });

  test('goes silent: given up after half a minute, and what came is kept', async () => {
    answer = (request, response) => {
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      if (from > 0)
        response.writeHead(206, { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` });
      else response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(from, from + 1000));
    };
    const clock = new ManualClock();
    let outcome: unknown;
    void fetchIt({ clock }).catch((thrown: unknown) => (outcome = thrown));
    await eventually(async () => {
      await clock.advance(15_000);
      return outcome !== undefined;
    }, 'the download to be given up');
    expect(outcome).toMatchObject({ code: 'download-broken', message: expect.stringContaining('30 s') as string });
    expect(remains()).toEqual(['model.onnx.part']);
  });

  test('is stopped by the user: what came is kept', async () => {
    const stop = new AbortController();
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000));
    };
    await refused('download-stopped', { signal: stop.signal, onProgress: () => stop.abort() });
    expect(remains()).toEqual(['model.onnx.part']);
  });
});

test('a folder that cannot be written is the operator’s to mend', async () => {
  answer = whole;
  writeFileSync(join(folder, 'cache'), 'a file in the way');
  await expect(fetchIt()).rejects.toMatchObject({ code: 'models-unwritable', kind: 'config' });
});
