/** What happens between the device and the database: killed processes, bad lines, brokers that forget or refuse. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Mosquitto } from '#agent/testing/broker.ts';
import { type Issued, TestAuthority } from '#agent/testing/certificates.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsPostgres, Postgres } from '#agent/testing/postgres.ts';
import { needsProgram } from '#agent/testing/require.ts';
import { Account } from './account.ts';
import { Chain } from './chain.ts';
import { postgresDatabase } from './chain-database.ts';
import type { Fault, Outcome } from './fault.ts';
import { Namespace, needsNamespaces } from './namespace.ts';

const randomInt = (from: number, to: number): number => from + Math.floor(Math.random() * (to - from + 1));

interface ChainFault {
  readonly name: string;
  readonly point: number;
  readonly what: string;
  readonly full: number;
  readonly small: number;
  /** @param n from 1; the chain is under load, and is to be whole again when it returns */
  readonly disturb: (chain: Chain, broker: Mosquitto, n: number) => Promise<void>;
  readonly lines?: readonly string[];
}

/** One chain, disturbed as often as asked for, then drained and compared. */
const onChain = ({ disturb, lines = [], ...about }: ChainFault): Fault => ({
  ...about,
  needs: [needsProgram('mosquitto')],
  async run(count, folder) {
    const account = new Account();
    await using broker = await Mosquitto.start(['allow_anonymous true', ...lines]);
    await using chain = await Chain.start({ folder, account, brokerUrl: broker.url });
    await eventually(() => chain.rows > 0, 'the first events are committed');
    for (let n = 1; n <= count; n += 1) await disturb(chain, broker, n);
    await chain.drain();
    return settle(chain, account, count);
  },
});

/** Everything that was taken is in the database once, with the text that was written, or was declared. */
function settle(chain: Chain, account: Account, runs: number): Outcome {
  const { there, rows, gone } = chain.stored();
  const lost = [...account.taken.keys()].filter((number) => !there.has(number) && !gone.has(number));
  const other = [...account.taken].filter(([number, marker]) => there.has(number) && there.get(number) !== marker);
  const markers = [...there.values()].filter((marker) => !marker.startsWith('outpost.'));
  const twice = markers.length - new Set(markers).size;
  const verdict = chain.verify();
  const notes = [
    ...lost.slice(0, 5).map((number) => `lost ${number}`),
    ...other.slice(0, 5).map(([number]) => `other text ${number}`),
    ...(verdict.lost === 0 && verdict.status === 0 ? [] : [`FAILED outpost verify: ${verdict.text.slice(0, 300)}`]),
  ];
  return {
    runs,
    acknowledged: account.taken.size,
    lost: lost.length,
    wrong: other.length + twice + (rows - there.size),
    declared: gone.size,
    worstStartMs: 0,
    notes,
  };
}

const moment = async (): Promise<void> => await delay(randomInt(50, 400));

/** Something that is killed at some moment under load, and started again at another. */
interface Victim {
  kill(): Promise<void>;
  start(): Promise<void> | void;
}

const victims = (chain: Chain, broker: Mosquitto): readonly Victim[] => [
  { kill: async () => await broker.kill(), start: async () => await broker.restart() },
  { kill: async () => await chain.killSink(), start: () => chain.startSink() },
  { kill: async () => await chain.killDevice(), start: () => chain.startDevice() },
];

async function killOne(chain: Chain, all: readonly Victim[], n: number): Promise<void> {
  const victim = all[(n - 1) % all.length];
  await moment();
  await victim?.kill();
  await moment();
  await victim?.start();
  const before = chain.taken;
  await eventually(() => chain.taken > before + 20, 'it goes on');
}

const chainKill = onChain({
  name: 'chain-kill',
  point: 1,
  what: 'SIGKILL of device, broker or sink at random under load, custody consumer, from the device to the table',
  full: 100,
  small: 4,
  disturb: async (chain, broker, n) => await killOne(chain, victims(chain, broker), n),
});

const chainKillPostgres: Fault = {
  name: 'chain-kill-postgres',
  point: 1,
  what: 'the same on PostgreSQL, whose server is cut off, too (SIGQUIT: no checkpoint, crash recovery)',
  full: 100,
  small: 4,
  needs: [needsProgram('mosquitto'), needsPostgres],
  async run(count, folder) {
    const account = new Account();
    await using server = await Postgres.start();
    await using broker = await Mosquitto.start();
    await using chain = await Chain.start({
      folder,
      account,
      brokerUrl: broker.url,
      database: postgresDatabase(server),
    });
    const all = [
      ...victims(chain, broker),
      { kill: async () => await server.kill(), start: async () => await server.restart() },
    ];
    await eventually(() => chain.rows > 0, 'the first events are committed');
    for (let n = 1; n <= count; n += 1) {
      const before = chain.rows;
      await killOne(chain, all, n);
      await eventually(() => chain.rows > before, 'the database goes on');
    }
    await chain.drain();
    return settle(chain, account, count);
  },
};

const forgetful = onChain({
  name: 'forgetful-broker',
  point: 6,
  what: 'a broker that acknowledges and forgets: nothing kept on its disk, killed again and again',
  full: 20,
  small: 2,
  lines: ['persistence false'],
  async disturb(chain, broker) {
    await delay(randomInt(200, 1_200));
    await broker.kill();
    await broker.restart();
    const before = chain.taken;
    await eventually(() => chain.taken > before + 50, 'it goes on');
  },
});

const nobodyThere = onChain({
  name: 'nobody-there',
  point: 6,
  what: 'no sink for a while: the broker answers PUBACK 16',
  full: 10,
  small: 1,
  async disturb(chain) {
    await chain.killSink();
    await delay(randomInt(500, 2_000));
    chain.startSink();
    const before = chain.rows;
    await eventually(() => chain.rows > before + 20, 'the sink commits again');
  },
});

/** The broker comes back with other lines in its configuration, and again with the right ones. */
const onConfiguration = (
  about: Pick<Fault, 'name' | 'what' | 'full' | 'small'>,
  prepare: (folder: string) => Promise<Prepared>,
): Fault => ({
  ...about,
  point: 6,
  needs: [needsProgram('mosquitto'), needsProgram('openssl')],
  async run(count, folder) {
    const account = new Account();
    const { lines, ca, wrong, right } = await prepare(folder);
    await right();
    await using broker = await Mosquitto.start(lines);
    await using chain = await Chain.start({
      folder,
      account,
      brokerUrl: broker.url,
      ...(ca === undefined ? {} : { ca }),
    });
    await eventually(() => chain.rows > 0, 'the first events are committed');
    for (let n = 1; n <= count; n += 1) {
      for (const configure of [async () => await wrong(n), right]) {
        await configure();
        await broker.kill();
        await broker.restart();
        await delay(randomInt(1_000, 2_500));
      }
      const before = chain.rows;
      await eventually(() => chain.rows > before, 'events arrive again');
    }
    await chain.drain();
    return settle(chain, account, count);
  },
});

interface Prepared {
  readonly lines: readonly string[];
  readonly ca?: string;
  readonly wrong: (n: number) => Promise<void>;
  readonly right: () => Promise<void>;
}

const refusedConnect = onConfiguration(
  { name: 'refused-connect', what: 'the broker refuses CONNECT for a while, then takes it again', full: 10, small: 1 },
  async (folder) => {
    const included = join(folder, 'broker');
    await mkdir(included);
    const allow = async (answer: boolean): Promise<void> =>
      await writeFile(join(included, 'access.conf'), `allow_anonymous ${answer}\n`);
    return {
      lines: [`include_dir ${included}`],
      wrong: async () => await allow(false),
      right: async () => await allow(true),
    };
  },
);

const dayMs = 86_400_000;

const certificates = onConfiguration(
  {
    name: 'certificates',
    what: 'the broker’s certificate has expired, or does not hold yet; then it is right',
    full: 10,
    small: 1,
  },
  async (folder) => {
    await using authority = await TestAuthority.create();
    const now = Date.now();
    const issued = {
      right: await authority.issue('broker'),
      expired: await authority.issue('broker', { from: new Date(now - 9 * dayMs), until: new Date(now - dayMs) }),
      early: await authority.issue('broker', { from: new Date(now + dayMs) }),
    };
    const ca = join(folder, 'ca.pem');
    await writeFile(ca, authority.certificate);
    const place = async ({ certificate, key }: Issued): Promise<void> => {
      await writeFile(join(folder, 'broker.crt'), certificate);
      await writeFile(join(folder, 'broker.key'), key);
    };
    return {
      lines: [
        'allow_anonymous true',
        `certfile ${join(folder, 'broker.crt')}`,
        `keyfile ${join(folder, 'broker.key')}`,
      ],
      ca,
      wrong: async (n) => await place(n % 2 === 1 ? issued.expired : issued.early),
      right: async () => await place(issued.right),
    };
  },
);

/** The broker lies behind a cable of the test's own. */
const onCable = (about: Omit<ChainFault, 'disturb'>, disturb: (space: Namespace) => Promise<void>): Fault => ({
  ...about,
  needs: [needsProgram('mosquitto'), needsNamespaces],
  async run(count, folder) {
    const account = new Account();
    await using space = await Namespace.create(folder);
    await using chain = await Chain.start({ folder, account, brokerUrl: space.url });
    await eventually(() => chain.rows > 0, 'the first events are committed');
    for (let n = 1; n <= count; n += 1) {
      await disturb(space);
      const before = chain.rows;
      await eventually(() => chain.rows > before, 'events arrive again');
    }
    await chain.drain();
    return settle(chain, account, count);
  },
});

const flapping = onCable(
  { name: 'flapping-link', point: 6, what: 'the link goes down and up again every second', full: 20, small: 2 },
  async (space) => {
    space.pull();
    await delay(randomInt(200, 1_500));
    space.plug();
    await delay(randomInt(200, 1_000));
  },
);

const slowLine = onCable(
  { name: 'slow-line', point: 6, what: 'a line of 200 kbit/s (tc tbf) for a while', full: 10, small: 1 },
  async (space) => {
    space.narrow('200kbit');
    await delay(randomInt(1_000, 3_000));
    space.narrow(undefined);
  },
);

const halfOpen = onCable(
  {
    name: 'half-open',
    point: 6,
    what: 'packets vanish with every connection open (iptables DROP)',
    full: 10,
    small: 1,
  },
  async (space) => {
    space.swallow(true);
    await delay(randomInt(2_000, 5_000));
    space.swallow(false);
  },
);

export const chainFaults: readonly Fault[] = [
  chainKill,
  chainKillPostgres,
  forgetful,
  nobodyThere,
  refusedConnect,
  certificates,
  flapping,
  slowLine,
  halfOpen,
];
