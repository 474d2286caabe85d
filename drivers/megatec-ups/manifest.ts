/** What an uninterruptible power supply that speaks Megatec tells, and what it can be told. */
import { z } from 'zod';
import { type Action, type Manifest, plainLine, type Property } from '../driver.ts';

export const options = z.strictObject({
  status: z.enum(['auto', 'q1', 'qs']).default('auto').meta({
    title: 'Status query',
    description: '`q1`, or `qs` for devices that only know that; `auto`: asked for.',
    restart: 'peripheral',
  }),
  pollEvery: z.int().min(200).max(60_000).default(2_000).meta({
    title: 'Poll interval',
    description: 'Between two questions for the status.',
    unit: 'ms',
    restart: 'peripheral',
  }),
  batteryNominal: z.number().min(2).max(480).optional().meta({
    title: 'Nominal battery voltage',
    description: 'Of the whole battery, 12 for each block; absent: as the device says it (F).',
    unit: 'V',
    restart: 'peripheral',
  }),
  emptyCell: z.number().min(0.5).max(4).default(1.73).meta({
    title: 'Empty',
    description: 'Volts of a 2 V cell when the charge counts as 0 %: for the estimate.',
    unit: 'V',
    restart: 'peripheral',
  }),
  fullCell: z.number().min(0.5).max(5).default(2.17).meta({
    title: 'Full',
    description: 'Volts of a 2 V cell when the charge counts as 100 %: for the estimate.',
    unit: 'V',
    restart: 'peripheral',
  }),
  showsShutdown: z.boolean().default(true).meta({
    title: 'Shows a pending shutdown',
    description:
      'The device sets the status bit while a shutdown is pending, and only then it counts as ordered. Off, for devices that never set it: ordered when the device goes on answering and has not given the command back.',
    restart: 'peripheral',
  }),
});
export type Options = z.infer<typeof options>;

const flag = (title: string, description?: string): Property => ({
  title,
  ...(description === undefined ? {} : { description }),
  schema: z.boolean(),
  rate: 5,
});
const amount = (
  title: string,
  unit: string,
  range: readonly [number, number],
  deadband: number,
  description?: string,
): Property => ({
  title,
  ...(description === undefined ? {} : { description }),
  schema: z.number(),
  unit,
  range,
  rate: 5,
  deadband,
});

const properties: Manifest['properties'] = {
  onBattery: flag('On battery', 'The mains have failed.'),
  lowBattery: flag('Battery low', 'As the device judges it.'),
  bypass: flag('Bypass', 'Bypass; of a line-interactive device: boost or buck.'),
  fault: flag('Fault of the device'),
  testing: flag('Test in progress'),
  shutdownPending: flag('Shutdown pending', 'The output will be, or is, cut by command.'),
  beeper: flag('Beeper on'),
  inputVoltage: amount('Voltage of the mains', 'V', [0, 500], 5),
  faultVoltage: amount('Voltage of the mains at the last fault', 'V', [0, 500], 5),
  outputVoltage: amount('Output voltage', 'V', [0, 500], 5),
  load: amount('Load', '%', [0, 200], 5, 'Of what the device can carry.'),
  frequency: amount('Frequency', 'Hz', [0, 100], 0.5),
  batteryVoltage: amount(
    'Battery voltage',
    'V',
    [0, 500],
    0.2,
    'As the device says it: of the battery, or of one cell.',
  ),
  charge: amount(
    'Battery charge, estimated',
    '%',
    [0, 100],
    5,
    'A guess from the voltage of lead-acid cells, with quality `uncertain`: under load it reads low, while charging high. The device does not measure it.',
  ),
  temperature: amount('Temperature', 'Cel', [-20, 100], 1),
  rating: {
    title: 'What the device is made for',
    schema: z.strictObject({
      voltage: z.number().meta({ description: 'V' }),
      current: z.number().meta({ description: 'A' }),
      batteryVoltage: z.number().meta({ description: 'V' }),
      frequency: z.number().meta({ description: 'Hz' }),
    }),
    intervalMs: 3_600_000,
  },
};

/** As the line has it: tenths from 0.2 to 0.9, then whole minutes. */
const delayMinutes = z
  .number()
  .refine((value) => (value >= 0.2 && value <= 0.9) || (Number.isInteger(value) && value >= 1 && value <= 10), {
    message: 'must be 0.2 to 0.9, or a whole number from 1 to 10',
  })
  .meta({ description: 'until the output is cut: 0.2 to 0.9, or 1 to 10 minutes' });
const returnMinutes = z
  .int()
  .min(1)
  .max(9_999)
  .meta({ description: 'until the output comes back once the mains are there, in minutes' });

const shownBy = (property: string, value: boolean): Pick<Action, 'shownBy'> => ({
  shownBy: () => ({ property, oneOf: [value] }),
});

const actions = ({ showsShutdown }: Options): Manifest['actions'] => ({
  shutdown: {
    title: 'Cut the output after a delay, and return with the mains',
    description:
      'Told again, the delay begins anew. With `returnMinutes` the output comes back that long after the cut, as soon as the mains are there, also when they returned before the cut.',
    args: z.strictObject({ delayMinutes, returnMinutes: returnMinutes.optional() }),
    deadlineMs: 15_000,
    idempotent: true,
    safety: 'power',
    acknowledgement: 'the status bit of a pending shutdown',
    ...(showsShutdown ? shownBy('shutdownPending', true) : {}),
    example: { delayMinutes: 2, returnMinutes: 3 },
  },
  cancelShutdown: {
    title: 'Take back a shutdown',
    description: 'An output that is cut already is switched on.',
    args: z.strictObject({}),
    deadlineMs: 15_000,
    idempotent: true,
    safety: 'power',
    acknowledgement: 'the status bit of a pending shutdown is gone',
    ...(showsShutdown ? shownBy('shutdownPending', false) : {}),
    example: {},
  },
  test: {
    title: 'Test the battery',
    description: 'The load runs on battery meanwhile.',
    args: z.strictObject({
      minutes: z.int().min(1).max(99).optional().meta({ description: 'absent: ten seconds' }),
    }),
    deadlineMs: 15_000,
    idempotent: false,
    safety: 'power',
    preconditions: [{ property: 'onBattery', oneOf: [false] }],
    acknowledgement: 'the status bit of a test',
    ...shownBy('testing', true),
    example: { minutes: 1 },
  },
  cancelTest: {
    title: 'End a test of the battery',
    args: z.strictObject({}),
    deadlineMs: 15_000,
    idempotent: true,
    safety: 'setting',
    acknowledgement: 'the status bit of a test is gone',
    ...shownBy('testing', false),
    example: {},
  },
  setBeeper: {
    title: 'Switch the beeper on or off',
    description: 'The device can only toggle: its state is asked first.',
    args: z.strictObject({ on: z.boolean() }),
    deadlineMs: 15_000,
    idempotent: true,
    safety: 'sound',
    acknowledgement: 'the status bit of the beeper',
    shownBy: ({ on }) => ({ property: 'beeper', oneOf: [on as boolean] }),
    example: { on: false },
  },
});

export const manifest = (chosen: Options): Manifest => ({
  name: 'megatec-ups',
  title: 'Uninterruptible power supply, Megatec',
  description: 'The mains, the battery and the load of a UPS that speaks Q1 or QS; shutdown with return, test, beeper.',
  sources: [
    'Megatec protocol information, version 2.7 (30 July 1996), sections B and C, as kept by networkupstools.org',
    'Example lines in the documentation of the nutdrv_qx drivers of Network UPS Tools 2.8',
  ],
  line: { ...plainLine, baudRate: 2_400, turnaroundMs: 100, answerMs: 1_500, settleMs: 400, silentMs: 15_000 },
  integrity: 'none',
  properties,
  actions: actions(chosen),
  events: {
    onBattery: { title: 'The mains have failed', data: z.strictObject({ inputVoltage: z.number().optional() }) },
    lowBattery: { title: 'The battery is low', data: z.strictObject({ batteryVoltage: z.number().optional() }) },
    fault: { title: 'The device has a fault', data: z.strictObject({}) },
    onMains: { title: 'The mains are back', data: z.strictObject({ inputVoltage: z.number().optional() }) },
  },
});
