/** `/metrics` of the agent: its status in Prometheus' words. */
import { Metrics, type Reading, type Sample } from '#agent/core/metrics.ts';
import { type Lane, lanes } from '#agent/domain/lane.ts';

/** What is read of the status. */
export interface Measured {
  readonly device: string;
  readonly version: string;
  readonly uptimeMs: number;
  readonly health: {
    readonly conditions: readonly { readonly code: string; readonly subject: string; readonly severity: string }[];
  };
  readonly cameras: readonly {
    readonly id: string;
    readonly resultsPerSecond: number;
    readonly decoded: number;
    readonly dropped: number;
    readonly reopened: number;
  }[];
  readonly peripherals: readonly MeasuredPeripheral[];
  readonly voice:
    | { readonly waiting: number; readonly ended: Readonly<Record<string, number>>; readonly owed: number }
    | undefined;
  readonly power: string | undefined;
  readonly events: { readonly made: number; readonly waiting: number; readonly lost: number };
  readonly outbox: Readonly<Record<Lane, MeasuredLane>>;
  readonly uplink: MeasuredUplink;
  readonly upload: MeasuredUpload | undefined;
  readonly memory: { readonly agentRssBytes: number; readonly visionRssBytes: number; readonly ffmpegRssBytes: number };
}

interface MeasuredPeripheral {
  readonly id: string;
  readonly phase: string;
  readonly connections: number;
  readonly queued: number;
  readonly messages: number;
  readonly checksumErrors: number;
  readonly resyncs: number;
  readonly timeouts: number;
  readonly lastFrameAgeMs: number | undefined;
  readonly roundTripMsP50: number | undefined;
  readonly roundTripMsP99: number | undefined;
}

interface MeasuredLane {
  readonly depth: number;
  readonly bytes: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly oldestAgeMs: number | undefined;
  readonly appendedPerSecond: number;
  readonly leftPerSecond: number;
}

interface MeasuredUpload {
  readonly due: number;
  readonly sent: number;
  readonly sentBytes: number;
  readonly givenUp: number;
  readonly failures: number;
  readonly bytesPerSecond: number | undefined;
  readonly lastError: { readonly code: string; readonly at: string } | undefined;
}

interface MeasuredUplink {
  readonly connected: boolean;
  readonly alarmConnected: boolean;
  readonly custody: string;
  readonly connections: number;
  readonly published: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly poison: number;
  readonly rate: { readonly bytesPerSecond: number | undefined; readonly inFlightBytes: number } | undefined;
  readonly lastError: { readonly code: string; readonly at: string } | undefined;
}

/** @returns Prometheus' text format 0.0.4 */
export async function metricsText(status: Measured): Promise<string> {
  const metrics = new Metrics();
  addAgent(metrics, status);
  addOutbox(metrics, status.outbox);
  addUplink(metrics, status.uplink);
  if (status.upload) addUpload(metrics, status.upload);
  addCameras(metrics, status.cameras);
  addPeripherals(metrics, status.peripherals);
  addVoice(metrics, status.voice);
  metrics.gauge(
    'outpost_power_phase',
    'Always 1: mains, battery, ordering, ordered, ending',
    () => (status.power === undefined ? [] : [{ labels: { phase: status.power }, value: 1 }]),
    ['phase'],
  );
  return await metrics.text();
}

function addAgent(metrics: Metrics, { device, version, uptimeMs, health, events, memory }: Measured): void {
  metrics.gauge('outpost_info', 'Always 1', one({ device, version }), ['device', 'version']);
  metrics.gauge('outpost_uptime_seconds', 'Since the agent started', () => uptimeMs / 1_000);
  metrics.gauge(
    'outpost_health_condition',
    '1 for each condition that holds now',
    () => health.conditions.map(({ code, subject, severity }) => ({ labels: { code, subject, severity }, value: 1 })),
    ['code', 'subject', 'severity'],
  );
  metrics.counter('outpost_events_made_total', 'By rules and watches, since the start', () => events.made);
  metrics.gauge('outpost_events_waiting', 'In memory, while the disk refuses', () => events.waiting);
  metrics.counter('outpost_events_lost_total', 'In memory, since the disk refused for too long', () => events.lost);
  const rss = { agent: memory.agentRssBytes, vision: memory.visionRssBytes, ffmpeg: memory.ffmpegRssBytes };
  const processes = Object.entries(rss).map(([process, value]) => ({ labels: { process }, value }));
  metrics.gauge('outpost_resident_bytes', 'Resident memory', () => processes, ['process']);
}

function addOutbox(metrics: Metrics, outbox: Measured['outbox']): void {
  const ofLane = (name: string, help: string, value: (lane: MeasuredLane) => number | undefined): void => {
    const samples = lanes.flatMap((lane): Sample[] => {
      const found = value(outbox[lane]);
      return found === undefined ? [] : [{ labels: { lane }, value: found }];
    });
    metrics.gauge(`outpost_outbox_${name}`, help, () => samples, ['lane']);
  };
  ofLane('depth', 'Events that wait', ({ depth }) => depth);
  ofLane('bytes', 'Bytes that wait', ({ bytes }) => bytes);
  ofLane('oldest_age_seconds', 'Of the oldest that waits, when it is of this boot', ({ oldestAgeMs }) =>
    oldestAgeMs === undefined ? undefined : oldestAgeMs / 1_000,
  );
  ofLane('first_seq', 'Lowest number of this epoch that waits; 0 when none does', ({ firstSeq }) => firstSeq);
  ofLane('appended_per_second', 'Events, over the last minute', ({ appendedPerSecond }) => appendedPerSecond);
  ofLane(
    'left_per_second',
    'Events handed over or given up, over the last minute',
    ({ leftPerSecond }) => leftPerSecond,
  );
  ofLane('last_seq', 'Highest number of this epoch that was given', ({ lastSeq }) => lastSeq);
}

function addUplink(metrics: Metrics, uplink: MeasuredUplink): void {
  const { connected, alarmConnected, custody, rate, lastError } = uplink;
  const lines = Object.entries({ main: connected, alarm: alarmConnected });
  metrics.gauge(
    'outpost_uplink_connected',
    '1 while the line to the broker is up',
    () => lines.map(([line, isUp]) => ({ labels: { line }, value: isUp ? 1 : 0 })),
    ['line'],
  );
  metrics.gauge('outpost_uplink_custody', 'Always 1: who must have an event', one({ custody }), ['custody']);
  metrics.counter('outpost_uplink_connections_total', 'Lines that were had', () => uplink.connections);
  metrics.counter('outpost_uplink_published_total', 'Events sent, those sent again included', () => uplink.published);
  metrics.counter('outpost_uplink_acknowledged_total', 'Events that the broker took', () => uplink.acknowledged);
  metrics.counter(
    'outpost_uplink_refused_total',
    'Events that the broker did not take, or had nobody to give to',
    () => uplink.refused,
  );
  metrics.counter('outpost_uplink_poison_total', 'Events given up: the broker never takes them', () => uplink.poison);
  metrics.gauge('outpost_uplink_rate_bytes', 'Bytes a second that the line carries', () => rate?.bytesPerSecond);
  metrics.gauge('outpost_uplink_in_flight_bytes', 'Sent, without an answer', () => rate?.inFlightBytes);
  addLastError(metrics, 'uplink', lastError);
}

function addUpload(metrics: Metrics, upload: MeasuredUpload): void {
  metrics.gauge('outpost_upload_due', 'Pictures to be sent or declared', () => upload.due);
  metrics.counter('outpost_upload_sent_total', 'Pictures sent, since the start', () => upload.sent);
  metrics.counter('outpost_upload_sent_bytes_total', 'Bytes of them', () => upload.sentBytes);
  metrics.counter('outpost_upload_given_up_total', 'Pictures declared as given up', () => upload.givenUp);
  metrics.counter('outpost_upload_failures_total', 'Tries that failed', () => upload.failures);
  metrics.gauge('outpost_upload_pace_bytes', 'Bytes a second that a picture may take', () => upload.bytesPerSecond);
  addLastError(metrics, 'upload', upload.lastError);
}

function addLastError(metrics: Metrics, what: string, lastError: MeasuredUplink['lastError']): void {
  metrics.gauge(
    `outpost_${what}_last_error_timestamp_seconds`,
    'When the last error was, by the wall clock; absent: none since the start',
    () => (lastError ? [{ labels: { code: lastError.code }, value: Date.parse(lastError.at) / 1_000 }] : []),
    ['code'],
  );
}

function addCameras(metrics: Metrics, cameras: Measured['cameras']): void {
  const ofCamera = (value: (camera: Measured['cameras'][number]) => number): Reading => {
    const samples = cameras.map((camera) => ({ labels: { camera: camera.id }, value: value(camera) }));
    return () => samples;
  };
  const labels = ['camera'];
  const rate = ofCamera(({ resultsPerSecond }) => resultsPerSecond);
  metrics.gauge('outpost_camera_results_per_second', 'Frames detected, over five seconds', rate, labels);
  const decoded = ofCamera((camera) => camera.decoded);
  metrics.counter('outpost_camera_decoded_total', 'Frames decoded', decoded, labels);
  const dropped = ofCamera((camera) => camera.dropped);
  metrics.counter('outpost_camera_dropped_total', 'Frames that a newer one replaced', dropped, labels);
  const reopened = ofCamera((camera) => camera.reopened);
  metrics.counter('outpost_camera_reopened_total', 'Times its source was opened again', reopened, labels);
}

function addPeripherals(metrics: Metrics, peripherals: Measured['peripherals']): void {
  const of = (value: (peripheral: MeasuredPeripheral) => number | undefined): Reading => {
    const samples = peripherals.flatMap((peripheral): Sample[] => {
      const found = value(peripheral);
      return found === undefined ? [] : [{ labels: { peripheral: peripheral.id }, value: found }];
    });
    return () => samples;
  };
  const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1_000);
  const labels = ['peripheral'];
  const gauges: readonly (readonly [name: string, help: string, read: Reading])[] = [
    ['ready', '1 while it answers', of(({ phase }) => (phase === 'ready' ? 1 : 0))],
    ['queue_depth', 'Commands and exchanges that wait', of(({ queued }) => queued)],
    ['last_frame_age_seconds', 'Since the last valid frame', of((each) => seconds(each.lastFrameAgeMs))],
    ['round_trip_p50_seconds', 'Of the last minute', of((each) => seconds(each.roundTripMsP50))],
    ['round_trip_p99_seconds', 'Of the last minute', of((each) => seconds(each.roundTripMsP99))],
  ];
  for (const [name, help, read] of gauges) metrics.gauge(`outpost_peripheral_${name}`, help, read, labels);
  const counters: readonly (readonly [name: string, help: string, read: Reading])[] = [
    ['connections', 'Connections that were had', of(({ connections }) => connections)],
    ['frames', 'Valid frames', of(({ messages }) => messages)],
    ['checksum_errors', 'Frames with a wrong check value', of(({ checksumErrors }) => checksumErrors)],
    ['resyncs', 'Times that bytes were skipped to find a frame', of(({ resyncs }) => resyncs)],
    ['timeouts', 'Requests without an answer', of(({ timeouts }) => timeouts)],
  ];
  for (const [name, help, read] of counters) metrics.counter(`outpost_peripheral_${name}_total`, help, read, labels);
}

/** Absent while nothing can be said. */
function addVoice(metrics: Metrics, voice: Measured['voice']): void {
  if (!voice) return;
  const { waiting, ended, owed } = voice;
  metrics.gauge('outpost_voice_waiting', 'Announcements that wait', () => waiting);
  metrics.gauge('outpost_voice_owed', 'Sirens and strobes that are still to be switched off', () => owed);
  metrics.counter(
    'outpost_voice_announcements_total',
    'Announcements, by how they ended',
    () => Object.entries(ended).map(([ending, value]) => ({ labels: { ending }, value })),
    ['ending'],
  );
}

const one =
  (labels: Sample['labels']): Reading =>
  () => [{ labels, value: 1 }];
