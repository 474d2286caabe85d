/** What a card reader that speaks OSDP tells, and what may be done with it. */
import { z } from 'zod';
import { type Manifest, plainLine } from '../driver.ts';

/** SCBK-D, the key that the standard itself prints (IEC 60839-11-5, annex D): a secret to nobody. */
export const defaultKey = '303132333435363738393a3b3c3d3e3f';

export const options = z
  .strictObject({
    address: z.int().min(0).max(126).default(0).meta({
      title: 'Address',
      description: 'Of the reader on its line, 0 to 126: several readers share one line by different ones.',
      restart: 'peripheral',
    }),
    channel: z.enum(['secure', 'installation', 'clear']).default('secure').meta({
      title: 'Channel',
      description:
        '`secure`: encrypted with `key`, or not at all. `installation`: the standard’s default key too, which everybody knows: only while a reader is given its key. `clear`: no key, for readers that know none.',
      restart: 'peripheral',
    }),
    key: z
      .string()
      .regex(/^[0-9a-fA-F]{32}$/, 'must be 32 hexadecimal digits')
      .optional()
      .meta({
        title: 'Key',
        description: 'SCBK of this reader, 32 hexadecimal digits, another one for each reader.',
        secret: true,
        restart: 'peripheral',
      }),
    check: z.enum(['crc', 'checksum']).default('crc').meta({
      title: 'Check value',
      description: '`crc`: CRC-16; `checksum`: one byte, for old readers that know no other.',
      restart: 'peripheral',
    }),
    pollEvery: z.int().min(20).max(5_000).default(150).meta({
      title: 'Poll interval',
      description: 'Between two questions. Eight seconds without one, and the reader takes us for gone.',
      unit: 'ms',
      restart: 'peripheral',
    }),
  })
  .superRefine(({ channel, key }, context) => {
    const complain = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (channel === 'secure' && key === undefined)
      complain('key', 'is needed for `channel: secure`; give `channel: clear` for a reader without one');
    if (channel === 'clear' && key !== undefined)
      complain('channel', 'must not be `clear` for a reader that has a key');
    if (key?.toLowerCase() === defaultKey)
      complain('key', 'must not be the standard’s default key; see `channel: installation`');
  });
export type Options = z.infer<typeof options>;

/** In the order of their codes (osdp_LED). */
export const ledColors = ['black', 'red', 'green', 'amber', 'blue', 'magenta', 'cyan', 'white'] as const;
export const channelStates = ['secure', 'installation', 'clear'] as const;
export const readerStates = ['normal', 'not-connected', 'tampered'] as const;

const reader = z.int().min(0).max(255);

export const manifest = ({ channel, key }: Options): Manifest => ({
  name: 'osdp-reader',
  title: 'Card reader, OSDP',
  description: 'Cards and keys of an access reader on RS-485, over an encrypted channel; its lamp, buzzer and display.',
  sources: ['IEC 60839-11-5:2020', 'SIA OSDP 2.2'],
  line: {
    ...plainLine,
    baudRate: 9_600,
    halfDuplex: true,
    sharedBus: true,
    turnaroundMs: 2,
    // a reader answers within 200 ms; the rest is the adapter's and the machine's
    answerMs: 350,
    settleMs: 50,
    silentMs: 5_000,
    lowLatency: true,
  },
  integrity: 'checksum',
  properties: {
    channel: {
      title: 'Channel',
      description: 'How the reader is spoken to now.',
      schema: z.enum(channelStates),
      rate: 1,
    },
    tamper: { title: 'Case opened', schema: z.boolean(), rate: 10 },
    powerFailure: { title: 'Power failed', schema: z.boolean(), rate: 10 },
    readerState: { title: 'State of the reader head', schema: z.enum(readerStates), rate: 10 },
    capabilities: {
      title: 'Capabilities',
      description: 'Level of each function that the reader claims, as in osdp_PDCAP.',
      schema: z.record(z.string(), z.number()),
      rate: 0.1,
    },
  },
  actions: {
    led: {
      title: 'Set the lamp',
      args: z.strictObject({
        color: z.enum(ledColors),
        blink: z.boolean().default(false),
        seconds: z.number().min(0.1).max(600).optional().meta({ description: 'then as before; absent: for good' }),
        reader: reader.default(0),
        led: z.int().min(0).max(255).default(0),
      }),
      deadlineMs: 5_000,
      idempotent: true,
      safety: 'light',
      acknowledgement: 'osdp_ACK',
      example: { color: 'green', seconds: 3 },
    },
    buzzer: {
      title: 'Sound the buzzer',
      args: z.strictObject({
        seconds: z.number().min(0.1).max(25.5).default(0.2),
        pause: z.number().min(0).max(25.5).default(0.2),
        times: z.int().min(1).max(255).default(1),
        reader: reader.default(0),
      }),
      deadlineMs: 5_000,
      idempotent: false,
      safety: 'sound',
      acknowledgement: 'osdp_ACK',
      example: { times: 2 },
    },
    text: {
      title: 'Show a text',
      args: z.strictObject({
        text: z.string().regex(/^[\x20-\x7e]{0,32}$/, 'must be at most 32 printable ASCII characters'),
        seconds: z.int().min(1).max(255).optional().meta({ description: 'then as before; absent: for good' }),
        row: z.int().min(1).max(4).default(1),
        reader: reader.default(0),
      }),
      deadlineMs: 5_000,
      idempotent: true,
      safety: 'setting',
      acknowledgement: 'osdp_ACK',
      example: { text: 'Welcome', seconds: 5 },
    },
    ...(channel === 'installation' && key !== undefined ? { installKey } : {}),
  },
  events: {
    card: {
      title: 'A card was read',
      personal: true,
      data: z.strictObject({
        reader,
        bits: z.int().min(0).max(1_024),
        hex: z.string(),
        text: z.string().optional(),
        facility: z.int().optional(),
        number: z.int().optional(),
        parity: z.enum(['right', 'wrong']).optional(),
      }),
    },
    keys: {
      title: 'Keys were pressed',
      personal: true,
      data: z.strictObject({ reader, keys: z.string() }),
    },
    tampered: { title: 'Somebody is at the reader', data: z.strictObject({ where: z.enum(['case', 'reader']) }) },
    powerFailed: { title: 'The reader’s power failed', data: z.strictObject({}) },
  },
});

/** The key comes from the configuration and never from a command. */
const installKey = {
  title: 'Give the reader its key',
  description: 'The configured key takes the place of the default one. Then set `channel: secure`.',
  args: z.strictObject({}),
  deadlineMs: 5_000,
  idempotent: true,
  safety: 'setting',
  acknowledgement: 'osdp_ACK',
  example: {},
} as const;
