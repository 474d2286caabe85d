/** The demo's other end: an embedded broker on loopback, and a subscriber that takes apart what arrives. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { AedesPublishPacket } from 'aedes';

/** A CloudEvent as a subscriber sees it. */
export interface ReceivedEvent {
  readonly id: string;
  /** `/outpost/` and the device. */
  readonly source: string;
  readonly type: string;
  readonly time: string;
  readonly subject: string;
  readonly lane: string;
  readonly seq: string;
  readonly epoch: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface DemoBroker extends AsyncDisposable {
  readonly url: string;
  /** Events that reached the subscriber. */
  received(): number;
}

export async function openBroker(onEvent: (event: ReceivedEvent) => void): Promise<DemoBroker> {
  const { Aedes } = await import('aedes');
  const broker = await Aedes.createBroker();
  const server = createServer(broker.handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let received = 0;
  const take = (packet: AedesPublishPacket, done: () => void): void => {
    for (const event of eventsOf(packet.payload.toString('utf8'))) {
      received += 1;
      onEvent(event);
    }
    done();
  };
  await new Promise<void>((resolve) => broker.subscribe('outpost/v1/+/up/+', take, resolve));
  return {
    url: `mqtt://127.0.0.1:${port}`,
    received: () => received,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => broker.close(resolve));
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** One event as an object, several as an array (CloudEvents JSON batch); presence is neither. */
function eventsOf(text: string): readonly ReceivedEvent[] {
  const parsed: unknown = JSON.parse(text);
  const entries = Array.isArray(parsed) ? (parsed as unknown[]) : [parsed];
  return entries.filter(isEvent);
}

const isEvent = (value: unknown): value is ReceivedEvent =>
  typeof value === 'object' && value !== null && 'specversion' in value && 'type' in value;
