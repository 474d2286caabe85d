import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Mosquitto } from '#agent/testing/broker.ts';
import { type Issued, type IssueOptions, TestAuthority } from '#agent/testing/certificates.ts';
import { TestConsumer } from '#agent/testing/consumer.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { forgedEpoch, intrude } from '#agent/testing/intruder.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { depth, event, many, openStore, startUplink } from './test-rig.ts';

let folder: string;
let authority: TestAuthority;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outpost-mtls-'));
  authority = await TestAuthority.create();
});
afterEach(async () => {
  await authority[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const dayMs = 86_400_000;
const fromNow = (ms: number): Date => new Date(Date.now() + ms);
const example = join(import.meta.dirname, '../../packaging/brokers/mosquitto');

/** Mosquitto by the example in packaging/brokers, on a port of its own. */
async function startExample(server?: IssueOptions): Promise<Mosquitto> {
  const { certificate, key } = await authority.issue('broker', server);
  const lines = (await readFile(join(example, 'mosquitto.conf'), 'utf8'))
    .split('\n')
    .filter((line) => !/^(#|listener|persistence|autosave_interval|max_queued_messages|$)/.test(line))
    .map((line) => line.replace('/etc/mosquitto/outpost', '{folder}'));
  return await Mosquitto.start(lines, {
    'ca.crt': authority.certificate,
    'server.crt': certificate,
    'server.key': key,
    acl: await readFile(join(example, 'acl'), 'utf8'),
  });
}

/** As a tool that renews writes them: key first, each by renaming. */
async function install({ certificate, key }: Issued): Promise<void> {
  for (const [name, text] of [
    ['device.key', key],
    ['device.crt', certificate],
  ] as const) {
    await writeFile(join(folder, `${name}.new`), text);
    await rename(join(folder, `${name}.new`), join(folder, name));
  }
}

async function deviceConfig(broker: Mosquitto, options?: IssueOptions): Promise<Record<string, string>> {
  await writeFile(join(folder, 'ca.crt'), authority.certificate);
  await install(await authority.issue('robot-07', options));
  const { url } = broker;
  return { url, ca: join(folder, 'ca.crt'), certificate: join(folder, 'device.crt'), key: join(folder, 'device.key') };
}

async function connectSink(broker: Mosquitto): Promise<TestConsumer> {
  const { certificate, key } = await authority.issue('outpost-sink');
  return await TestConsumer.connect(broker.url, {
    ca: authority.certificate,
    cert: certificate,
    key,
    protocolVersion: 5,
  });
}

describeWith('mutual TLS with mosquitto, by the example', [needsProgram('mosquitto'), needsProgram('openssl')], () => {
  it('delivers, and keeps the neighbour out', async () => {
    await using broker = await startExample();
    await using consumer = await connectSink(broker);
    await using outbox = await openStore(folder);
    await outbox.append([...many('event', 100), ...many('alarm', 2)]);
    const config = await deviceConfig(broker);
    await using running = startUplink(outbox, { ...config, consumers: [consumer.signer.publicBase64] });
    const { epoch } = outbox;
    await eventually(() => consumer.has(epoch, 'event') === 100 && consumer.has(epoch, 'alarm') === 2, 'it is there');
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty');
    expect(running.codes()).toEqual([]);

    expect(await consumer.hearsDown('robot-09')).toEqual(['down/cmd', 'down/desired']);
    const { certificate: cert, key } = await authority.issue('robot-08');
    expect(await intrude(broker.url, { ca: authority.certificate, cert, key, protocolVersion: 5 })).toEqual([]);
    await outbox.append([event('event', 101)]);
    await eventually(() => consumer.has(epoch, 'event') === 101, 'the next one is there');
    await consumer.say();
    await eventually(() => depth(outbox) === 0, 'the outbox is empty again');
    expect(consumer.committed.has(forgedEpoch)).toBe(false);
  });

  it('takes a new certificate on the fly, without losing or repeating an event', async () => {
    await using broker = await startExample();
    await using consumer = await connectSink(broker);
    await using outbox = await openStore(folder);
    const { epoch } = outbox;
    const config = await deviceConfig(broker, { from: fromNow(-29 * dayMs), until: fromNow(dayMs) });
    await using running = startUplink(outbox, { ...config, consumers: [consumer.signer.publicBase64] });
    await eventually(() => running.uplink.status.connected && running.uplink.status.alarmConnected, 'connected');
    await eventually(() => running.codes().includes('certificate-old'), 'two thirds of its life are over');

    // half of an exchange: the line goes on, and it is said
    const next = await authority.issue('robot-07');
    await copyFile(join(folder, 'device.key'), join(folder, 'old.key'));
    await writeFile(join(folder, 'device.key'), next.key);
    await eventually(() => running.codes().includes('certificate-unusable'), 'the half exchange is said');
    expect(running.uplink.status.connected).toBe(true);

    let appended = 0;
    const producing = (async () => {
      while (running.codes().includes('certificate-old') || appended < 1_000) {
        await outbox.append(many('event', 20, appended + 1));
        appended += 20;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await install(next);
    await eventually(() => running.codes().length === 0, 'the new one is in use');
    await producing;
    await eventually(() => running.uplink.status.connected, 'connected again');
    // As a sink does, while they come: a device does not send more than 128 publishes ahead of the consumer's word.
    await eventually(async () => {
      await consumer.say();
      return depth(outbox) === 0;
    }, 'the outbox is empty');
    expect(consumer.has(epoch, 'event')).toBe(appended);
    expect(running.uplink.status.lastError).toBeUndefined();
  });

  it('says that its certificate has expired, keeps what waits, and goes on with another at once', async () => {
    await using broker = await startExample();
    await using consumer = await connectSink(broker);
    await using outbox = await openStore(folder);
    await outbox.append(many('event', 10));
    const config = await deviceConfig(broker, { from: fromNow(-30 * dayMs), until: fromNow(-dayMs) });
    await using running = startUplink(outbox, { ...config, consumers: [consumer.signer.publicBase64] });
    const error = await eventually(() => running.uplink.status.lastError, 'the refusal is told');
    expect(error.code).toBe('certificate-expired');
    expect(error.message).toContain('until');
    expect(running.codes()).toEqual(expect.arrayContaining(['uplink-down', 'certificate-old']));
    expect(depth(outbox)).toBe(10);
    await install(await authority.issue('robot-07'));
    await eventually(() => consumer.has(outbox.epoch, 'event') === 10, 'everything is there');
    await eventually(() => running.codes().length === 0, 'health is clean');
  });

  it('says that a certificate is not valid yet: its own, and the broker’s', async () => {
    await using broker = await startExample();
    await using outbox = await openStore(folder);
    const early = { from: fromNow(2 * dayMs), until: fromNow(30 * dayMs) };
    {
      await using running = startUplink(outbox, await deviceConfig(broker, early));
      const error = await eventually(() => running.uplink.status.lastError, 'the refusal is told');
      expect(error.code).toBe('certificate-not-yet-valid');
      expect(error.hint).toContain('clock');
    }
    await using other = await startExample(early);
    await using running = startUplink(outbox, await deviceConfig(other));
    const error = await eventually(() => running.uplink.status.lastError, 'the refusal is told');
    expect(error.code).toBe('broker-certificate-not-yet-valid');
    await using expired = await startExample({ from: fromNow(-9 * dayMs), until: fromNow(-dayMs) });
    await using third = startUplink(outbox, await deviceConfig(expired));
    expect((await eventually(() => third.uplink.status.lastError, 'the refusal is told')).code).toBe(
      'broker-certificate-expired',
    );
  });
});
