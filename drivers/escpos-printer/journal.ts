/**
 * The print journal: what became of each job. On the disk before the first byte is, so that a power cut, paper out or
 * an open cover neither prints a job twice nor loses one without a word. It holds identities, and nothing of what is printed.
 *
 *   queued --> printing --> printed
 *      |           \--interrupted, or found so at the start--> unknown --late answer, or a human--> printed | given up
 *      \--found so at the start, or refused: nothing was written--> given up
 */
import type { DurableText } from '#agent/core/durable-text.ts';
import { z } from 'zod';
import { jobStatuses } from './manifest.ts';

const jobSchema = z.strictObject({
  id: z.string(),
  status: z.enum(jobStatuses),
  at: z.string(),
  /** How many the job has, and how many the printer has said are printed. */
  parts: z.int(),
  done: z.int(),
  /** Process number of the first part. */
  first: z.int(),
  reason: z.string().optional(),
});
export type Job = z.infer<typeof jobSchema>;

const journalSchema = z.strictObject({ next: z.int().min(0), jobs: z.array(jobSchema) });

/** Settled jobs whose identity is remembered. */
const mostSettled = 500;
/** With so many in doubt somebody has to look first. */
const mostUnknown = 50;

/** GS ( H has four characters for it: one and a half million parts until a number is seen again. */
export const processId = (number: number): string => (number % 36 ** 4).toString(36).padStart(4, '0');

/** The connection before may still be writing when the next begins: one journal for one text. */
const journals = new WeakMap<DurableText, Promise<Journal>>();

export async function openJournal(memory: DurableText): Promise<Journal> {
  const opened = journals.get(memory) ?? readJournal(memory);
  journals.set(memory, opened);
  return await opened;
}

async function readJournal(memory: DurableText): Promise<Journal> {
  try {
    const { next, jobs } = journalSchema.parse(JSON.parse((await memory.read()) ?? '{"next":0,"jobs":[]}'));
    return new Journal(memory, next, jobs.map(afterStart));
  } catch {
    const reason = 'The journal could not be read: which jobs were printed is not known.';
    const lost: Job = { id: 'journal', status: 'unknown', at: 'an unknown time', parts: 0, done: 0, first: 0, reason };
    return new Journal(memory, 0, [lost], true);
  }
}

function afterStart(job: Job): Job {
  if (job.status === 'queued') return { ...job, status: 'given-up', reason: 'The agent ended before it began.' };
  if (job.status === 'printing') return { ...job, status: 'unknown', reason: 'The agent ended while it was printed.' };
  return job;
}

export class Journal {
  readonly #memory: DurableText;
  #next: number;
  #jobs: readonly Job[];
  #isLost: boolean;
  #writing: Promise<void> = Promise.resolve();

  constructor(memory: DurableText, next: number, jobs: readonly Job[], isLost = false) {
    this.#memory = memory;
    this.#next = next;
    this.#jobs = jobs;
    this.#isLost = isLost;
  }

  get newest(): Job | undefined {
    return this.#jobs.at(-1);
  }

  get unsettled(): readonly Job[] {
    return this.#jobs.filter(({ status }) => status === 'unknown');
  }

  /** Why no new job may begin. */
  get obstacle(): string | undefined {
    if (this.#isLost) return 'The print journal could not be read: look at the printer, and settle it first.';
    if (this.unsettled.length >= mostUnknown) return `${mostUnknown} jobs are not settled: settle them first.`;
    return undefined;
  }

  find(id: string): Job | undefined {
    return this.#jobs.find((job) => job.id === id);
  }

  /** A number for a process that belongs to no job. */
  take(): number {
    this.#next += 1;
    return this.#next - 1;
  }

  /** @returns the number of its first part @throws as the disk fails; then there is no such job */
  async queue(id: string, parts: number, at: string): Promise<number> {
    const first = this.#next;
    const before = this.#jobs;
    this.#next += parts;
    this.#jobs = [...before, { id, status: 'queued', at, parts, done: 0, first }];
    try {
      await this.#write();
    } catch (thrown) {
      this.#jobs = before;
      throw thrown;
    }
    return first;
  }

  /** On the disk when it returns. @throws as the disk fails; in memory it holds all the same */
  async become(
    id: string,
    status: Job['status'],
    { done, reason }: { done?: number; reason?: string } = {},
  ): Promise<void> {
    this.#jobs = this.#jobs.map((job) => {
      if (job.id !== id) return job;
      const { reason: _before, ...rest } = job;
      return { ...rest, status, done: done ?? job.done, ...(reason === undefined ? {} : { reason }) };
    });
    await this.#write();
  }

  /** A printer that was refilled may end a job late, and says so by the number of its last part. */
  async confirm(process: string): Promise<void> {
    const job = this.unsettled.find(({ first, parts }) => parts > 0 && processId(first + parts - 1) === process);
    if (job) await this.become(job.id, 'printed', { done: job.parts });
  }

  /** @returns those that were settled */
  async settle(as: 'printed' | 'given-up', id?: string): Promise<readonly string[]> {
    const settled = this.unsettled.filter((job) => id === undefined || job.id === id).map((job) => job.id);
    this.#jobs = this.#jobs.map((job) => (settled.includes(job.id) ? { ...job, status: as } : job));
    this.#isLost &&= !settled.includes('journal');
    if (settled.length > 0) await this.#write();
    return settled;
  }

  /** One after the other: the newest state is the last that is written. */
  async #write(): Promise<void> {
    const settled = this.#jobs.filter(({ status }) => status === 'printed' || status === 'given-up');
    const old = new Set(settled.slice(0, Math.max(0, settled.length - mostSettled)));
    this.#jobs = this.#jobs.filter((job) => !old.has(job));
    const writing = this.#writing.then(
      async () => await this.#memory.write(JSON.stringify({ next: this.#next, jobs: this.#jobs })),
    );
    this.#writing = writing.catch(() => undefined);
    await writing;
  }
}
