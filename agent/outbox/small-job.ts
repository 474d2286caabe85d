/**
 * Small Jobs and their Answers as one text: a text crosses to another thread in a fifth of the time of an object with
 * memory to hand over, and what few bytes there are may be copied.
 *
 *   {"now":…,"appends":{…}} newline events' texts      the texts as they are: quoted once more they would take as long again
 */
import type { Answer, Job } from './protocol.ts';

/** One event of usual size, or a few short ones. */
const mostBytes = 4_096;

/** @returns undefined when the Job is to be handed over as it is */
export function jobAsText({ now, appends, acks, peeks }: Job): string | undefined {
  const { bytes, ...numbers } = appends;
  const end = numbers.offsets.at(-1) ?? 0;
  if (end > mostBytes || acks.length > 0 || peeks.length > 0) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('utf8');
  return `${JSON.stringify({ now, appends: numbers })}\n${text}`;
}

type WrittenJob = Pick<Job, 'now'> & {
  readonly appends: Omit<Job['appends'], 'bytes' | 'lifeMs'> & {
    readonly lifeMs: readonly (number | null)[];
  };
};

/** @param text as `jobAsText` made it */
export function jobOfText(text: string): Job {
  const end = text.indexOf('\n');
  const { now, appends } = JSON.parse(text.slice(0, end)) as WrittenJob;
  const lifeMs = appends.lifeMs.map((ms) => ms ?? undefined);
  return { now, appends: { ...appends, lifeMs, bytes: Buffer.from(text.slice(end + 1)) }, acks: [], peeks: [] };
}

/** @returns undefined when the Answer is to be handed over as it is */
export function answerAsText(answer: Answer): string | undefined {
  const { refused, acks, peeks, broken } = answer;
  if (broken || acks || refused.length > 0 || !Array.isArray(peeks) || peeks.length > 0) return undefined;
  return JSON.stringify(answer);
}

/** @param text as `answerAsText` made it */
export const answerOfText = (text: string): Answer => ({
  ...(JSON.parse(text) as Omit<Answer, 'acks'>),
  acks: undefined,
});
