import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MotRow, formatMot, parseMot } from './mot.ts';

const row: MotRow = { frame: 3, id: 7, x: 1.5, y: -2, width: 30, height: 60, score: 0.9 };

describe('parseMot', () => {
  test('reads rows with and without score, more columns, spaces and CRLF', () => {
    const text = '3,7,1.5,-2,30,60,0.9,-1,-1,-1\r\n\n3, 7, 1.5, -2, 30, 60\n3 7 1.5 -2 30 60 0.9\n';
    expect(parseMot(text, 'a.txt')).toEqual([row, { ...row, score: 1 }, row]);
  });

  test.each([
    ['1,2,3', 'a.txt, line 2: 3 values instead of at least 6'],
    ['1,2,x,4,5,6', 'a.txt, line 2: "x" is not a number'],
    ['1,2,NaN,4,5,6', 'a.txt, line 2: "NaN" is not a number'],
    ['0,2,3,4,5,6', 'a.txt, line 2: frame 0 is not a whole number from 1'],
    ['1e12,2,3,4,5,6', 'a.txt, line 2: frame 1000000000000 is not a whole number from 1'],
    ['1,2.5,3,4,5,6', 'a.txt, line 2: id 2.5 is not a whole number'],
    ['1,2,3,4,0,6', 'a.txt, line 2: a box of 0 x 6'],
  ])('refuses %j, naming file and line', (line, message) => {
    expect(() => parseMot(`1,1,1,1,1,1\n${line}\n`, 'a.txt')).toThrow(message);
  });

  test('any text is read or refused with the code for it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('1', '2', ',', '.', '-', 'e', '\n', ' ', 'x', '\u0000') }),
        (text) => {
          try {
            expect(Array.isArray(parseMot(text, 'a.txt'))).toBe(true);
          } catch (error) {
            expect(error).toMatchObject({ code: 'mot-garbled', kind: 'config' });
          }
        },
      ),
    );
  });

  test('what is written is read again', () => {
    expect(formatMot(row)).toBe('3,7,1.50,-2.00,30.00,60.00,0.9000,-1,-1,-1');
    expect(parseMot(formatMot(row), 'a.txt')).toEqual([row]);
  });
});
