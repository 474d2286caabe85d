/**
 * A process for tests that appends until it is killed, and says on stdout what is acknowledged:
 * `lane seq` a line, written only after the append resolved.
 *
 *   node agent/testing/append-forever.ts FOLDER [MAX_BYTES]
 */
import { openTestOutbox, testEvent } from '#agent/outbox/test-rig.ts';

const [folder = '', maxBytes = '67108864'] = process.argv.slice(2);
const outbox = await openTestOutbox(folder, { maxSizeBytes: Number(maxBytes) });
process.stdout.write(`open ${outbox.epoch}\n`);
await Promise.all(
  Array.from({ length: 8 }, async (_none, producer) => {
    for (let n = 0; ; n += 1) {
      const lane = producer === 0 ? 'alarm' : 'event';
      try {
        for (const { seq } of await outbox.append([testEvent(lane, n, 500)])) process.stdout.write(`${lane} ${seq}\n`);
      } catch (thrown) {
        process.stdout.write(`refused ${(thrown as { code: string }).code}\n`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }),
);
