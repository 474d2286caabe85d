/** Messages to readings, commands to messages. */
import type { Driver, Observation, OpenContext, Peripheral } from '../driver.ts';
import { outcomeOf } from '../link.ts';
import { deviceCodec, type FromDevice, hostCodec, type ToDevice } from './codec.ts';
import { manifest, options, type Options } from './manifest.ts';
import { simulator } from './simulator.ts';

export const driver: Driver<Options, FromDevice, ToDevice> = {
  name: 'template',
  options,
  example: {},
  manifest,
  protocol: () => ({ host: hostCodec, device: deviceCodec }),
  open: peripheral,
  simulator: () => simulator(),
  decoder: () => (message) => (message ? observationsOf(message) : []),
};

const isState = (message: FromDevice): boolean => message.is === 'state';

function peripheral({ link, options: { pollEvery }, clock }: OpenContext<Options, FromDevice, ToDevice>): Peripheral {
  const ask = async (signal: AbortSignal): Promise<readonly Observation[]> => {
    const answer = await link.request({ is: 'get' }, { matches: isState }, signal);
    return answer.is === 'answered' ? observationsOf(answer.message) : [];
  };

  return {
    async identify(signal) {
      const answer = await link.request({ is: 'who' }, { matches: ({ is }) => is === 'iam' }, signal);
      return answer.is === 'answered' && answer.message.is === 'iam' ? { model: answer.message.model } : undefined;
    },

    async *observe(signal) {
      while (link.isOpen) {
        yield* await ask(signal);
        for (const message of link.unread()) yield* observationsOf(message);
        await clock.sleep(pollEvery, signal);
      }
    },

    read: async (_property, signal) => await ask(signal),

    async perform(_action, { on }, signal) {
      const answer = await link.request({ is: 'set', on: on as boolean }, { matches: isState }, signal);
      return outcomeOf(
        answer,
        (message) => (message.is === 'state' && message.on === on) || 'The device stayed as it was.',
      );
    },
  };
}

function observationsOf(message: FromDevice): readonly Observation[] {
  switch (message.is) {
    case 'state':
      return [
        { is: 'reading', property: 'on', value: message.on },
        { is: 'reading', property: 'temperature', value: message.tenths / 10 },
      ];
    case 'button':
      return [{ is: 'event', event: 'button', data: { count: message.count } }];
    case 'iam':
      return [];
  }
}
