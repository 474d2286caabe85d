/** What a Modbus device offers is what its register map says. */
import { z } from 'zod';
import { type Action, type LineNeeds, type Manifest, plainLine, type Property } from '../driver.ts';
import { readyMapNames, readyMaps } from './ready-maps.ts';
import { isBitTable, type Point, pointSchema, rawOf, type Write, writeSchema } from './register-map.ts';

const groups = ['fast', 'normal', 'slow'] as const;
export type Group = (typeof groups)[number];

const period = (byDefault: number, title: string) =>
  z
    .int()
    .min(10)
    .max(3_600_000)
    .default(byDefault)
    .meta({ title, description: 'Between two questions for points of this group.', unit: 'ms', restart: 'peripheral' });

export const options = z
  .strictObject({
    unit: z
      .int()
      .min(1)
      .max(247)
      .default(1)
      .meta({ title: 'Unit', description: 'Address of the device on the bus.', restart: 'peripheral' }),
    map: z
      .enum(['own', ...readyMapNames])
      .default('own')
      .meta({
        title: 'Map',
        description: 'A ready register map, to which `points` and `writes` are added; `own`: they are all there is.',
        restart: 'peripheral',
      }),
    points: z
      .array(pointSchema)
      .max(500)
      .default([])
      .meta({ title: 'Points', description: 'What is read.', restart: 'peripheral' }),
    writes: z
      .array(writeSchema)
      .max(100)
      .default([])
      .meta({ title: 'Writes', description: 'What may be written.', restart: 'peripheral' }),
    fast: period(200, 'Fast'),
    normal: period(1_000, 'Normal'),
    slow: period(60_000, 'Slow'),
    mostRegisters: z
      .int()
      .min(1)
      .max(125)
      .default(60)
      .meta({ title: 'Registers at once', description: 'That one request may ask for.', restart: 'peripheral' }),
  })
  .check(({ value, issues }) => {
    const { points, writes } = mapOf(value);
    const fault = (message: string, ...path: (string | number)[]): void =>
      void issues.push({ code: 'custom', input: value, message, path });
    if (points.length === 0) fault('needs one at least, or a ready map', 'points');
    const names = points.map(({ name }) => name);
    const doubled = names.find((name, index) => names.indexOf(name) !== index);
    if (doubled !== undefined) fault(`has two points that are named ${doubled}`, 'points');
    const actions = writes.map(({ name }) => name);
    const again = actions.find((name, index) => actions.indexOf(name) !== index);
    if (again !== undefined) fault(`has two that are named ${again}`, 'writes');
    for (const [index, write] of value.writes.entries()) {
      const message = faultOf(write, points);
      if (message !== undefined) fault(message, 'writes', index);
    }
  });
export type Options = z.infer<typeof options>;

export interface RegisterMap {
  readonly title: string;
  readonly points: readonly Point[];
  readonly writes: readonly Write[];
}

/** The ready map, if any, with what is said of one's own. */
export function mapOf({ map, points, writes, unit }: Options): RegisterMap {
  if (map === 'own') return { title: `Modbus device ${unit}`, points, writes };
  const ready = readyMaps[map];
  return {
    title: ready.title,
    points: [...ready.points.map((point) => pointSchema.parse(point)), ...points],
    writes: [...ready.writes.map((write) => writeSchema.parse(write)), ...writes],
  };
}

function faultOf(
  { point: name, value, require, shownBy, safety, idempotent }: Write,
  points: readonly Point[],
): string | undefined {
  const known = (property: string): Point | undefined => points.find((point) => point.name === property);
  const point = known(name);
  if (!point) return `writes ${name}, which is no point`;
  if (point.table === 'discrete' || point.table === 'input') return `writes ${name}, which can only be read`;
  if (point.bit !== undefined || point.type === 'string')
    return `writes ${name}, which is a part of a register or a text`;
  if (value !== undefined && !rawOf(point, value)) return `writes ${JSON.stringify(value)}, which ${name} cannot hold`;
  if (safety === 'stop' && (value === undefined || !idempotent || require.length > 0))
    return 'is of class stop: it needs a `value`, and has no guards and no `idempotent: false`';
  const asked = [...require.map(({ property }) => property), ...(shownBy ? [shownBy.property] : [])];
  const unknown = asked.find((property) => !known(property));
  return unknown === undefined ? undefined : `asks ${unknown}, which is no point`;
}

export function manifest(given: Options): Manifest {
  const { title, points, writes } = mapOf(given);
  return {
    name: 'modbus-rtu',
    title,
    description: 'A device on a Modbus RTU bus, as its register map says.',
    sources: ['MODBUS Application Protocol Specification V1.1b3', 'MODBUS over Serial Line V1.02'],
    line: lineOf(given, points),
    integrity: 'checksum',
    properties: Object.fromEntries(points.map((point) => [point.name, propertyOf(point, given)])),
    actions: Object.fromEntries(writes.map((write) => [write.name, actionOf(write, points)])),
    events: {},
  };
}

/** Serial Line V1.02, 2.5.1.1: frames are 3.5 characters apart; USB adapters hold bytes back for longer. */
function lineOf(given: Options, points: readonly Point[]): LineNeeds {
  const quickest = Math.min(...points.map(({ group }) => given[group]));
  return {
    ...plainLine,
    halfDuplex: true,
    sharedBus: true,
    turnaroundMs: 5,
    interFrameMs: 60,
    answerMs: 500,
    settleMs: 150,
    silentMs: Math.max(5_000, quickest * 4),
    lowLatency: true,
  };
}

function propertyOf(point: Point, given: Options): Property {
  const { title, name, unit, min, max, deadband, group } = point;
  return {
    title: title ?? name,
    schema: schemaOf(point),
    ...(unit === undefined ? {} : { unit }),
    ...(min === undefined && max === undefined ? {} : { range: [min ?? -Infinity, max ?? Infinity] }),
    rate: 1_000 / given[group],
    deadband,
  };
}

function schemaOf({ table, type, values }: Point): z.ZodType<string | number | boolean> {
  const words = Object.values(values);
  if (words.length > 0) return z.union([z.enum(words), z.number()]);
  if (isBitTable(table) || type === 'bool') return z.boolean();
  return type === 'string' ? z.string() : z.number();
}

function actionOf(write: Write, points: readonly Point[]): Action {
  const point = points.find(({ name }) => name === write.point) as Point;
  const { title, name, value, safety, idempotent, require, shownBy, deadline } = write;
  const argument = argumentOf(point, write);
  const example = value === undefined ? { value: exampleOf(point, write) } : {};
  return {
    title: title ?? name,
    args: value === undefined ? z.strictObject({ value: argument }) : z.strictObject({}),
    deadlineMs: deadline,
    idempotent,
    safety,
    ...(require.length > 0 ? { preconditions: require } : {}),
    acknowledgement: 'the device repeats what was written',
    shownBy: (args) =>
      shownBy
        ? { property: shownBy.property, oneOf: [shownBy.is] }
        : { property: point.name, oneOf: [(value ?? args['value']) as string | number | boolean] },
    example,
  };
}

function argumentOf(point: Point, { least, most }: Write): z.ZodType {
  const words = Object.values(point.values);
  if (words.length > 0) return z.enum(words);
  if (isBitTable(point.table) || point.type === 'bool') return z.boolean();
  const number = z
    .number()
    .min(least ?? -Infinity)
    .max(most ?? Infinity);
  return number.refine((value) => rawOf(point, value) !== undefined, 'does not fit into the register');
}

function exampleOf(point: Point, { least, most }: Write): string | number | boolean {
  const [word] = Object.values(point.values);
  if (word !== undefined) return word;
  return isBitTable(point.table) || point.type === 'bool' ? true : (least ?? most ?? point.offset);
}
