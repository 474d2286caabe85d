/**
 * What the main thread and the writer thread say to each other: one Job in flight, one Answer to each.
 *
 *   Outbox (main) -- Job: appends, acks, peeks --> writer: one transaction, then the reads
 *                 <-- Answer: numbers, refusals, state of the lanes, batches --
 */
import type { ClockQuality } from '#agent/domain/envelope.ts';
import type { ErrorCode } from '#agent/core/error-codes.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Lane } from '#agent/domain/lane.ts';
import type { ConfirmedLog } from './log-file.ts';

/** A moment, as the main thread's clock has it. */
export interface Moment {
  readonly wallMs: number;
  readonly monoMs: number;
  readonly clock: ClockQuality;
}

export interface WriterOptions {
  readonly path: string;
  readonly device: string;
  readonly maxSizeBytes: number;
  /** Names this boot of the machine; another one means that monotonic time began anew. */
  readonly bootId: string;
  /** Names this machine; another one means that the disk was cloned. */
  readonly machineId: string;
  /** The store was found damaged while it was open: read it through, whatever its size. */
  readonly suspect: boolean;
  /** It was open before in this process: a folder without it is a disk that is not mounted. */
  readonly isReopening: boolean;
  /** What the log held when a commit failed: what lies behind it was refused. */
  readonly confirmed: ConfirmedLog | undefined;
  readonly now: Moment;
  /** A damaged store up to this size is salvaged before anything is served; a larger one while another serves. */
  readonly salvageFirstBytes: number;
}

/** Of a Job's texts. It goes to the writer with the Job, and comes back with the Answer. */
export type JobMemory = Uint8Array<ArrayBuffer>;
export const noMemory: JobMemory = new Uint8Array(0);

/** All appends of a Job, side by side, so that few objects cross to the thread. */
export interface Appends {
  /** How many events each append has. */
  readonly counts: readonly number[];
  /** For each event the index of its lane. */
  readonly lanes: readonly number[];
  readonly monoMs: readonly number[];
  readonly lifeMs: readonly (number | undefined)[];
  /** UTF-8: one text after the other, with the numbers in `seqs`. Handed over with its Job. */
  readonly bytes: JobMemory;
  /** Where each text and the second number in it begin in `bytes`, and where the last text ends. */
  readonly offsets: readonly number[];
  /** The number that each event is expected to get. */
  readonly seqs: readonly number[];
}

export interface AckRequest {
  readonly lane: Lane;
  readonly epoch: string;
  readonly upto: number;
  /** Ranges at or below `upto` that stay. */
  readonly missing: readonly (readonly [first: number, last: number])[];
  /** Not an acknowledgement: `upto` alone is given up, since nobody takes it, and declared. */
  readonly isPoison?: true;
}

export interface PeekRequest {
  readonly lane: Lane;
  readonly after: { readonly epoch: string; readonly seq: number } | undefined;
  readonly maxEvents: number;
  readonly maxBytes: number;
  /** Batches, each behind the one before. */
  readonly count: number;
}

export interface Job {
  readonly now: Moment;
  readonly appends: Appends;
  readonly acks: readonly AckRequest[];
  readonly peeks: readonly PeekRequest[];
}

/** Of so many appends that the next ones come when these have their Answer. */
const manyAppends = 64;

/**
 * Many wait for its Answer, and nothing leaves meanwhile: the two threads have the processors to themselves, and whoever
 * waits for the other does best to stay awake.
 */
export const isCrowded = ({ appends, acks, peeks }: Job): boolean =>
  appends.counts.length >= manyAppends && acks.length === 0 && peeks.length === 0;

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly context: Readonly<Record<string, unknown>>;
}

export const failureToError = ({ code, message, hint, context }: Failure): OutpostError =>
  new OutpostError(code, message, { hint, context });

export interface PeekedBatch {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Perhaps more wait behind it. */
  readonly more: boolean;
}

/** One (epoch, lane). */
export interface SlotState {
  readonly epoch: string;
  readonly lane: Lane;
  readonly last: number;
  readonly depth: number;
  readonly bytes: number;
  /** Lowest number that waits; 0 when none does. */
  readonly first: number;
  /** Monotonic time of that event when it is of this boot. */
  readonly oldestMonoMs: number | undefined;
}

/**
 * Slots that changed, as they are now, one behind the other: index, last, depth, bytes, first, and the oldest's monotonic
 * time or -1. Numbers alone cross to the other thread in a third of the time of objects.
 */
export type Counters = readonly number[];

export interface Refusal {
  /** Index of the append. */
  readonly append: number;
  readonly failure: Failure;
}

export interface Answer {
  /** For each event its number; 0 where its append was refused. */
  readonly seqs: readonly number[];
  readonly refused: readonly Refusal[];
  readonly acks: Failure | undefined;
  /** For each request its batches, fewer than asked for where nothing more waits. */
  readonly peeks: readonly (readonly PeekedBatch[])[] | Failure;
  /** What changed since the Answer before. */
  readonly counters: Counters;
  /** What was given up in this transaction. */
  readonly dropped: number;
  /** How long the disk took; 0 when there was nothing to write. */
  readonly commitMs: number;
  /** True when the writer cannot go on and is to be started again. */
  readonly broken: boolean;
  /** With `broken`: what the log holds that was not refused. */
  readonly confirmed?: ConfirmedLog | undefined;
}

export interface Opened {
  readonly epoch: string;
  readonly boot: number;
  readonly slots: readonly SlotState[];
  readonly salvaged: Salvaged | undefined;
  readonly salvaging: Salvaging | undefined;
  /** There was a store in this folder, and its file is missing or empty. */
  readonly isGone: boolean;
}

/** Of a damaged store. */
export interface Salvaged {
  /** Where it is kept. */
  readonly keptAside: string;
  /** Taken over from it. */
  readonly events: number;
}

/** Damaged stores that were put aside, and of which nothing was taken over yet: another one serves meanwhile. */
export interface Salvaging {
  readonly stores: readonly string[];
  readonly bytes: number;
  /** Why it failed when it was tried. */
  readonly failure?: Failure;
}

/** A text is word of an Answer in the mailbox. */
export type FromWriter =
  | 'look'
  | { readonly kind: 'opened'; readonly opened: Opened }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | ({ readonly kind: 'answer'; readonly answer: Answer; readonly memory: JobMemory } & InTurn);

/** Of a salvage beside the store that serves. */
export type FromSalvage =
  | { readonly kind: 'taken'; readonly bytes: number }
  | { readonly kind: 'complete' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Counted over all that the writer is told, from 0; 32 bits that wrap. */
export interface InTurn {
  readonly turn: number;
}

/** `open` is the first. */
export type ToWriter =
  | { readonly kind: 'open'; readonly options: WriterOptions }
  | { readonly kind: 'job'; readonly job: Job }
  | { readonly kind: 'close' };

export type Told = ToWriter & InTurn;
