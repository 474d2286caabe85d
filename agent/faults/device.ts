/**
 * A device for the whole chain: the real outbox and uplink under load. It speaks as appender.ts does; a line on stdin ends
 * the load, and it ends itself when the consumer has committed everything: `closed`.
 *
 *   node agent/faults/device.ts FOLDER PREFIX BROKER_URL CONSUMER_KEY|- [CA_FILE] [EVERY_MS]
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Event } from '#agent/domain/event.ts';
import { openTestOutbox, testEvent } from '#agent/outbox/test-rig.ts';
import { startUplink } from '#agent/uplink/test-rig.ts';

const [folder = '', prefix = '', url = '', consumer = '-', ca = '-', everyMs = '4'] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const stopping = new AbortController();
process.stdin.once('data', () => stopping.abort());

const outbox = await openTestOutbox(folder, { maxSizeBytes: 4e9 });
say(`open ${outbox.epoch}`);
const config = { url, ...(consumer === '-' ? {} : { consumers: [consumer] }), ...(ca === '-' ? {} : { ca }) };
const uplink = startUplink(outbox, config);
await Promise.all(
  (['alarm', 'submission', 'event', 'event', 'telemetry'] as const).map(async (lane, producer) => {
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      const marker = `${prefix}-${producer}-${n}`;
      const event = testEvent(lane, n, 300);
      try {
        const [envelope] = await outbox.append([{ ...event, data: { ...event.data, incident: marker } } as Event]);
        say(`taken ${(envelope as { epoch?: string }).epoch} ${lane} ${envelope?.seq} ${marker}`);
      } catch (thrown) {
        say(`refused ${(thrown as { code?: string }).code ?? String(thrown)} ${marker}`);
      }
      await delay(lane === 'alarm' ? 50 : Number(everyMs));
    }
  }),
);
while (Object.values(outbox.state).some(({ depth }) => depth > 0)) await delay(20);
await uplink[Symbol.asyncDispose]();
await outbox[Symbol.asyncDispose]();
say('closed');
process.stdin.destroy();
