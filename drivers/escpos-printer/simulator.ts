/**
 * The printer's double: a roll of paper, a cover, a buffer that keeps what it cannot print yet.
 *
 *   real-time commands --> at once                     everything else --> buffer --online--> paper, answers
 */
import type { Simulator } from '../simulator.ts';
import type { FromDevice, ToDevice } from './codec.ts';
import type { Command } from './commands.ts';
import { dotsOf, type Options } from './manifest.ts';
import { Paper } from './paper.ts';
import { pictureOf } from './picture.ts';

export interface PrinterSimulator extends Simulator<FromDevice, ToDevice> {
  readonly paper: Paper;
  /** So many dots are left on the roll. */
  load(dots: number): readonly FromDevice[];
  cover(isOpen: boolean): readonly FromDevice[];
  /** Off and on again: what was in the buffer is gone. */
  cutPower(): void;
}

interface Machine {
  left: number;
  isOpen: boolean;
  isCutterStuck: boolean;
  /** GS a: what is told by itself. */
  asb: number;
  buffer: Command[];
  cleared: number;
}

const nearEndDots = 800;
const fullRoll = 400_000;

export function printerSimulator(options: Options): PrinterSimulator {
  const fresh = (): Machine => ({
    left: fullRoll,
    isOpen: false,
    isCutterStuck: false,
    asb: 0,
    buffer: [],
    cleared: 0,
  });
  const machine = fresh();
  const paper = new Paper(dotsOf(options), options.charset === 'gb18030');
  const changed = (change: () => void): readonly FromDevice[] => {
    const before = String(asbOf(machine));
    change();
    const told: FromDevice[] = machine.asb !== 0 && String(asbOf(machine)) !== before ? [asbMessage(machine)] : [];
    return [...told, ...drained(machine, paper, options)];
  };

  return {
    paper,
    get state() {
      return { dots: paper.height, cuts: paper.cuts, waiting: machine.buffer.length, cleared: machine.cleared };
    },
    receive: (message) =>
      (message.is === 'batch' ? message.commands : [message]).flatMap((each) =>
        received(each, machine, paper, options),
      ),
    load: (dots) => changed(() => (machine.left = dots)),
    cover: (isOpen) => changed(() => (machine.isOpen = isOpen)),
    cutPower() {
      const { left, isOpen } = machine;
      Object.assign(machine, fresh(), { left, isOpen });
      paper.apply({ is: 'command', op: 'ESC @', args: new Uint8Array(0) });
    },
    provoke(event) {
      if (event === 'paperLow') machine.left = nearEndDots - 1;
      if (event === 'paperOut') machine.left = 0;
      if (event === 'coverOpened') machine.isOpen = true;
      if (event === 'failed') machine.isCutterStuck = true;
      return [asbMessage(machine)];
    },
    picture: () => pictureOf(paper),
  };
}

const isOut = ({ left }: Machine): boolean => left <= 0;
const isOnline = (machine: Machine): boolean => !machine.isOpen && !isOut(machine) && !machine.isCutterStuck;

function received(message: Command, machine: Machine, paper: Paper, options: Options): readonly FromDevice[] {
  if (message.is === 'command' && message.op === 'DLE EOT')
    return [{ is: 'realtime', status: realtimeOf(message.args[0] ?? 0, machine) }];
  if (message.is === 'command' && message.op === 'DLE DC4' && message.args[0] === 8) {
    machine.buffer = [];
    machine.cleared += 1;
    paper.apply({ is: 'control', name: 'CAN' });
    return [{ is: 'cleared' }];
  }
  machine.buffer.push(message);
  return drained(machine, paper, options);
}

/** Until the buffer is empty, or the paper is. */
function drained(machine: Machine, paper: Paper, options: Options): readonly FromDevice[] {
  const answers: FromDevice[] = [];
  for (let next = machine.buffer[0]; next && isOnline(machine); next = machine.buffer[0]) {
    machine.buffer.shift();
    const { height } = paper;
    const before = String(asbOf(machine));
    paper.apply(next);
    machine.left -= paper.height - height;
    answers.push(...answersTo(next, machine, options));
    if (machine.asb !== 0 && String(asbOf(machine)) !== before) answers.push(asbMessage(machine));
  }
  return answers;
}

const names: Readonly<Record<number, string>> = { 65: '1.00', 66: 'OUTPOST', 67: 'RECEIPT-80', 68: 'S0001' };

function answersTo(message: Command, machine: Machine, { confirm }: Options): readonly FromDevice[] {
  if (message.is !== 'command') return [];
  const { op, args } = message;
  const [n = 0] = args;
  if (op === 'GS a') {
    machine.asb = n;
    return n === 0 ? [] : [asbMessage(machine)];
  }
  if (op === 'GS r') return [{ is: 'sensors', status: sensorsOf(machine) }];
  if (op === 'GS I' && names[n] !== undefined) return [{ is: 'info', text: names[n] }];
  // one that is told to answer by its sensors plays an older printer
  if (op === 'GS (' && n === 0x48 && confirm !== 'sensors')
    return [{ is: 'processed', id: Buffer.from(args.subarray(5, 9)).toString('latin1') }];
  return [];
}

const sensorsOf = (machine: Machine): number => (isOut(machine) ? 0x0c : 0) | (machine.left < nearEndDots ? 0x03 : 0);

const asbOf = (machine: Machine): readonly number[] => [
  0x10 | (isOnline(machine) ? 0 : 0x08) | (machine.isOpen ? 0x20 : 0),
  machine.isCutterStuck ? 0x08 : 0,
  sensorsOf(machine),
  0x0f,
];
const asbMessage = (machine: Machine): FromDevice => ({ is: 'asb', status: asbOf(machine) });

function realtimeOf(n: number, machine: Machine): number {
  const isFailed = machine.isCutterStuck;
  const bits: Readonly<Record<number, number>> = {
    1: isOnline(machine) ? 0 : 0x08,
    2: (machine.isOpen ? 0x04 : 0) | (isOut(machine) ? 0x20 : 0) | (isFailed ? 0x40 : 0),
    3: isFailed ? 0x08 : 0,
    4: (isOut(machine) ? 0x60 : 0) | (machine.left < nearEndDots ? 0x0c : 0),
  };
  return 0x12 | (bits[n] ?? 0);
}
