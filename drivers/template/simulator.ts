/** The device's double. */
import type { Simulator } from '../simulator.ts';
import type { FromDevice, ToDevice } from './codec.ts';

export function simulator(): Simulator<FromDevice, ToDevice> {
  const state = { on: false, tenths: 215, presses: 0 };
  const tell = (): FromDevice => ({ is: 'state', on: state.on, tenths: state.tenths });
  return {
    state,
    receive(message) {
      if (message.is === 'who') return [{ is: 'iam', model: 'TEMPLATE-1' }];
      if (message.is === 'set') state.on = message.on;
      return [tell()];
    },
    provoke: (event) => (event === 'button' ? [{ is: 'button', count: (state.presses += 1) }] : []),
  };
}
