/** What is done before the battery of the power supply is empty: an end in order, and a cut that returns with the mains. */
import { z } from 'zod';
import { duration } from './leaves.ts';

export const powerSchema = z.strictObject({
  ups: z.string().optional().meta({
    title: 'Power supply',
    description:
      'Id of a peripheral with the properties onBattery and lowBattery, such as one of driver megatec-ups. Absent: nothing is done.',
    restart: 'agent',
  }),
  hold: duration('30s').meta({
    title: 'Hold',
    description: 'The battery must be low, on battery, for this long without a break.',
    restart: 'agent',
  }),
  onBatteryFor: duration('0s').meta({
    title: 'On battery for',
    description: 'Also without a low battery, once the mains have failed for this long; 0s: never.',
    restart: 'agent',
  }),
  cut: z.boolean().default(false).meta({
    title: 'Cut',
    description:
      'The power supply is told to cut its output after `delay`, and to return `return` after that with the mains.',
    restart: 'agent',
  }),
  delay: duration('2m').meta({
    title: 'Delay',
    description:
      'From the order to the cut, for the end of the agent and of the machine; 12s to 54s, or whole minutes to 10m.',
    restart: 'agent',
  }),
  return: duration('3m').meta({
    title: 'Return',
    description: 'From the cut to the return, in whole minutes; with the mains, or later when they are not there.',
    restart: 'agent',
  }),
  command: z.array(z.string().min(1)).max(16).default([]).meta({
    title: 'Command',
    description:
      'Program and arguments that shut the machine down, such as [systemctl, poweroff]; run without a shell, as the last thing. Empty: the machine is left running.',
    restart: 'agent',
  }),
  commandLimit: duration('30s').meta({
    title: 'Limit of the command',
    description: 'It is ended when it runs for longer.',
    restart: 'agent',
  }),
});
export type PowerConfig = z.infer<typeof powerSchema>;
