/** A Modbus device with the registers of a map: what is written stays, and what follows a coil follows it. */
import type { Simulator } from '../simulator.ts';
import type { Request, Response } from './codec.ts';
import { mapOf, type Options } from './manifest.ts';
import { readyMaps } from './ready-maps.ts';
import { type Point, type Table, widthOf } from './register-map.ts';

const readTables = { 1: 'coil', 2: 'discrete', 3: 'holding', 4: 'input' } as const;

/** The same as a written number, whatever is asked for. */
type Memory = Record<Table, Record<number, number>>;

export function modbusSimulator(given: Options): Simulator<Response, Request> {
  const { points } = mapOf(given);
  const memory: Memory = { coil: {}, discrete: {}, holding: {}, input: {} };
  const double = given.map === 'own' ? {} : readyMaps[given.map].double;
  for (const point of points) {
    for (let at = 0; at < widthOf(point); at += 1) memory[point.table][point.address + at] = 0;
    const held = double.holds?.[point.name];
    if (held !== undefined) memory[point.table][point.address] = held;
  }
  follow(memory, points, double.follows ?? {});
  return {
    state: memory,
    receive(request) {
      const { unit, fn, address } = request;
      // a broadcast is heard, and not answered
      if (unit !== given.unit && unit !== 0) return [];
      const response = carryOut(request, memory);
      follow(memory, points, double.follows ?? {});
      if (unit === 0) return [];
      return [
        typeof response === 'number'
          ? { unit, fn, exception: response }
          : { ...response, ...('address' in response ? { address } : {}) },
      ];
    },
  };
}

/** @returns the answer, or an exception: 2 no such address, 3 no such value */
function carryOut(request: Request, memory: Memory): Response | number {
  const { unit, fn, address } = request;
  const table: Table = fn <= 4 ? readTables[fn as 1 | 2 | 3 | 4] : fn === 5 || fn === 15 ? 'coil' : 'holding';
  const count = 'count' in request ? request.count : 1;
  if (count < 1 || count > (table === 'coil' || table === 'discrete' ? 2_000 : 125)) return 3;
  const cells = Array.from({ length: count }, (_unused, index) => address + index);
  if (cells.some((cell) => memory[table][cell] === undefined)) return 2;
  if ('value' in request) {
    if (fn === 5 && request.value !== 0 && request.value !== 0xff00) return 3;
    memory[table][address] = fn === 5 ? request.value >> 15 : request.value;
    return { unit, fn: request.fn, address, value: request.value };
  }
  if ('data' in request) {
    for (const [index, cell] of cells.entries())
      memory[table][cell] =
        fn === 15 ? ((request.data[index >> 3] as number) >> (index & 7)) & 1 : view(request.data).getUint16(index * 2);
    return { unit, fn: request.fn, address, count };
  }
  const values = cells.map((cell) => memory[table][cell] as number);
  return {
    unit,
    fn: request.fn,
    data: fn <= 2 ? bitsOf(values) : Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff])),
  };
}

const view = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.length);

function bitsOf(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(values.length / 8));
  for (const [index, value] of values.entries()) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (value << (index & 7));
  return bytes;
}

function follow(
  memory: Memory,
  points: readonly Point[],
  follows: Readonly<Record<string, { readonly point: string; readonly invert: boolean }>>,
): void {
  for (const [name, { point, invert }] of Object.entries(follows)) {
    const [led, leading] = [name, point].map((each) => points.find((known) => known.name === each));
    if (!led || !leading) continue;
    const value = memory[leading.table][leading.address] ?? 0;
    memory[led.table][led.address] = invert ? 1 - value : value;
  }
}
