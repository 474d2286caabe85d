/** The suite with a locker board, and frames of every other making. */
import { describe, expect, it } from 'vitest';
import { describeDriver } from '../conformance.ts';
import { type CheckKind, checkSize, checkValue } from './check.ts';
import { driver } from './driver.ts';
import { fieldValue, fillTemplate, parseTemplate, readTemplate } from './fields.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);

/** The check value of "123456789", as the catalogue of CRC algorithms states it. */
describe('check values', () => {
  it.each([
    ['crc8', 0xf4],
    ['crc8-maxim', 0xa1],
    ['crc16-modbus', 0x4b37],
    ['crc16-ccitt-false', 0x29b1],
    ['crc16-xmodem', 0x31c3],
    ['crc32', 0xcbf4_3926],
    ['xor', 0x31],
    ['sum8', 0xdd],
    ['sum8-negated', 0x23],
    ['sum16', 0x01dd],
    ['none', 0xdd],
  ] as const satisfies readonly (readonly [CheckKind, number])[])('%s', (kind, value) => {
    expect(checkValue(kind, Buffer.from('123456789'))).toBe(value);
    expect(checkValue(kind, Buffer.from('123456789'))).toBeLessThan(256 ** Math.max(1, checkSize(kind)));
  });
});

describe('frames', () => {
  const body = Uint8Array.of(0x10, 0x20, 0x30);
  it.each([
    [
      'start, length of all, xor over length and body',
      { start: 'AA 55', length: { size: 1, adds: 1 }, check: { kind: 'xor', covers: 'length' } },
      'aa5504102030 04',
    ],
    [
      'length of two bytes, little end first, CRC before the end',
      { length: { size: 2, order: 'little' }, check: { kind: 'crc16-modbus' }, end: '0D 0A' },
      '0300102030',
    ],
    ['ended by bytes', { start: '3A', check: { kind: 'sum8' }, end: '0D' }, '3a102030'],
  ])('%s', (_what, frame, begins) => {
    const given = driver.options.parse({ frame, messages: [{ name: 'any' }] });
    const protocol = driver.protocol(given);
    const bytes = protocol.device().encode({ body });
    expect(Buffer.from(bytes).toString('hex').startsWith(begins.replaceAll(' ', ''))).toBe(true);
    expect(protocol.host().push(bytes).messages).toEqual([{ body }]);
    expect(protocol.host().push(bytes.subarray(0, -1)).messages).toEqual([]);
  });
});

describe('fields', () => {
  const value = (more: object, ...bytes: number[]) => {
    const given = driver.options.parse({
      frame: { end: '0D' },
      messages: [{ name: 'm', fields: [{ name: 'f', at: 0, ...more }] }],
    });
    return fieldValue(given.messages[0]?.fields[0] as never, Uint8Array.from(bytes));
  };

  it('are read by type and order', () => {
    expect(value({ type: 'int16', order: 'little' }, 0xfe, 0xff)).toBe(-2);
    expect(value({ type: 'uint32' }, 0, 1, 0, 0)).toBe(65_536);
    expect(value({ type: 'float32' }, 0xc2, 0xed, 0x40, 0)).toBe(-118.625);
    expect(value({ type: 'bcd' }, 0x42)).toBe(42);
    expect(value({ type: 'bcd' }, 0x4a)).toBeUndefined();
    expect(value({ type: 'text', length: 3 }, 0x41, 0x42, 0x20)).toBe('AB');
    expect(value({ type: 'bool', bit: 2 }, 0b100)).toBe(true);
    expect(value({ type: 'uint8', scale: 0.1 }, 7)).toBe(0.7);
    expect(value({ type: 'uint8', values: { '7': 'lucky' } }, 7)).toBe('lucky');
    expect(value({ type: 'uint32' }, 1, 2)).toBeUndefined();
  });

  it('templates are filled and read back', () => {
    const parts = parseTemplate('01 {box:uint8} {ms:uint16le} {text:text}') ?? [];
    const args = { box: 7, ms: 500, text: 'hi' };
    expect(Buffer.from(fillTemplate(parts, args)).toString('hex')).toBe('0107f4016869');
    expect(readTemplate(parts, fillTemplate(parts, args))).toEqual(args);
    expect(readTemplate(parts, Uint8Array.of(2, 7, 0, 0))).toBeUndefined();
    expect(parseTemplate('01 {box:unit8}')).toBeUndefined();
  });
});

describe('a description', () => {
  const faults = (given: object): string[] =>
    (driver.options.safeParse(given).error?.issues ?? []).map(({ message }) => message);
  it.each([
    ['without messages', {}, 'needs one at least'],
    ['without any length', { messages: [{ name: 'm' }] }, 'needs a size: the frame has neither a length nor an end'],
    [
      'with a field beyond the body',
      { messages: [{ name: 'm', size: 1, fields: [{ name: 'f', at: 1 }] }] },
      'has a field f beyond its size',
    ],
    [
      'with a poll of nothing',
      { messages: [{ name: 'm', size: 1 }], polls: [{ request: 'r', answer: 'm' }] },
      'r is no request without arguments',
    ],
    [
      'with an action that nobody answers',
      {
        messages: [{ name: 'm', size: 1 }],
        requests: [{ name: 'r', body: '01' }],
        actions: [{ name: 'a', request: 'r', answer: 'x', safety: 'none' }],
      },
      'x is no message',
    ],
    [
      'with a stop that is done once',
      {
        messages: [{ name: 'm', size: 1 }],
        requests: [{ name: 'r', body: '01' }],
        actions: [{ name: 'a', request: 'r', answer: 'm', safety: 'stop' }],
      },
      'is of class stop: it needs `idempotent: true`, and a request without arguments',
    ],
    [
      'with a stop that asks how far',
      {
        messages: [{ name: 'm', size: 1 }],
        requests: [{ name: 'r', body: '{far:uint8}' }],
        actions: [{ name: 'a', request: 'r', answer: 'm', safety: 'stop', idempotent: true }],
      },
      'is of class stop: it needs `idempotent: true`, and a request without arguments',
    ],
  ])('%s is refused', (_what, given, message) => {
    expect(faults(given)).toContain(message);
  });
});
