/** `outpost status`: what the agent on this device is doing, over its local socket. */
import { Command } from 'commander';
import type { Status } from '#agent/outpost.ts';
import { exitCodes, print, printJson, printTable } from './output.ts';

const examples = `
Examples:
  outpost status
  outpost status --json | jq .uplink
  outpost status --config robot-07.yaml
  outpost status --metrics > /var/lib/prometheus/node-exporter/outpost.prom    for the textfile collector

Exit code 1 when a critical condition holds, 4 when no agent answers.`;

interface StatusOptions {
  readonly config?: string;
  readonly socket?: string;
  readonly metrics?: boolean;
  readonly json?: boolean;
}

export const statusCommand = (): Command =>
  new Command('status')
    .description('what the running agent is doing')
    .option('-c, --config <file>', 'configuration file of the agent')
    .option('--socket <path>', 'its local socket, instead of the one of the configuration')
    .option('--metrics', 'what GET /metrics on the socket says, for Prometheus')
    .option('--json', 'one JSON object')
    .addHelpText('after', examples)
    .action(run);

async function run({ config: file, socket, metrics, json }: StatusOptions): Promise<void> {
  const { askMetrics, askStatus, socketPath } = await import('#agent/console/socket.ts');
  const path = socket ?? socketPath(await storagePath(file));
  if (metrics) {
    print((await askMetrics(path)).trimEnd());
    return;
  }
  const status = (await askStatus(path)) as Status;
  if (json) printJson(status);
  else show(status);
  if (status.health.worst === 'critical') process.exitCode = exitCodes.negative;
}

async function storagePath(file: string | undefined): Promise<string> {
  const { loadConfig } = await import('#config/load.ts');
  const { deviceSchema } = await import('./running.ts');
  const { config } = await loadConfig({ schemaFor: deviceSchema, ...(file ? { file } : {}) });
  return config.storage.path;
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;

const custodyText = ({ custody, acks }: Status['uplink']): string =>
  acks
    ? `${custody}   acknowledgements ${acks.accepted}, refused ${acks.refused}, last ${acks.lastAt ?? 'none'}`
    : `${custody}   events leave the device on the broker’s word (uplink.consumers is empty)`;

function uploadText({ due, sent, givenUp, failures, lastError }: NonNullable<Status['upload']>): string {
  const text = `pictures sent ${sent}, due ${due}, given up ${givenUp}, failed tries ${failures}`;
  return lastError ? `${text}   last error ${lastError.at} [${lastError.code}] ${lastError.message}` : text;
}

function showPeripherals(peripherals: Status['peripherals']): void {
  if (peripherals.length === 0) return;
  print();
  printTable([
    ['peripheral', 'driver', 'phase', 'last frame s', 'rtt p50 ms', 'frames', 'crc', 'timeouts', 'connections'],
    ...peripherals.map((each) => [
      each.id,
      each.driver,
      each.phase,
      each.lastFrameAgeMs === undefined ? '-' : Number((each.lastFrameAgeMs / 1_000).toFixed(1)),
      each.roundTripMsP50 === undefined ? '-' : Number(each.roundTripMsP50.toFixed(2)),
      each.messages,
      each.checksumErrors,
      each.timeouts,
      each.connections,
    ]),
  ]);
}

function showVoice({ voice, power }: Status): void {
  if (!voice && power === undefined) return;
  print();
  if (power !== undefined) print(`power ${power}`);
  if (!voice) return;
  const muted = voice.mutedUntil === undefined ? '' : `   muted until ${voice.mutedUntil}`;
  print(`voice ${voice.playing ?? 'quiet'}   waiting ${voice.waiting}, said ${voice.ended.played}${muted}`);
  if (voice.silent !== undefined) print(`  not heard: ${voice.silent}`);
}

function show(status: Status): void {
  const { uplink, outbox, events, memory, vision } = status;
  print(
    `${status.device}  outpost ${status.version}  up ${Math.round(status.uptimeMs / 1000)} s  health ${status.health.worst}`,
  );
  for (const { severity, title, subject, detail } of status.health.conditions)
    print(`  ${severity}: ${title} (${subject}): ${detail}`);
  print();
  printTable([
    ['camera', 'state', 'results/s', 'age p50 ms', 'tracks', 'decoded', 'dropped', 'reopened'],
    ...status.cameras.map((camera) => [
      camera.id,
      camera.state,
      Number(camera.resultsPerSecond.toFixed(1)),
      camera.ageMsP50 === undefined ? '-' : Math.round(camera.ageMsP50),
      camera.tracks,
      camera.decoded,
      camera.dropped,
      camera.reopened,
    ]),
  ]);
  showPeripherals(status.peripherals);
  showVoice(status);
  print();
  printTable([
    ['lane', 'waiting', 'KiB', 'oldest', 'in/s', 'out/s', 'last number'],
    ...Object.entries(outbox).map(([lane, state]) => [
      lane,
      state.depth,
      Math.round(state.bytes / 1024),
      state.oldestAgeMs === undefined ? '-' : `${Math.round(state.oldestAgeMs / 1000)} s`,
      Number(state.appendedPerSecond.toFixed(2)),
      Number(state.leftPerSecond.toFixed(2)),
      state.lastSeq,
    ]),
  ]);
  print();
  print(`model ${vision.model ?? '-'}   events ${events.made}, waiting ${events.waiting}, lost ${events.lost}`);
  print(
    `uplink ${uplink.connected ? `connected, MQTT ${uplink.protocol ?? '-'}` : 'no line'}   published ${uplink.published}, acknowledged ${uplink.acknowledged}, refused ${uplink.refused}`,
  );
  if (uplink.lastError)
    print(`  last error ${uplink.lastError.at} [${uplink.lastError.code}] ${uplink.lastError.message}`);
  print(`custody ${custodyText(uplink)}`);
  if (status.upload) print(uploadText(status.upload));
  if (uplink.lastError)
    print(`last error ${uplink.lastError.at} [${uplink.lastError.code}] ${uplink.lastError.message}`);
  print(
    `memory agent ${mebibytes(memory.agentRssBytes)}, vision ${mebibytes(memory.visionRssBytes)}, ffmpeg ${mebibytes(memory.ffmpegRssBytes)}`,
  );
}
