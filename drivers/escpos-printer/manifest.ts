/** What a receipt printer offers, and what a receipt is made of. */
import { z } from 'zod';
import { type Manifest, plainLine } from '../driver.ts';

export const options = z.strictObject({
  paper: z.enum(['80mm', '58mm']).default('80mm').meta({
    title: 'Paper',
    description: '80 mm has 576 dots and 48 columns, 58 mm has 384 and 32.',
    restart: 'peripheral',
  }),
  charset: z.enum(['gb18030', 'ascii']).default('gb18030').meta({
    title: 'Characters',
    description:
      '`gb18030`: of the font in the ROM of printers for the Chinese market; `ascii`: text with other characters is refused.',
    restart: 'peripheral',
  }),
  confirm: z.enum(['auto', 'process', 'sensors']).default('auto').meta({
    title: 'Confirmation',
    description:
      'How the printer says that it has printed: `process` by GS ( H, with the identity of each part; `sensors` by GS r, which has none; `auto` asks the printer which it knows.',
    restart: 'peripheral',
  }),
  pollEvery: z.int().min(100).max(60_000).default(2_000).meta({
    title: 'Poll interval',
    description: 'Between two questions for paper and cover.',
    unit: 'ms',
    restart: 'peripheral',
  }),
});
export type Options = z.infer<typeof options>;

export const dotsOf = ({ paper }: Pick<Options, 'paper'>): number => (paper === '80mm' ? 576 : 384);
/** Of font A, 12 dots wide. */
export const columnsOf = (chosen: Pick<Options, 'paper'>): number => dotsOf(chosen) / 12;

/** C0 but the line feed, DEL, C1, and Unicode's own line ends. */
const isControl = (point: number): boolean =>
  (point < 0x20 && point !== 0x0a) || (point >= 0x7f && point < 0xa0) || point === 0x2028 || point === 0x2029;

/** No control characters: a name on a receipt is no command. Line feed is the one exception. */
const printable = (most: number): z.ZodString =>
  z
    .string()
    .max(most)
    .refine(
      (text) => !Array.from(text).some((each) => isControl(each.codePointAt(0) ?? 0)),
      'holds control characters',
    );

const align = z.enum(['left', 'center', 'right']).default('left');
const size = z.int().min(1).max(4).default(1);

const block = z.discriminatedUnion('is', [
  z.strictObject({
    is: z.literal('text'),
    text: printable(2_000),
    align,
    bold: z.boolean().default(false),
    underline: z.boolean().default(false),
    size,
  }),
  /** A label at the left, a value at the right. */
  z.strictObject({
    is: z.literal('pair'),
    left: printable(200),
    right: printable(200),
    bold: z.boolean().default(false),
  }),
  z.strictObject({
    is: z.literal('qr'),
    data: z
      .string()
      .min(1)
      .max(600)
      .refine((data) => Buffer.byteLength(data) <= 600, 'at most 600 bytes of UTF-8'),
    level: z.enum(['L', 'M', 'Q', 'H']).default('M'),
    align: z.enum(['left', 'center', 'right']).default('center'),
  }),
  z.strictObject({ is: z.literal('rule') }),
  z.strictObject({ is: z.literal('feed'), lines: z.int().min(1).max(10).default(1) }),
]);
export type Block = z.infer<typeof block>;

export const printArgs = z.strictObject({
  job: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/, 'letters, digits, . _ : -, at most 64')
    .meta({ description: 'its identity: the same job is never printed twice' }),
  content: z.array(block).min(1).max(200),
  cut: z.boolean().default(true),
});
export type PrintArgs = z.infer<typeof printArgs>;

export const settleArgs = z.strictObject({
  job: z.string().optional().meta({ description: 'absent: every job of which it is not known' }),
  as: z.enum(['printed', 'given-up']).meta({ description: 'what you saw' }),
});
export type SettleArgs = z.infer<typeof settleArgs>;

export const jobStatuses = ['queued', 'printing', 'printed', 'unknown', 'given-up'] as const;
export const paperStates = ['ok', 'low', 'out'] as const;
export const printerErrors = ['none', 'cutter', 'recoverable', 'unrecoverable'] as const;

export const manifest = (_options: Options): Manifest => ({
  name: 'escpos-printer',
  title: 'Receipt printer, ESC/POS',
  description: 'Prints receipts once or not at all, and tells of paper, cover and cutter.',
  sources: [
    'Epson, ESC/POS Command Reference for TM printers (DLE EOT, DLE DC4, GS a, GS r, GS I, GS ( H, GS ( k, GS V)',
    'GB 18030, by the WHATWG Encoding Standard',
  ],
  // the answer is that a part is printed: 1 KiB at 9600 baud takes a second, and as long again on paper
  line: { ...plainLine, baudRate: 115_200, answerMs: 10_000, settleMs: 300, silentMs: 15_000 },
  integrity: 'none',
  properties: {
    ready: { title: 'Ready to print', schema: z.boolean(), rate: 10 },
    online: { title: 'Online', schema: z.boolean(), rate: 10 },
    paper: { title: 'Paper', schema: z.enum(paperStates), rate: 10 },
    cover: { title: 'Cover', schema: z.enum(['closed', 'open']), rate: 10 },
    error: { title: 'Error', schema: z.enum(printerErrors), rate: 10 },
    job: {
      title: 'The newest job',
      schema: z.strictObject({ id: z.string(), status: z.enum(['none', ...jobStatuses]) }),
      rate: 10,
    },
    unsettled: { title: 'Jobs of which it is not known', schema: z.int().min(0), unit: '1', rate: 10 },
  },
  actions: {
    print: {
      title: 'Print a receipt',
      description: 'A job that was printed is acknowledged again without printing it again.',
      args: printArgs,
      deadlineMs: 120_000,
      idempotent: false,
      safety: 'print',
      preconditions: [{ property: 'ready', oneOf: [true] }],
      acknowledgement: 'GS ( H: the process of the last part is done, printed and cut (GS r where there is none)',
      example: {
        job: 'example-1',
        content: [
          { is: 'text', text: '报案回执', align: 'center', size: 2, bold: true },
          { is: 'pair', left: '编号', right: '2026-000123' },
        ],
      },
    },
    settle: {
      title: 'Say what became of an interrupted job',
      description: 'By somebody who has looked at the printer. Nothing is printed.',
      args: settleArgs,
      deadlineMs: 30_000,
      idempotent: true,
      safety: 'setting',
      acknowledgement: 'the printer answers, and the journal holds it',
      example: { as: 'given-up' },
    },
  },
  events: {
    paperOut: { title: 'The paper is at its end', data: z.strictObject({}) },
    paperLow: { title: 'The paper is near its end', data: z.strictObject({}) },
    coverOpened: { title: 'The cover was opened', data: z.strictObject({}) },
    failed: { title: 'The printer failed', data: z.strictObject({ error: z.enum(printerErrors) }) },
  },
});
