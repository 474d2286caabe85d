/** `outpost bench`: ratios against a limit or a peer, each pair from one run; a bare time says nothing on another machine. */
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  type BenchRow,
  type FleetBenchOptions,
  type BinaryBenchOptions,
  type MemoryBenchOptions,
  type OutboxBenchOptions,
  outboxParts,
  type PipelineBenchOptions,
  type SinkBenchOptions,
} from './bench-row.ts';
import type { SerialBenchOptions } from './bench-serial.ts';
import { print, printJson, printTable } from './output.ts';

const examples = `
Examples:
  outpost bench pipeline --video vtest.avi
  outpost bench pipeline --video vtest.avi --opencv opencv-pipeline.py   with OpenCV as the peer
  outpost bench outbox
  outpost bench outbox --only single,producers --folder /var/lib/outpost    on the disk that the agent will use
  outpost bench sink
  outpost bench fleet --devices 200
  outpost bench binary --video vtest.avi     the binaries in dist/
  outpost bench serial                       needs a C compiler
  outpost bench memory --video vtest.avi --minutes 10`;

export const benchCommand = (): Command =>
  new Command('bench')
    .description('measure this machine: ratios against a limit or a peer')
    .addHelpText('after', examples)
    .addCommand(
      new Command('pipeline')
        .description('decode, detect, track, rules and outbox against the bare model, and against OpenCV')
        .requiredOption('--video <file>', 'footage, such as vtest.avi')
        .option('--model <name>', 'model name, or folder with a manifest')
        .option('--rounds <n>', 'rounds of each pair; the median counts', '5')
        .option(
          '--opencv <script>',
          'a peer that does the same with OpenCV: SCRIPT VIDEO ONNX THREADS, prints JSON with fps',
        )
        .option('--json', 'one JSON array')
        .action(async (options: PipelineBenchOptions) => {
          const { benchPipeline } = await import('./bench-pipeline.ts');
          show(await benchPipeline(options), options.json ?? false);
        }),
    )
    .addCommand(
      new Command('outbox')
        .description(
          'durable appends, the delay of the event loop, drain, growth and alarms, against the disk and mosquitto',
        )
        .option('--rounds <n>', 'rounds of each pair; the median counts', '5')
        .option('--events <n>', 'events to drain', '200000')
        .option('--folder <path>', 'where the stores are made; the disk decides')
        .option('--only <names>', `of ${outboxParts.join(', ')}`, partsOf)
        .addOption(new Option('--slow').hideHelp())
        .option('--json', 'one JSON array')
        .action(async (options: OutboxBenchOptions) => {
          const { benchOutbox } = await import('./bench-outbox.ts');
          show(await benchOutbox(options), options.json ?? false);
        }),
    )
    .addCommand(
      new Command('sink')
        .description('one, two and four sinks on one PostgreSQL; needs mosquitto and PostgreSQL')
        .option('--events <n>', 'events of each run', '100000')
        .option('--rounds <n>', 'rounds; the median counts', '3')
        .option('--json', 'one JSON array')
        .action(async (options: SinkBenchOptions) => {
          const { benchSink } = await import('./bench-sink.ts');
          show(await benchSink(options), options.json ?? false);
        }),
    )
    .addCommand(
      new Command('fleet')
        .description('devices and events that one core carries, against mosquitto, which takes them')
        .option('--devices <n>', 'devices of one event a second; a tenth of them send 500 a second', '100')
        .option('--seconds <n>', 'how long each load lasts', '20')
        .option('--folder <path>', 'where the stores are made; the disk decides')
        .option('--json', 'one JSON array')
        .action(async (options: FleetBenchOptions) => {
          const { benchFleet } = await import('./bench-fleet.ts');
          show(await benchFleet(options), options.json ?? false);
        }),
    )
    .addCommand(
      new Command('binary')
        .description('size, start and memory of the single binary')
        .requiredOption('--video <file>', 'footage, such as vtest.avi')
        .option('--folder <path>', 'where the binaries are', 'dist')
        .option('--rounds <n>', 'rounds of each start; the median counts', '7')
        .option('--peer <file>', 'another executable of the same program, to compare its start')
        .option('--json', 'one JSON array')
        .action(async (options: BinaryBenchOptions) => {
          const { benchBinary } = await import('./bench-binary.ts');
          show(await benchBinary(options), options.json ?? false);
        }),
    )
    .addCommand(
      new Command('serial')
        .description(
          'drivers over pseudo terminals: round trip, throughput, eight ports, garbage; beside a program in C',
        )
        .option('--rounds <n>', 'rounds of each pair; the median counts', '5')
        .option('--garbage <MiB>', 'random bytes through each driver’s codec', '1024')
        .option('--seconds <s>', 'how long eight ports are listened to', '10')
        .option('--json', 'one JSON array')
        .action(async (options: SerialBenchOptions) => {
          const { benchSerial } = await import('./bench-serial.ts');
          show(await benchSerial(options), options.json ?? false);
        }),
    )
    .addCommand(
      new Command('memory')
        .description('resident memory of every process at full speed, and the time to the first detection')
        .requiredOption('--video <file>', 'footage, such as vtest.avi')
        .option('--model <name>', 'model name, or folder with a manifest')
        .option('--minutes <n>', 'how long', '10')
        .option('--json', 'one JSON array')
        .action(async (options: MemoryBenchOptions) => {
          const { benchMemory } = await import('./bench-memory.ts');
          show(await benchMemory(options), options.json ?? false);
        }),
    );

/** @throws InvalidArgumentError which name is none */
function partsOf(text: string): (typeof outboxParts)[number][] {
  return text.split(',').map((name) => {
    const part = outboxParts.find((each) => each === name);
    if (!part) throw new InvalidArgumentError(`${name} is none of ${outboxParts.join(', ')}.`);
    return part;
  });
}

function show(rows: readonly BenchRow[], json: boolean): void {
  if (json) {
    printJson(rows);
    return;
  }
  printTable([
    ['what', 'ours', 'against', 'ratio', 'goal', 'met'],
    ...rows.map(({ what, ours, against, ratio, goal, met }) => [
      what,
      ours,
      against,
      ratio.toFixed(3),
      goal,
      met ? 'yes' : 'NO',
    ]),
  ]);
  if (rows.some(({ met }) => !met)) print('A goal is not met on this machine.');
}
