/** What the status bytes mean: the four of DLE EOT, and the four of automatic status (ASB). */
import type { Observation } from '../driver.ts';
import type { paperStates, printerErrors } from './manifest.ts';

export interface PrinterState {
  readonly online: boolean;
  readonly paper: (typeof paperStates)[number];
  readonly cover: 'closed' | 'open';
  readonly error: (typeof printerErrors)[number];
}

/** DLE EOT 1 to 4, in their order: printer, cause of being offline, cause of an error, paper sensors. */
export function stateOfRealtime([printer = 0, offline = 0, error = 0, sensors = 0]: readonly number[]): PrinterState {
  return {
    online: (printer & 0x08) === 0,
    cover: (offline & 0x04) === 0 ? 'closed' : 'open',
    error: errorOf((error & 0x20) !== 0, (error & 0x08) !== 0, (error & 0x44) !== 0),
    paper: (sensors & 0x60) !== 0 || (offline & 0x20) !== 0 ? 'out' : (sensors & 0x0c) !== 0 ? 'low' : 'ok',
  };
}

export function stateOfAsb([printer = 0, errors = 0, sensors = 0]: readonly number[]): PrinterState {
  return {
    online: (printer & 0x08) === 0,
    cover: (printer & 0x20) === 0 ? 'closed' : 'open',
    error: errorOf((errors & 0x20) !== 0, (errors & 0x08) !== 0, (errors & 0x44) !== 0),
    paper: (sensors & 0x0c) !== 0 ? 'out' : (sensors & 0x03) !== 0 ? 'low' : 'ok',
  };
}

const errorOf = (isUnrecoverable: boolean, isCutter: boolean, isRecoverable: boolean): PrinterState['error'] =>
  isUnrecoverable ? 'unrecoverable' : isCutter ? 'cutter' : isRecoverable ? 'recoverable' : 'none';

export const isReady = ({ online, paper, cover, error }: PrinterState): boolean =>
  online && paper !== 'out' && cover === 'closed' && error === 'none';

/** For people. */
export function stateText(state: PrinterState | undefined): string {
  if (!state) return 'the printer does not answer';
  const said = [
    state.paper === 'out' ? 'the paper is at its end' : '',
    state.cover === 'open' ? 'the cover is open' : '',
    state.error === 'none' ? '' : `the printer has an error (${state.error})`,
  ].filter((text) => text.length > 0);
  return said.join(', ') || (state.online ? 'the printer is ready' : 'the printer is offline');
}

export const readingsOf = (state: PrinterState): readonly Observation[] => [
  { is: 'reading', property: 'ready', value: isReady(state) },
  ...(['online', 'paper', 'cover', 'error'] as const).map(
    (property) => ({ is: 'reading', property, value: state[property] }) as const,
  ),
];

/** What has happened between two states. */
export function* eventsBetween(before: PrinterState | undefined, now: PrinterState): Generator<Observation> {
  if (now.paper !== before?.paper && now.paper !== 'ok')
    yield { is: 'event', event: now.paper === 'out' ? 'paperOut' : 'paperLow', data: {} };
  if (now.cover === 'open' && before?.cover !== 'open') yield { is: 'event', event: 'coverOpened', data: {} };
  if (now.error !== 'none' && now.error !== before?.error)
    yield { is: 'event', event: 'failed', data: { error: now.error } };
}
