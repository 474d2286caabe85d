/** RTSP cameras: a real server with three codecs, two ffmpegs; cameras that are not there, refuse, die and freeze. */
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { once } from 'node:events';
import { expect, describe, it } from 'vitest';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith } from '#agent/testing/require.ts';
import { Rig, RtspServer, freePort, isRunning, knownFfmpegs, needsRtspServer, recordingLog } from './test-rig.ts';

const ffmpegs = await knownFfmpegs();
const [own] = ffmpegs;
if (!own) throw new Error('no ffmpeg');
const { ffmpeg } = own;
const soon = () => 0;

describeWith('a real RTSP server', [needsRtspServer], () => {
  it.each(['h264', 'h265', 'mjpeg'] as const)('sends %s, to every ffmpeg', async (codec) => {
    await using server = await RtspServer.start(codec);
    for (const { ffmpeg: one } of ffmpegs) {
      const pictures = { everyFrames: 5, maxWidth: 640, keep: 4 };
      await using rig = new Rig({ url: server.url }, { ffmpeg: one, pictures });
      expect(await rig.state('open')).toMatchObject({ source: { width: 1280, height: 720 } });
      await rig.read(20);
      expect(await eventually(() => rig.camera.picture(15), 'a picture')).toMatchObject({
        size: { width: 640, height: 360 },
      });
    }
  });

  it('dies and comes back: the camera is down, then open again', async () => {
    for (const { ffmpeg: one } of ffmpegs) {
      const port = await freePort();
      await using rig = await (async () => {
        await using server = await RtspServer.start('h264', port);
        const camera = new Rig({ url: server.url }, { ffmpeg: one, random: soon });
        await camera.state('open');
        return camera;
      })();
      expect(await rig.state('down')).toMatchObject({
        code: expect.stringMatching(/^source-(ended|unreachable)$/) as string,
      });
      await using again = await RtspServer.start('h264', port);
      expect(again.url).toContain(String(port));
      await rig.state('open', 2);
      expect(rig.camera.stats.reopened).toBeGreaterThanOrEqual(1);
    }
  });

  it.each(ffmpegs)(
    'freezes: only frames tell, and no other camera is disturbed (ffmpeg $name)',
    async ({ ffmpeg: one }) => {
      await using frozen = await RtspServer.start('h264');
      await using flowing = await RtspServer.start('h264');
      await using first = new Rig({ url: frozen.url, stallAfter: '1s' }, { ffmpeg: one, random: soon });
      await using second = new Rig({ url: flowing.url, stallAfter: '5s' }, { ffmpeg: one, random: soon });
      await Promise.all([first.state('open'), second.state('open')]);
      const pids = first.camera.stats.pids;
      frozen.toggleFreeze();
      expect(await first.state('down')).toMatchObject({ code: 'source-stalled', detail: 'No frame came for 1s.' });
      await eventually(() => !pids.some(isRunning), 'the stalled ffmpeg is gone');
      const before = second.camera.stats.decoded;
      await eventually(() => second.camera.stats.decoded > before + 10, 'frames of the other camera');
      expect(second.states.some(({ state }) => state === 'down')).toBe(false);
      frozen.toggleFreeze();
      await first.state('open', 2);
    },
  );

  it('leaves no ffmpeg behind when the owner of a frozen camera is killed', async () => {
    const { spawn } = await import('node:child_process');
    await using server = await RtspServer.start('mjpeg');
    const rig = JSON.stringify(`${import.meta.dirname}/test-rig.ts`);
    const script = `import { Rig, knownFfmpegs } from ${rig};
      const [{ ffmpeg }] = await knownFfmpegs();
      const rig = new Rig({ url: '${server.url}', stallAfter: '1h' }, { ffmpeg });
      await rig.state('open'); console.log(rig.camera.stats.pids.join(' '));`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(owner.stdout, 'data')) as [Buffer];
    const pids = said.toString().trim().split(' ').map(Number);
    server.toggleFreeze();
    expect(pids.map(isRunning)).toEqual([true]);
    owner.kill('SIGKILL');
    await eventually(() => !pids.some(isRunning), 'no ffmpeg left');
  });
});

/** Answers every request of an RTSP client with one status line, or never. */
async function rudeServer(answer: string | undefined): Promise<AsyncDisposable & { readonly host: string }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (request) => {
      const sequence = /CSeq: (\d+)/i.exec(request.toString())?.[1] ?? '1';
      if (answer) socket.write(answer.replace('SEQ', sequence));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describe.each(ffmpegs)('a camera that does not give a stream (ffmpeg $name)', ({ ffmpeg: one }) => {
  it.each([
    [
      'RTSP/1.0 401 Unauthorized\r\nCSeq: SEQ\r\nWWW-Authenticate: Digest realm="cam", nonce="abc"\r\n\r\n',
      'source-unauthorized',
    ],
    ['RTSP/1.0 401 Unauthorized\r\nCSeq: SEQ\r\nWWW-Authenticate: Basic realm="cam"\r\n\r\n', 'source-unauthorized'],
    ['RTSP/1.0 404 Not Found\r\nCSeq: SEQ\r\n\r\n', 'source-not-found'],
    ['RTSP/1.0 503 Service Unavailable\r\nCSeq: SEQ\r\n\r\n', 'source-refused'],
  ])('answers %j', async (answer, code) => {
    await using server = await rudeServer(answer);
    const lines: string[] = [];
    const url = `rtsp://admin:s3cr%25t-W0rd@${server.host}/live?token=t0ken-77`;
    await using rig = new Rig({ url }, { ffmpeg: one, log: recordingLog(lines) });
    const down = await rig.state('down');
    expect(down).toMatchObject({ code });
    expect(down.hint?.length).toBeGreaterThan(10);
    const everything = lines.join('\n') + JSON.stringify(rig.states);
    expect(everything).toContain('down');
    expect(everything).not.toMatch(/admin:|s3cr|W0rd|t0ken-77/);
  });

  it('is not there, and then is asked again with a longer wait', async () => {
    const url = `rtsp://127.0.0.1:${await freePort()}/cam`;
    await using rig = new Rig({ url }, { ffmpeg: one, random: soon });
    expect(await rig.state('down')).toMatchObject({ code: 'source-unreachable' });
    await rig.state('down', 2);
    expect(rig.camera.stats.reopened).toBeGreaterThanOrEqual(2);
  });

  it('accepts and says nothing: it can be left at any moment', async () => {
    await using server = await rudeServer(undefined);
    const rig = new Rig({ url: `rtsp://${server.host}/cam` }, { ffmpeg: one });
    const [pid] = await eventually(() => rig.camera.stats.pids.length > 0 && rig.camera.stats.pids, 'an ffmpeg');
    rig.stopping.abort();
    expect(await rig.ended).toBeUndefined();
    expect(pid && isRunning(pid)).toBe(false);
  });
});

it('in a replay a camera that is not there is an error at once', async () => {
  await using rig = new Rig({ url: `rtsp://127.0.0.1:${await freePort()}/cam` }, { ffmpeg, frames: 'every' });
  expect(await rig.ended).toMatchObject({ code: 'source-unreachable', kind: 'peer' });
});
