/** A UPS: mains, a battery, a timer that cuts the output. */
import type { Simulator } from '../simulator.ts';
import { commandText, type FromDevice, type StatusMessage, type ToDevice } from './codec.ts';
import type { Options } from './manifest.ts';

interface State extends Record<string, unknown> {
  onBattery: boolean;
  lowBattery: boolean;
  fault: boolean;
  testing: boolean;
  beeper: boolean;
  /** What was ordered last, and not taken back. */
  shutdown: { readonly delayMinutes: number; readonly returnMinutes: number | null } | null;
}

const mains = 226;

export function upsSimulator({ status: query, showsShutdown }: Options): Simulator<FromDevice, ToDevice> {
  const state: State = {
    onBattery: false,
    lowBattery: false,
    fault: false,
    testing: false,
    beeper: true,
    shutdown: null,
  };
  const known = query === 'qs' ? 'QS' : 'Q1';

  const status = (): StatusMessage => ({
    is: 'status',
    inputVoltage: state.onBattery ? 0 : mains,
    faultVoltage: 195,
    outputVoltage: mains,
    load: 14,
    frequency: 49,
    batteryVoltage: state.lowBattery ? 21.2 : state.onBattery || state.testing ? 24.6 : 27.5,
    temperature: 30,
    utilityFail: state.onBattery,
    batteryLow: state.lowBattery,
    bypass: false,
    failed: state.fault,
    standby: true,
    testing: state.testing,
    shutdownActive: showsShutdown && state.shutdown !== null,
    beeper: state.beeper,
  });

  const obey = (message: ToDevice): readonly FromDevice[] => {
    if (message.is === 'toggle-beeper') state.beeper = !state.beeper;
    else if (message.is === 'test' || message.is === 'test-until-low') state.testing = true;
    else if (message.is === 'cancel-test') state.testing = false;
    else if (message.is === 'cancel-shutdown') state.shutdown = null;
    else if (message.is === 'shutdown')
      state.shutdown = { delayMinutes: message.delayMinutes, returnMinutes: message.returnMinutes ?? null };
    else return [{ is: 'echo', command: commandText(message) }];
    return [];
  };

  return {
    state,
    receive(message) {
      if (message.is === 'status' && message.by === known) return [status()];
      if (message.is === 'vendor') return [{ is: 'vendor', maker: 'OUTPOST', model: 'SIM-1000', firmware: 'V1.0' }];
      if (message.is === 'rating')
        return [{ is: 'rating', voltage: 230, current: 4, batteryVoltage: 24, frequency: 50 }];
      return obey(message);
    },
    provoke(event) {
      if (event === 'onBattery') state.onBattery = true;
      else if (event === 'lowBattery') Object.assign(state, { onBattery: true, lowBattery: true });
      else if (event === 'fault') state.fault = true;
      else if (event === 'onMains') Object.assign(state, { onBattery: false, lowBattery: false });
      return [status()];
    },
  };
}
