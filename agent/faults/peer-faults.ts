/**
 * What others lose: 20,000 events are handed over while the line is down, the process is killed with -9 and started again,
 * the line comes back. Rows to compare with; nothing here has to hold.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, connectAsync } from 'mqtt';
import { freePort, Mosquitto } from '#agent/testing/broker.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsProgram, type Requirement } from '#agent/testing/require.ts';
import type { Fault, Outcome } from './fault.ts';

/** Everything that arrives at the other end, by its number. */
class Listener implements AsyncDisposable {
  readonly seen = new Set<string>();
  twice = 0;
  readonly #client: ReturnType<typeof connect>;

  constructor(url: string) {
    this.#client = connect(url, { clientId: 'peer-listener', clean: false, reconnectPeriod: 100 });
    this.#client.on('error', () => undefined);
    this.#client.on('message', (_topic, payload) => {
      const number = payload.toString('utf8', 0, 12).split(' ')[0] ?? '';
      if (this.seen.has(number)) this.twice += 1;
      this.seen.add(number);
    });
    this.#client.on('connect', () => void this.#client.subscribeAsync('peer/events', { qos: 1 }));
  }

  /** Until nothing more has come for a while. */
  async settled(): Promise<void> {
    for (let waited = 0; this.seen.size === 0 && waited < 20_000; waited += 200) await delay(200);
    await eventually(async () => {
      const before = this.seen.size;
      await delay(6_000);
      return this.seen.size === before;
    }, 'nothing more arrives');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }
}

const outcome = (sent: number, { seen, twice }: Listener): Outcome => ({
  runs: 1,
  acknowledged: sent,
  lost: sent - seen.size,
  wrong: twice,
  declared: 0,
  worstStartMs: 0,
  notes: [],
});

/** @param lines of the bridge's own broker; `isKilled`: with -9, while all of it waits */
const bridge = (name: string, what: string, lines: readonly string[], isKilled: boolean): Fault => ({
  name,
  point: 7,
  what,
  full: 20_000,
  small: 500,
  isPeer: true,
  needs: [needsProgram('mosquitto')],
  async run(count) {
    await using remote = await Mosquitto.start();
    await using listener = new Listener(remote.url);
    await using local = await Mosquitto.start([
      'allow_anonymous true',
      ...lines,
      'connection up',
      `address 127.0.0.1:${remote.port}`,
      'topic peer/# out 1',
      'cleansession false',
      'restart_timeout 1',
    ]);
    await delay(1_500);
    await remote.kill('SIGTERM');
    const client = await connectAsync(local.url, { clientId: 'peer-feeder' });
    for (let sent = 0; sent < count; sent += 100) {
      const group = Array.from(
        { length: Math.min(100, count - sent) },
        (_none, n) => `${sent + n} ${'x'.repeat(1_000)}`,
      );
      await Promise.all(group.map(async (payload) => await client.publishAsync('peer/events', payload, { qos: 1 })));
    }
    await client.endAsync();
    if (isKilled) {
      await delay(500);
      await local.kill();
      await local.restart();
    }
    await remote.restart();
    await listener.settled();
    return outcome(count, listener);
  },
});

/** `mqtt-level-store` is no dependency of Outpost: `npm install --prefix DIR mqtt-level-store@3.1.0`, OUTPOST_PEERS=DIR. */
const levelStore = (): string => resolve(process.env['OUTPOST_PEERS'] ?? '/nowhere', 'node_modules/mqtt-level-store');
const needsLevelStore: Requirement = () =>
  existsSync(levelStore())
    ? undefined
    : 'mqtt-level-store (npm install --prefix DIR mqtt-level-store@3.1.0, OUTPOST_PEERS=DIR)';

const library = (name: string, what: string, needs: readonly Requirement[], isLevel: boolean): Fault => ({
  name,
  point: 7,
  what,
  full: 20_000,
  small: 500,
  isPeer: true,
  needs: [needsProgram('mosquitto'), ...needs],
  async run(count, folder) {
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    const store = isLevel ? [levelStore(), `${folder}/level`] : [];
    const first = publisher(url, count, store);
    await said(first, 'taken');
    await end(first);
    await using broker = await Mosquitto.start();
    await using listener = new Listener(broker.url);
    await delay(500);
    const second = publisher(broker.url, 0, store);
    try {
      await said(second, 'connected');
      await listener.settled();
    } finally {
      await end(second);
    }
    return outcome(count, listener);
  },
});

const publisher = (url: string, count: number, store: readonly string[]): ChildProcess =>
  spawn(process.execPath, [resolve(import.meta.dirname, 'peer-publisher.ts'), url, String(count), ...store], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

async function said(child: ChildProcess, word: string): Promise<void> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(`The publisher ended with ${child.exitCode}.`);
    return text.includes(word);
  }, `the publisher says ${word}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

const defaults = ['persistence false', 'max_queued_messages 1000'];
const tuned = ['autosave_interval 1', 'max_queued_messages 0', 'max_inflight_messages 1000'];

export const peerFaults: readonly Fault[] = [
  bridge('peer-bridge-defaults', 'mosquitto as a bridge, defaults, not killed', defaults, false),
  bridge('peer-bridge-defaults-killed', 'mosquitto as a bridge, defaults, killed', defaults, true),
  bridge('peer-bridge-tuned-killed', 'mosquitto as a bridge, unlimited queue saved every second, killed', tuned, true),
  library('peer-mqtt-js', 'mqtt.js with its memory store, killed', [], false),
  library('peer-level-store', 'mqtt.js with mqtt-level-store, killed', [needsLevelStore], true),
];
