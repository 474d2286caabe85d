/** Jobs that are handled in another order than they were told in get each other's numbers. */
import { expect, it } from 'vitest';
import { Inbox } from './inbox.ts';
import { Mailbox, newMailboxMemory } from './mailbox.ts';
import type { Job, Told } from './protocol.ts';
import { appendsOf, range } from './test-rig.ts';

const jobAt = (monoMs: number): Job => ({
  now: { wallMs: 0, monoMs, clock: 'synced' },
  appends: appendsOf([]),
  acks: [],
  peeks: [],
});

/** Both ends. `meanwhile`: what the main thread does just before the writer looks for a message. */
function ends() {
  const memory = newMailboxMemory();
  const [main, writer] = [new Mailbox(memory), new Mailbox(memory)];
  const port: Told[] = [];
  const meanwhile: (() => void)[] = [];
  let told = 0;
  const tell = (n: number): void => {
    port.push({ kind: 'job', turn: told, job: jobAt(n) });
    told += 1;
  };
  const mail = (n: number): void => {
    expect(main.put(jobAt(n), told)).toBe(true);
    told += 1;
  };
  const inbox = new Inbox(writer, () => {
    meanwhile.shift()?.();
    return port.shift();
  });
  const take = (): number | undefined => {
    const received = inbox.take();
    if (!received) return undefined;
    if (received.kind === 'mailed') {
      const nothing = { seqs: [], refused: [], acks: undefined, peeks: [], counters: [], dropped: 0, commitMs: 0 };
      writer.reply({ ...nothing, broken: false });
      main.answer(told - 1 - port.length);
    }
    return 'job' in received ? received.job.now.monoMs : undefined;
  };
  return { tell, mail, take, meanwhile };
}

it('takes a Job from the mailbox before a message that was sent after it, though the message was found first', () => {
  const { tell, mail, take, meanwhile } = ends();
  tell(0);
  expect(take()).toBe(0);
  meanwhile.push(() => {
    mail(1);
    tell(2);
    tell(3);
  });
  expect([take(), take(), take(), take()]).toEqual([1, 2, 3, undefined]);
});

it('takes a message before a Job that was mailed after it', () => {
  const { tell, mail, take } = ends();
  tell(0);
  tell(1);
  mail(2);
  tell(3);
  expect(range(0, 3).map(() => take())).toEqual([0, 1, 2, 3]);
});

it('finds nothing where nothing is, and what comes then', () => {
  const { tell, mail, take, meanwhile } = ends();
  expect(take()).toBeUndefined();
  meanwhile.push(() => mail(0));
  expect(take()).toBe(0);
  expect(take()).toBeUndefined();
  tell(1);
  expect(take()).toBe(1);
});
