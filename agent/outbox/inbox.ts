/**
 * What the writer is told, in the order in which it was told: messages, and Jobs in the mailbox.
 *
 *   mailbox (turn 4) --.
 *   port    (turn 5) --+--> 4, 5, 6 …
 */
import type { Mailbox } from './mailbox.ts';
import type { Job, Told } from './protocol.ts';

/** By message, or in the mailbox. */
export type Received = Told | { readonly kind: 'mailed'; readonly turn: number; readonly job: Job };

export class Inbox {
  readonly #mailbox: Mailbox;
  readonly #receive: () => Told | undefined;
  #turn = 0;
  /** A message that is not due: a Job was mailed after the mailbox was looked at, then the message sent. */
  #held: Told | undefined;

  /** @param receive the next message if there is one */
  constructor(mailbox: Mailbox, receive: () => Told | undefined) {
    this.#mailbox = mailbox;
    this.#receive = receive;
  }

  /** @returns undefined when there is nothing now */
  take(): Received | undefined {
    const next = this.#mailed() ?? this.#message();
    if (next) this.#turn = (this.#turn + 1) | 0;
    return next;
  }

  #mailed(): Received | undefined {
    const job = this.#mailbox.take(this.#turn);
    return job && { kind: 'mailed', turn: this.#turn, job };
  }

  #message(): Received | undefined {
    const message = this.#held ?? this.#receive();
    const isDue = message?.turn === this.#turn;
    this.#held = isDue ? undefined : message;
    return isDue ? message : this.#mailed();
  }
}
