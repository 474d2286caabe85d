/** A device with a frame of its own, said in the configuration: its frame, what it says, what it can be told. */
import { z } from 'zod';
import { type Action, type Manifest, plainLine, type Property, safetyClasses } from '../driver.ts';
import { checkKinds } from './check.ts';
import { fieldTypes, parseTemplate, sizeOf } from './fields.ts';

const restart = 'peripheral' as const;
const about = (title: string, description: string, unit?: string) => ({
  title,
  description,
  ...(unit === undefined ? {} : { unit }),
  restart,
});
const name = z
  .string()
  .regex(/^[a-z][A-Za-z0-9]{0,31}$/, 'must be 1 to 32 letters and digits, beginning with a small letter');
const hex = z.string().regex(/^([0-9a-fA-F]{2}\s*)*$/, 'must be bytes in hexadecimal, such as AA 55');
const template = z
  .string()
  .refine(
    (text) => parseTemplate(text) !== undefined,
    'must be bytes in hexadecimal with {argument:type} between them',
  );
const member = z.union([z.boolean(), z.number(), z.string()]);

const frameSchema = z.strictObject({
  start: hex.default('').meta(about('Start', 'Bytes that begin a frame, in hexadecimal.')),
  length: z
    .strictObject({
      size: z
        .union([z.literal(0), z.literal(1), z.literal(2)])
        .default(0)
        .meta(about('Size', 'Bytes of the length field after the start; 0: there is none.')),
      order: z.enum(['big', 'little']).default('big').meta(about('Order', 'Of its two bytes.')),
      adds: z
        .int()
        .min(-8)
        .max(64)
        .default(0)
        .meta(about('Adds', 'The field counts the body and this many bytes more.')),
    })
    .prefault({}),
  check: z
    .strictObject({
      kind: z.enum(checkKinds).default('none').meta(about('Kind', 'How the check value is made.')),
      covers: z
        .enum(['all', 'length', 'body'])
        .default('all')
        .meta(about('Covers', '`all` before it, from the `length` field on, or from the `body` on.')),
      order: z.enum(['big', 'little']).default('little').meta(about('Order', 'Of its bytes.')),
      afterEnd: z
        .boolean()
        .default(false)
        .meta(about('After the end', 'It follows the end bytes, and covers them, instead of standing before them.')),
    })
    .prefault({}),
  end: hex.default('').meta(about('End', 'Bytes that end a frame, in hexadecimal.')),
  limit: z
    .int()
    .min(4)
    .max(4_096)
    .default(256)
    .meta(about('Limit', 'The longest frame.', 'bytes')),
});
export type Frame = z.infer<typeof frameSchema>;

const fieldSchema = z.strictObject({
  name: name.meta(about('Name', 'Of the property, or of a member of the event.')),
  title: z.string().optional().meta(about('Title', 'For people; default: the name.')),
  at: z.int().min(0).max(4_095).meta(about('At', 'Byte of the body, from 0.')),
  type: z
    .enum(fieldTypes)
    .default('uint8')
    .meta(about('Type', '`bool` is a bit, or a byte that is not 0; `text` is Latin-1.')),
  order: z.enum(['big', 'little']).default('big').meta(about('Order', 'Of several bytes.')),
  length: z.int().min(1).max(256).default(1).meta(about('Length', 'Bytes of a `text`.')),
  bit: z.int().min(0).max(7).optional().meta(about('Bit', 'Which bit a `bool` is; absent: anything but 0.')),
  scale: z.number().default(1).meta(about('Scale', 'The raw number times this.')),
  offset: z.number().default(0).meta(about('Offset', 'Added after the scale.')),
  unit: z.string().optional().meta(about('Unit', 'UCUM.')),
  values: z
    .record(z.string().regex(/^-?\d+$/), z.string())
    .default({})
    .meta(about('Values', 'Words for raw numbers.')),
  deadband: z.number().min(0).default(0).meta(about('Deadband', 'A smaller change is not sent upstream.')),
});
export type Field = z.infer<typeof fieldSchema>;

const messageSchema = z.strictObject({
  name: name.meta(about('Name', 'Of what the device says.')),
  match: z
    .array(
      z.strictObject({
        at: z.int().min(0).max(255).meta(about('At', 'Byte of the body.')),
        hex: hex.meta(about('Bytes', 'That stand there.')),
      }),
    )
    .default([])
    .meta(about('Match', 'What tells it from others.')),
  size: z
    .int()
    .min(1)
    .max(4_096)
    .optional()
    .meta(about('Size', 'Bytes of its body; needed where neither a length field nor the end tells.')),
  fields: z.array(fieldSchema).default([]).meta(about('Fields', 'What its bytes mean.')),
  event: z
    .string()
    .optional()
    .meta(about('Event', 'It is told as this event, its fields as data, and not as readings.')),
});
export type Message = z.infer<typeof messageSchema>;

const requestSchema = z.strictObject({
  name: name.meta(about('Name', 'Of what the device is told.')),
  body: template.meta(about('Body', 'Bytes in hexadecimal, arguments as {name:type}: `01 {box:uint8} 00`.')),
});

const pollSchema = z.strictObject({
  request: z.string().meta(about('Request', 'Name of a request without arguments.')),
  answer: z.string().meta(about('Answer', 'Name of the message that answers it.')),
  every: z
    .int()
    .min(20)
    .max(3_600_000)
    .default(1_000)
    .meta(about('Every', 'Between two of them.', 'ms')),
});

const actionSchema = z.strictObject({
  name: name.meta(about('Name', 'Of the action.')),
  title: z.string().optional().meta(about('Title', 'For people; default: the name.')),
  request: z.string().meta(about('Request', 'Name of the request; its arguments are the action’s.')),
  limits: z
    .record(z.string(), z.tuple([z.number(), z.number()]))
    .default({})
    .meta(about('Limits', 'Least and most of each argument.')),
  answer: z.string().meta(about('Answer', 'Name of the message that answers it.')),
  same: z.array(z.string()).default([]).meta(about('Same', 'Arguments that the answer’s field of that name repeats.')),
  accept: z
    .record(z.string(), member)
    .default({})
    .meta(about('Accept', 'Fields of the answer that mean consent, with their value; else it is a refusal.')),
  safety: z.enum(safetyClasses).meta(about('Safety', 'What it can do in the world.')),
  idempotent: z.boolean().default(false).meta(about('Idempotent', 'Twice is once.')),
  deadline: z
    .int()
    .min(100)
    .max(60_000)
    .default(3_000)
    .meta(about('Deadline', 'For an answer.', 'ms')),
});
export type ActionText = z.infer<typeof actionSchema>;

const simulatedSchema = z.strictObject({
  on: z.string().meta(about('On', 'Name of a request; `start`: told each second without one.')),
  body: template.meta(about('Body', 'What the double says, with the request’s arguments.')),
});

export const options = z
  .strictObject({
    title: z.string().default('Framed device').meta(about('Title', 'What it is, for people.')),
    frame: frameSchema.prefault({}),
    messages: z.array(messageSchema).max(100).default([]).meta(about('Messages', 'What the device says.')),
    requests: z.array(requestSchema).max(100).default([]).meta(about('Requests', 'What it is told.')),
    polls: z
      .array(pollSchema)
      .max(50)
      .default([])
      .meta(about('Polls', 'What it is asked again and again; the first identifies it.')),
    actions: z.array(actionSchema).max(50).default([]).meta(about('Actions', 'What it can be made to do.')),
    simulated: z
      .array(simulatedSchema)
      .max(100)
      .default([])
      .meta(about('Simulated', 'What its double says, for `outpost simulate` and for tests.')),
  })
  .check(({ value, issues }) => {
    const fault = (message: string, ...path: (string | number)[]): void =>
      void issues.push({ code: 'custom', input: value, message, path });
    for (const [message, ...path] of faultsOf(value)) fault(message, ...path);
  });
export type Options = z.infer<typeof options>;

type Fault = readonly [message: string, ...path: (string | number)[]];

function* faultsOf({ frame, messages, requests, polls, actions, simulated }: Options): Generator<Fault> {
  const said = new Set(messages.map(({ name: word }) => word));
  const told = new Map(requests.map(({ name: word, body }) => [word, parseTemplate(body) ?? []]));
  if (messages.length === 0) yield ['needs one at least', 'messages'];
  const isOpenEnded = frame.length.size === 0 && frame.end.trim() === '';
  for (const [index, { size, fields, name: word }] of messages.entries()) {
    if (isOpenEnded && size === undefined)
      yield ['needs a size: the frame has neither a length nor an end', 'messages', index, 'size'];
    const over = fields.find((field) => size !== undefined && field.at + sizeOf(field) > size);
    if (over) yield [`has a field ${over.name} beyond its size`, 'messages', index, 'fields'];
    if (messages.findIndex((other) => other.name === word) < index)
      yield [`is a second ${word}`, 'messages', index, 'name'];
  }
  const names = messages.flatMap(({ fields, event }) =>
    event === undefined ? fields.map(({ name: word }) => word) : [],
  );
  const doubled = names.find((word, index) => names.indexOf(word) < index);
  if (doubled !== undefined) yield [`have two fields that are named ${doubled}`, 'messages'];
  for (const [index, { request, answer }] of polls.entries()) {
    if (told.get(request)?.some((part) => part.is === 'argument') !== false)
      yield [`${request} is no request without arguments`, 'polls', index, 'request'];
    if (!said.has(answer)) yield [`${answer} is no message`, 'polls', index, 'answer'];
  }
  for (const [index, { request, answer, same, accept, safety, idempotent }] of actions.entries()) {
    const asksMore = told.get(request)?.some((part) => part.is === 'argument') ?? false;
    if (safety === 'stop' && (!idempotent || asksMore))
      yield ['is of class stop: it needs `idempotent: true`, and a request without arguments', 'actions', index];
    if (!told.has(request)) yield [`${request} is no request`, 'actions', index, 'request'];
    const fields = messages.find(({ name: word }) => word === answer)?.fields.map(({ name: word }) => word);
    if (!fields) yield [`${answer} is no message`, 'actions', index, 'answer'];
    const missing = [...same, ...Object.keys(accept)].find((word) => fields && !fields.includes(word));
    if (missing !== undefined) yield [`${answer} has no field ${missing}`, 'actions', index];
  }
  const unknown = simulated.find(({ on }) => on !== 'start' && !told.has(on));
  if (unknown) yield [`${unknown.on} is no request`, 'simulated'];
}

/** A lock board of the CU16 kind: its status of 16 boxes, and a box to open. */
export const example = {
  title: 'Locker board, 16 boxes',
  frame: { start: '02', end: '03', check: { kind: 'sum8', afterEnd: true } },
  messages: [
    {
      name: 'status',
      match: [{ at: 1, hex: '35' }],
      size: 6,
      fields: [
        { name: 'locks', title: 'Locks 1 to 16, a bit each', at: 2, type: 'uint16', order: 'little' },
        { name: 'firstBox', title: 'Box 1', at: 2, type: 'bool', bit: 0, values: { '0': 'open', '1': 'shut' } },
      ],
    },
    {
      name: 'opened',
      match: [{ at: 1, hex: '36' }],
      size: 3,
      fields: [
        { name: 'box', at: 0 },
        { name: 'result', at: 2, values: { '0': 'failed', '1': 'done' } },
      ],
      event: 'boxOpened',
    },
  ],
  requests: [
    { name: 'askStatus', body: '00 30' },
    { name: 'open', body: '{box:uint8} 31' },
  ],
  polls: [{ request: 'askStatus', answer: 'status', every: 200 }],
  actions: [
    {
      name: 'openBox',
      title: 'Open a box',
      request: 'open',
      limits: { box: [0, 15] },
      answer: 'opened',
      same: ['box'],
      accept: { result: 'done' },
      safety: 'lock',
      idempotent: false,
    },
  ],
  simulated: [
    { on: 'askStatus', body: '00 35 FF FF 00 00' },
    { on: 'open', body: '{box:uint8} 36 01' },
  ],
} as const;

export function manifest(given: Options): Manifest {
  const { title, frame, messages, polls, actions } = given;
  const fields = messages.filter(({ event }) => event === undefined).flatMap((message) => message.fields);
  return {
    name: 'framed',
    title,
    description: 'A device with a frame of its own, said in the configuration.',
    sources: ['The manual of the device, in its configuration'],
    line: {
      ...plainLine,
      answerMs: 1_000,
      settleMs: 200,
      silentMs: Math.max(5_000, Math.min(...polls.map(({ every }) => every)) * 4 || 60_000),
    },
    integrity: frame.check.kind === 'none' ? 'none' : 'checksum',
    properties: Object.fromEntries(fields.map((field) => [field.name, propertyOf(field)])),
    actions: Object.fromEntries(actions.map((action) => [action.name, actionOf(action, given)])),
    events: Object.fromEntries(
      messages.flatMap(({ event, fields: members }) =>
        event === undefined
          ? []
          : [
              [
                event,
                {
                  title: event,
                  data: z.strictObject(Object.fromEntries(members.map((field) => [field.name, schemaOf(field)]))),
                },
              ],
            ],
      ),
    ),
  };
}

function propertyOf(field: Field): Property {
  const { name: word, title, unit, deadband } = field;
  return { title: title ?? word, schema: schemaOf(field), ...(unit === undefined ? {} : { unit }), deadband };
}

function schemaOf({ type, values }: Field): z.ZodType<string | number | boolean> {
  if (Object.keys(values).length > 0) return z.union([z.enum(Object.values(values)), z.number(), z.boolean()]);
  return type === 'bool' ? z.boolean() : type === 'text' ? z.string() : z.number();
}

function actionOf(
  { name: word, title, request, limits, safety, idempotent, deadline }: ActionText,
  { requests }: Options,
): Action {
  const parts = parseTemplate(requests.find((each) => each.name === request)?.body ?? '') ?? [];
  const all = parts.filter((part) => part.is === 'argument');
  const argument = (type: string, [least, most]: readonly [number, number]): z.ZodType =>
    type === 'text' ? z.string().max(256) : z.number().min(least).max(most);
  return {
    title: title ?? word,
    args: z.strictObject(
      Object.fromEntries(
        all.map((part) => [part.name, argument(part.type, limits[part.name] ?? [-(2 ** 31), 2 ** 32 - 1])]),
      ),
    ),
    deadlineMs: deadline,
    idempotent,
    safety,
    acknowledgement: 'the answer that the configuration names',
    example: Object.fromEntries(
      all.map((part) => [part.name, part.type === 'text' ? 'A' : Math.max(0, limits[part.name]?.[0] ?? 0)]),
    ),
  };
}
