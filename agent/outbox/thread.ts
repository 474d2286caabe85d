/** The writer thread: it alone holds the store, so that no slow disk blocks anybody else. */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { toStoreError } from '#agent/core/sqlite.ts';
import { type Bell, BellSleeper } from './bell.ts';
import { confirmedLog } from './log-file.ts';
import { type OpenedStore, openStore, storeFile } from './open-store.ts';
import {
  type Answer,
  type FromWriter,
  type Job,
  noMemory,
  type PeekedBatch,
  type ToWriter,
  type WriterOptions,
} from './protocol.ts';
import { answerAsText, jobOfText } from './small-job.ts';
import { asFailure, refusal, type Store } from './store.ts';

export interface OutboxThreadData {
  readonly bell: Bell;
}

/** Opens the store when it is told which, and serves it until it is told to end. */
export function runOutboxThread({ bell }: OutboxThreadData): void {
  const port = parentPort;
  if (!port) throw new Error('The writer runs in a thread.');
  // on the bell and not in an event loop, which is slower to wake and has nothing else to do here
  const say = (message: FromWriter): void => port.postMessage(message, transfers(message));
  const sleeper = new BellSleeper(bell);
  const next = (): unknown => sleeper.next(() => receiveMessageOnPort(port))?.message;
  const options = next() as WriterOptions;
  let opened: OpenedStore;
  try {
    opened = openStore(options);
  } catch (thrown) {
    say({ kind: 'failed', failure: asFailure(toStoreError(thrown, options.path)) });
    port.close();
    return;
  }
  const { store, close } = opened;
  say({ kind: 'opened', opened: opened.opened });
  store.restoreReserve(options.now.monoMs);
  while (handle(next() as ToWriter, store, say, options.path));
  close();
  port.close();
}

/** @returns false when it is the end */
function handle(message: ToWriter, store: Store, say: (message: FromWriter) => void, path: string): boolean {
  const isSmall = typeof message === 'string';
  if (!isSmall && message.kind === 'close') return false;
  const job = isSmall ? jobOfText(message) : message.job;
  const answer = attempt(store, job, path);
  // what came as a text is this thread's own
  const memory = isSmall ? noMemory : job.appends.bytes;
  if (answer.broken) {
    say({ kind: 'answer', answer: { ...answer, confirmed: confirmedLog(storeFile(path)) }, memory });
    return false;
  }
  say((isSmall ? answerAsText(answer) : undefined) ?? { kind: 'answer', answer, memory });
  store.tend(job.now.monoMs);
  return true;
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
  if (typeof message === 'string' || message.kind !== 'answer') return [];
  const batches = Array.isArray(message.answer.peeks) ? (message.answer.peeks as PeekedBatch[][]).flat() : [];
  const read = batches.flatMap(({ bytes }) => {
    const owns = bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.byteLength;
    return owns && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
  });
  return message.memory.length > 0 ? [...read, message.memory.buffer] : read;
}
