/**
 * What waits, handed to a broker: by the outbox and the uplink with durable deletes, over TCP and mTLS, and by mosquitto's
 * own bridge.
 *
 *   200,000 events -> uplink --------------------> mosquitto -> a subscriber
 *   the same, as messages -> mosquitto =bridge===> mosquitto
 */
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import { silentLog } from '#agent/core/log.ts';
import { systemRandom } from '#agent/core/random.ts';
import type { Outbox } from '#agent/outbox/outbox.ts';
import { Uplink } from '#agent/uplink/uplink.ts';
import { uplinkSchema } from '#config/schema.ts';
import { Broker, connect, Subscriber } from './bench-mosquitto.ts';
import { fillTo, openBenchOutbox } from './bench-outbox-store.ts';
import { type BenchRow, median } from './bench-row.ts';
import { note } from './output.ts';

const pollMs = 2;

export async function drainRows(folder: string, events: number, rounds: number): Promise<readonly BenchRow[]> {
  if (spawnSync('mosquitto', ['-h']).error) {
    note('Without mosquitto the drain is left out.');
    return [];
  }
  await makeCertificates(folder);
  await using outbox = await openBenchOutbox(join(folder, 'drain'));
  const [plain, tls, bridge]: [number[], number[], number[]] = [[], [], []];
  for (let round = 1; round <= rounds; round += 1) {
    plain.push(await drainRate(outbox, folder, events, false));
    tls.push(await drainRate(outbox, folder, events, true));
    bridge.push(await bridgeRate(folder, events));
    const shown = [plain, tls, bridge].map((rates) => Math.round(rates.at(-1) ?? 0));
    note(
      `round ${round} of ${rounds}: drain ${shown[0]}, over mTLS ${shown[1]}, mosquitto bridge ${shown[2]} events/s`,
    );
  }
  const row = (what: string, ours: number, against: number, goal: number): BenchRow => ({
    what,
    ours: Math.round(ours).toLocaleString('en'),
    against: Math.round(against).toLocaleString('en'),
    ratio: ours / against,
    goal: `>= ${goal}`,
    met: ours / against >= goal,
  });
  const count = events.toLocaleString('en');
  return [
    row(`drain of ${count} events of 1 KiB with durable deletes, events/s`, median(plain), 120_000, 1),
    row('the same against a mosquitto bridge', median(plain), median(bridge), 2),
    row('over mTLS against plain', median(tls), median(plain), 0.4),
  ];
}

async function drainRate(outbox: Outbox, folder: string, events: number, isTls: boolean): Promise<number> {
  await fillTo(outbox, events);
  await using broker = await Broker.start(folder, isTls ? tlsLines(folder) : []);
  await using subscriber = await Subscriber.start(broker.port, folder, isTls);
  const certificates = isTls
    ? { ca: join(folder, 'ca.crt'), certificate: join(folder, 'client.crt'), key: join(folder, 'client.key') }
    : {};
  const config = uplinkSchema.parse({ url: `${isTls ? 'mqtts' : 'mqtt'}://localhost:${broker.port}`, ...certificates });
  const ending = new AbortController();
  const uplink = new Uplink({
    outbox,
    config,
    device: 'bench',
    health: new Health(systemClock),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  const running = uplink.run(ending.signal);
  try {
    while (outbox.state.event.depth === events) await systemClock.sleep(pollMs);
    const [begin, from] = [systemClock.monoMs(), outbox.state.event.depth];
    while (outbox.state.event.depth > 0 && subscriber.isThere) await systemClock.sleep(pollMs);
    return (from * 1_000) / (systemClock.monoMs() - begin);
  } finally {
    ending.abort();
    await running;
  }
}

/** One mosquitto hands what it holds to another, as fast as it will. */
async function bridgeRate(folder: string, events: number): Promise<number> {
  await using broker = await Broker.start(folder, []);
  await using subscriber = await Subscriber.start(broker.port, folder, false);
  await using local = await Broker.start(folder, [
    'connection up',
    `address 127.0.0.1:${broker.port}`,
    'topic # out 1',
    'cleansession false',
    'start_type automatic',
    'restart_timeout 1',
    'max_inflight_messages 1000',
  ]);
  broker.pause();
  const line = await connect(local.port);
  const payload = Buffer.alloc(1_024, 'x');
  for (let sent = 0; sent < events; sent += 500) {
    await Promise.all(Array.from({ length: 500 }, async () => await line.publish('bench', payload)));
  }
  await line.end();
  const before = subscriber.messages;
  broker.resume();
  while (subscriber.messages === before) await systemClock.sleep(pollMs);
  const [begin, from] = [systemClock.monoMs(), subscriber.messages];
  // what a bridge gives up itself never comes: the end is when nothing more does
  let [last, lastAt] = [from, begin];
  while (systemClock.monoMs() - lastAt < 2_000) {
    if (subscriber.messages > last) [last, lastAt] = [subscriber.messages, systemClock.monoMs()];
    await systemClock.sleep(pollMs);
  }
  return ((last - from) * 1_000) / Math.max(1, lastAt - begin);
}

const tlsLines = (folder: string): string[] => [
  `cafile ${join(folder, 'ca.crt')}`,
  `certfile ${join(folder, 'server.crt')}`,
  `keyfile ${join(folder, 'server.key')}`,
  'require_certificate true',
];

/** A certificate authority for this run, a server and a client of it. */
async function makeCertificates(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const openssl = (...parameters: readonly string[]): void => {
    const { status, stderr } = spawnSync('openssl', parameters, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl: ${stderr}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=bench-ca');
  await writeFile(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  for (const who of ['server', 'client']) {
    openssl('req', ...key, '-keyout', `${who}.key`, '-out', `${who}.csr`, '-subj', `/CN=${who}`);
    const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
    openssl('x509', '-req', '-in', `${who}.csr`, ...signing, '-out', `${who}.crt`);
  }
}
