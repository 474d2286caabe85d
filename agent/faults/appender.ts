/**
 * A process that appends until it is told to stop, and says what each producer was told:
 *
 *   `open EPOCH` · `taken EPOCH LANE SEQ MARKER NS` · `refused CODE MARKER` · `closed`
 *
 * NS: when it was told, of CLOCK_MONOTONIC.
 *
 *   node agent/faults/appender.ts FOLDER PREFIX [MAX_BYTES] [BOOT] [SALVAGE_FIRST_BYTES]          a line on stdin ends it in order
 *
 * Without a prefix it appends nothing.
 */
import { openTestOutbox, testEvent, testHost } from '#agent/outbox/test-rig.ts';

const [folder = '', prefix = '', maxBytes = '67108864', boot = 'boot-1', salvageFirst] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const stopping = new AbortController();
process.stdin.once('data', () => stopping.abort());

const outbox = await openTestOutbox(folder, {
  maxSizeBytes: Number(maxBytes),
  host: testHost(boot),
  ...(salvageFirst === undefined ? {} : { salvageFirstBytes: Number(salvageFirst) }),
});
say(`open ${outbox.epoch}`);
const producers = ['alarm', 'submission', 'event', 'event', 'event', 'event', 'telemetry', 'media'];
await Promise.all(
  (prefix === '' ? [] : producers).map(async (lane, producer) => {
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      const marker = `${prefix}-${producer}-${n}`;
      const event = testEvent(lane as 'event', n, 500);
      try {
        const [envelope] = await outbox.append([
          { ...event, data: { ...event.data, incident: marker } } as typeof event,
        ]);
        const told = process.hrtime.bigint();
        say(`taken ${(envelope as { epoch?: string }).epoch} ${lane} ${envelope?.seq} ${marker} ${told}`);
      } catch (thrown) {
        say(`refused ${(thrown as { code?: string }).code ?? String(thrown)} ${marker}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      if (lane === 'alarm' || lane === 'submission') await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }),
);
await outbox[Symbol.asyncDispose]();
say('closed');
process.stdin.destroy();
