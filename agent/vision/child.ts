/**
 * The inference child as the agent sees it: started, fed with one configuration, read until it ends, watched, ended.
 *
 *   agent --configure--> child --messages--> agent
 *                        silent, too large, gone --> OutpostError; the Supervisor starts it again
 */
import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { onAbort } from '#agent/core/abort.ts';
import { Channel, type Message } from '#agent/core/channel.ts';
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import { startVision } from './waiting-child.ts';
import type { AskPicture, Configure, FromChild, ToChild } from './protocol.ts';

/** An evidence picture is the largest thing that a child sends. */
const maxMessageBytes = 16 * 1024 * 1024;
/** A live child reports at least its stats every two seconds. */
const silenceLimitMs = 30_000;
const stopGraceMs = 2_000;
const pictureLimitMs = 10_000;

export interface VisionChildOptions {
  readonly configure: Omit<Configure, 'type'>;
  readonly clock: Clock;
  /** One that was started beforehand; else one is started now. */
  readonly process?: ChildProcess | undefined;
}

export class VisionChild implements AsyncDisposable {
  readonly #options: VisionChildOptions;
  readonly #process: ChildProcess;
  readonly #channel: Channel<ToChild, FromChild>;
  readonly #exited: Promise<string>;
  readonly #pictures = new Map<number, (jpeg: Buffer | undefined) => void>();
  #lastRequest = 0;
  #heardAtMs: number;

  constructor(options: VisionChildOptions) {
    this.#options = options;
    this.#process = options.process ?? startVision();
    const pipe = this.#process.stdio[3] as Duplex;
    this.#channel = new Channel(pipe, { maxBytes: maxMessageBytes });
    this.#exited = new Promise((resolve) => {
      this.#process.once('error', (error) => resolve(error.message));
      this.#process.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
    });
    this.#heardAtMs = options.clock.monoMs();
    this.#channel.send({ type: 'configure', ...options.configure });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /**
   * Everything the child says, until it is stopped.
   * @throws OutpostError why the child cannot go on: its own failure, silence, memory, the processor, or its end
   */
  async *messages(
    signal: AbortSignal,
  ): AsyncGenerator<Exclude<FromChild, { type: 'failed' | 'picture' }>, void, undefined> {
    const over = new AbortController();
    const watching = this.#watch(AbortSignal.any([signal, over.signal]));
    const stopping = onAbort(signal, () => void this.#stop(over.signal));
    let broken: unknown;
    void watching.catch((error: unknown) => {
      broken = error;
      this.#process.kill('SIGKILL');
    });
    try {
      for await (const message of this.#channel.messages()) {
        this.#heardAtMs = this.#options.clock.monoMs();
        const { body } = message;
        if (body.type === 'picture') this.#settlePicture(body.request, message);
        else if (body.type === 'failed') throw new OutpostError(body.code, body.message, { hint: body.hint });
        else {
          if (body.type === 'stats') this.#holdMemory(body.rssBytes);
          yield body;
        }
      }
    } catch (thrown) {
      if (thrown instanceof OutpostError) throw thrown;
      // the pipe broke with the child: its end says more
    } finally {
      over.abort();
      stopping[Symbol.dispose]();
      for (const settle of this.#pictures.values()) settle(undefined);
      this.#pictures.clear();
    }
    if (signal.aborted) return;
    if (broken instanceof OutpostError) throw broken;
    const how = await this.#exited;
    if (how === 'signal SIGILL') {
      throw new OutpostError('processor-unsuited', 'The inference child ended by an illegal instruction.');
    }
    if (how !== 'exit code 0' || this.#options.configure.frames === 'newest') {
      throw new OutpostError('vision-ended', `The inference child ended by ${how}.`, { context: { how } });
    }
  }

  /** A redacted, annotated JPEG; undefined when none can be had, or not in time. */
  async picture(ask: Omit<AskPicture, 'type' | 'request'>): Promise<Buffer | undefined> {
    const request = (this.#lastRequest += 1);
    const answer = new Promise<Buffer | undefined>((resolve) => this.#pictures.set(request, resolve));
    this.#channel.send({ type: 'picture', request, ...ask });
    const late = new AbortController();
    const limit = this.#options.clock.sleep(pictureLimitMs, late.signal).then(
      () => undefined,
      () => undefined,
    );
    try {
      return await Promise.race([answer, limit]);
    } finally {
      late.abort();
      this.#pictures.delete(request);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new AbortController();
    const stopped = this.#stop(ended.signal);
    await this.#exited;
    ended.abort();
    await stopped;
    this.#channel.close();
  }

  /** Asks it to end, and ends it when it does not listen. */
  async #stop(ended: AbortSignal): Promise<void> {
    this.#channel.send({ type: 'stop' });
    await this.#options.clock.sleep(stopGraceMs, ended).then(
      () => this.#process.kill('SIGKILL'),
      () => undefined,
    );
  }

  #settlePicture(request: number, { blob }: Message<FromChild>): void {
    this.#pictures.get(request)?.(blob);
    this.#pictures.delete(request);
  }

  #holdMemory(rssBytes: number): void {
    const { memoryMax } = this.#options.configure.vision;
    if (rssBytes <= memoryMax) return;
    throw new OutpostError('vision-memory', undefined, { context: { rssBytes, memoryMax } });
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, configure } = this.#options;
    if (configure.frames === 'every') return;
    for (;;) {
      try {
        await clock.sleep(silenceLimitMs / 3, signal);
      } catch {
        return;
      }
      if (clock.monoMs() - this.#heardAtMs > silenceLimitMs) throw new OutpostError('vision-silent');
    }
  }
}
