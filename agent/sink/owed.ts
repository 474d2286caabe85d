/** A publish that does not wait for ever. */
import type { Clock } from '#agent/core/clock.ts';
import type { Log } from '#agent/core/log.ts';
import type { MqttLine, PublishOptions } from '#agent/core/mqtt.ts';

/** A cluster that elects a leader may owe a PUBACK for ever, on a line that answers pings: another line is not owed. */
const answerMs = 60_000;

/** @returns the reason code @throws OutpostError `broker-closed`, also when there was no answer for long */
export async function publishOrCut(
  line: MqttLine,
  topic: string,
  payload: Buffer,
  options: PublishOptions,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<number> {
  const answered = new AbortController();
  const late = clock.sleep(answerMs, answered.signal).then(
    () => {
      log.warn('The broker owes an answer; the line is cut for another one.', { topic });
      line.destroy();
    },
    () => undefined,
  );
  try {
    return await line.publish(topic, payload, options);
  } finally {
    answered.abort();
    await late;
  }
}
