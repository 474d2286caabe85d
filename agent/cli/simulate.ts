/** `outpost simulate`: what is not there, made of the real parts: one device on a serial port, or a fleet of agents. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '#agent/core/duration.ts';
import { faultNames } from '#drivers/simulator.ts';
import type { FleetProgress, FleetReport } from './fleet/fleet.ts';
import { type Outage, parseOutages } from './fleet/outages.ts';
import type { DeviceChoice } from './simulate-device.ts';
import { exitCodes, note, print, printJson, printTable } from './output.ts';
import { untilStopped } from './running.ts';

const examples = `
Examples:
  outpost simulate fleet --devices 20                            against an embedded broker, for 30 s
  outpost simulate fleet --devices 20 --outages 10s/3s           every 10 s each device is off the line for 3 s
  outpost simulate fleet --devices 50 --outages 20s+60s --seconds 120    all at once, and all come back
  outpost simulate fleet --devices 100 --rate 20 --broker mqtt://broker:1883 --json
  outpost simulate fleet --devices 100 --broker mqtt://broker:1883 --consumer "$KEY"
      custody by the consumer: KEY is what \`outpost sink\` prints; then \`outpost verify\` says what arrived

A device is the real outbox and uplink: a folder, a thread with its store (some 25 MiB of memory), two connections. The
stores lie in a temporary folder, which is removed. Each may hold --store-size, of which a sixteenth, 16 MiB at most,
is a reserve file that is really written. Of fifty events, about 1 KiB each, one is an alarm and ten are telemetry.
The load begins when all are on the line or have tried; after it the lines stay up until everything is acknowledged, or
--settle is over. The embedded broker counts what arrives, and shares this process: to size a broker, name it. There a
retained up/state of each device stays behind; take a broker and a database for trials. One process keeps to a few
cores; start more of them, each with its own --prefix. Outages need a broker without TLS.

Exit code 1 when the embedded broker lacks an acknowledged event, 4 when nothing was acknowledged.`;

const defaultRoot = 'outpost/v1';

interface FleetChoice {
  readonly devices: number;
  readonly seconds: number;
  readonly rate: number;
  readonly outages?: readonly Outage[];
  readonly broker: string;
  readonly consumer?: readonly string[];
  readonly prefix: string;
  readonly root: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly tlsCa?: string;
  readonly storeSize: number;
  readonly settle: number;
  readonly folder?: string;
  readonly json?: boolean;
}

/** What their doubles can be made to tell; no driver is loaded for a help text, and a test compares. */
export const simulatedEvents: Readonly<Record<string, readonly string[]>> = {
  'escpos-printer': ['paperOut', 'paperLow', 'coverOpened', 'failed'],
  'megatec-ups': ['onBattery', 'lowBattery', 'fault', 'onMains'],
  'mavlink-base': ['waypointReached', 'leftFence', 'warning'],
  'osdp-reader': ['card', 'keys', 'tampered', 'powerFailed'],
  'sdt-id-reader': ['card', 'failed', 'timeUp'],
  scanner: ['scanned'],
  framed: ['boxOpened'],
};
const eventsText = Object.entries(simulatedEvents)
  .map(([name, events]) => `${name} ${events.join(', ')}`)
  .join('; ');

const deviceExamples = `
Examples:
  outpost simulate nmea-gnss --port /tmp/gnss           a pseudo terminal; any program may open /tmp/gnss
  outpost simulate nmea-gnss --port tcp://127.0.0.1:2001    as behind ser2net
  outpost simulate nmea-gnss --port /tmp/gnss --fault unplugged --after 10s --for 5s
  outpost simulate nmea-gnss --port /tmp/gnss --fault garbled
  outpost simulate megatec-ups --port /tmp/ups --event onBattery --after 10s
  outpost simulate escpos-printer --port /tmp/printer --picture /tmp/paper.png
  outpost simulate fleet --devices 20                   many agents, to size a broker and a sink

Drivers are those of \`outpost drivers list\`. Faults: ${faultNames.join(', ')}.
Events: ${eventsText}.`;

export const simulateCommand = (): Command =>
  new Command('simulate')
    // what stands behind `fleet` is meant for it
    .enablePositionalOptions()
    .description('what is not there: a device on a serial port, or a fleet of agents')
    .argument('[driver]', 'of `outpost drivers list`')
    .option('-p, --port <port>', 'path of a link to make, a serial port that is there, or tcp://HOST:PORT')
    .option('--options <json>', 'the driver’s options', optionsOf)
    .addOption(new Option('--fault <name>', 'what is wrong with it').choices([...faultNames]))
    .option('--event <name>', 'what happens to it, once')
    .option('--after <span>', 'when the fault begins, and the event happens', spanOf, 0)
    .option('--for <span>', 'how long it lasts; absent: for good', spanOf)
    .option('--slow-by <span>', 'how late a slow device answers', spanOf, 2_000)
    .option('--picture <file>', 'a PNG of what it shows, kept up to date: the paper of a printer')
    .option('--json', 'says where it is as one JSON object')
    .addHelpText('after', deviceExamples)
    .action(device)
    .addCommand(
      new Command('fleet')
        .description('many devices in one process, with outages, and what they cost')
        .requiredOption('--devices <n>', 'how many', numberOf(1, 5_000, true))
        .option('--seconds <s>', 'how long the load lasts', numberOf(0.1, 86_400), 30)
        .option('--rate <n>', 'events a second of each device', numberOf(0.001, 10_000), 10)
        .option('--outages <script>', 'EVERY/OFF of each, AFTER+OFF of all; several with commas', outagesOf)
        .option('--broker <url>', 'mqtt, mqtts, ws or wss, or `embedded`', 'embedded')
        .option('--consumer <key>', 'public key of a sink: custody by the consumer; may be repeated', listOf)
        .option('--prefix <id>', 'begins the names of the devices', prefixOf, 'fleet')
        .option('--root <topic>', 'root of all topics', defaultRoot)
        .option('--username <name>', 'at the broker, of all devices')
        .option('--password-file <file>', 'file with the password at the broker')
        .option('--tls-ca <file>', 'PEM, of the broker')
        .option('--store-size <MiB>', 'what a device may keep on the disk', numberOf(1, 65_536), 16)
        .addOption(
          new Option('--settle <span>', 'how long the drain after the load may take')
            .argParser(spanOf)
            .default(90_000, '90s'),
        )
        .option('--folder <path>', 'where the stores are made; the disk decides')
        .option('--json', 'one JSON object at the end')
        .addHelpText('after', examples)
        .action(fleet),
    );

async function device(
  name: string | undefined,
  choice: Omit<DeviceChoice, 'port'> & { readonly port?: string },
  command: Command,
): Promise<void> {
  const { port } = choice;
  if (name === undefined || port === undefined) {
    command.error('error: name a driver and --port, or say `simulate fleet` (run with --help for examples)', {
      exitCode: exitCodes.usage,
    });
  }
  const { simulateDevice } = await import('./simulate-device.ts');
  await simulateDevice(name, { ...choice, port }, untilStopped().signal);
}

function optionsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw new InvalidArgumentError('It must be one JSON object.');
}

async function fleet(choice: FleetChoice): Promise<void> {
  const { simulateFleet } = await import('./fleet/fleet.ts');
  const { devices, seconds, rate, outages = [], broker, prefix, storeSize, settle, folder, json = false } = choice;
  const report = await simulateFleet(
    {
      devices,
      seconds,
      rate,
      outages,
      broker,
      prefix,
      uplink: await uplinkOf(choice),
      storeBytes: Math.round(storeSize * 1024 ** 2),
      settleMs: settle,
      ...(folder === undefined ? {} : { folder }),
      onProgress: (progress) => note(progressLine(progress)),
    },
    untilStopped().signal,
  );
  if (json) printJson(report);
  else show(report);
  if ((report.arrivals?.lost ?? 0) > 0) process.exitCode = exitCodes.negative;
  else if (report.acknowledged === 0 && report.appended > 0) process.exitCode = exitCodes.peer;
}

/** @throws OutpostError `config-invalid`, as the agent's own configuration would be refused */
async function uplinkOf({ broker, root, consumer = [], username, passwordFile, tlsCa }: FleetChoice) {
  const [{ uplinkSchema }, { OutpostError }, { readFile }] = await Promise.all([
    import('#config/schema.ts'),
    import('#agent/core/errors.ts'),
    import('node:fs/promises'),
  ]);
  const wrong = (message: string, hint: string): Error => new OutpostError('config-invalid', message, { hint });
  if (broker === 'embedded' && (root !== defaultRoot || consumer.length > 0)) {
    const hint = 'Name a broker with --broker, or leave --root and --consumer out.';
    throw wrong('The embedded broker knows no other root, and has no sink behind it.', hint);
  }
  const password =
    passwordFile === undefined
      ? undefined
      : await readFile(passwordFile, 'utf8').catch(() => {
          throw wrong(`${passwordFile} cannot be read.`, 'Check --password-file.');
        });
  const uplink = {
    root,
    consumers: consumer,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.trimEnd() }),
    ...(tlsCa === undefined ? {} : { ca: tlsCa }),
  };
  const parsed = uplinkSchema.safeParse({ ...uplink, ...(broker === 'embedded' ? {} : { url: broker }) });
  if (parsed.success) return uplink;
  const [issue] = parsed.error.issues;
  const hint = 'See `outpost simulate fleet --help` for --broker, --root and --consumer.';
  throw wrong(`${issue?.path.join('.') ?? 'It'}: ${issue?.message ?? 'is wrong'}.`, hint);
}

const progressLine = ({ phase, seconds, devices, online, appended, acknowledged, waiting }: FleetProgress): string =>
  `${phase} ${seconds} s   ${online} of ${devices} on the line   appended ${appended}   acknowledged ${acknowledged}   waiting ${waiting}`;

function show(report: FleetReport): void {
  const { arrivals, appendMs, refused, refusal, lastError } = report;
  printTable([
    ['figure', 'value', 'what it is'],
    ['devices', report.devices, `custody ${report.custody}`],
    ['appended', report.appended, 'events on the disk'],
    ['acknowledged', report.acknowledged, 'events that left the device'],
    ['waiting', report.waiting, `after ${report.drainSeconds.toFixed(1)} s of drain`],
    ['events/s', Math.round(report.eventsPerSecond), `over ${report.loadSeconds.toFixed(1)} s of load`],
    ['append p50', Number(appendMs.p50.toFixed(2)), 'ms'],
    ['append p99', Number(appendMs.p99.toFixed(2)), 'ms'],
    ['reconnects', report.reconnects, 'of two lines a device'],
    ['CPU', Math.round(report.cores * 100), '% of one core, all threads, during the load'],
    ['memory', Math.round(report.rssBytes / 1024 ** 2), 'MiB resident'],
    ...(refused > 0 ? [['refused', refused, `by the store: ${refusal ?? ''}`]] : []),
    ...(arrivals
      ? [
          ['received', arrivals.received, 'by the embedded broker, each once'],
          ['again', arrivals.again, 'sent again: the identity tells'],
          ['declared', arrivals.declared, 'given up by a device, and declared'],
          ['lost', arrivals.lost, 'acknowledged, and neither received nor declared'],
        ]
      : []),
  ]);
  if (lastError) print(`not all are on the line: ${lastError.message} [${lastError.code}] ${lastError.hint}`);
}

function numberOf(least: number, most: number, isWhole = false): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= least && value <= most) || (isWhole && !Number.isInteger(value))) {
      throw new InvalidArgumentError(`It must be a ${isWhole ? 'whole ' : ''}number from ${least} to ${most}.`);
    }
    return value;
  };
}

function outagesOf(text: string): readonly Outage[] {
  const outages = parseOutages(text);
  if (!outages) throw new InvalidArgumentError('It must be like 10s/3s or 20s+60s.');
  return outages;
}

function spanOf(text: string): number {
  const span = parseDuration(text);
  if (span === undefined) throw new InvalidArgumentError('It must be like 90s or 5m.');
  return span;
}

function prefixOf(text: string): string {
  if (!/^[a-z0-9][a-z0-9_-]{0,15}$/.test(text)) throw new InvalidArgumentError('1 to 16 of a-z, 0-9, _ and -.');
  return text;
}

const listOf = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];
