/** A device on a Modbus bus, worked as its register map says. */
import type { Driver, Observation, OpenContext, Outcome, Peripheral } from '../driver.ts';
import { type Answer, outcomeOf } from '../link.ts';
import { deviceCodec, hostCodec, type ReadFunction, type Request, type Response } from './codec.ts';
import { type Group, manifest, mapOf, options, type Options } from './manifest.ts';
import { type Block, blocksOf, isBitTable, rawOf, type Table, valueOf, widthOf, type Write } from './register-map.ts';
import { modbusSimulator } from './simulator.ts';

export const driver: Driver<Options, Response, Request> = {
  name: 'modbus-rtu',
  options,
  example: { map: 'door-lock' },
  manifest,
  protocol: () => ({ host: hostCodec, device: deviceCodec }),
  open: peripheral,
  simulator: (given) => modbusSimulator(given),
  decoder: (given) => {
    const blocks = groups.flatMap((group) => blocksOfGroup(given, group));
    return (response) => {
      if (response?.unit !== given.unit || !('data' in response)) return [];
      // an answer does not say what was asked: only what a single question fits is read
      const [block, another] = blocks.filter(
        (each) => readFunctions[each.table] === response.fn && dataBytes(each) === response.data.length,
      );
      return block && !another ? observationsOf(block, response.data) : [];
    };
  },
};

const groups = ['fast', 'normal', 'slow'] as const;

const blocksOfGroup = (given: Options, group: Group): readonly Block[] =>
  blocksOf(
    mapOf(given).points.filter((point) => point.group === group),
    given.mostRegisters,
  );

const dataBytes = ({ table, count }: Block): number => (isBitTable(table) ? Math.ceil(count / 8) : count * 2);

const readFunctions: Readonly<Record<Table, ReadFunction>> = { coil: 1, discrete: 2, holding: 3, input: 4 };

/** V1.1b3, section 7. */
const exceptions: Readonly<Record<number, string>> = {
  1: 'The device does not know this function.',
  2: 'The device has no such address.',
  3: 'The device does not take this value.',
  4: 'The device failed while it did it.',
  5: 'The device has begun, and needs time.',
  6: 'The device is busy.',
  8: 'The device’s memory is damaged.',
};
const exceptionText = (code: number): string => exceptions[code] ?? `The device refuses (exception ${code}).`;

/** The device has begun, and will not say when it has done: that is no refusal. */
const begun = 5;

function peripheral({ link, options: given, clock, log }: OpenContext<Options, Response, Request>): Peripheral {
  const { unit } = given;
  const map = mapOf(given);
  const all = {
    fast: blocksOfGroup(given, 'fast'),
    normal: blocksOfGroup(given, 'normal'),
    slow: blocksOfGroup(given, 'slow'),
  };
  const refused = new Set<Block>();

  const ask = async ({ table, address, count }: Block, signal: AbortSignal): Promise<Answer<Response>> =>
    await link.request(
      { unit, fn: readFunctions[table], address, count },
      { matches: (response) => isOf(response, unit, readFunctions[table]) },
      signal,
    );

  const read = async (block: Block, signal: AbortSignal): Promise<readonly Observation[]> => {
    const answer = await ask(block, signal);
    if (answer.is !== 'answered') return [];
    if ('data' in answer.message) return observationsOf(block, answer.message.data);
    if ('exception' in answer.message && !refused.has(block)) {
      refused.add(block);
      log.warn('A Modbus device refuses a question.', {
        table: block.table,
        address: block.address,
        count: block.count,
        reason: exceptionText(answer.message.exception),
      });
    }
    return [];
  };

  return {
    async identify(signal) {
      const first = [...all.fast, ...all.normal, ...all.slow][0];
      if (!first) return undefined;
      const answer = await ask(first, signal);
      return answer.is === 'answered' && 'data' in answer.message ? { model: map.title } : undefined;
    },

    async *observe(signal) {
      const due: Record<Group, number> = { fast: 0, normal: 0, slow: 0 };
      while (link.isOpen) {
        for (const group of groups) {
          const now = clock.monoMs();
          if (all[group].length === 0 || due[group] > now) continue;
          due[group] = now + given[group];
          for (const block of all[group]) yield* await read(block, signal);
        }
        const next = Math.min(...groups.filter((group) => all[group].length > 0).map((group) => due[group]));
        const waitMs = next - clock.monoMs();
        if (waitMs > 0) await clock.sleep(waitMs, signal);
      }
    },

    async read(property, signal) {
      const point = map.points.find(({ name }) => name === property);
      const [block] = point ? blocksOf([point], given.mostRegisters) : [];
      return block ? await read(block, signal) : [];
    },

    async perform(action, args, signal) {
      const write = map.writes.find(({ name }) => name === action);
      const request = write && requestOf(write, args, given);
      if (!request) return { status: 'rejected', reason: 'The value has no place in the register.' };
      const answer = await link.request(request, { matches: (response) => isOf(response, unit, request.fn) }, signal);
      return outcomeOf(answer, (response) => judge(request, response));
    },
  };
}

const isOf = (response: Response, unit: number, fn: number): boolean => response.unit === unit && response.fn === fn;

function judge(request: Request, response: Response): true | string | Outcome {
  if ('exception' in response) {
    const reason = exceptionText(response.exception);
    return response.exception === begun ? { status: 'unknown', reason } : reason;
  }
  if (!('address' in response) || response.address !== request.address)
    return 'The device answered for another address.';
  if ('value' in request && 'value' in response)
    return response.value === request.value || 'The device wrote another value.';
  return 'count' in request && 'count' in response && response.count === request.count
    ? true
    : 'The device wrote another number of registers.';
}

function observationsOf({ table, address, points }: Block, data: Uint8Array): readonly Observation[] {
  return points.map((point): Observation => {
    const from = point.address - address;
    const raw = Array.from({ length: widthOf(point) }, (_unused, index) =>
      isBitTable(table)
        ? bitOf(data, from + index)
        : (data[(from + index) * 2] as number) * 256 + (data[(from + index) * 2 + 1] as number),
    );
    const value = valueOf(point, raw);
    return value === undefined
      ? { is: 'reading', property: point.name, value: 0, quality: 'bad' }
      : { is: 'reading', property: point.name, value };
  });
}

const bitOf = (data: Uint8Array, index: number): number => ((data[index >> 3] as number) >> (index & 7)) & 1;

function requestOf(
  { point: name, value }: Write,
  args: Readonly<Record<string, unknown>>,
  given: Options,
): Request | undefined {
  const point = mapOf(given).points.find((each) => each.name === name);
  const raw = point && rawOf(point, (value ?? args['value']) as string | number | boolean);
  if (!point || !raw) return undefined;
  const { address } = point;
  const [first = 0] = raw;
  if (point.table === 'coil') return { unit: given.unit, fn: 5, address, value: first === 0 ? 0 : 0xff00 };
  if (raw.length === 1) return { unit: given.unit, fn: 6, address, value: first };
  const data = Uint8Array.from(raw.flatMap((word) => [word >> 8, word & 0xff]));
  return { unit: given.unit, fn: 16, address, count: raw.length, data };
}
