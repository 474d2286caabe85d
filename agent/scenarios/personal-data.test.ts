/** Who a card belongs to reaches the citizen's session, and nothing else: not a log, not telemetry, not a disk. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBroker, type ReceivedEvent } from '#agent/cli/demo-broker.ts';
import { askMetrics, socketPath } from '#agent/console/socket.ts';
import { systemClock as clock } from '#agent/core/clock.ts';
import { Health } from '#agent/core/health.ts';
import type { Log, LogFields } from '#agent/core/log.ts';
import { seededRandom } from '#agent/core/random.ts';
import { supervise } from '#agent/core/supervisor.ts';
import type { Event } from '#agent/domain/event.ts';
import { openOutbox } from '#agent/outbox/outbox.ts';
import { Doubts } from '#agent/peripherals/doubts.ts';
import { Peripherals } from '#agent/peripherals/peripherals.ts';
import { eventually } from '#agent/testing/eventually.ts';
import { needsTestedProgram } from '#agent/testing/program.ts';
import { describeWith, needsProgram } from '#agent/testing/require.ts';
import { looseSchema } from '#config/peripheral.ts';
import type { Driver } from '#drivers/driver.ts';
import { driver as osdp } from '#drivers/osdp-reader/driver.ts';
import { simulatedCard, simulatedKeys } from '#drivers/osdp-reader/simulator.ts';
import { openPty } from '#drivers/pty.ts';
import { loadDriver } from '#drivers/registry.ts';
import { driver as sdt } from '#drivers/sdt-id-reader/driver.ts';
import { inventedCard, inventedNumber, inventedPhoto } from '#drivers/sdt-id-reader/simulator.ts';
import { simulate, type Simulator } from '#drivers/simulator.ts';
import { AgentProcess } from './agent-process.ts';

const key = '00112233445566778899aabbccddeeff';
const cardOptions = { reading: 'always', photo: true, pollEvery: 100 };
const accessOptions = { key, pollEvery: 50 };

/** What must be nowhere, each in the forms in which bytes and texts are written. */
const secrets: readonly Buffer[] = [
  ...['name', 'address', 'issuer', 'birth'].map((field) => Buffer.from(inventedCard[field] as string)),
  Buffer.from('1899-01-01'),
  Buffer.from(inventedNumber),
  Buffer.from(inventedPhoto.subarray(100, 124)),
  // the access card's bits, and what was typed
  Buffer.from('95181cc0', 'hex'),
  Buffer.from(`"number":${simulatedCard.number}`),
  Buffer.from(simulatedKeys),
  // and what opens the line
  Buffer.from(key, 'hex'),
];

function forms(secret: Buffer): readonly Buffer[] {
  const text = secret.toString('utf8');
  const isText = Buffer.from(text).equals(secret);
  const texts = [
    secret.toString('hex'),
    secret.toString('hex').toUpperCase(),
    // wherever it begins among three bytes, without the ends that its neighbours change
    ...[0, 1, 2].map((shift) =>
      Buffer.concat([Buffer.alloc(shift), secret])
        .toString('base64')
        .slice(4, -4),
    ),
    ...(isText ? [JSON.stringify(text).slice(1, -1)] : []),
  ];
  return [secret, ...(isText ? [Buffer.from(text, 'utf16le')] : []), ...texts.map((each) => Buffer.from(each))].filter(
    ({ length }) => length >= 4,
  );
}

const allForms = secrets.flatMap(forms);

/** @returns the forms of secrets that are in it */
const leaks = (where: Uint8Array | string): readonly string[] => {
  const held = Buffer.from(where as string);
  return allForms.filter((form) => held.includes(form)).map((form) => form.toString('latin1'));
};

/** Every file below, logs of the database and all. */
function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : entry.isFile() ? [path] : [];
  });
}
const leaksIn = (folder: string, but: RegExp = /$^/): readonly string[] =>
  filesIn(folder)
    .filter((path) => !but.test(path))
    .flatMap((path) => leaks(readFileSync(path)).map((form) => `${path}: ${form}`));

/** A device at the end of a pseudo terminal. */
function plugIn<O, F, T>(driver: Driver<O, F, T>, written: object, link: string) {
  const options = driver.options.parse(written);
  const pty = openPty(clock, link);
  const simulator: Simulator<F, T> = driver.simulator(options);
  const stop = new AbortController();
  const codec = driver.protocol(options).device();
  const playing = simulate({ simulator, codec, transport: pty, clock, random: seededRandom(1) }, stop.signal);
  return {
    simulator,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await pty[Symbol.asyncDispose]();
      await playing;
    },
  };
}

describeWith(
  'what stands on a card',
  [needsTestedProgram, needsProgram('perl'), needsProgram('stty', 'coreutils')],
  () => {
    it('would be found, if it were there', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'outpost-planted-'));
      try {
        for (const form of allForms) {
          await writeFile(
            join(folder, 'planted'),
            Buffer.concat([Buffer.from('before '), form, Buffer.from(' after')]),
          );
          expect(leaksIn(folder).length).toBeGreaterThan(0);
        }
        await writeFile(
          join(folder, 'planted'),
          `x${Buffer.concat([Buffer.from('ab'), secrets[1] as Buffer]).toString('base64')}`,
        );
        expect(leaksIn(folder).length).toBeGreaterThan(0);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });

    it('reaches who subscribed, and no log, no event, no status and no file', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'outpost-personal-'));
      const store = join(folder, 'store');
      const logged: string[] = [];
      const note = (sentence: string, fields?: LogFields): void => void logged.push(JSON.stringify([sentence, fields]));
      const log: Log = { debug: note, info: note, warn: note, error: note, with: () => log };
      const stop = new AbortController();
      const session: { readonly peripheral: string; readonly event: string; readonly data: object }[] = [];
      const health = new Health(clock);
      const appended: Promise<unknown>[] = [];
      const emitted: Event[] = [];
      try {
        await using identity = plugIn(sdt, cardOptions, join(folder, 'identity'));
        await using access = plugIn(osdp, accessOptions, join(folder, 'access'));
        await using outbox = await openOutbox({
          path: store,
          device: 'robot-07',
          maxSizeBytes: 10_000_000,
          clock,
          log,
        });
        const peripherals = new Peripherals({
          peripherals: [
            looseSchema.parse({
              id: 'identity',
              driver: 'sdt-id-reader',
              port: join(folder, 'identity'),
              options: cardOptions,
            }),
            looseSchema.parse({
              id: 'access',
              driver: 'osdp-reader',
              port: join(folder, 'access'),
              options: accessOptions,
            }),
          ],
          loadDriver,
          doubts: await Doubts.open(join(store, 'doubts.json'), []),
          run: 'run',
          clock,
          health,
          log,
          emit: (events) => {
            emitted.push(...events);
            appended.push(outbox.append(events));
          },
          onEvent: (peripheral, { event, data }) => session.push({ peripheral, event, data }),
        });
        const running = supervise(peripherals.services(), { clock, random: () => 0, log }, stop.signal);
        identity.simulator.provoke?.('card');
        for (const event of ['card', 'keys', 'tampered']) access.simulator.provoke?.(event);
        const told = (peripheral: string, event: string) =>
          session.find((each) => each.peripheral === peripheral && each.event === event)?.data;
        await eventually(() => told('identity', 'card') && told('access', 'keys') && told('access', 'tampered'), 'all');
        // the session has it
        expect(told('identity', 'card')).toMatchObject({ name: inventedCard['name'], number: inventedNumber });
        expect(told('identity', 'card')).toHaveProperty('photo', Buffer.from(inventedPhoto).toString('base64'));
        expect(told('access', 'card')).toMatchObject({ hex: '95181cc0', ...simulatedCard });
        expect(told('access', 'keys')).toMatchObject({ keys: simulatedKeys });
        // what is about nobody is in the store, and in the log of the database
        await eventually(() => appended.length >= 4, 'events');
        await Promise.all(appended);
        expect(JSON.stringify(emitted)).toContain('tampered');
        const wal = join(store, 'outbox.db-wal');
        expect(statSync(wal).size).toBeGreaterThan(0);
        expect(filesIn(store).some((path) => readFileSync(path).includes('tampered'))).toBe(true);

        expect(leaksIn(folder)).toEqual([]);
        expect(leaks(JSON.stringify(emitted))).toEqual([]);
        expect(leaks(JSON.stringify([peripherals.views(), health.entries()]))).toEqual([]);
        stop.abort();
        await running;
      } finally {
        stop.abort();
      }
      expect(leaksIn(folder)).toEqual([]);
      expect(logged.length).toBeGreaterThan(0);
      expect(leaks(logged.join('\n'))).toEqual([]);
      await rm(folder, { recursive: true, force: true });
    });

    it('leaves a whole agent by no door', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'outpost-personal-'));
      const received: ReceivedEvent[] = [];
      try {
        await using broker = await openBroker((event) => received.push(event));
        await using identity = plugIn(sdt, cardOptions, join(folder, 'identity'));
        await using access = plugIn(osdp, accessOptions, join(folder, 'access'));
        await using agent = await AgentProcess.start({
          device: { id: 'robot-07' },
          uplink: { url: broker.url },
          log: { level: 'debug' },
          peripherals: [
            { id: 'identity', driver: 'sdt-id-reader', port: join(folder, 'identity'), options: cardOptions },
            { id: 'access', driver: 'osdp-reader', port: join(folder, 'access'), options: accessOptions },
          ],
        });
        await agent.until(({ peripherals }) => peripherals.every(({ phase }) => phase === 'ready'), 'both are ready');
        identity.simulator.provoke?.('card');
        // a reader tells one thing a poll, in order: when the last is there, card and keys were told
        for (const event of ['card', 'keys', 'tampered']) access.simulator.provoke?.(event);
        await eventually(() => identity.simulator.state?.['reads'] === 1, 'the card was read');
        await eventually(() => JSON.stringify(received).includes('tampered'), 'the tamper event upstream');
        const status = JSON.stringify(await agent.status());
        const metrics = await askMetrics(socketPath(agent.folder));
        // the configuration is the one file that holds the key
        expect(leaksIn(agent.folder, /outpost\.yaml$/)).toEqual([]);
        expect(await agent.end('SIGTERM')).toBe(0);
        expect(leaksIn(agent.folder, /outpost\.yaml$/)).toEqual([]);
        expect(agent.log.length).toBeGreaterThan(0);
        for (const text of [status, metrics, agent.log, JSON.stringify(received)]) expect(leaks(text)).toEqual([]);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  },
);
