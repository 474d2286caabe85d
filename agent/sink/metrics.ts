/** `/metrics` of a sink, for Prometheus, on a port of its own. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { Metrics } from '#agent/core/metrics.ts';
import type { SinkCounts, SinkStatus } from './status.ts';

export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

const help: Readonly<Record<keyof SinkCounts, string>> = {
  publishes: 'Publishes that are committed',
  stored: 'Events that are committed for the first time',
  duplicates: 'Events that came again and were suppressed',
  conflicts: 'Events with the number of another, and other content',
  rejected: 'What was set aside: no event, or one against its schema',
  rounds: 'Transactions',
  acknowledgements: 'Messages on down/ack',
  resent: 'Configurations and commands sent again to devices that were back',
  garbled: 'Messages on down/desired, down/cmd and up/reported that cannot be read',
};

/** @throws OutpostError `sink-metrics-port` */
export async function serveMetrics(status: SinkStatus, host: string, port: number): Promise<MetricsServer> {
  const metrics = metricsOf(status);
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    void metrics.text().then((text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text));
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.maxConnections = 16;
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (thrown) {
    throw new OutpostError('sink-metrics-port', messageOf(thrown), { context: { host, port }, cause: thrown });
  }
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function metricsOf(status: SinkStatus): Metrics {
  const metrics = new Metrics();
  for (const name of Object.keys(help) as (keyof SinkCounts)[]) {
    metrics.counter(`outpost_sink_${name}_total`, help[name], () => status.counts[name]);
  }
  metrics.gauge('outpost_sink_broker_connected', '1 while the subscriptions stand', () => (status.broker ? 1 : 0));
  metrics.gauge('outpost_sink_database_up', '0 after a round that the database did not take', () =>
    status.databaseError ? 0 : 1,
  );
  const waiting = 'Read and not yet committed';
  metrics.gauge('outpost_sink_waiting_publishes', waiting, () => status.waiting.publishes);
  metrics.gauge('outpost_sink_waiting_bytes', waiting, () => status.waiting.bytes);
  const seconds = metrics.histogram(
    'outpost_sink_round_seconds',
    'From the first try of a transaction to its commit',
    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
  );
  const events = metrics.histogram(
    'outpost_sink_round_events',
    'Events of one transaction',
    [1, 4, 16, 64, 256, 1024, 4096],
  );
  status.onRound = (count, ms) => {
    seconds(ms / 1000);
    events(count);
  };
  return metrics;
}
