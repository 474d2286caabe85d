/**
 * Shared memory for one small Job and the Answer to it. A message to another thread wakes its event loop, is written, copied
 * and read value by value; here both sides look at the same numbers, while each is looking out anyway.
 *
 *   main: put ──> job ──> writer: take, answer ──> answered ──> main: answer ──> empty
 *     main looks out: it finds the Answer itself · it does not: the writer sends word
 *
 *   words: state, turn, looked at | numbers: Job or Answer | bytes: the events' texts
 */
import type { ClockQuality } from '#agent/domain/envelope.ts';
import { type Answer, type Job, type JobMemory } from './protocol.ts';

const words = 4;
const mostNumbers = 256;
/** One event of usual size, or a few short ones. */
const mostBytes = 4_096;
const numbersAt = words * Int32Array.BYTES_PER_ELEMENT;
const bytesAt = numbersAt + mostNumbers * Float64Array.BYTES_PER_ELEMENT;

const [stateAt, turnAt, lookedAt] = [0, 1, 2];
const [empty, job, answered] = [0, 1, 2];

const clocks: readonly ClockQuality[] = ['synced', 'unsynced', 'stepped'];
const jobHead = 5;
const answerHead = 4;

export const newMailboxMemory = (): SharedArrayBuffer => new SharedArrayBuffer(bytesAt + mostBytes);

export class Mailbox {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #shared: Uint8Array;
  /** The writer's own: what is shared is slow to read in pieces. */
  readonly #texts: JobMemory = new Uint8Array(mostBytes);

  /** Each side makes its own on the same memory. */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, words);
    this.#numbers = new Float64Array(memory, numbersAt, mostNumbers);
    this.#shared = new Uint8Array(memory, bytesAt, mostBytes);
  }

  /**
   * Main thread.
   *
   * @param turn how many messages went to the writer before it: it is taken in its turn
   * @returns false when it does not fit, or another is still there: it is to be sent
   */
  put({ now, appends, acks, peeks }: Job, turn: number): boolean {
    const { counts, lanes, monoMs, lifeMs, offsets, seqs, bytes } = appends;
    const end = offsets.at(-1) ?? 0;
    const count = jobHead + counts.length + 4 * lanes.length + offsets.length;
    if (end > mostBytes || count > mostNumbers || acks.length > 0 || peeks.length > 0) return false;
    if (Atomics.load(this.#words, stateAt) !== empty) return false;
    const numbers = this.#numbers;
    let at = 0;
    const write = (list: readonly number[]): void => {
      for (const number of list) numbers[at++] = number;
    };
    write([now.wallMs, now.monoMs, clocks.indexOf(now.clock), counts.length, lanes.length]);
    write(counts);
    write(lanes);
    write(monoMs);
    for (const ms of lifeMs) numbers[at++] = ms ?? Number.NaN;
    write(offsets);
    write(seqs);
    this.#shared.set(end === bytes.length ? bytes : bytes.subarray(0, end));
    Atomics.store(this.#words, turnAt, turn);
    Atomics.store(this.#words, stateAt, job);
    return true;
  }

  /** Main thread: whether it looks out for the Answer, so that nobody has to send word. Look once more after ending it. */
  lookOut(isLooking: boolean): void {
    Atomics.store(this.#words, lookedAt, isLooking ? 1 : 0);
  }

  /**
   * Main thread.
   *
   * @param turn of the Job that it is to answer: another's waits
   * @returns undefined while there is none
   */
  answer(turn: number): Answer | undefined {
    if (Atomics.load(this.#words, stateAt) !== answered || Atomics.load(this.#words, turnAt) !== turn) return undefined;
    const numbers = this.#numbers;
    const [dropped = 0, commitMs = 0, seqs = 0, counters = 0] = numbers;
    const end = answerHead + seqs + counters;
    const answer: Answer = {
      seqs: listOf(numbers, answerHead, answerHead + seqs),
      refused: [],
      acks: undefined,
      peeks: [],
      counters: listOf(numbers, answerHead + seqs, end),
      dropped,
      commitMs,
      broken: false,
    };
    Atomics.store(this.#words, stateAt, empty);
    return answer;
  }

  /**
   * Writer.
   *
   * @param turn how many messages were taken before
   * @returns undefined when there is none, or it is not its turn; its texts hold until the next
   */
  take(turn: number): Job | undefined {
    if (Atomics.load(this.#words, stateAt) !== job || Atomics.load(this.#words, turnAt) !== turn) return undefined;
    const numbers = this.#numbers;
    const [wallMs = 0, monoMs = 0, clock = 0, counts = 0, events = 0] = numbers;
    let at = jobHead;
    const read = (count: number): number[] => listOf(numbers, at, (at += count));
    const appends = {
      counts: read(counts),
      lanes: read(events),
      monoMs: read(events),
      lifeMs: read(events).map((ms) => (Number.isNaN(ms) ? undefined : ms)),
      offsets: read(2 * events + 1),
      seqs: read(events),
      bytes: this.#texts,
    };
    const end = appends.offsets.at(-1) ?? 0;
    this.#texts.set(this.#shared.subarray(0, end));
    return { now: { wallMs, monoMs, clock: clocks[clock] ?? 'unsynced' }, appends, acks: [], peeks: [] };
  }

  /**
   * Writer: the Answer to what it took.
   *
   * @returns `seen`: main looks out for it · `unseen`: it is to be sent word · `unfit`: the Answer itself is to be sent
   */
  reply({ seqs, counters, dropped, commitMs, refused, acks, peeks, broken }: Answer): 'seen' | 'unseen' | 'unfit' {
    const isPlain = !broken && !acks && refused.length === 0 && Array.isArray(peeks) && peeks.length === 0;
    if (!isPlain || answerHead + seqs.length + counters.length > mostNumbers) {
      Atomics.store(this.#words, stateAt, empty);
      return 'unfit';
    }
    const numbers = this.#numbers;
    let at = 0;
    for (const list of [[dropped, commitMs, seqs.length, counters.length], seqs, counters])
      for (const number of list) numbers[at++] = number;
    Atomics.store(this.#words, stateAt, answered);
    return Atomics.load(this.#words, lookedAt) === 0 ? 'unseen' : 'seen';
  }
}

function listOf(numbers: Float64Array, from: number, to: number): number[] {
  const list: number[] = [];
  for (let at = from; at < to; at += 1) list.push(numbers[at] ?? 0);
  return list;
}
