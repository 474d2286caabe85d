/** The agent's figures for Prometheus: every lane, what is unknown left out, and text from outside escaped. */
import { expect, it } from 'vitest';
import { type Lane, lanes } from '#agent/domain/lane.ts';
import { type Measured, metricsText } from './metrics.ts';

const empty = {
  depth: 0,
  bytes: 0,
  firstSeq: 0,
  lastSeq: 0,
  oldestAgeMs: undefined,
  appendedPerSecond: 0,
  leftPerSecond: 0,
};
const outbox = Object.fromEntries(lanes.map((lane) => [lane, empty])) as Record<Lane, Measured['outbox'][Lane]>;
const status: Measured = {
  device: 'robot-07',
  version: '0.1.0',
  uptimeMs: 1_500,
  health: { conditions: [] },
  cameras: [],
  upload: undefined,
  peripherals: [],
  voice: undefined,
  power: undefined,
  events: { made: 3, waiting: 0, lost: 0 },
  outbox: {
    ...outbox,
    alarm: { ...empty, depth: 2, bytes: 900, firstSeq: 7, lastSeq: 8, oldestAgeMs: 2_500, leftPerSecond: 1.5 },
  },
  uplink: {
    connected: true,
    alarmConnected: false,
    custody: 'consumer',
    connections: 4,
    published: 12,
    acknowledged: 10,
    refused: 1,
    poison: 0,
    rate: undefined,
    lastError: undefined,
  },
  memory: { agentRssBytes: 1, visionRssBytes: 2, ffmpegRssBytes: 3 },
};

const samples = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

it('says depth, age, bytes and numbers of each lane, and how the line is', async () => {
  const lines = samples(await metricsText(status));
  expect(lines).toEqual(
    expect.arrayContaining([
      'outpost_info{device="robot-07",version="0.1.0"} 1',
      'outpost_uptime_seconds 1.5',
      'outpost_outbox_depth{lane="alarm"} 2',
      'outpost_outbox_bytes{lane="alarm"} 900',
      'outpost_outbox_oldest_age_seconds{lane="alarm"} 2.5',
      'outpost_outbox_appended_per_second{lane="alarm"} 0',
      'outpost_outbox_left_per_second{lane="alarm"} 1.5',
      'outpost_outbox_first_seq{lane="alarm"} 7',
      'outpost_outbox_last_seq{lane="alarm"} 8',
      'outpost_uplink_connected{line="main"} 1',
      'outpost_uplink_connected{line="alarm"} 0',
      'outpost_uplink_custody{custody="consumer"} 1',
      'outpost_uplink_connections_total 4',
      'outpost_uplink_published_total 12',
      'outpost_uplink_acknowledged_total 10',
      'outpost_uplink_refused_total 1',
    ]),
  );
  for (const lane of lanes) expect(lines).toContain(`outpost_outbox_depth{lane="${lane}"} ${lane === 'alarm' ? 2 : 0}`);
});

it('leaves out what is not known, and says it when it is', async () => {
  const before = samples(await metricsText(status)).join('\n');
  expect(before).not.toMatch(/last_error|rate_bytes|in_flight|health_condition|oldest_age_seconds\{lane="event"/);
  const after = samples(
    await metricsText({
      ...status,
      health: { conditions: [{ code: 'uplink-down', subject: 'a"b', severity: 'warning' }] },
      uplink: {
        ...status.uplink,
        rate: { bytesPerSecond: 125_000, inFlightBytes: 0 },
        lastError: { code: 'broker-closed', at: '2026-11-23T00:00:00.000Z' },
      },
    }),
  );
  expect(after).toContain('outpost_uplink_rate_bytes 125000');
  expect(after).toContain('outpost_uplink_in_flight_bytes 0');
  expect(after).toContain('outpost_uplink_last_error_timestamp_seconds{code="broker-closed"} 1795392000');
  expect(after).toContain('outpost_health_condition{code="uplink-down",subject="a\\"b",severity="warning"} 1');
});

it('tells of uploads where there are any', async () => {
  expect((await metricsText(status)).includes('outpost_upload')).toBe(false);
  const upload = { due: 2, sent: 5, sentBytes: 900, givenUp: 1, failures: 3, bytesPerSecond: 65_536 };
  const lastError = { code: 'upload-tls', at: '2026-11-23T00:00:00.000Z' };
  expect(samples(await metricsText({ ...status, upload: { ...upload, lastError } }))).toEqual(
    expect.arrayContaining([
      'outpost_upload_due 2',
      'outpost_upload_sent_total 5',
      'outpost_upload_sent_bytes_total 900',
      'outpost_upload_given_up_total 1',
      'outpost_upload_failures_total 3',
      'outpost_upload_pace_bytes 65536',
      'outpost_upload_last_error_timestamp_seconds{code="upload-tls"} 1795392000',
    ]),
  );
});

it('says how announcements ended and what the power does, where there are any', async () => {
  const lines = samples(
    await metricsText({ ...status, voice: { waiting: 2, ended: { played: 3, silent: 1 }, owed: 1 }, power: 'battery' }),
  );
  expect(lines).toEqual(
    expect.arrayContaining([
      'outpost_voice_waiting 2',
      'outpost_voice_owed 1',
      'outpost_voice_announcements_total{ending="played"} 3',
      'outpost_voice_announcements_total{ending="silent"} 1',
      'outpost_power_phase{phase="battery"} 1',
    ]),
  );
  expect(samples(await metricsText(status)).join('\n')).not.toMatch(/voice|power/);
});
