/** The writer thread: it alone holds the store, so that no slow disk blocks anybody else. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { toStoreError } from '#agent/core/sqlite.ts';
import { confirmedLog } from './log-file.ts';
import { type OpenedStore, openStore, storeFile } from './open-store.ts';
import type { Answer, FromWriter, Job, PeekedBatch, ToWriter, WriterOptions } from './protocol.ts';
import { asFailure, refusal, type Store } from './store.ts';

export interface OutboxThreadData {
  readonly options: WriterOptions;
}

export function runOutboxThread({ options }: OutboxThreadData): void {
  const port = parentPort;
  if (!port) throw new Error('The writer runs in a thread.');
  const say = (message: FromWriter): void => port.postMessage(message, transfers(message));
  try {
    const opened = openStore(options);
    serve(port, say, opened, options.path);
    say({ kind: 'opened', opened: opened.opened });
    opened.store.restoreReserve(options.now.monoMs);
  } catch (thrown) {
    say({ kind: 'failed', failure: asFailure(toStoreError(thrown, options.path)) });
    port.close();
  }
}

function serve(
  port: MessagePort,
  say: (message: FromWriter) => void,
  { store, close }: OpenedStore,
  path: string,
): void {
  let hasEnded = false;
  const end = (): void => {
    hasEnded = true;
    close();
    port.close();
  };
  port.on('message', (message: ToWriter) => {
    if (hasEnded) return;
    if (message.kind === 'close') {
      end();
      return;
    }
    const answer = attempt(store, message.job, path);
    const memory = message.job.appends.bytes;
    if (answer.broken) say({ kind: 'answer', answer: { ...answer, confirmed: confirmedLog(storeFile(path)) }, memory });
    else say({ kind: 'answer', answer, memory });
    if (answer.broken) end();
    else store.tend(message.job.now.monoMs);
  });
}

function attempt(store: Store, job: Job, path: string): Answer {
  try {
    return store.run(job);
  } catch (thrown) {
    const failure = asFailure(toStoreError(thrown, path));
    return { ...refusal(job, failure), peeks: failure, counters: [], dropped: 0, commitMs: 0, broken: true };
  }
}

/** Batches are handed over, not copied, where they own their memory; that of the Job goes back. */
function transfers(message: FromWriter): ArrayBuffer[] {
  if (message.kind !== 'answer') return [];
  const batches = Array.isArray(message.answer.peeks) ? (message.answer.peeks as PeekedBatch[][]).flat() : [];
  const read = batches.flatMap(({ bytes }) => {
    const owns = bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.byteLength;
    return owns && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
  });
  return message.memory.length > 0 ? [...read, message.memory.buffer] : read;
}
