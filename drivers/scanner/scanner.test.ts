/** The scanner as the suite and a counter want it. */
import { describe, expect, it } from 'vitest';
import { describeDriver } from '../conformance.ts';
import { hostCodec } from './codec.ts';
import { codeOf, driver, repeatFilter } from './driver.ts';
import { parseGs1 } from './gs1.ts';
import { options as optionsSchema, terminators } from './manifest.ts';
import vectors from './vectors.json' with { type: 'json' };

describeDriver(driver, vectors);

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const year = 2026;

describe('lines', () => {
  it.each(Object.entries(terminators))('end with %s', (terminator, ends) => {
    const codec = hostCodec(optionsSchema.parse({ terminator }));
    const said = Uint8Array.of(...bytesOf('one'), ...ends, ...ends, ...bytesOf('two'), ...ends);
    const texts = codec
      .push(said)
      .messages.map((message) => message.is === 'line' && Buffer.from(message.bytes).toString());
    expect(texts).toEqual(['one', 'two']);
  });

  it('may hold half of their terminator', () => {
    const [message] = hostCodec(optionsSchema.parse({})).push(bytesOf('a\rb\nc\r\n')).messages;
    expect(message).toEqual({ is: 'line', bytes: bytesOf('a\rb\nc') });
  });

  it('that are too long are given up to their end, however they come', () => {
    const chosen = optionsSchema.parse({ longest: 16 });
    const said = bytesOf(`${'x'.repeat(5_000)}\r\ngood\r\n`);
    for (const size of [1, 7, 4_096]) {
      const codec = hostCodec(chosen);
      const messages: unknown[] = [];
      for (let at = 0; at < said.length; at += size)
        messages.push(...codec.push(said.subarray(at, at + size)).messages);
      expect(messages).toEqual([{ is: 'line', bytes: bytesOf('good') }]);
    }
    expect(hostCodec(chosen).push(bytesOf(`${'x'.repeat(16)}\r\n`)).messages).toHaveLength(1);
    expect(hostCodec(chosen).push(bytesOf(`${'x'.repeat(17)}\r\n`)).messages).toHaveLength(0);
  });

  it('are told from answers that come between them', () => {
    const codec = hostCodec(optionsSchema.parse({}));
    const kinds = codec
      .push(bytesOf('one\r\n\u0002\u00010000@C11ENA0\u0006;\u0003two\r\n'))
      .messages.map(({ is }) => is);
    expect(kinds).toEqual(['line', 'answer', 'line']);
  });
});

describe('codes', () => {
  const plain = { aim: false, charset: 'utf-8' } as const;

  it('are told with what they are, where the scanner says it', () => {
    expect(codeOf(bytesOf(']E04006381333931'), { ...plain, aim: true }, year)).toEqual({
      text: '4006381333931',
      symbology: ']E0',
      symbologyTitle: 'EAN/UPC',
    });
    expect(codeOf(bytesOf(']E04006381333931'), plain, year)).toEqual({ text: ']E04006381333931' });
    expect(codeOf(bytesOf('4006381333931'), { ...plain, aim: true }, year)).toEqual({ text: '4006381333931' });
  });

  it('are GS1 by their identifier, or by a separator', () => {
    const gs1 = [{ ai: '10', title: 'BATCH/LOT', value: 'AB' }];
    expect(codeOf(bytesOf(']C110AB'), { ...plain, aim: true }, year)).toMatchObject({ gs1 });
    expect(codeOf(bytesOf('10AB\u001d'), plain, year)).toMatchObject({ gs1 });
    expect(codeOf(bytesOf('10AB'), plain, year)).toEqual({ text: '10AB' });
    expect(codeOf(bytesOf(']C1zz'), { ...plain, aim: true }, year)).toMatchObject({
      gs1Error: expect.any(String) as string,
    });
  });

  it('are read in the character set that the scanner sends', () => {
    expect(codeOf(Uint8Array.of(0xd6, 0xd0), { ...plain, charset: 'gb18030' }, year).text).toBe('中');
    expect(codeOf(Uint8Array.of(0xd6, 0xd0), plain, year).text).toContain('\ufffd');
  });

  it('held before the scanner are one', () => {
    let now = 0;
    const isNew = repeatFilter(2_000, () => now);
    const seen = [
      [0, 'a'],
      [500, 'a'],
      [2_400, 'a'],
      [4_399, 'a'],
      [6_399, 'a'],
      [6_500, 'b'],
      [6_600, 'a'],
    ] as const;
    expect(
      seen.map(([atMs, text]) => {
        now = atMs;
        return isNew(bytesOf(text));
      }),
    ).toEqual([true, false, false, false, true, true, true]);
  });

  it('are about people unless it is said that they are not', () => {
    const { properties, events } = driver.manifest(optionsSchema.parse({}));
    expect([properties['code']?.personal, events['scanned']?.personal]).toEqual([true, true]);
    const goods = driver.manifest(optionsSchema.parse({ personal: false }));
    expect([goods.properties['code']?.personal, goods.events['scanned']?.personal]).toEqual([false, false]);
    expect(JSON.stringify(driver.show?.({ is: 'line', bytes: bytesOf('secret') }))).not.toContain('secret');
  });
});

describe('GS1', () => {
  const elementsOf = (text: string): unknown => {
    const parsed = parseGs1(text, year);
    return 'elements' in parsed
      ? parsed.elements.map(({ ai, value, meaning }) => [ai, meaning ?? value])
      : parsed.error;
  };

  it.each([
    // an example of a public wiki on GS1 parsing (Solidsoft Reply), with the expiry's day 00
    [
      '010506091751001110628S93R\u001d17241000218898847482518646',
      [
        ['01', '05060917510011'],
        ['10', '628S93R'],
        ['17', '2024-10-31'],
        ['21', '8898847482518646'],
      ],
    ],
    [
      '\u001d0104912345123459\u001d3103001750',
      [
        ['01', '04912345123459'],
        ['3103', '1.750'],
      ],
    ],
    [
      '3922995\u001d37006',
      [
        ['3922', '9.95'],
        ['37', '006'],
      ],
    ],
    ['00006141411234567890', [['00', '006141411234567890']]],
    [
      '70032601310830\u001d21X',
      [
        ['7003', '2026-01-31T08:30'],
        ['21', 'X'],
      ],
    ],
    ['8200https://example.org/a?b', [['8200', 'https://example.org/a?b']]],
  ])('reads %j', (text, elements) => {
    expect(elementsOf(text)).toEqual(elements);
  });

  it.each([
    ['0104912345123458', 'check digit'],
    ['010491234512345', '13 characters, not 14'],
    ['17261301', 'no date'],
    ['17260230', 'no date'],
    [`10${'A'.repeat(21)}`, '21 characters'],
    ['10A B', 'GS1 does not have'],
    ['05123', 'No application identifier'],
    ['', 'empty'],
  ])('refuses %j: %s', (text, why) => {
    expect(elementsOf(text)).toContain(why);
  });

  it.each([
    ['17760101', '2076-01-01'],
    ['17770101', '1977-01-01'],
    ['17260101', '2026-01-01'],
  ])('takes the nearer century: %s is %s', (text, date) => {
    expect(elementsOf(text)).toEqual([['17', date]]);
  });
});
