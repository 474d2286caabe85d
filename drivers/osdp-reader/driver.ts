/** A card reader on RS-485, polled; cards and keys are told as they come, and to nobody but who subscribed. */
import { OutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { Driver, Identity, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import { deviceCodec, type Frame, hostCodec, isEncrypted } from './codec.ts';
import { defaultKey, manifest, options, type Options } from './manifest.ts';
import {
  askCapabilities,
  askId,
  askLocalStatus,
  askReaderStatus,
  buzzer,
  type Buzzer,
  type Command,
  led,
  type Led,
  nakErrors,
  nakText,
  poll,
  readReply,
  type Reply,
  setKey,
  text,
  type Text,
} from './messages.ts';
import { type BaseKey, type Heard, Panel } from './panel.ts';
import { shown } from './shown.ts';
import { osdpSimulator } from './simulator.ts';

type Context = OpenContext<Options, Frame, Frame>;

export const driver: Driver<Options, Frame, Frame> = {
  name: 'osdp-reader',
  options,
  // invented, for the simulator and the tests alone
  example: { key: '00112233445566778899aabbccddeeff' },
  manifest,
  protocol: () => ({ host: hostCodec, device: deviceCodec }),
  open: (context) => peripheral(context),
  simulator: osdpSimulator,
  show: shown,
  decoder: ({ address }) => {
    const watch = new Watch();
    return (frame) => {
      const isClear = frame?.reply === true && frame.address === address && !isEncrypted(frame.security?.type ?? 0);
      const reply = isClear ? readReply(frame) : undefined;
      return reply ? watch.observationsOf(reply) : [];
    };
  },
};

/** How often the reader is asked how it is, besides what it tells by itself. */
const statusEveryMs = 30_000;

function peripheral({ link, options: configured, clock, log }: Context): Peripheral {
  const keys = keysOf(configured);
  const { address, check, pollEvery } = configured;
  const panel = new Panel({ link, clock, address, check, keys });
  const watch = new Watch();

  const ask = async (command: Command, signal: AbortSignal): Promise<readonly Observation[]> => {
    const heard = await panel.ask(command, signal);
    if (heard.is === 'over') throw heard.error;
    if (heard.is === 'silent') return [];
    if (isNak(heard.reply, nakErrors.channelNeeded))
      throw new OutpostError('reader-channel', 'The reader wants a secure channel.');
    return watch.observationsOf(heard.reply);
  };
  const askedFor: Readonly<Record<string, Command>> = {
    channel: askLocalStatus,
    tamper: askLocalStatus,
    powerFailure: askLocalStatus,
    readerState: askReaderStatus,
    capabilities: askCapabilities,
  };
  /** Told when a property was asked for; they belong to who observes. */
  const untold: Observation[] = [];

  return {
    async identify(signal) {
      let heard = await panel.askInClear(askId, signal);
      // a reader may say nothing at all outside of its channel
      if (heard.is === 'reply' && isNak(heard.reply, nakErrors.channelNeeded) && keys.length > 0)
        heard = await panel.ask(askId, signal);
      if (heard.is === 'over' && heard.error.code === 'reader-channel') throw heard.error;
      return heard.is === 'reply' ? identityOf(heard.reply) : undefined;
    },

    async configure(signal) {
      const heard = await panel.ask(askCapabilities, signal);
      if (heard.is === 'over') throw heard.error;
      if (heard.is === 'silent') throw new OutpostError('device-silent', heard.reason);
      warn(log, channelOf(configured, panel));
    },

    async *observe(signal) {
      let askedAtMs = -Infinity;
      while (link.isOpen) {
        const isDue = clock.monoMs() - askedAtMs >= statusEveryMs;
        if (isDue) {
          askedAtMs = clock.monoMs();
          yield* await ask(askLocalStatus, signal);
          yield* await ask(askReaderStatus, signal);
        }
        yield* await ask(poll, signal);
        yield* watch.channel(channelOf(configured, panel));
        yield* untold.splice(0);
        // a late answer may hold a card: it is nobody's, and is not kept
        for (const _late of link.unread());
        await clock.sleep(pollEvery, signal);
      }
    },

    async read(property, signal) {
      const command = askedFor[property];
      if (!command) return [];
      const observed = await ask(command, signal);
      untold.push(...observed.filter(({ is }) => is === 'event'));
      const state = channelOf(configured, panel);
      return [...observed.filter(({ is }) => is === 'reading'), ...(state ? [channelReading(state)] : [])];
    },

    async perform(action, args, signal) {
      const command = action === 'installKey' ? keyCommand(configured) : performers[action]?.(args);
      if (!command) return { status: 'rejected', reason: `A reader does not ${action}.` };
      const outcome = outcomeOf(await panel.ask(command, signal));
      if (action === 'installKey') panel.forget();
      return outcome;
    },
  };
}

const performers: Readonly<Record<string, (args: Readonly<Record<string, unknown>>) => Command>> = {
  led: (args) => led(args as unknown as Led),
  buzzer: (args) => buzzer(args as unknown as Buzzer),
  text: (args) => text(args as unknown as Text),
};

const keyCommand = ({ key }: Options): Command | undefined =>
  key === undefined ? undefined : setKey(Buffer.from(key, 'hex'));

function keysOf({ channel, key }: Options): readonly BaseKey[] {
  if (channel === 'clear') return [];
  const own: readonly BaseKey[] = key === undefined ? [] : [{ kind: 'own', bytes: Buffer.from(key, 'hex') }];
  return channel === 'secure' ? own : [...own, { kind: 'default', bytes: Buffer.from(defaultKey, 'hex') }];
}

type ChannelState = Options['channel'];

/** @returns undefined while no channel stands that should */
function channelOf({ channel }: Options, panel: Panel): ChannelState | undefined {
  if (channel === 'clear') return channel;
  return panel.keyInUse && (panel.keyInUse === 'own' ? 'secure' : 'installation');
}

function warn(log: Log, state: ChannelState | undefined): void {
  if (state === 'installation')
    log.warn(
      'A reader is spoken to with the standard’s default key: who is on its line reads and forges cards. Give it its key.',
    );
  if (state === 'clear') log.warn('A reader is spoken to in the clear: who is on its line reads and forges cards.');
}

const isNak = (reply: Reply, error: number): boolean => reply.is === 'nak' && reply.error === error;

function identityOf(reply: Reply): Identity | undefined {
  // it speaks OSDP, and does not say who it is
  if (isNak(reply, nakErrors.unknownCommand)) return { model: 'OSDP reader' };
  if (reply.is !== 'identity') return undefined;
  const { vendor, model, serial, firmware } = reply;
  return { model: `OSDP reader ${vendor} ${model}`, maker: vendor, serial, firmware };
}

function outcomeOf(heard: Heard): Outcome {
  if (heard.is === 'reply') {
    const { reply } = heard;
    return reply.is === 'nak'
      ? { status: 'rejected', reason: `The reader refuses: ${nakText(reply.error)}.` }
      : { status: 'acknowledged' };
  }
  const reason = heard.is === 'over' ? heard.error.message : heard.reason;
  return { status: heard.written ? 'unknown' : 'timeout', reason };
}

/** What was told before, so that an event is told when it begins. */
class Watch {
  #before: { tamper: boolean; power: boolean; reader: boolean } = { tamper: false, power: false, reader: false };
  #channel: ChannelState | undefined;

  channel(state: ChannelState | undefined): readonly Observation[] {
    if (state === undefined || state === this.#channel) return [];
    this.#channel = state;
    return [channelReading(state)];
  }

  observationsOf(reply: Reply): readonly Observation[] {
    switch (reply.is) {
      case 'card':
        return [{ is: 'event', event: 'card', data: { ...reply.card } }];
      case 'keys':
        return [{ is: 'event', event: 'keys', data: { reader: reply.reader, keys: reply.keys } }];
      case 'localStatus':
        return this.#localStatus(reply);
      case 'readerStatus':
        return this.#readerStatus(reply.states);
      case 'capabilities':
        return [{ is: 'reading', property: 'capabilities', value: reply.levels }];
      case 'ack':
      case 'nak':
      case 'identity':
      case 'other':
        return [];
    }
  }

  #localStatus({ tamper, powerFailure }: Extract<Reply, { is: 'localStatus' }>): readonly Observation[] {
    const before = this.#before;
    this.#before = { ...before, tamper, power: powerFailure };
    return [
      { is: 'reading', property: 'tamper', value: tamper },
      { is: 'reading', property: 'powerFailure', value: powerFailure },
      ...(tamper && !before.tamper ? [tampered('case')] : []),
      ...(powerFailure && !before.power ? [{ is: 'event', event: 'powerFailed', data: {} } as const] : []),
    ];
  }

  #readerStatus(states: Extract<Reply, { is: 'readerStatus' }>['states']): readonly Observation[] {
    const [worst = 'normal'] = [...states].toSorted((a, b) => severity.indexOf(b) - severity.indexOf(a));
    const isTampered = worst === 'tampered';
    const before = this.#before;
    this.#before = { ...before, reader: isTampered };
    return [
      { is: 'reading', property: 'readerState', value: worst },
      ...(isTampered && !before.reader ? [tampered('reader')] : []),
    ];
  }
}

const channelReading = (state: ChannelState): Observation => ({
  is: 'reading',
  property: 'channel',
  value: state,
  ...(state === 'secure' ? {} : { quality: 'uncertain' }),
});

const severity = ['normal', 'not-connected', 'tampered'] as const;
const tampered = (where: 'case' | 'reader'): Observation => ({ is: 'event', event: 'tampered', data: { where } });
