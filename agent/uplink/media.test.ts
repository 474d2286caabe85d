import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { mediaEvents } from '#agent/evidence/chunks.ts';
import { Mosquitto } from '#agent/testing/broker.ts';
import { TestConsumer } from '#agent/testing/consumer.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { depth, many, openStore, startUplink } from './test-rig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-media-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const picture = (id: string, bytes: Uint8Array) =>
  mediaEvents({ id, mediaType: 'image/jpeg', bytes, subject: 'camera/front', wallMs: 0, monoMs: 1 });

interface Part {
  readonly id: string;
  readonly sha256: string;
  readonly chunk: number;
  readonly chunks: number;
  readonly content: string;
}

/** The pieces of which every part has arrived, joined. */
function joined(parts: readonly Part[]): ReadonlyMap<string, Buffer> {
  const ids = new Set(parts.map(({ id }) => id));
  const whole = new Map<string, Buffer>();
  for (const id of ids) {
    const of = new Map(parts.filter((part) => part.id === id).map((part) => [part.chunk, part]));
    const last = of.get(0);
    if (!last || of.size < last.chunks) continue;
    const bytes = Buffer.concat(
      [...of.values()].toSorted((a, b) => a.chunk - b.chunk).map(({ content }) => Buffer.from(content, 'base64')),
    );
    expect(hash(bytes)).toBe(last.sha256);
    whole.set(id, bytes);
  }
  return whole;
}

describeWith('pictures on lane media, over mosquitto', [needsProgram('mosquitto')], () => {
  it('arrive whole, below the events, though the broker is killed between their parts', async () => {
    await using broker = await Mosquitto.start();
    await using outbox = await openStore(folder);
    const pictures = new Map([1, 2, 3, 4].map((n) => [`front-1-${n}`, randomBytes(700_000 + n)]));
    for (const [id, bytes] of pictures) await outbox.append(picture(id, bytes));
    await outbox.append(many('event', 200));
    await using consumer = await TestConsumer.connect(broker.url);
    const parts: Part[] = [];
    const order: string[] = [];
    consumer.client.on('message', (topic, payload) => {
      order.push(topic.split('/').at(-1) ?? '');
      if (!topic.endsWith('/up/media')) return;
      const received = JSON.parse(payload.toString()) as { data: Part } | { data: Part }[];
      parts.push(...[received].flat().map(({ data }) => data));
    });
    await using running = startUplink(outbox, { url: broker.url, consumers: [consumer.signer.publicBase64] });
    await eventually(() => parts.length >= 5, 'the first parts are there');
    expect(order.indexOf('media')).toBeGreaterThan(order.lastIndexOf('event'));
    await broker.kill();
    await broker.restart();
    await eventually(async () => {
      await consumer.say();
      return depth(outbox) === 0;
    }, 'the outbox is empty');
    expect(joined(parts).size).toBe(pictures.size);
    for (const [id, bytes] of joined(parts)) expect(hash(bytes)).toBe(hash(pictures.get(id) ?? Buffer.alloc(0)));
    expect(running.uplink.status.poison).toBe(0);
  });
});
