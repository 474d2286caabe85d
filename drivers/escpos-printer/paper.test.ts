/** What stands on the paper, looked at as a picture: by a bar code reader, dot by dot, and as other programs print it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ReceiptPrinterEncoder from '@point-of-sale/receipt-printer-encoder';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import sharp from '#agent/core/sharp.ts';
import { describeWith, needsProgram, needsData, type Requirement } from '#agent/testing/require.ts';
import { testData } from '#agent/testing/testdata.ts';
import { deviceCodec } from './codec.ts';
import { command, type Command, commandBytes, control } from './commands.ts';
import { gb18030Of } from './gb18030.ts';
import { options as optionsSchema, printArgs } from './manifest.ts';
import { Paper } from './paper.ts';
import { pictureOf } from './picture.ts';
import { partsOf } from './receipt.ts';

const needsChineseFont: Requirement = () =>
  spawnSync('fc-list', [':lang=zh'], { encoding: 'utf8' }).stdout?.includes('.tt')
    ? undefined
    : 'a Chinese font (apt-get install fontconfig fonts-wqy-microhei)';

/** Dots of the picture's margin. */
const margin = 24;

function printed(bytes: Uint8Array, isChinese = false): Paper {
  const paper = new Paper(576, isChinese);
  const codec = deviceCodec();
  for (const message of codec.push(bytes).messages) if (message.is !== 'batch') paper.apply(message);
  expect(codec.quiet().rejected).toEqual([]);
  return paper;
}

function receipt(content: readonly object[], chosen: object = {}): Paper {
  const parts = partsOf(printArgs.parse({ job: 'r', content }), optionsSchema.parse(chosen));
  if (typeof parts === 'string') throw new Error(parts);
  return printed(Uint8Array.from(Buffer.concat(parts.flat().map(commandBytes))), true);
}

const pngOf = async (paper: Paper): Promise<Buffer> =>
  await sharp(Buffer.from(pictureOf(paper)))
    .png()
    .toBuffer();

/** Columns from the first dot of ink to the last, of these rows; without the margin. */
async function inkOf(paper: Paper, from: number, to: number): Promise<{ first: number; last: number; ink: number }> {
  const { data, info } = await sharp(await pngOf(paper))
    .extract({ left: margin, top: margin + from, width: paper.width, height: to - from })
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const columns = Array.from(
    { length: info.width },
    (_unused, x) =>
      Array.from({ length: info.height }, (_none, y) => data[y * info.width + x] ?? 255).filter((grey) => grey < 128)
        .length,
  );
  return {
    first: columns.findIndex((count) => count > 0),
    last: columns.findLastIndex((count) => count > 0),
    ink: columns.reduce((sum, count) => sum + count, 0),
  };
}

/** As bytes: without the mode for it in the code a reader guesses the character set. */
async function readCodes(paper: Paper): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'outpost-paper-'));
  try {
    await writeFile(join(folder, 'paper.png'), await pngOf(paper));
    return execFileSync('zbarimg', ['--quiet', '--raw', '-Sbinary', join(folder, 'paper.png')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('GB 18030', () => {
  it.each([
    ['A', '41'],
    ['中', 'd6d0'],
    ['国', 'b9fa'],
    ['€', 'a2e3'],
    ['¥', '81308436'],
    ['䶮', 'fe9f'],
    ['😀', '9439fc36'],
    ['𠀀', '95328236'],
  ])('has %s as %s', (character, hex) => {
    expect(Buffer.from(gb18030Of(character) ?? []).toString('hex')).toBe(hex);
  });

  it('is what the platform reads, for every character that there is', () => {
    const decoder = new TextDecoder('gb18030');
    const wrong: string[] = [];
    for (let point = 0; point <= 0x10_ffff; point += 1) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const character = String.fromCodePoint(point);
      const code = gb18030Of(character);
      const isPrivate = point >= 0xe000 && point <= 0xf8ff;
      if (code === undefined ? !isPrivate && point !== 0xfffd : decoder.decode(Uint8Array.from(code)) !== character)
        wrong.push(point.toString(16));
    }
    expect(wrong).toEqual([]);
    expect(gb18030Of('\ud800')).toBeUndefined();
  });
});

describeWith('a receipt', [needsChineseFont, needsProgram('zbarimg', 'zbar-tools')], () => {
  it('stands left, in the middle and right', async () => {
    const paper = receipt(['left', 'center', 'right'].map((align) => ({ is: 'text', text: '回执 #1', align })));
    const [left, middle, right] = [await inkOf(paper, 0, 30), await inkOf(paper, 30, 60), await inkOf(paper, 60, 90)];
    expect(left.first).toBeLessThan(8);
    expect(Math.abs(middle.first + middle.last - 575)).toBeLessThan(16);
    expect(right.last).toBeGreaterThan(566);
  });

  it('has Chinese characters, each its own, of the size that was asked for', async () => {
    const paper = receipt([
      { is: 'text', text: '警' },
      { is: 'text', text: '一' },
      { is: 'text', text: '警', size: 2 },
      { is: 'text', text: '警', bold: true },
    ]);
    const [dense, thin] = [await inkOf(paper, 0, 30), await inkOf(paper, 30, 60)];
    const [large, bold] = [await inkOf(paper, 60, 108), await inkOf(paper, 108, 138)];
    // a font without them draws the same box for both
    expect(dense.ink).toBeGreaterThan(3 * thin.ink);
    expect(large.last - large.first).toBeGreaterThan(1.8 * (dense.last - dense.first));
    expect(bold.ink).toBeGreaterThan(1.15 * dense.ink);
  });

  it.each(['80mm', '58mm'])('breaks lines at the paper’s width, on %s', (width) => {
    const columns = width === '80mm' ? 48 : 32;
    const text = '在本站报案的市民可凭此回执查询进度 the quick brown fox jumps over the lazy dog again and again';
    const lines = receipt([{ is: 'text', text }], { paper: width }).text.split('\n');
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines)
      expect(Array.from(line).reduce((sum, each) => sum + (each > '\u00ff' ? 2 : 1), 0)).toBeLessThanOrEqual(columns);
    expect(lines.join(' ').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
  });

  it('begins no line with a closing mark', () => {
    expect(receipt([{ is: 'text', text: `${'字'.repeat(24)}。终` }]).text).toBe(`${'字'.repeat(23)}\n字。终`);
  });

  it('has a label at the left and a value at the right', () => {
    expect(receipt([{ is: 'pair', left: '编号', right: '2026-000123' }]).text).toBe(`编号${' '.repeat(33)}2026-000123`);
    expect(receipt([{ is: 'pair', left: 'a'.repeat(40), right: 'b'.repeat(40) }]).text).toBe(
      `${'a'.repeat(40)}\n${' '.repeat(8)}${'b'.repeat(40)}`,
    );
  });

  it.each([
    ['https://example.org/r/2026-000123', 'M', '80mm'],
    ['报案回执 2026-000123', 'Q', '58mm'],
    ['x'.repeat(600), 'H', '58mm'],
  ])('has a QR code that a reader reads: %s', async (data, level, paper) => {
    expect(await readCodes(receipt([{ is: 'qr', data, level }], { paper }))).toBe(data);
  });
});

describe('other programs’ receipts', () => {
  const point = (x: number, y: number): number => ((x - 80) ** 2 / 6_400 + (y - 48) ** 2 / 2_304 < 1 ? 0 : 255);
  const pixels = Uint8ClampedArray.from({ length: 160 * 96 * 4 }, (_unused, at) =>
    at % 4 === 3 ? 255 : point((at >> 2) % 160, Math.floor((at >> 2) / 160)),
  );
  const made = (imageMode: 'raster' | 'column'): Paper =>
    printed(
      new ReceiptPrinterEncoder({ language: 'esc-pos', columns: 48, imageMode })
        .initialize()
        .align('center')
        .image({ data: pixels, width: 160, height: 96 }, 160, 96, 'threshold')
        .align('left')
        .bold(true)
        .line('ACME LTD')
        .bold(false)
        .line('Espresso 2.40')
        .align('right')
        .line('Total 6.30')
        .align('center')
        .qrcode('https://example.org/pos?id=42', { model: 2, size: 6, errorlevel: 'm' })
        .newline()
        .cut()
        .encode(),
    );

  describeWith('made by @point-of-sale/receipt-printer-encoder', [needsProgram('zbarimg', 'zbar-tools')], () => {
    it('are read whole', async () => {
      const paper = made('raster');
      const lines = paper.text.split('\n').map((line) => line.trim());
      expect(lines).toEqual(['ACME LTD', 'Espresso 2.40', 'Total 6.30']);
      expect(paper.cuts).toBe(1);
      expect(await readCodes(paper)).toBe('https://example.org/pos?id=42');
    });

    it.each(['raster', 'column'] as const)('have their picture in the middle, sent as a %s', async (mode) => {
      const { first, last, ink } = await inkOf(made(mode), 0, 96);
      expect(Math.abs(first - 208)).toBeLessThan(3);
      expect(Math.abs(last - 367)).toBeLessThan(3);
      expect(Math.abs(ink / (Math.PI * 80 * 48) - 1)).toBeLessThan(0.02);
    });
  });

  describeWith('with bar codes', [needsProgram('zbarimg', 'zbar-tools')], () => {
    // of a printer's Code 128 every character once, and all that changes between its sets
    const printableAscii = Array.from({ length: 95 }, (_unused, at) => String.fromCharCode(32 + at)).join('');
    it.each([
      ['ean13', '4006381333931', '4006381333931'],
      ['ean13', '9780306406157', '9780306406157'],
      ['ean8', '96385074', '96385074'],
      ['upca', '012345678905', '0012345678905'],
      ['code128', '{BCase-42{C\u000c\u0022\u0038', 'Case-42123456'],
      ['code128', `{B${printableAscii.slice(0, 32)}`, printableAscii.slice(0, 32)],
      ['code128', `{B${printableAscii.slice(32, 64)}`, printableAscii.slice(32, 64)],
      ['code128', `{B${printableAscii.slice(64).replace('{', '{{')}`, printableAscii.slice(64)],
    ] as const)('are read by a reader: %s %j', async (system, data, read) => {
      const code = Buffer.from(data, 'latin1');
      const number = { upca: 65, ean13: 67, ean8: 68, code128: 73 }[system];
      const said = [
        command('GS h', 80),
        command('GS w', 1),
        command('GS H', 2),
        command('ESC a', 1),
        command('GS k', number, code.length, ...code),
      ];
      expect(await readCodes(printed(Uint8Array.from(Buffer.concat(said.map(commandBytes)))))).toBe(read);
    });

    it('of @point-of-sale/receipt-printer-encoder, too', async () => {
      const bytes = new ReceiptPrinterEncoder({ language: 'esc-pos', columns: 48 })
        .initialize()
        .barcode('4006381333931', 'ean13', 60)
        .newline()
        .encode();
      expect(await readCodes(printed(bytes))).toBe('4006381333931');
    });
  });

  it('have a picture as graphics (GS ( L, functions 112 and 50)', async () => {
    const dots = Uint8Array.from({ length: 8 * 64 }, () => 0xf0);
    const store = [0x4c, 10 + dots.length, 0, 48, 112, 48, 1, 1, 49, 64, 0, 64, 0, ...dots];
    store[1] = (10 + dots.length) & 0xff;
    store[2] = (10 + dots.length) >> 8;
    const said: readonly Command[] = [
      command('ESC a', 1),
      command('GS (', ...store),
      command('GS (', 0x4c, 2, 0, 48, 50),
      { is: 'text', bytes: Uint8Array.from(Buffer.from('below')) },
      control('LF'),
    ];
    const paper = printed(Uint8Array.from(Buffer.concat(said.map(commandBytes))));
    expect(await inkOf(paper, 0, 64)).toEqual({ first: 256, last: 315, ink: 64 * 32 });
    expect(paper.items.find(({ is }) => is === 'character')).toMatchObject({ y: 64 });
  });
});

describe('whatever a program says', () => {
  it('is put on paper or left, and can be drawn', () => {
    const prefix = fc.constantFrom(0x10, 0x1b, 0x1c, 0x1d);
    const said = fc.array(fc.tuple(prefix, fc.uint8Array({ maxLength: 24 })), { maxLength: 40 });
    fc.assert(
      fc.property(said, (commands) => {
        const paper = new Paper(384, true);
        const codec = deviceCodec();
        for (const [first, rest] of commands)
          for (const message of codec.push(Uint8Array.of(first, ...rest)).messages)
            if (message.is !== 'batch') paper.apply(message);
        expect(pictureOf(paper)).toContain('</svg>');
      }),
      { seed: 20_261_126, numRuns: 500 },
    );
  });

  it('of a picture larger than its data is drawn as far as they go', () => {
    const paper = new Paper(384, false);
    paper.apply(command('GS (', 0x4c, 12, 0, 48, 112, 48, 1, 1, 49, 0xff, 0xff, 0xff, 0xff, 0x80, 0x80));
    paper.apply(command('GS (', 0x4c, 2, 0, 48, 50));
    expect(paper.height).toBe(0);
  });
});

describeWith('a real receipt', [needsData('escpos', 'receipt-with-logo.bin')], () => {
  /** As esc2text of escpos-tools, where it comes from, prints it; without empty lines and blanks at the ends. */
  const known = [
    'ExampleMart Ltd.',
    'Shop No. 42.',
    'SALES INVOICE',
    '$',
    'Example item #1                             4.00',
    'Another thing                               3.50',
    'Something else                              1.00',
    'A final item                                4.45',
    'Subtotal                                   12.95',
    'A local tax                                 1.30',
    'Total            $ 14.25',
    'Thank you for shopping at ExampleMart',
    'For trading hours, please visit example.com',
    'Monday 6th of April 2015 02:56:25 PM',
  ];

  it('is read whole: text, logo in the middle, cut', async () => {
    const paper = printed(await readFile(testData('escpos', 'receipt-with-logo.bin')));
    const lines = paper.text.split('\n').map((line) => line.trim());
    expect(lines.filter((line) => line !== '')).toEqual(known);
    expect(paper.cuts).toBe(1);
    const logo = paper.items.find((item) => item.is === 'dots');
    expect(logo?.is).toBe('dots');
    if (logo?.is !== 'dots') return;
    const { x, dots, across } = logo;
    expect(Math.abs(2 * x + dots.width * across - paper.width)).toBeLessThan(2);
    expect((await inkOf(paper, 0, paper.height)).ink).toBeGreaterThan(5_000);
  });
});
