/**
 * An inference child that is started before anybody has use for it: it loads while its agent still opens the store.
 *
 *   WaitingChild --prepare(model)--> it opens the model    --take()--> VisionChild
 */
import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { Channel } from '#agent/core/channel.ts';
import { spawnEntry } from '#agent/core/program.ts';
import type { Prepare, ToChild } from './protocol.ts';

/** It waits for its configuration, and ends with the agent. */
export const startVision = (): ChildProcess =>
  spawnEntry('vision', { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });

export class WaitingChild implements Disposable {
  #process: ChildProcess | undefined;

  constructor() {
    this.#process = startVision();
    // One that died meanwhile is nobody's: whoever needs a child starts one, and hears of its end.
    const forget = (): void => {
      this.#process = undefined;
    };
    this.#process.once('exit', forget).once('error', forget);
  }

  /** Tells it which model it will need. */
  prepare(prepare: Omit<Prepare, 'type'>): void {
    const pipe = this.#process?.stdio[3];
    if (pipe) new Channel<ToChild, never>(pipe as Duplex, { maxBytes: 0 }).send({ type: 'prepare', ...prepare });
  }

  /** The process, once; undefined afterwards. */
  take(): ChildProcess | undefined {
    const taken = this.#process;
    this.#process = undefined;
    return taken;
  }

  [Symbol.dispose](): void {
    this.#process?.kill('SIGKILL');
  }
}
