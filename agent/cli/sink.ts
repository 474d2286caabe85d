/** `outpost sink`: the reference consumer, until it is told to stop. */
import { Command, InvalidArgumentError } from 'commander';
import type { Signer } from '#agent/trust/keys.ts';
import type { MediaStore, MediaStoreOptions } from '#agent/sink/media.ts';
import type { MetricsServer } from '#agent/sink/metrics.ts';
import type { Partition } from '#agent/sink/partition.ts';
import type { SinkOptions } from '#agent/sink/sink.ts';
import type { SinkStatus } from '#agent/sink/status.ts';
import type { BrokerOptions } from '#agent/sink/subscription.ts';
import type { LogLevel } from '#agent/core/log.ts';
import { note, print, printJson } from './output.ts';
import { untilStopped } from './running.ts';

const examples = `
Examples:
  outpost sink --broker mqtt://localhost --database sqlite:sink.db --key sink.pem
  outpost sink --broker mqtts://broker:8883 --tls-ca ca.pem --username sink --password-file secret \\
    --database postgres://outpost@localhost/city --key sink.pem --metrics 9464
  outpost sink … --media /srv/pictures   or --media https://store/bucket --media-token-file token
  outpost sink … --partition 2/4         the second of four, where the broker cannot share a subscription
  outpost sink … --name sink-1           the broker keeps what this sink did not acknowledge, for an hour

Start it as often as the load asks, on one PostgreSQL: no event is stored twice. Passwords of the database may come from
PGPASSWORD or ~/.pgpass. --key is an Ed25519 key; where the file is missing it is made (0600), and the public key is
printed: put it into the configuration of the devices, so that they believe this sink's acknowledgements.`;

interface SinkChoice {
  readonly broker: string;
  readonly database: string;
  readonly key: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly tlsCa?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly root: string;
  readonly group: string;
  readonly name?: string;
  readonly partition?: string;
  readonly media?: string;
  readonly mediaTokenFile?: string;
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
  readonly json?: boolean;
}

const sessionSeconds = 3_600;

export const sinkCommand = (): Command =>
  new Command('sink')
    .description('take events from a broker into PostgreSQL or SQLite, and acknowledge them to the devices')
    .requiredOption('--broker <url>', 'mqtt, mqtts, ws or wss')
    .requiredOption('--database <url>', 'postgres://user@host/name, or sqlite:FILE')
    .requiredOption('--key <file>', 'private key that signs acknowledgements; made when it is missing')
    .option('--username <name>', 'at the broker')
    .option('--password-file <file>', 'file with the password at the broker')
    .option('--tls-ca <file>', 'PEM, of the broker')
    .option('--tls-certificate <file>', 'PEM, of this sink')
    .option('--tls-key <file>', 'PEM, of this sink')
    .option('--root <topic>', 'root of all topics', 'outpost/v1')
    .option('--group <name>', 'sinks of one group share the events', 'outpost-sink')
    .option('--name <id>', 'client id; the broker keeps a session under it')
    .option('--partition <i/n>', 'take only the i-th of n parts of the devices')
    .option(
      '--media <place>',
      'folder, or http(s) address to PUT to, for pictures; without it they stay in the database',
    )
    .option('--media-token-file <file>', 'file with a bearer token for the PUT')
    .option('--metrics <port>', 'serve /metrics on PORT of this machine, or on HOST:PORT', portOf)
    .option('--log-level <level>', 'debug, info, warn, error or silent', 'info')
    .option('--json', 'say on stdout, a JSON line each, what it is and what it did')
    .addHelpText('after', examples)
    .action(sink);

async function sink(choice: SinkChoice): Promise<void> {
  const [{ openDatabase }, { runSink }, { SinkStatus }, { createLog }, { systemClock }, { systemRandom }] =
    await Promise.all([
      import('#agent/sink/open-database.ts'),
      import('#agent/sink/sink.ts'),
      import('#agent/sink/status.ts'),
      import('#agent/core/log.ts'),
      import('#agent/core/clock.ts'),
      import('#agent/core/random.ts'),
    ]);
  const { json = false } = choice;
  const broker = await brokerOf(choice);
  const partition = await partitionOf(choice.partition);
  const signer = await signerOf(choice.key);
  const stop = untilStopped();
  const log = createLog(choice.logLevel, { sink: broker.clientId });
  const opening = { clock: systemClock, random: systemRandom, log };
  await using database = await openPatiently(
    async () => await openDatabase(choice.database, 'migrate'),
    opening,
    stop.signal,
  );
  if (!database) return;
  const status = new SinkStatus();
  const media = await mediaOf(choice, { database, ...opening });
  await using metrics = await metricsOf(choice, status);
  const about = { publicKey: signer.publicBase64, kid: signer.kid, database: database.name, clientId: broker.clientId };
  if (json) printJson({ event: 'started', ...about, ...(metrics ? { metricsPort: metrics.port } : {}) });
  else print(`public key for the devices: ${signer.publicBase64}`);
  const onReady = (): void => {
    if (json) printJson({ event: 'ready', ...status.broker });
    else note(`subscribed, MQTT ${status.broker?.version}, into ${database.name}`);
  };
  await runSink({ database, broker, partition, sign: signer.sign, status, media, onReady, ...opening }, stop.signal);
  if (json) printJson({ event: 'ended', ...status.counts });
  else note(`${status.counts.stored} events stored, ${status.counts.duplicates} duplicates suppressed`);
}

type Opening = Pick<SinkOptions, 'clock' | 'random' | 'log'>;

/** A database that is merely not there yet is waited for; a wrong address ends the command. */
async function openPatiently<T>(open: () => Promise<T>, { clock, random, log }: Opening, signal: AbortSignal) {
  const [{ Backoff }, { toOutpostError }] = await Promise.all([
    import('#agent/core/backoff.ts'),
    import('#agent/core/errors.ts'),
  ]);
  const backoff = new Backoff({ minMs: 500, maxMs: 30_000 }, random);
  while (!signal.aborted) {
    try {
      return await open();
    } catch (thrown) {
      const error = toOutpostError(thrown);
      if (error.kind !== 'transient' && error.kind !== 'limit') throw error;
      log.warn('The database is not there yet; it is tried again.', { error });
    }
    await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
  }
  return undefined;
}

async function mediaOf(choice: SinkChoice, options: Omit<MediaStoreOptions, 'place'>): Promise<MediaStore | undefined> {
  const { media, mediaTokenFile } = choice;
  if (media === undefined) return undefined;
  const { MediaStore: Store, folderPlace, httpPlace } = await import('#agent/sink/media.ts');
  if (!/^https?:/.test(media)) return new Store({ ...options, place: folderPlace(media) });
  const token = mediaTokenFile === undefined ? undefined : await secretOf(mediaTokenFile, '--media-token-file');
  return new Store({ ...options, place: httpPlace(media, token) });
}

async function secretOf(path: string, option: string): Promise<string> {
  const [{ readFile }, { OutpostError, messageOf }] = await Promise.all([
    import('node:fs/promises'),
    import('#agent/core/errors.ts'),
  ]);
  try {
    return (await readFile(path, 'utf8')).trimEnd();
  } catch (thrown) {
    throw new OutpostError('sink-option', `${option}: ${messageOf(thrown)}`);
  }
}

async function metricsOf({ metrics }: SinkChoice, status: SinkStatus): Promise<MetricsServer | undefined> {
  if (!metrics) return undefined;
  const { serveMetrics } = await import('#agent/sink/metrics.ts');
  return await serveMetrics(status, metrics.host, metrics.port);
}

async function brokerOf(choice: SinkChoice): Promise<BrokerOptions> {
  const [{ checkRoot }, { randomId }, { OutpostError }] = await Promise.all([
    import('#agent/domain/topics.ts'),
    import('#agent/core/ids.ts'),
    import('#agent/core/errors.ts'),
  ]);
  const { root, group, name, passwordFile } = choice;
  const wrong = (detail: string): Error => new OutpostError('sink-option', detail);
  if (!URL.canParse(choice.broker)) throw wrong('--broker is no address.');
  const url = new URL(choice.broker);
  if (!/^(mqtts?|wss?):$/.test(url.protocol)) throw wrong('--broker must begin with mqtt, mqtts, ws or wss.');
  const rootProblem = checkRoot(root);
  if (rootProblem !== undefined) throw wrong(`--root ${rootProblem}.`);
  if (!/^[\w-]{1,64}$/.test(group)) throw wrong('--group must be letters, digits, _ and -.');
  if (name !== undefined && !/^[\w-]{1,64}$/.test(name)) throw wrong('--name must be letters, digits, _ and -.');
  const decoded = (text: string): string | undefined => (text === '' ? undefined : decodeURIComponent(text));
  const [username, inUrl] = [choice.username ?? decoded(url.username), decoded(url.password)];
  url.username = '';
  url.password = '';
  const password = passwordFile === undefined ? inUrl : await secretOf(passwordFile, '--password-file');
  return {
    url: url.href,
    username,
    password,
    ca: choice.tlsCa,
    certificate: choice.tlsCertificate,
    key: choice.tlsKey,
    clientId: name ?? `outpost-sink-${randomId().slice(0, 8)}`,
    sessionSeconds: name === undefined ? undefined : sessionSeconds,
    group: choice.partition === undefined ? group : undefined,
    root,
  };
}

async function partitionOf(text: string | undefined): Promise<Partition | undefined> {
  if (text === undefined) return undefined;
  const [{ parsePartition }, { OutpostError }] = await Promise.all([
    import('#agent/sink/partition.ts'),
    import('#agent/core/errors.ts'),
  ]);
  const partition = parsePartition(text);
  if (!partition) throw new OutpostError('sink-option', '--partition must be such as 2/4.');
  return partition;
}

/** The key of the file, which is made when it is not there. */
async function signerOf(path: string): Promise<Signer> {
  const [{ newKey, readSigner }, { OutpostError, messageOf, systemCode }, { writeFile }] = await Promise.all([
    import('#agent/trust/keys.ts'),
    import('#agent/core/errors.ts'),
    import('node:fs/promises'),
  ]);
  try {
    await writeFile(path, newKey().privatePem, { flag: 'wx', mode: 0o600, flush: true });
    note(`made a new key: ${path}`);
  } catch (thrown) {
    if (systemCode(thrown) !== 'EEXIST')
      throw new OutpostError('trust-key', `${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
  return await readSigner(path);
}

function portOf(text: string): { readonly host: string; readonly port: number } {
  const [, host = '127.0.0.1', digits = ''] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  if (digits === '' || Number(digits) > 65_535) throw new InvalidArgumentError('must be PORT or HOST:PORT');
  return { host, port: Number(digits) };
}
