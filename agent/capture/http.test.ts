/** Cameras behind HTTP: snapshots and streams, logins, and servers that answer nonsense. */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, describe, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { Rig, isRunning, knownFfmpegs, makeVideo, recordingLog, temporaryFolder } from './test-rig.ts';

const ffmpegs = await knownFfmpegs();
const [own] = ffmpegs;
if (!own) throw new Error('no ffmpeg');
const { ffmpeg } = own;
const jpeg = await sharp({ create: { width: 320, height: 200, channels: 3, background: '#ffffff' } })
  .jpeg()
  .toBuffer();
const soon = () => 0;

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;
interface TestServer extends AsyncDisposable {
  readonly host: string;
  count(): number;
  open(): number;
}

async function serve(answer: Answer): Promise<TestServer> {
  let count = 0;
  let open = 0;
  const server = createServer((request, response) => answer(request, response, count++));
  server.on('connection', (socket) => {
    open += 1;
    socket.on('close', () => (open -= 1));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => count,
    open: () => open,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const picture: Answer = (_request, response) =>
  void response.writeHead(200, { 'content-type': 'image/jpeg' }).end(jpeg);
const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
const field = (header: string, name: string): string => new RegExp(`${name}="?([^",]+)`).exec(header)?.[1] ?? '';
const endless: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'image/jpeg' });
  const chunk = Buffer.alloc(1024 * 1024, 0xff);
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more);
  more();
};
const mjpegStream =
  (write: (response: ServerResponse, index: number) => boolean): Answer =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=edge' });
    let index = 0;
    const timer = setInterval(() => {
      if (response.destroyed || !write(response, index++)) clearInterval(timer);
    }, 5);
    response.on('close', () => clearInterval(timer));
  };
const fast = { snapshotInterval: '10ms' };

describe('snapshots', () => {
  it('are asked for again and again, and each is a frame at once', async () => {
    await using server = await serve(picture);
    await using rig = new Rig({ url: `http://${server.host}/snap.jpg`, ...fast }, { ffmpeg });
    using frame = await rig.camera.next(rig.stopping.signal);
    expect(frame).toMatchObject({ number: 0, source: { width: 320, height: 200 } });
    await eventually(() => server.count() > 5, 'more requests');
    expect(rig.states[1]).toMatchObject({ state: 'open', source: { width: 320, height: 200 }, fps: 100 });
    expect(rig.camera.stats.pids).toEqual([]);
  });

  it('log in with digest or basic, and tell nobody the password', async () => {
    const isRight = (header: string): boolean => {
      if (header.startsWith('Basic ')) return header === `Basic ${Buffer.from('admin:s3cr%t').toString('base64')}`;
      const secret = md5(`admin:cam:s3cr%t`);
      const request = md5(`GET:${field(header, 'uri')}`);
      return (
        field(header, 'response') ===
        md5([secret, 'n1', field(header, 'nc'), field(header, 'cnonce'), 'auth', request].join(':'))
      );
    };
    for (const challenge of ['Digest realm="cam", nonce="n1", qop="auth"', 'Basic realm="cam"']) {
      await using server = await serve((request, response, count) => {
        if (isRight(request.headers.authorization ?? '')) picture(request, response, count);
        else response.writeHead(401, { 'www-authenticate': challenge }).end();
      });
      await using rig = new Rig({ url: `http://admin:s3cr%25t@${server.host}/snap?channel=1`, ...fast }, { ffmpeg });
      await rig.state('open');
      const lines: string[] = [];
      const url = `http://admin:wr0ng-pass@${server.host}/snap?key=k3y-99`;
      await using refused = new Rig({ url }, { ffmpeg, log: recordingLog(lines) });
      expect(await refused.state('down')).toMatchObject({ code: 'source-unauthorized' });
      expect(lines.join('\n') + JSON.stringify(refused.states)).not.toMatch(/wr0ng|k3y-99|admin:/);
    }
  });

  it('one bad answer is left out, a camera that stays bad is down', async () => {
    let broken = false;
    await using server = await serve((request, response, count) => {
      if (broken || count % 2 === 1) response.writeHead(500).end('oops');
      else picture(request, response, count);
    });
    const url = `http://${server.host}/snap`;
    await using rig = new Rig({ url, ...fast, stallAfter: '300ms' }, { ffmpeg, random: soon });
    await eventually(() => rig.camera.stats.decoded > 5, 'frames between bad answers');
    expect(rig.states.map(({ state }) => state)).toEqual(['opening', 'open']);
    broken = true;
    expect(await rig.state('down')).toMatchObject({ code: 'source-refused', detail: 'The camera answered 500.' });
  });

  const cases: readonly [string, Answer, string][] = [
    ['500', (_q, response) => void response.writeHead(500).end(), 'source-refused'],
    ['404', (_q, response) => void response.writeHead(404).end(), 'source-not-found'],
    [
      'a redirect',
      (_q, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'source-refused',
    ],
    [
      'HTML',
      (_q, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      'source-unreadable',
    ],
    [
      'HTML that says it is a picture',
      (_q, response) => void response.writeHead(200, { 'content-type': 'image/jpeg' }).end('<html>'),
      'picture-unreadable',
    ],
    [
      'half a picture',
      (_q, response) => void response.writeHead(200, { 'content-type': 'image/jpeg' }).end(jpeg.subarray(0, 500)),
      'picture-unreadable',
    ],
    [
      'nothing',
      (_q, response) => void response.writeHead(200, { 'content-type': 'image/jpeg' }).end(),
      'picture-unreadable',
    ],
    ['an endless body', endless, 'picture-too-large'],
    [
      'a body that never comes',
      (_q, response) => response.writeHead(200, { 'content-type': 'image/jpeg' }).flushHeaders(),
      'source-unreachable',
    ],
    ['no head', () => undefined, 'source-unreachable'],
    [
      'a playlist',
      (_q, response) =>
        void response.writeHead(200, { 'content-type': 'application/vnd.apple.mpegurl' }).end('#EXTM3U'),
      'source-unsupported',
    ],
  ];
  it.each(cases)('%s is an error with a hint, and keeps no socket', async (_title, answer, code) => {
    await using server = await serve(answer);
    await using rig = new Rig({ url: `http://${server.host}/snap`, stallAfter: '500ms' }, { ffmpeg, frames: 'every' });
    expect(await rig.ended).toMatchObject({ code });
    await eventually(() => server.open() === 0 || server.count() > 0, 'an answer');
    expect(rig.camera.stats.decoded).toBe(0);
  });

  it('a server that is not there', async () => {
    const server = await serve(picture);
    await server[Symbol.asyncDispose]();
    await using rig = new Rig({ url: `http://${server.host}/snap` }, { ffmpeg });
    expect(await rig.state('down')).toMatchObject({
      code: 'source-unreachable',
      detail: expect.stringContaining('ECONNREFUSED') as string,
    });
  });
});

describe('streams', () => {
  const part = Buffer.concat([Buffer.from('--edge\r\nContent-Type: image/jpeg\r\n\r\n'), jpeg, Buffer.from('\r\n')]);

  it('of JPEGs are frames without ffmpeg', async () => {
    await using server = await serve(
      mjpegStream((response) => {
        response.write(part.subarray(0, 100));
        response.write(part.subarray(100));
        return true;
      }),
    );
    await using rig = new Rig({ url: `http://${server.host}/video` }, { ffmpeg });
    expect(await rig.read(20)).toBe(20);
    expect(rig.camera.stats).toMatchObject({ pids: [], source: { width: 320, height: 200 } });
  });

  it('that stop are stalled, that end have ended', async () => {
    for (const [finish, code] of [
      [false, 'source-stalled'],
      [true, 'source-ended'],
    ] as const) {
      await using server = await serve(
        mjpegStream((response, index) => {
          if (index < 10) return response.write(part) || true;
          if (finish) response.end();
          return false;
        }),
      );
      await using rig = new Rig({ url: `http://${server.host}/video`, stallAfter: '300ms' }, { ffmpeg });
      await rig.state('open');
      expect(await rig.state('down')).toMatchObject({ code });
    }
  });

  it.each(ffmpegs)('of video go through ffmpeg $name, which never sees the address', async ({ ffmpeg: one }) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'video.ts');
    makeVideo(
      ffmpeg,
      path,
      '-f',
      'lavfi',
      '-i',
      'testsrc2=s=320x240:r=25:d=4',
      '-c:v',
      'libx264',
      '-g',
      '10',
      '-bf',
      '0',
    );
    const video = readFileSync(path);
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'video/mp2t' });
      response.write(video);
    });
    const url = `http://admin:s3cret@${server.host}/live.ts`;
    await using rig = new Rig({ url, stallAfter: '2s' }, { ffmpeg: one });
    await rig.state('open');
    const pids = rig.camera.stats.pids;
    for (const pid of pids) expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toMatch(/s3cret|127\.0\.0\.1/);
    expect(await rig.state('down')).toMatchObject({ code: 'source-stalled' });
    await eventually(() => !pids.some(isRunning), 'ffmpeg is gone');
  });

  it('of noise are an error', async () => {
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(Buffer.alloc(300_000, 'noise '));
    });
    await using rig = new Rig({ url: `http://${server.host}/x` }, { ffmpeg, frames: 'every' });
    expect(await rig.ended).toMatchObject({ code: 'source-unreadable' });
  });
});
