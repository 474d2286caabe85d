/** `outpost drivers`: what is known, what is plugged in, who answers, what it tells, and how a new driver begins. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { WatchChoice } from './drivers-line.ts';
import { note, print, printJson, printTable } from './output.ts';
import { untilStopped } from './running.ts';

const examples = `
Examples:
  outpost drivers list
  outpost drivers describe nmea-gnss --json            W3C Web of Things Thing Model
  outpost drivers ports                                what is plugged in, and who holds it
  outpost drivers probe --port /dev/ttyUSB0            every driver asks; nothing is moved, unlocked or set
  outpost drivers watch nmea-gnss --port usb:067b:2303
  outpost drivers do nmea-gnss setRate hz=1 --port /dev/ttyUSB0 --options '{"chipset":"mediatek"}'
  outpost drivers decode nmea-gnss recorded.log --json
  outpost drivers decode escpos-printer receipt.bin --from host --picture receipt.png
  outpost drivers new locker

A port is a path, usb:VENDOR:PRODUCT[/SERIAL] or tcp://HOST:PORT. drivers/README.md teaches how a driver is written.`;

export interface LineChoice {
  readonly port: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly baud?: number;
  readonly parity?: 'none' | 'even' | 'odd';
  readonly echo?: boolean;
  readonly json?: boolean;
}

const onLine = (command: Command): Command =>
  command
    .requiredOption('-p, --port <port>', 'where it is plugged in')
    .option('--options <json>', 'the driver’s options, as one JSON object', jsonObject)
    .option('--baud <rate>', 'instead of the driver’s own', wholeNumber)
    .addOption(new Option('--parity <parity>', 'instead of the driver’s own').choices(['none', 'even', 'odd']))
    .option('--echo', 'the line gives back what is written')
    .option('--json', 'JSON, one object a line');

export const driversCommand = (): Command =>
  new Command('drivers')
    .description('list, describe, probe, watch and work devices on serial lines; decode recordings; begin a driver')
    .addHelpText('after', examples)
    .addCommand(
      new Command('list').description('drivers that Outpost knows').option('--json', 'one JSON array').action(list),
    )
    .addCommand(
      new Command('describe')
        .description('what a driver’s device offers: properties, actions, events, line, options')
        .argument('<name>', 'driver')
        .option('--options <json>', 'its options, where they decide what there is', jsonObject)
        .option('--json', 'a Thing Model of W3C Web of Things')
        .action(describe),
    )
    .addCommand(
      new Command('ports')
        .description('serial ports of this machine, and who holds them')
        .option('--json', 'one JSON array')
        .action(ports),
    )
    .addCommand(
      onLine(
        new Command('probe')
          .description('ask who is there; only reads')
          .argument('[name]', 'driver; every one when absent'),
      ).action(async (name: string | undefined, choice: LineChoice) => {
        const { probe } = await import('./drivers-line.ts');
        await probe(name, choice, untilStopped().signal);
      }),
    )
    .addCommand(
      onLine(
        new Command('watch').description('readings and events as they come, until Ctrl-C').argument('<name>', 'driver'),
      )
        .option('--seconds <s>', 'end after this long', wholeNumber)
        .option(
          '--personal',
          'print what is about a person, too: card numbers, names; (personal) stands for it otherwise',
        )
        .action(async (name: string, choice: WatchChoice) => {
          const { watch } = await import('./drivers-line.ts');
          await watch(name, choice, untilStopped().signal);
        }),
    )
    .addCommand(
      onLine(
        new Command('do')
          .description('one command, and how it ended: acknowledged, rejected, timeout or unknown')
          .argument('<name>', 'driver')
          .argument('<action>', 'of `outpost drivers describe`')
          .argument('[args...]', 'KEY=VALUE, values as JSON or plain text'),
      )
        .option('--yes', 'needed for what moves, unlocks, prints, alarms or switches power')
        .action(
          async (
            name: string,
            action: string,
            args: readonly string[],
            choice: LineChoice & { readonly yes?: boolean },
          ) => {
            const { act } = await import('./drivers-line.ts');
            await act({ name, action, args: argumentsOf(args), choice }, untilStopped().signal);
          },
        ),
    )
    .addCommand(
      new Command('decode')
        .description('recorded bytes in, messages and readings out')
        .argument('<name>', 'driver')
        .argument('<file>', 'recorded bytes; - reads stdin')
        .option('--options <json>', 'the driver’s options', jsonObject)
        .addOption(new Option('--from <side>', 'who said the bytes').choices(['device', 'host']).default('device'))
        .option('--picture <file>', 'a PNG of what the device would show, of what the host said: a receipt')
        .option('--json', 'JSON, one object a line')
        .action(async (name: string, file: string, choice: DecodeChoice) => {
          const { decode } = await import('./drivers-decode.ts');
          await decode(name, file, choice);
        }),
    )
    .addCommand(
      new Command('new')
        .description('write the folder of a new driver, tests included')
        .argument('<name>', 'a-z, 0-9 and -')
        .option('--folder <path>', 'where the drivers are', 'drivers')
        .action(async (name: string, { folder }: { readonly folder: string }) => {
          const { writeDriver } = await import('./drivers-new.ts');
          const files = await writeDriver(name, folder);
          for (const file of files) print(file);
          note(`Next: read ${folder}/README.md, then run the tests of ${folder}/${name}.`);
        }),
    );

export interface DecodeChoice {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly from: 'device' | 'host';
  /** A PNG file. */
  readonly picture?: string;
  readonly json?: boolean;
}

async function list({ json }: { readonly json?: boolean }): Promise<void> {
  const { driverNames, driverTitle } = await import('#drivers/registry.ts');
  const rows = driverNames.map((name) => ({ name, title: driverTitle(name) }));
  if (json) printJson(rows);
  else printTable([['name', 'what'], ...rows.map(({ name, title }) => [name, title])]);
}

async function describe(
  name: string,
  { options, json }: { readonly options?: object; readonly json?: boolean },
): Promise<void> {
  const [{ loadDriver }, { parseOptions }, { thingModel }] = await Promise.all([
    import('#drivers/registry.ts'),
    import('#drivers/options.ts'),
    import('#drivers/thing-description.ts'),
  ]);
  const driver = await loadDriver(name);
  const manifest = driver.manifest(parseOptions(driver, options ?? driver.example));
  if (json) {
    printJson(thingModel(manifest));
    return;
  }
  print(`${manifest.name}: ${manifest.title}\n${manifest.description}`);
  for (const source of manifest.sources) print(`  after ${source}`);
  const { baudRate, dataBits, parity, stopBits, sharedBus } = manifest.line;
  print(
    `line ${baudRate} baud, ${dataBits}${parity[0]?.toUpperCase() ?? ''}${stopBits}${sharedBus ? ', shared bus' : ''}\n`,
  );
  printTable([
    ['property', 'unit', 'what'],
    ...Object.entries(manifest.properties).map(([key, { title, unit }]) => [key, unit ?? '', title]),
  ]);
  const actions = Object.entries(manifest.actions);
  if (actions.length > 0) print();
  if (actions.length > 0)
    printTable([
      ['action', 'safety', 'again', 'example', 'what'],
      ...actions.map(([key, { title, safety, idempotent, example }]) => [
        key,
        safety,
        idempotent ? 'yes' : 'no',
        Object.entries(example)
          .map(([arg, value]) => `${arg}=${JSON.stringify(value)}`)
          .join(' '),
        title,
      ]),
    ]);
  for (const [key, { title }] of Object.entries(manifest.events)) print(`event ${key}  ${title}`);
}

async function ports({ json }: { readonly json?: boolean }): Promise<void> {
  const { holdersOf, listPorts } = await import('#drivers/port.ts');
  const found = await Promise.all(
    (await listPorts()).map(async (port) => ({ ...port, holders: await holdersOf(port.path) })),
  );
  if (json) printJson(found);
  else if (found.length === 0) note('No serial port is plugged in.');
  else
    printTable([
      ['port', 'usb', 'what', 'stays as', 'held by'],
      ...found.map(({ path, vendor, product, serial, title, links, holders }) => [
        path,
        vendor === undefined ? '-' : `usb:${vendor}:${product ?? ''}${serial === undefined ? '' : `/${serial}`}`,
        title ?? '-',
        links[0] ?? '-',
        holders.map((holder) => `${holder.name} (${holder.pid})`).join(', ') || '-',
      ]),
    ]);
}

function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw new InvalidArgumentError('It must be one JSON object, such as \'{"address":1}\'.');
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
}

/** `hz=1 text="a b" on=true`; what is no JSON is text. */
function argumentsOf(words: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at < 1) throw new InvalidArgumentError(`${word} is not KEY=VALUE.`);
      const text = word.slice(at + 1);
      try {
        return [word.slice(0, at), JSON.parse(text) as unknown];
      } catch {
        return [word.slice(0, at), text];
      }
    }),
  );
}
