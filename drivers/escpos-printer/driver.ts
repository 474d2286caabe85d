/**
 * A receipt printer. A job is written in parts; each is confirmed as printed before the next leaves, so that little is in
 * the printer when the paper ends, and that little is thrown away there.
 *
 *   print: journal "queued" -> "printing" -> part, confirmed, part, confirmed … -> "printed"
 *                                            \-- no answer, offline --> rest thrown away (DLE DC4), state asked -> "unknown"
 */
import { messageOf } from '#agent/core/errors.ts';
import type { Driver, Identity, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import { type Answer, outcomeOf } from '../link.ts';
import { deviceCodec, type FromDevice, hostCodec, type ToDevice } from './codec.ts';
import { type Command, command, commandBytes } from './commands.ts';
import { type Job, type Journal, openJournal, processId } from './journal.ts';
import { manifest, options, type Options, type PrintArgs, type SettleArgs } from './manifest.ts';
import { partBytes, partsOf } from './receipt.ts';
import { printerSimulator } from './simulator.ts';
import { eventsBetween, type PrinterState, readingsOf, stateOfAsb, stateOfRealtime, stateText } from './status.ts';

type Context = OpenContext<Options, FromDevice, ToDevice>;
type Confirmation = 'process' | 'sensors';

export const driver: Driver<Options, FromDevice, ToDevice> = {
  name: 'escpos-printer',
  options,
  example: {},
  manifest,
  protocol: () => ({ host: hostCodec, device: deviceCodec }),
  open: (context) => new Printer(context),
  simulator: printerSimulator,
  decoder: () => (message) => (message?.is === 'asb' ? [...readingsOf(stateOfAsb(message.status))] : []),
};

/** Half a minute at 9600 baud, and some four metres of paper. */
const mostParts = 32;
/** For each KiB of a job that is sent whole. */
const partMs = 10_000;

/** A question that is answered while the printer prints, or not at all. */
const promptMs = 1_000;

const realtime = (n: number): Command => command('DLE EOT', n);
const clearBuffers = command('DLE DC4', 8, 1, 3, 20, 1, 6, 2, 8);
const isRealtime = ({ is }: FromDevice): boolean => is === 'realtime';
const isOffline = (message: FromDevice): boolean => message.is === 'asb' && !stateOfAsb(message.status).online;

/** GS ( H: says the four characters when all before it is printed. */
const confirmedBy = (id: string): Command => command('GS (', 0x48, 6, 0, 48, 48, ...Buffer.from(id, 'latin1'));
const askSensors = command('GS r', 1);

class Printer implements Peripheral {
  readonly #context: Context;
  #confirmation: Confirmation | undefined;
  #state: PrinterState | undefined;

  constructor(context: Context) {
    this.#context = context;
    const { confirm } = context.options;
    this.#confirmation = confirm === 'auto' ? undefined : confirm;
  }

  async identify(signal: AbortSignal): Promise<Identity | undefined> {
    const state = await this.#ask(signal);
    if (!state) return undefined;
    // what is not real-time is answered by a printer that is online
    const model = state.online ? await this.#info(67, signal) : undefined;
    if (model === undefined) return { model: 'ESC/POS printer' };
    const [maker, firmware, serial] = [
      await this.#info(66, signal),
      await this.#info(65, signal),
      await this.#info(68, signal),
    ];
    return {
      model,
      ...(maker === undefined ? {} : { maker }),
      ...(firmware === undefined ? {} : { firmware }),
      ...(serial === undefined ? {} : { serial }),
    };
  }

  async configure(signal: AbortSignal): Promise<void> {
    const { link } = this.#context;
    await link.send({ is: 'batch', commands: [command('ESC @'), command('GS a', 0x0e)] }, signal);
    const state = await this.#ask(signal);
    if (state?.online) await this.#chooseConfirmation(await this.#journal(), signal);
  }

  async *observe(signal: AbortSignal): AsyncGenerator<Observation, void, undefined> {
    const {
      link,
      clock,
      options: { pollEvery },
    } = this.#context;
    const journal = await this.#journal();
    while (link.isOpen) {
      for (const message of link.unread()) yield* await this.#heard(message, journal);
      const state = await this.#ask(signal);
      if (state) yield* this.#become(state);
      if (state) yield* readingsOf(state);
      yield* jobReadings(journal);
      await clock.sleep(pollEvery, signal);
    }
  }

  async read(property: string, signal: AbortSignal): Promise<readonly Observation[]> {
    if (property === 'job' || property === 'unsettled') return jobReadings(await this.#journal());
    const state = await this.#ask(signal);
    return state ? readingsOf(state) : [];
  }

  async perform(action: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Outcome> {
    return action === 'print'
      ? await this.#print(args as unknown as PrintArgs, signal)
      : await this.#settle(args as unknown as SettleArgs, signal);
  }

  async #print(args: PrintArgs, signal: AbortSignal): Promise<Outcome> {
    const journal = await this.#journal();
    const known = journal.find(args.job);
    if (known) return outcomeAgain(known);
    if (journal.obstacle !== undefined) return rejected(journal.obstacle);
    const parts = partsOf(args, this.#context.options);
    if (typeof parts === 'string') return rejected(parts);
    if (parts.length > mostParts)
      return rejected(`The receipt is too long: ${parts.length} KiB, and at most ${mostParts}.`);
    const confirmation = this.#confirmation ?? (await this.#chooseConfirmation(journal, signal));
    // without an identity an answer to one part could be taken for that of the next: then there is one part
    const whole = confirmation === 'process' ? parts : [parts.flat()];
    try {
      await journal.queue(args.job, whole.length, new Date(this.#context.clock.wallMs()).toISOString());
      await journal.become(args.job, 'printing');
    } catch (thrown) {
      await journal
        .become(args.job, 'given-up', { reason: 'The journal could not be written.' })
        .catch(() => undefined);
      return rejected(`Nothing was printed, for the print journal cannot be written: ${messageOf(thrown)}`);
    }
    return await this.#printParts(args.job, whole, confirmation, journal, signal);
  }

  /** However it ends, the journal has it: also when it is aborted. */
  async #printParts(
    job: string,
    parts: readonly (readonly Command[])[],
    confirmation: Confirmation,
    journal: Journal,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { link } = this.#context;
    const before = link.bytesWritten;
    const first = journal.find(job)?.first ?? 0;
    let done = 0;
    try {
      for (const part of parts) {
        const answer = await this.#part(part, processId(first + done), confirmation, signal);
        if (answer.is !== 'answered' || isOffline(answer.message))
          return await this.#interrupted(job, done, parts.length, answer, journal, signal);
        done += 1;
        if (done < parts.length) await journal.become(job, 'printing', { done });
      }
    } catch (thrown) {
      if (link.bytesWritten === before)
        await journal.become(job, 'given-up', { reason: 'It was ended before it began.' });
      else
        await journal.become(job, 'unknown', { done, reason: `It was ended in part ${done + 1} of ${parts.length}.` });
      throw thrown;
    }
    await journal.become(job, 'printed', { done });
    return { status: 'acknowledged', result: { job, parts: parts.length } };
  }

  async #part(
    part: readonly Command[],
    id: string,
    confirmation: Confirmation,
    signal: AbortSignal,
  ): Promise<Answer<FromDevice>> {
    const isDone = (message: FromDevice): boolean =>
      confirmation === 'process' ? message.is === 'processed' && message.id === id : message.is === 'sensors';
    const commands = [...part, confirmation === 'process' ? confirmedBy(id) : askSensors];
    const bytes = part.reduce((sum, each) => sum + commandBytes(each).length, 0);
    return await this.#context.link.request(
      { is: 'batch', commands },
      {
        matches: (message) => isDone(message) || isOffline(message),
        ...(bytes > 2 * partBytes ? { answerMs: Math.ceil(bytes / partBytes) * partMs } : {}),
      },
      signal,
    );
  }

  /** What is left in the printer would come out when the paper is refilled, in front of somebody else. */
  async #interrupted(
    job: string,
    done: number,
    parts: number,
    answer: Answer<FromDevice>,
    journal: Journal,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (answer.is !== 'answered' && !answer.written && done === 0) {
      const reason = 'The connection was lost before it began.';
      await journal.become(job, 'given-up', { reason });
      return { status: 'timeout', reason };
    }
    // first of all: what follows may fail, or be aborted
    const so = `It stopped in part ${done + 1} of ${parts}`;
    await journal.become(job, 'unknown', { done, reason: `${so}.` });
    const isCleared = await this.#throwAway(signal);
    const state = await this.#ask(signal);
    const rest = isCleared ? 'the rest was thrown away' : 'the printer may print the rest by itself';
    const reason = `Job ${job}: ${so}: ${stateText(state)}; ${rest}.`;
    await journal.become(job, 'unknown', { done, reason });
    return { status: 'unknown', reason };
  }

  async #throwAway(signal: AbortSignal): Promise<boolean> {
    const { link } = this.#context;
    if (!link.isOpen) return false;
    const answer = await link.request(
      clearBuffers,
      { matches: ({ is }) => is === 'cleared', answerMs: promptMs },
      signal,
    );
    return answer.is === 'answered';
  }

  async #settle({ as, job }: SettleArgs, signal: AbortSignal): Promise<Outcome> {
    const journal = await this.#journal();
    if (job !== undefined && journal.find(job) === undefined) return rejected(`No job is named ${job}.`);
    const answer = await this.#context.link.request(realtime(1), { matches: isRealtime }, signal);
    const outcome = outcomeOf(answer, () => true);
    if (outcome.status !== 'acknowledged') return outcome;
    const settled = await journal.settle(as, job);
    return { status: 'acknowledged', result: { settled: settled.join(' '), count: settled.length } };
  }

  /** @returns undefined when it does not answer */
  async #ask(signal: AbortSignal): Promise<PrinterState | undefined> {
    const bytes: number[] = [];
    for (const n of [1, 2, 3, 4]) {
      const answer = await this.#context.link.request(realtime(n), { matches: isRealtime, answerMs: promptMs }, signal);
      if (answer.is !== 'answered' || answer.message.is !== 'realtime') return undefined;
      bytes.push(answer.message.status);
    }
    return stateOfRealtime(bytes);
  }

  async #info(n: number, signal: AbortSignal): Promise<string | undefined> {
    const answer = await this.#context.link.request(
      command('GS I', n),
      { matches: ({ is }) => is === 'info', answerMs: promptMs },
      signal,
    );
    return answer.is === 'answered' && answer.message.is === 'info' && answer.message.text !== ''
      ? answer.message.text
      : undefined;
  }

  /** A printer that does not know GS ( H may take it for text: ESC @ empties the line before it is printed. */
  async #chooseConfirmation(journal: Journal, signal: AbortSignal): Promise<Confirmation> {
    if (this.#confirmation !== undefined) return this.#confirmation;
    const id = processId(journal.take());
    const answer = await this.#context.link.request(
      { is: 'batch', commands: [confirmedBy(id), command('ESC @'), command('GS a', 0x0e)] },
      { matches: (message) => message.is === 'processed' && message.id === id, answerMs: promptMs },
      signal,
    );
    this.#confirmation = answer.is === 'answered' ? 'process' : 'sensors';
    return this.#confirmation;
  }

  async #heard(message: FromDevice, journal: Journal): Promise<readonly Observation[]> {
    if (message.is === 'processed') await journal.confirm(message.id);
    if (message.is !== 'asb') return [];
    const state = stateOfAsb(message.status);
    return [...this.#become(state), ...readingsOf(state)];
  }

  *#become(state: PrinterState): Generator<Observation> {
    yield* eventsBetween(this.#state, state);
    this.#state = state;
  }

  async #journal(): Promise<Journal> {
    return await openJournal(this.#context.memory);
  }
}

const rejected = (reason: string): Outcome => ({ status: 'rejected', reason });

function outcomeAgain({ id, status, parts, reason = '' }: Job): Outcome {
  switch (status) {
    case 'printed':
      return { status: 'acknowledged', result: { job: id, parts, again: true } };
    case 'unknown':
      return { status: 'unknown', reason: `Whether job ${id} was printed is not known. ${reason}`.trim() };
    case 'given-up':
      return rejected(`Job ${id} was given up. ${reason} Print it under another identity.`);
    case 'queued':
    case 'printing':
      return rejected(`Job ${id} is ${status}.`);
  }
}

const jobReadings = ({ newest, unsettled }: Journal): readonly Observation[] => [
  { is: 'reading', property: 'job', value: { id: newest?.id ?? '', status: newest?.status ?? 'none' } },
  { is: 'reading', property: 'unsettled', value: unsettled.length },
];
