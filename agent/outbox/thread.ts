/** The writer thread: it alone holds the store, so that no slow disk blocks anybody else. */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { toStoreError } from '#agent/core/sqlite.ts';
import { type Bell, BellSleeper } from './bell.ts';
import { Inbox, type Received } from './inbox.ts';
import { confirmedLog } from './log-file.ts';
import { Mailbox } from './mailbox.ts';
import { type OpenedStore, openStore, storeFile } from './open-store.ts';
import {
  type Answer,
  type FromWriter,
  isCrowded,
  type Job,
  noMemory,
  type PeekedBatch,
  type Told,
} from './protocol.ts';
import { asFailure, refusal, type Store } from './store.ts';

export interface OutboxThreadData {
  readonly bell: Bell;
  /** Of `newMailboxMemory`. */
  readonly mailbox: SharedArrayBuffer;
}

/** Opens the store when it is told which, and serves it until it is told to end. */
export function runOutboxThread({ bell, mailbox: memory }: OutboxThreadData): void {
  const port = parentPort;
  if (!port) throw new Error('The writer runs in a thread.');
  // on the bell and not in an event loop, which is slower to wake and has nothing else to do here
  const say = (message: FromWriter): void => port.postMessage(message, transfers(message));
  const sleeper = new BellSleeper(bell);
  const mailbox = new Mailbox(memory);
  const inbox = new Inbox(mailbox, () => receiveMessageOnPort(port)?.message as Told | undefined);
  const next = (isLong: boolean): Received => sleeper.next(() => inbox.take(), isLong);
  const first = next(false);
  if (first.kind !== 'open') throw new Error('The writer is told first which store to open.');
  const { options } = first;
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
  let received = next(false);
  while (handle(received, store, { say, mailbox, path: options.path })) received = next(isCrowdedJob(received));
  close();
  port.close();
}

const isCrowdedJob = (received: Received): boolean => 'job' in received && isCrowded(received.job);

interface Surroundings {
  readonly say: (message: FromWriter) => void;
  readonly mailbox: Mailbox;
  readonly path: string;
}

/** @returns false when it is the end */
function handle(received: Received, store: Store, { say, mailbox, path }: Surroundings): boolean {
  if (received.kind === 'close' || received.kind === 'open') return false;
  const { kind, turn, job } = received;
  const answer = attempt(store, job, path);
  const reply = kind === 'mailed' ? mailbox.reply(answer) : 'unfit';
  if (reply === 'unseen') say('look');
  if (reply === 'unfit') {
    // the texts of what was mailed are this thread's own
    const memory = kind === 'mailed' ? noMemory : job.appends.bytes;
    const told = answer.broken ? { ...answer, confirmed: confirmedLog(storeFile(path)) } : answer;
    say({ kind: 'answer', turn, answer: told, memory });
  }
  if (answer.broken) return false;
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
  if (message === 'look' || message.kind !== 'answer') return [];
  const batches = Array.isArray(message.answer.peeks) ? (message.answer.peeks as PeekedBatch[][]).flat() : [];
  const read = batches.flatMap(({ bytes }) => {
    const owns = bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.byteLength;
    return owns && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
  });
  return message.memory.length > 0 ? [...read, message.memory.buffer] : read;
}
