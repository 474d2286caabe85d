/**
 * What an application does today with mqtt.js and one of its stores: publishes while the broker is away, and says how many
 * the client took. With EVENTS 0 it only connects, and sends what its store kept.
 *
 *   node agent/faults/peer-publisher.ts URL EVENTS [LEVEL_STORE_MODULE LEVEL_FOLDER]
 */
import { createRequire } from 'node:module';
import { connect, type IClientOptions } from 'mqtt';

const [url = '', events = '0', module = '', folder = ''] = process.argv.slice(2);
type Manager = (path: string) => { readonly incoming: unknown; readonly outgoing: unknown };

function stores(): IClientOptions {
  if (module === '') return {};
  const { incoming, outgoing } = (createRequire(import.meta.url)(module) as Manager)(folder);
  return { incomingStore: incoming, outgoingStore: outgoing } as IClientOptions;
}

const client = connect(url, { clientId: 'peer', clean: false, reconnectPeriod: 100, ...stores() });
client.on('error', () => undefined);
client.on('connect', () => process.stdout.write('connected\n'));
const payload = 'x'.repeat(1_000);
for (let n = 0; n < Number(events); n += 1) {
  client.publish('peer/events', `${n} ${payload}`, { qos: 1 }, () => undefined);
  if (n % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}
// the store behind a client writes a little later
setTimeout(() => process.stdout.write('taken\n'), 3_000);
