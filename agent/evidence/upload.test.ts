/** Pictures on their way to a real server over TLS, which refuses, hangs, lies and is killed. */
import { hash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { checkEvent } from '#agent/domain/catalogue.ts';
import { encodeEvent, encodeHead, spliceSequence } from '#agent/domain/cloudevent.ts';
import type { Event, EventData } from '#agent/domain/event.ts';
import { TestAuthority } from '#agent/testing/certificates.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { PictureServer } from '#agent/testing/picture-server.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { type Evidence, openEvidence } from './evidence.ts';
import type { HttpPutOptions } from './http-put.ts';
import { Pace } from './pace.ts';
import { byLane, byPut, Uploads, type UploadsOptions } from './upload.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'outpost-upload-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Waits between tries are short. */
const quick: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => await systemClock.sleep(Math.min(ms, 20), signal),
};
const openAt = (maxSizeBytes = 10_000_000): Promise<Evidence> =>
  openEvidence({ folder: join(root, 'evidence'), maxSizeBytes, log: silentLog });
const sha = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');
const nameOf = (id: string, bytes: Uint8Array): string => `/pictures/robot-07/${id}-${sha(bytes).slice(0, 12)}.jpg`;

/** An upload that runs until it is disposed, and what it told the outbox. */
function start(evidence: Evidence, change: Partial<UploadsOptions> = {}) {
  const health = new Health(systemClock);
  const told: Event[] = [];
  const uploads = new Uploads({
    due: evidence.due,
    send: byLane(quick),
    append: async (events) => await Promise.resolve(told.push(...events)),
    health,
    clock: quick,
    random: () => 0,
    log: silentLog,
    failingMs: 0,
    ...change,
  });
  const ending = new AbortController();
  const running = uploads.run(ending.signal);
  const outcomes = (): EventData<'upload'>[] => told.flatMap((event) => (event.kind === 'upload' ? [event.data] : []));
  return {
    uploads,
    told,
    outcomes,
    codes: () => health.entries().map(({ code }) => code),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  };
}

const hidden = (): string[] => readdirSync(join(root, 'evidence')).filter((name) => name.startsWith('.'));

const problems = (events: readonly Event[]): unknown[] =>
  events.flatMap((event) => {
    const origin = { device: 'robot-07', epoch: 'a'.repeat(32), boot: 1 };
    const text = spliceSequence(encodeHead(origin.epoch, event.lane), encodeEvent(event, origin, 'synced'), 1);
    return checkEvent(JSON.parse(text)) ?? [];
  });

describeWith('pictures to a server', [needsProgram('openssl')], () => {
  let authority: TestAuthority;
  let ca: string;
  let folder: string;
  beforeAll(async () => {
    authority = await TestAuthority.create();
    folder = mkdtempSync(join(tmpdir(), 'outpost-upload-ca-'));
    ca = join(folder, 'ca.pem');
    writeFileSync(ca, authority.certificate);
  });
  afterAll(async () => {
    await authority[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const to = (url: string, change: Omit<Partial<HttpPutOptions>, 'server'> & { server?: object } = {}) => {
    const { server, ...options } = change;
    const pace = new Pace({ clock: systemClock, line: () => ({ bytesPerSecond: 8e6, inFlightBytes: 0 }) });
    return byPut('robot-07', { pace, clock: systemClock, ...options, server: { url, ca, ...server } });
  };

  it('arrive whole under their name, with digest and token, and are told with their sha256', async () => {
    await using server = await PictureServer.start(await authority.issue('server'));
    await using evidence = await openAt();
    await using running = start(evidence, { send: to(`${server.url}/`, { server: { token: 'let-me-in' } }) });
    const pictures = [10, 70_000, 300_001].map((size, n) => ({ id: `front-1-${n}`, bytes: randomBytes(size) }));
    for (const { id, bytes } of pictures) await evidence.put(id, 'image/jpeg', bytes, 'camera/front');
    await evidence.put('kept', 'image/jpeg', randomBytes(10));
    await eventually(() => running.uploads.status.sent === 3, 'all are there');
    expect(server.stored.map(({ path, bytes }) => [path, sha(bytes)])).toEqual(
      pictures.map(({ id, bytes }) => [nameOf(id, bytes), sha(bytes)]),
    );
    expect(server.stored[0]?.headers).toMatchObject({
      'content-type': 'image/jpeg',
      authorization: 'Bearer let-me-in',
    });
    expect(running.outcomes()).toEqual(
      pictures.map(({ id, bytes }) => ({
        id,
        mediaType: 'image/jpeg',
        sha256: sha(bytes),
        size: bytes.length,
        outcome: 'stored',
        url: `https://127.0.0.1:${server.port}${nameOf(id, bytes)}`,
      })),
    );
    expect(running.told.map(({ lane, subject }) => [lane, subject])).toEqual(
      pictures.map(() => ['media', 'camera/front']),
    );
    expect(problems(running.told)).toEqual([]);
    expect(hidden()).toEqual([]);
    expect(running.uploads.status).toMatchObject({ due: 0, sentBytes: 370_011, failures: 0, lastError: undefined });
    expect(evidence.count).toBe(4);
  });

  it.each([
    [
      'refuses (403) before it has read anything',
      'upload-refused',
      (_request, response) => response.writeHead(403).end(),
    ],
    [
      'fails (500) behind the body',
      'upload-refused',
      (request, response) => {
        request.resume().on('end', () => response.writeHead(500).end('a page about it'));
      },
    ],
    [
      'leads elsewhere (307)',
      'upload-refused',
      (request, response) => {
        request.resume().on('end', () => response.writeHead(307, { location: 'https://elsewhere.example/' }).end());
      },
    ],
    ['says 201 before it has read the body', 'upload-refused', (_request, response) => response.writeHead(201).end()],
    [
      'hangs up in the middle',
      'upload-unreachable',
      (request) => {
        request.once('data', () => request.socket.destroy());
      },
    ],
    ['hangs', 'upload-silent', (request) => request.resume()],
    [
      'answers what is no HTTP',
      'upload-unreachable',
      (request) => {
        request.resume().on('end', () => request.socket.end('and good evening to you\r\n\r\n'));
      },
    ],
  ] as const satisfies readonly (readonly [string, string, NonNullable<PictureServer['misbehave']>])[])(
    'wait while the server %s, health says so, and arrive when it is right again',
    async (_what, code, misbehave) => {
      await using server = await PictureServer.start(await authority.issue('server'));
      server.misbehave = misbehave;
      await using evidence = await openAt();
      const bytes = randomBytes(400_000);
      await evidence.put('front-1-1', 'image/jpeg', bytes, 'camera/front');
      await using running = start(evidence, { send: to(server.url, { silenceMs: 500 }) });
      await eventually(() => running.uploads.status.failures >= 2, 'it was tried again');
      expect(running.uploads.status.lastError?.code).toBe(code);
      expect(running.codes()).toEqual(['upload-failing']);
      expect(running.told).toEqual([]);
      expect(hidden()).toEqual(['.00000001-front-1-1.jpg.due']);
      server.misbehave = undefined;
      await eventually(() => running.uploads.status.sent === 1, 'it arrives');
      expect(server.stored.map((stored) => sha(stored.bytes))).toEqual([sha(bytes)]);
      expect(running.codes()).toEqual([]);
    },
  );

  it('do not wait for an answer that never ends', async () => {
    await using server = await PictureServer.start(await authority.issue('server'));
    let flowing = 0;
    server.misbehave = (request, response) => {
      request.resume().on('end', () => {
        response.writeHead(200);
        const more = (): void => {
          flowing += 1;
          if (!response.destroyed && response.write(Buffer.alloc(64 * 1024))) setImmediate(more);
        };
        response.on('drain', more).on('error', () => undefined);
        more();
      });
    };
    await using evidence = await openAt();
    await evidence.put('front-1-1', 'image/jpeg', randomBytes(1_000), 'camera/front');
    await using running = start(evidence, { send: to(server.url) });
    await eventually(() => running.uploads.status.sent === 1, 'the status is the answer');
    expect(flowing).toBeGreaterThan(0);
    expect(running.uploads.status.failures).toBe(0);
  });

  it('go to nobody whose certificate is of another authority, of another name, or has expired', async () => {
    await using stranger = await TestAuthority.create();
    const now = Date.now();
    const expired = { from: new Date(now - 9e8), until: new Date(now - 1e8) };
    for (const issued of [await stranger.issue('server'), await authority.issue('server', expired)]) {
      await using server = await PictureServer.start(issued);
      await using evidence = await openAt();
      await evidence.put('front-1-1', 'image/jpeg', randomBytes(1_000), 'camera/front');
      await using running = start(evidence, { send: to(server.url) });
      await eventually(() => running.uploads.status.failures >= 1, 'the certificate is not believed');
      expect(running.uploads.status.lastError?.code).toBe('upload-tls');
      expect(server.requests).toBe(0);
    }
    // 127.0.0.1 and localhost are its names
    await using server = await PictureServer.start(await authority.issue('server'));
    await using evidence = await openAt();
    await using running = start(evidence, { send: to(server.url.replace('127.0.0.1', '127.0.0.2')) });
    await eventually(() => running.uploads.status.failures >= 1, 'another name, or nobody there');
    expect(['upload-tls', 'upload-unreachable']).toContain(running.uploads.status.lastError?.code);
    expect(server.requests).toBe(0);
  });

  it('show a certificate of their own where the server wants one', async () => {
    await using server = await PictureServer.start(await authority.issue('server'), 0, authority.certificate);
    const { certificate, key } = await authority.issue('robot-07');
    writeFileSync(join(root, 'device.crt'), certificate);
    writeFileSync(join(root, 'device.key'), key);
    const files = { certificate: join(root, 'device.crt'), key: join(root, 'device.key') };
    await using evidence = await openAt();
    await evidence.put('front-1-1', 'image/jpeg', randomBytes(1_000), 'camera/front');
    {
      await using without = start(evidence, { send: to(server.url) });
      await eventually(() => without.uploads.status.failures >= 1, 'it is refused');
      expect(server.requests).toBe(0);
    }
    {
      await using gone = start(evidence, { send: to(server.url, { server: { ca: '/nowhere.pem' } }) });
      await eventually(() => gone.uploads.status.lastError?.code === 'upload-file', 'it is said');
    }
    await using running = start(evidence, { send: to(server.url, { server: files }) });
    await eventually(() => running.uploads.status.sent === 1, 'it is there');
  });

  it('wait while nobody listens, and over a restart in the middle; nothing is sent twice but what was not confirmed', async () => {
    const issued = await authority.issue('server');
    const first = await PictureServer.start(issued);
    const { port, url } = first;
    first.goodRequests = 1;
    first.misbehave = (request) => request.resume();
    const pictures = [1, 2, 3, 4].map((n) => ({ id: `front-1-${n}`, bytes: randomBytes(200_000 + n) }));
    {
      await using evidence = await openAt();
      for (const { id, bytes } of pictures) await evidence.put(id, 'image/jpeg', bytes, 'camera/front');
      await using running = start(evidence, { send: to(url) });
      await eventually(() => running.uploads.status.sent === 1, 'the first is there');
      await eventually(() => first.requests >= 2, 'the second is on its way');
      // the agent ends here, in the middle of the second
    }
    await first[Symbol.asyncDispose]();
    expect(hidden()).toHaveLength(3);
    await using evidence = await openAt();
    expect(evidence.due.count).toBe(3);
    await using running = start(evidence, { send: to(url) });
    await eventually(() => running.uploads.status.lastError?.code === 'upload-unreachable', 'nobody listens');
    await using second = await PictureServer.start(issued, port);
    await eventually(() => running.uploads.status.sent === 3, 'the others are there');
    expect(second.paths.toSorted()).toEqual(pictures.slice(1).map(({ id, bytes }) => nameOf(id, bytes)));
    expect(evidence.due.count).toBe(0);
  });

  it('that the server never takes are declared once it takes others, and hold up nobody', async () => {
    await using server = await PictureServer.start(await authority.issue('server'));
    await using evidence = await openAt();
    const bad = randomBytes(2_000);
    await evidence.put('bad', 'image/jpeg', bad, 'camera/front');
    server.misbehave = (request, response) => {
      const isBad = request.url?.includes('/bad-') === true;
      request.resume().on('end', () => response.writeHead(isBad ? 413 : 201).end());
    };
    await using running = start(evidence, { send: to(server.url) });
    await eventually(() => running.uploads.status.failures >= 7, 'alone it is tried for ever');
    expect(running.told).toEqual([]);
    await evidence.put('good', 'image/jpeg', randomBytes(10), 'camera/front');
    await eventually(() => evidence.due.count === 0, 'nothing is due');
    expect(running.outcomes().map(({ id, outcome, reason }) => [id, outcome, reason])).toEqual([
      ['good', 'stored', undefined],
      ['bad', 'given-up', 'refused'],
    ]);
    expect(running.told.at(-1)?.lane).toBe('audit');
    expect(problems(running.told)).toEqual([]);
    expect(evidence.path('bad')).toBeDefined();
  });

  it('go over plain HTTP to this machine itself', async () => {
    const server = createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(204).end());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await using evidence = await openAt();
    await evidence.put('front-1-1', 'image/jpeg', randomBytes(1_000), 'camera/front');
    await using running = start(evidence, { send: to(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) });
    await eventually(() => running.uploads.status.sent === 1, 'it is there');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

it('that make room before they are sent are declared, also after a restart', async () => {
  const down = async (): Promise<never> => await Promise.reject(new OutpostError('upload-unreachable'));
  const bytes = [1, 2, 3].map((n) => randomBytes(400 + n));
  {
    await using evidence = await openAt(1_000);
    for (const [n, content] of bytes.entries()) await evidence.put(`p-${n}`, 'image/jpeg', content, 'camera/front');
    expect(hidden()).toEqual(['.00000001-p-0.jpg.gone', '.00000002-p-1.jpg.due', '.00000003-p-2.jpg.due']);
    // the store refuses: the declaration waits
    await using refused = start(evidence, { append: down });
    await eventually(() => refused.uploads.status.failures >= 2, 'it was tried');
    expect(evidence.due.count).toBe(3);
  }
  // somebody tidied up, and a disk forgot
  rmSync(join(root, 'evidence', '00000002-p-1.jpg'));
  writeFileSync(join(root, 'evidence', '00000003-p-2.jpg'), 'not what it was');
  await using evidence = await openAt(1_000);
  await using running = start(evidence, { send: down });
  await eventually(() => evidence.due.count === 0, 'all are declared');
  expect(running.outcomes().map(({ id, sha256, size, reason }) => ({ id, sha256, size, reason }))).toEqual([
    { id: 'p-0', sha256: sha(bytes[0] ?? Buffer.alloc(0)), size: 401, reason: 'quota' },
    { id: 'p-1', sha256: sha(bytes[1] ?? Buffer.alloc(0)), size: 402, reason: 'missing' },
    { id: 'p-2', sha256: sha(bytes[2] ?? Buffer.alloc(0)), size: 403, reason: 'damaged' },
  ]);
  expect(problems(running.told)).toEqual([]);
  expect(running.uploads.status).toMatchObject({ givenUp: 3, sent: 0 });
  expect(hidden()).toEqual([]);
});

it('whose marker is damaged are sent all the same, and orders are not used again', async () => {
  {
    await using evidence = await openAt();
    await evidence.put('a', 'image/jpeg', Buffer.from('picture'), 'camera/front');
  }
  writeFileSync(join(root, 'evidence', '.00000001-a.jpg.due'), '\0\0\0');
  writeFileSync(join(root, 'evidence', '.00000009-b.jpg.due'), '');
  await using evidence = await openAt();
  await using running = start(evidence);
  await eventually(() => evidence.due.count === 0, 'all is told');
  expect(running.told).toMatchObject([
    { kind: 'media', subject: 'evidence', data: { id: 'a', sha256: sha(Buffer.from('picture')) } },
    { kind: 'upload', lane: 'audit', data: { id: 'b', outcome: 'given-up', reason: 'missing', size: 0 } },
  ]);
  expect(problems(running.told)).toEqual([]);
  expect((await evidence.put('c', 'image/jpeg', Buffer.from('x'))).path).toContain('00000010-c.jpg');
});

it('go in parts on lane media where no server is configured', async () => {
  await using evidence = await openAt();
  await using running = start(evidence);
  await evidence.put('front-1-1', 'image/jpeg', randomBytes(150_000), 'camera/front');
  await eventually(() => running.uploads.status.sent === 1, 'it is told');
  expect(running.told.map(({ kind, lane }) => `${kind} ${lane}`)).toEqual(Array(3).fill('media media'));
  expect(problems(running.told)).toEqual([]);
});
