/** What the device offers. Begun from the template: a switch with a thermometer and a button. */
import { z } from 'zod';
import { type Manifest, plainLine } from '../driver.ts';

export const options = z.strictObject({
  pollEvery: z.int().min(50).max(60_000).default(1_000).meta({
    title: 'Poll interval',
    description: 'Between two questions for the state.',
    unit: 'ms',
    restart: 'peripheral',
  }),
});
export type Options = z.infer<typeof options>;

export const manifest = (_options: Options): Manifest => ({
  name: 'template',
  title: 'Switch of the template',
  description: 'A switch with a thermometer and a button, that no shop sells.',
  sources: ['The template of drivers/README.md'],
  line: { ...plainLine, baudRate: 19_200, answerMs: 500, settleMs: 100 },
  integrity: 'checksum',
  properties: {
    on: { title: 'Switched on', schema: z.boolean(), rate: 20 },
    temperature: { title: 'Temperature', schema: z.number(), unit: 'Cel', range: [-40, 85], rate: 20, deadband: 0.5 },
  },
  actions: {
    set: {
      title: 'Switch on or off',
      args: z.strictObject({ on: z.boolean() }),
      deadlineMs: 2_000,
      // on twice is on: a toggle would not be idempotent
      idempotent: true,
      safety: 'power',
      acknowledgement: 'the new state',
      shownBy: ({ on }) => ({ property: 'on', oneOf: [on as boolean] }),
      example: { on: true },
    },
  },
  events: {
    button: { title: 'The button was pressed', data: z.strictObject({ count: z.int().min(1) }) },
  },
});
