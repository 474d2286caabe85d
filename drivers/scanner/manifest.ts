/** What a code scanner tells, and how its line is set. */
import { z } from 'zod';
import { type Manifest, plainLine } from '../driver.ts';

export const terminators = {
  cr: [0x0d],
  lf: [0x0a],
  crlf: [0x0d, 0x0a],
  tab: [0x09],
} as const;

export const options = z.strictObject({
  scanner: z.enum(['newland', 'unasked']).default('newland').meta({
    title: 'Scanner',
    description:
      '`newland`: asked for a setting, by Newland’s command set, to know that it is there; `unasked`: of another make, taken on trust, and a dead one is not noticed.',
    restart: 'peripheral',
  }),
  terminator: z.enum(['cr', 'lf', 'crlf', 'tab']).default('crlf').meta({
    title: 'Terminator',
    description: 'What the scanner is set to send after each code.',
    restart: 'peripheral',
  }),
  longest: z.int().min(16).max(7_200).default(4_296).meta({
    title: 'Longest code',
    description: 'A longer one is refused. The largest QR code holds 4,296 letters and digits, or 7,089 digits.',
    unit: 'By',
    restart: 'peripheral',
  }),
  aim: z.boolean().default(false).meta({
    title: 'Symbology identifiers',
    description:
      'The scanner is set to send AIM identifiers (`]C1`) before each code: they tell GS1 codes from others.',
    restart: 'peripheral',
  }),
  charset: z.enum(['utf-8', 'gb18030']).default('utf-8').meta({
    title: 'Characters',
    description: 'What the scanner sends for characters beyond ASCII.',
    restart: 'peripheral',
  }),
  repeatAfter: z.int().min(0).max(60_000).default(2_000).meta({
    title: 'Repeat after',
    description: 'The same code seen again within this is the same reading: a code that is held before the scanner.',
    unit: 'ms',
    restart: 'peripheral',
  }),
  personal: z.boolean().default(true).meta({
    title: 'About people',
    description:
      'Codes may hold personal data (tickets, health codes, identity): they reach the session at the screen, and no log, no telemetry, no disk. False only where nothing but goods is scanned.',
    restart: 'peripheral',
  }),
  askEvery: z.int().min(1_000).max(600_000).default(30_000).meta({
    title: 'Ask interval',
    description: 'How often a scanner that can be asked is asked whether it is there.',
    unit: 'ms',
    restart: 'peripheral',
  }),
});
export type Options = z.infer<typeof options>;

const codeSchema = z.strictObject({
  text: z.string(),
  /** AIM, as `]C1`; only where the scanner sends it. */
  symbology: z.string().optional(),
  symbologyTitle: z.string().optional(),
  gs1: z
    .array(z.strictObject({ ai: z.string(), title: z.string(), value: z.string(), meaning: z.string().optional() }))
    .optional(),
  /** Why it is no sound GS1 code although it says so. */
  gs1Error: z.string().optional(),
});
export type Code = z.infer<typeof codeSchema>;

/** A code that was taken on trust says nothing for days. */
const forEver = 2 ** 31 - 1;

export const manifest = ({ scanner, personal, askEvery }: Options): Manifest => ({
  name: 'scanner',
  title: 'Code scanner',
  description: 'QR and bar codes as lines, by a scanner on a serial port or a virtual one over USB.',
  sources: [
    'GS1 General Specifications, section 3 (application identifiers) and 7.8 (processing of element strings)',
    'ISO/IEC 15424 (AIM symbology identifiers)',
    'Newland, NLS-HR52 User Manual, “Use of programming command”, “Query commands”',
  ],
  line: {
    ...plainLine,
    baudRate: 9_600,
    answerMs: 1_000,
    silentMs: scanner === 'unasked' ? forEver : askEvery * 3,
  },
  integrity: 'none',
  properties: {
    code: {
      title: 'The newest code',
      schema: z.string(),
      rate: 10,
      personal,
    },
    scans: { title: 'Codes since the start', schema: z.int().min(0), unit: '1', rate: 10, deadband: 1 },
    repeats: { title: 'Of these, the same again at once', schema: z.int().min(0), unit: '1', rate: 10, deadband: 10 },
  },
  actions: {},
  events: {
    scanned: { title: 'A code was scanned', data: codeSchema, personal },
  },
});
