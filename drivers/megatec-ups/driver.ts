/** A UPS that is asked every two seconds; what it was told counts as done when its status shows it. */
import type { Driver, Identity, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import { type Answer, outcomeOf } from '../link.ts';
import { ChargeEstimate } from './charge.ts';
import {
  commandText,
  deviceCodec,
  type FromDevice,
  hostCodec,
  type RatingMessage,
  type StatusMessage,
  type StatusQuery,
  type ToDevice,
} from './codec.ts';
import { manifest, options, type Options } from './manifest.ts';
import { upsSimulator } from './simulator.ts';

type Context = OpenContext<Options, FromDevice, ToDevice>;

export const driver: Driver<Options, FromDevice, ToDevice> = {
  name: 'megatec-ups',
  options,
  example: {},
  manifest,
  protocol: () => ({ host: hostCodec, device: deviceCodec }),
  open: (context) => new Ups(context),
  simulator: upsSimulator,
  decoder: (chosen) => {
    const charge = new ChargeEstimate(chosen);
    let rating: RatingMessage | undefined;
    return (message) => {
      if (message?.is === 'rating') rating = message;
      if (message?.is !== 'status') return [];
      return readingsOf(message, charge.percent(message.batteryVoltage, nominalOf(chosen, rating)));
    };
  },
};

/** From a command to the question whether it took. */
const confirmAfterMs = 150;
/** Devices are slow to show what they do. */
const mostConfirmations = 4;
const confirmEveryMs = 300;

class Ups implements Peripheral {
  readonly #context: Context;
  readonly #charge: ChargeEstimate;
  #query: StatusQuery;
  #rating: RatingMessage | undefined;
  /** What came by itself, for `observe`. */
  readonly #told: StatusMessage[] = [];
  /** Commands that the device gave back or refused since the last one was sent. */
  #refusals: readonly FromDevice[] = [];
  #before = { onBattery: false, lowBattery: false, fault: false };

  constructor(context: Context) {
    this.#context = context;
    this.#charge = new ChargeEstimate(context.options);
    this.#query = context.options.status === 'qs' ? 'QS' : 'Q1';
  }

  async identify(signal: AbortSignal): Promise<Identity | undefined> {
    const { status } = this.#context.options;
    const first = await this.#askStatus(signal);
    let found = statusOf(first);
    if (!found && status === 'auto') {
      this.#query = 'QS';
      found = statusOf(await this.#askStatus(signal));
    }
    if (!found) return undefined;
    const vendor = await this.#ask({ is: 'vendor' }, signal);
    await this.#askRating(signal);
    const kind = found.standby ? 'line-interactive' : 'on-line';
    if (vendor?.is !== 'vendor') return { model: `UPS, ${kind}` };
    const { maker, model, firmware } = vendor;
    return {
      model: named(model) ?? `UPS, ${kind}`,
      ...(named(maker) === undefined ? {} : { maker }),
      ...(named(firmware) === undefined ? {} : { firmware }),
    };
  }

  async *observe(signal: AbortSignal): AsyncGenerator<Observation, void, undefined> {
    const { link, clock, options: chosen } = this.#context;
    if (this.#rating) yield ratingReading(this.#rating);
    while (link.isOpen) {
      this.#sort();
      for (const status of this.#told.splice(0)) yield* this.#observations(status);
      const status = statusOf(await this.#askStatus(signal));
      if (status) yield* this.#observations(status);
      await clock.sleep(chosen.pollEvery, signal);
    }
  }

  async read(property: string, signal: AbortSignal): Promise<readonly Observation[]> {
    if (property === 'rating') {
      const rating = await this.#askRating(signal);
      return rating ? [ratingReading(rating)] : [];
    }
    const status = statusOf(await this.#askStatus(signal));
    return status ? this.#readings(status) : [];
  }

  async perform(action: string, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Outcome> {
    const { showsShutdown } = this.#context.options;
    switch (action) {
      case 'shutdown': {
        const { delayMinutes, returnMinutes } = args as { delayMinutes: number; returnMinutes?: number };
        const back = returnMinutes === undefined ? {} : { returnMinutes };
        const message: ToDevice = { is: 'shutdown', delayMinutes, ...back };
        return await this.#order(message, (status) => !showsShutdown || status.shutdownActive, signal);
      }
      case 'cancelShutdown':
        return await this.#order({ is: 'cancel-shutdown' }, (status) => !status.shutdownActive, signal);
      case 'test': {
        const { minutes } = args as { minutes?: number };
        const message: ToDevice = { is: 'test', ...(minutes === undefined ? {} : { minutes }) };
        return await this.#order(message, (status) => status.testing, signal);
      }
      case 'cancelTest':
        return await this.#order({ is: 'cancel-test' }, (status) => !status.testing, signal);
      default:
        return await this.#setBeeper(args['on'] as boolean, signal);
    }
  }

  async #setBeeper(on: boolean, signal: AbortSignal): Promise<Outcome> {
    const before = await this.#askStatus(signal);
    const status = statusOf(before);
    if (!status) return outcomeOf(before, () => 'The device does not tell its status.');
    if (status.beeper === on) return { status: 'acknowledged' };
    return await this.#order({ is: 'toggle-beeper' }, ({ beeper }) => beeper === on, signal);
  }

  /** Megatec devices answer no order: they give back what they do not know, and show the rest in their status. */
  async #order(message: ToDevice, isShown: (status: StatusMessage) => boolean, signal: AbortSignal): Promise<Outcome> {
    const { link } = this.#context;
    this.#sort();
    this.#refusals = [];
    await link.send(message, signal);
    await this.#pause(confirmAfterMs, signal);
    for (let asked = 0; asked < mostConfirmations; asked += 1) {
      const answer = await this.#askStatus(signal);
      this.#sort();
      if (this.#isRefused(message)) return { status: 'rejected', reason: 'The device does not know this command.' };
      const status = statusOf(answer);
      if (!status) return { status: 'unknown', reason: 'The device did not answer after the command.' };
      if (isShown(status)) return { status: 'acknowledged' };
      await this.#pause(confirmEveryMs, signal);
    }
    const hint = message.is === 'shutdown' ? ' If it never does, set showsShutdown: false.' : '';
    return { status: 'unknown', reason: `The device does not show that it obeys.${hint}` };
  }

  #isRefused(message: ToDevice): boolean {
    const text = commandText(message);
    return this.#refusals.some((each) => each.is === 'nak' || (each.is === 'echo' && each.command === text));
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#context.clock.sleep(ms, signal).catch(() => signal.throwIfAborted());
  }

  async #askStatus(signal: AbortSignal): Promise<Answer<FromDevice>> {
    const query = this.#query;
    const matches = (message: FromDevice): boolean => message.is === 'status' || isEchoOf(message, query);
    return await this.#context.link.request({ is: 'status', by: query }, { matches }, signal);
  }

  /** Who it is and what it is made for: not every device knows, and those give the question back. */
  async #ask(message: ToDevice & { is: 'vendor' | 'rating' }, signal: AbortSignal): Promise<FromDevice | undefined> {
    const matches = (answer: FromDevice): boolean => answer.is === message.is || isEchoOf(answer, commandText(message));
    const answer = await this.#context.link.request(message, { matches }, signal);
    return answer.is === 'answered' ? answer.message : undefined;
  }

  async #askRating(signal: AbortSignal): Promise<RatingMessage | undefined> {
    const answer = await this.#ask({ is: 'rating' }, signal);
    if (answer?.is === 'rating') this.#rating = answer;
    return this.#rating;
  }

  /** Takes what was no answer: a status for `observe`, a refusal for the order that it belongs to. */
  #sort(): void {
    for (const message of this.#context.link.unread()) {
      if (message.is === 'status') this.#told.push(message);
      else if (message.is === 'echo' || message.is === 'nak') this.#refusals = [...this.#refusals, message].slice(-8);
    }
    // a device that says its status by itself is heard between two questions; more than these are old
    this.#told.splice(0, this.#told.length - 8);
  }

  #readings(status: StatusMessage): Observation[] {
    const nominal = nominalOf(this.#context.options, this.#rating);
    return readingsOf(status, this.#charge.percent(status.batteryVoltage, nominal));
  }

  *#observations(status: StatusMessage): Generator<Observation, void, undefined> {
    yield* this.#readings(status);
    const before = this.#before;
    const { utilityFail: onBattery, batteryLow: lowBattery, failed: fault, inputVoltage, batteryVoltage } = status;
    this.#before = { onBattery, lowBattery, fault };
    const input = inputVoltage === undefined ? {} : { inputVoltage };
    const battery = batteryVoltage === undefined ? {} : { batteryVoltage };
    if (onBattery && !before.onBattery) yield { is: 'event', event: 'onBattery', data: input };
    if (lowBattery && !before.lowBattery) yield { is: 'event', event: 'lowBattery', data: battery };
    if (fault && !before.fault) yield { is: 'event', event: 'fault', data: {} };
    if (!onBattery && before.onBattery) yield { is: 'event', event: 'onMains', data: input };
  }
}

const statusOf = (answer: Answer<FromDevice>): StatusMessage | undefined =>
  answer.is === 'answered' && answer.message.is === 'status' ? answer.message : undefined;

const isEchoOf = (message: FromDevice, text: string): boolean => message.is === 'echo' && message.command === text;

/** Devices without a name fill it with dashes. */
const named = (text: string): string | undefined => (/[A-Za-z0-9]/.test(text) ? text : undefined);

const nominalOf = ({ batteryNominal }: Options, rating: RatingMessage | undefined): number | undefined =>
  batteryNominal ?? rating?.batteryVoltage;

const ratingReading = ({ voltage, current, batteryVoltage, frequency }: RatingMessage): Observation => ({
  is: 'reading',
  property: 'rating',
  value: { voltage, current, batteryVoltage, frequency },
});

function readingsOf(status: StatusMessage, charge: number | undefined): Observation[] {
  const { inputVoltage, faultVoltage, outputVoltage, load, frequency, batteryVoltage, temperature } = status;
  const values = {
    onBattery: status.utilityFail,
    lowBattery: status.batteryLow,
    bypass: status.bypass,
    fault: status.failed,
    testing: status.testing,
    shutdownPending: status.shutdownActive,
    beeper: status.beeper,
    inputVoltage,
    faultVoltage,
    outputVoltage,
    load,
    frequency,
    batteryVoltage,
    temperature,
  };
  const readings = Object.entries(values).flatMap(([property, value]): Observation[] =>
    value === undefined ? [] : [{ is: 'reading', property, value }],
  );
  if (charge !== undefined) readings.push({ is: 'reading', property: 'charge', value: charge, quality: 'uncertain' });
  return readings;
}
