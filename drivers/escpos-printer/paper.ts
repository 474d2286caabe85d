/**
 * What a printer puts on paper: commands in, places of characters and dots out. In dots of 1/203 inch.
 *
 *   Command --> style, line buffer --LF, feed, cut--> Item with its place
 */
import { encodeQR } from 'qr';
import { barCodeOf } from './bar-code.ts';
import type { Command } from './commands.ts';

export type Item =
  | {
      readonly is: 'character';
      readonly x: number;
      readonly y: number;
      /** Of the cell, before it is enlarged. */
      readonly width: number;
      readonly height: number;
      readonly across: number;
      readonly down: number;
      readonly text: string;
      readonly bold: boolean;
      readonly underline: boolean;
      readonly inverted: boolean;
    }
  | {
      readonly is: 'dots';
      readonly x: number;
      readonly y: number;
      readonly across: number;
      readonly down: number;
      readonly dots: Dots;
    }
  | { readonly is: 'cut'; readonly y: number };

/** A bitmap, a byte a dot, 1 is black. */
export interface Dots {
  readonly width: number;
  readonly height: number;
  readonly bytes: Uint8Array;
}

/** Of the line buffer: it has its place when the line is over. */
interface Waiting {
  readonly item: Exclude<Item, { is: 'cut' }>;
  readonly width: number;
  readonly height: number;
}

interface Style {
  font: 'a' | 'b';
  across: number;
  down: number;
  bold: boolean;
  underline: boolean;
  inverted: boolean;
  align: number;
  spacing: number;
  gap: number;
  left: number;
  area: number;
  isChinese: boolean;
  page: number;
}

const cells = { a: [12, 24], b: [9, 17] } as const;
const cutterDots = 96;
const defaultSpacing = 30;

/** PC437, the upper half: what a printer has where no other page was chosen. */
const pc437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';
/** Pages of ESC t that the platform can decode. */
const pages: Readonly<Record<number, string>> = { 16: 'windows-1252', 17: 'ibm866', 1: 'shift_jis' };

export class Paper {
  readonly #dots: number;
  readonly #startsChinese: boolean;
  readonly #items: Item[] = [];
  #style: Style;
  #line: Waiting[] = [];
  #cursor = 0;
  #y = 0;
  #held: number[] = [];
  #graphics: { readonly dots: Dots; readonly across: number; readonly down: number } | undefined;
  #downloaded: Dots | undefined;
  #bars = { height: 162, across: 3, text: 0 };
  #qr = { dots: 3, level: 48, data: new Uint8Array(0) };

  /** @param dots width of the printing area */
  constructor(dots: number, startsChinese: boolean) {
    this.#dots = dots;
    this.#startsChinese = startsChinese;
    this.#style = this.#fresh();
  }

  get width(): number {
    return this.#dots;
  }

  /** Of paper that has left the head. */
  get height(): number {
    return this.#y;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  get cuts(): number {
    return this.#items.filter(({ is }) => is === 'cut').length;
  }

  /** What stands on it, a line of print each: for tests. */
  get text(): string {
    const lines = new Map<number, string>();
    for (const item of this.#items) {
      if (item.is !== 'character') continue;
      const base = item.y + item.height * item.down;
      lines.set(base, (lines.get(base) ?? '') + item.text);
    }
    return [...lines.values()].map((line) => line.trimEnd()).join('\n');
  }

  apply(message: Command): void {
    if (message.is === 'text') this.#print(message.bytes);
    else if (message.is === 'control') this.#control(message.name);
    else this.#command(message.op, message.args);
  }

  #fresh(): Style {
    return {
      font: 'a',
      across: 1,
      down: 1,
      bold: false,
      underline: false,
      inverted: false,
      align: 0,
      spacing: defaultSpacing,
      gap: 0,
      left: 0,
      area: this.#dots,
      isChinese: this.#startsChinese,
      page: 0,
    };
  }

  #control(name: string): void {
    if (name === 'LF' || name === 'FF') this.#feed(this.#style.spacing);
    else if (name === 'HT') this.#cursor = (Math.floor(this.#cursor / 96) + 1) * 96;
    else if (name === 'CAN') this.#clearLine();
  }

  #clearLine(): void {
    this.#line = [];
    this.#cursor = 0;
    this.#held = [];
  }

  // oxlint-disable-next-line complexity -- one line a command
  #command(op: string, args: Uint8Array): void {
    const style = this.#style;
    const [n = 0, second = 0] = args;
    const both = n + second * 256;
    switch (op) {
      case 'ESC @':
        this.#clearLine();
        this.#style = this.#fresh();
        return;
      case 'ESC !':
        style.font = n & 1 ? 'b' : 'a';
        style.bold = (n & 8) !== 0;
        style.down = n & 16 ? 2 : 1;
        style.across = n & 32 ? 2 : 1;
        style.underline = (n & 128) !== 0;
        return;
      case 'GS !':
        style.across = ((n >> 4) & 7) + 1;
        style.down = (n & 7) + 1;
        return;
      case 'ESC M':
        style.font = n % 48 === 1 ? 'b' : 'a';
        return;
      case 'ESC E':
      case 'ESC G':
        style.bold = (n & 1) === 1;
        return;
      case 'ESC -':
      case 'FS -':
        style.underline = n % 48 !== 0;
        return;
      case 'GS B':
        style.inverted = (n & 1) === 1;
        return;
      case 'ESC a':
        style.align = n % 48;
        return;
      case 'ESC SP':
        style.gap = n;
        return;
      case 'ESC 2':
        style.spacing = defaultSpacing;
        return;
      case 'ESC 3':
        style.spacing = n;
        return;
      case 'ESC t':
        style.page = n;
        return;
      case 'FS &':
        style.isChinese = true;
        return;
      case 'FS .':
        style.isChinese = false;
        return;
      case 'GS L':
        style.left = both;
        style.area = Math.min(style.area, this.#dots - both);
        return;
      case 'GS W':
        style.area = Math.min(both, this.#dots - style.left);
        return;
      case 'ESC $':
        this.#cursor = both;
        return;
      case 'ESC \\':
        this.#cursor += both > 32_767 ? both - 65_536 : both;
        return;
      case 'ESC J':
        this.#feed(n);
        return;
      case 'ESC d':
        this.#feed(n * style.spacing);
        return;
      case 'ESC *':
        this.#columns(args);
        return;
      case 'GS v':
        this.#picture(packed(args, 2), args[1] ?? 0);
        return;
      case 'GS *':
        this.#downloaded = byColumns(args.subarray(2), n * 8, second * 8);
        return;
      case 'GS /':
        if (this.#downloaded) this.#picture(this.#downloaded, n);
        return;
      case 'GS 8':
        this.#graphic(args.subarray(5));
        return;
      case 'GS (':
        if (n === 0x4c) this.#graphic(args.subarray(3));
        else if (n === 0x6b) this.#code(args.subarray(3));
        return;
      case 'GS k':
        this.#barCode(args);
        return;
      case 'GS h':
        this.#bars.height = Math.max(1, n);
        return;
      case 'GS w':
        this.#bars.across = Math.max(1, n);
        return;
      case 'GS H':
        this.#bars.text = n % 48;
        return;
      case 'FS p':
        this.#note(`[stored picture ${n}]`);
        return;
      case 'GS V':
        this.#cut(n > 1 && n !== 48 && n !== 49 ? cutterDots + second : 0);
        return;
      case 'ESC i':
      case 'ESC m':
        this.#cut(0);
    }
  }

  #print(bytes: Uint8Array): void {
    const { isChinese, page } = this.#style;
    for (const byte of bytes) {
      this.#held.push(byte);
      const text = isChinese ? chineseOf(this.#held) : singleOf(byte, page);
      if (text === undefined) continue;
      this.#character(text, this.#held.length > 1);
      this.#held = [];
    }
  }

  #character(text: string, isWide: boolean): void {
    const { font, across, down, bold, underline, inverted, gap } = this.#style;
    const [width, height] = isWide ? [24, 24] : cells[font];
    const cell = { x: 0, y: 0, width, height, across, down, text, bold, underline, inverted } as const;
    this.#put({ is: 'character', ...cell }, width * across, height * down, gap * across);
  }

  #put(item: Waiting['item'], width: number, height: number, gap = 0): void {
    const { area, spacing } = this.#style;
    if (this.#cursor + width > area && this.#line.length > 0) this.#feed(spacing);
    this.#line.push({ item: { ...item, x: this.#cursor }, width, height });
    this.#cursor += width + gap;
  }

  /** Prints the line, and moves the paper by at least its height. */
  #feed(dots: number): void {
    const { align, left, area } = this.#style;
    const height = Math.max(0, ...this.#line.map((each) => each.height));
    const end = Math.max(0, ...this.#line.map(({ item, width }) => item.x + width));
    const shift = left + (align === 0 ? 0 : Math.floor((area - end) / (align === 1 ? 2 : 1)));
    for (const { item, height: own } of this.#line)
      this.#items.push({ ...item, x: item.x + Math.max(0, shift), y: this.#y + height - own });
    this.#y += Math.max(dots, height);
    this.#line = [];
    this.#cursor = 0;
  }

  #cut(feed: number): void {
    if (this.#line.length > 0) this.#feed(this.#style.spacing);
    this.#y += feed;
    this.#items.push({ is: 'cut', y: this.#y });
  }

  #note(text: string): void {
    if (this.#line.length > 0) this.#feed(this.#style.spacing);
    for (const each of text) this.#character(each, false);
    this.#feed(this.#style.spacing);
  }

  #barCode(args: Uint8Array): void {
    const code = barCodeOf(args);
    const { height, across, text } = this.#bars;
    if (!code) {
      this.#note(`[bar code ${barCodeText(args)}]`);
      return;
    }
    const width = code.modules.length * across;
    // a printer prints none that does not fit
    if (width > this.#style.area) return;
    const row = Uint8Array.from({ length: width }, (_unused, x) => Number(code.modules[Math.floor(x / across)]));
    const bytes = Uint8Array.from({ length: width * height }, (_unused, at) => row[at % width] ?? 0);
    if ((text & 1) !== 0) this.#note(code.text);
    this.#picture({ width, height, bytes }, 0);
    if ((text & 2) !== 0) this.#note(code.text);
  }

  /** A line of its own, as wide as it is. @param mode bit 0 doubles the width, bit 1 the height */
  #picture(dots: Dots, mode: number): void {
    const [across, down] = [(mode & 1) + 1, ((mode >> 1) & 1) + 1];
    if (this.#line.length > 0) this.#feed(this.#style.spacing);
    this.#put({ is: 'dots', x: 0, y: 0, across, down, dots }, dots.width * across, dots.height * down);
    this.#feed(0);
  }

  /** ESC *: columns of 8 or 24 dots, at the density of the head or half of it. */
  #columns(args: Uint8Array): void {
    const mode = args[0] ?? 0;
    const width = (args[1] ?? 0) + (args[2] ?? 0) * 256;
    const tall = mode >= 32;
    const dots = byColumns(args.subarray(3), width, tall ? 24 : 8);
    const [across, down] = [mode % 32 === 0 ? 2 : 1, tall ? 1 : 3];
    this.#put({ is: 'dots', x: 0, y: 0, across, down, dots }, width * across, dots.height * down);
  }

  /** GS ( L: stored (112 a raster, 113 columns), then printed (50). */
  #graphic(args: Uint8Array): void {
    const fn = args[1];
    if (fn === 112 || fn === 113) {
      const [across, down] = [args[3] ?? 1, args[4] ?? 1];
      const [width, height] = [(args[6] ?? 0) + (args[7] ?? 0) * 256, (args[8] ?? 0) + (args[9] ?? 0) * 256];
      const data = args.subarray(10);
      this.#graphics = {
        dots: fn === 112 ? byRows(data, width, height) : byColumns(data, width, height),
        across,
        down,
      };
    } else if ((fn === 50 || fn === 2) && this.#graphics) {
      const { dots, across, down } = this.#graphics;
      this.#picture(dots, (across - 1) | ((down - 1) << 1));
      this.#graphics = undefined;
    }
  }

  /** GS ( k: QR codes (49); others are named. */
  #code(args: Uint8Array): void {
    const [kind, fn, value = 0] = args;
    if (kind !== 49) {
      if (fn === 81) this.#note(`[two-dimensional code ${kind ?? ''}]`);
      return;
    }
    if (fn === 67) this.#qr.dots = Math.max(1, value);
    else if (fn === 69) this.#qr.level = value;
    else if (fn === 80) this.#qr.data = args.slice(3);
    else if (fn === 81) this.#qrCode();
  }

  #qrCode(): void {
    const dots = qrDots(this.#qr.data, this.#qr.level);
    // a printer prints no code that does not fit, and says nothing of it
    if (dots && dots.width * this.#qr.dots <= this.#style.area) this.#picture(enlarged(dots, this.#qr.dots), 0);
  }
}

const levels = ['low', 'medium', 'quartile', 'high'] as const;

/** @returns undefined where the data are more than a code holds */
function qrDots(data: Uint8Array, level: number): Dots | undefined {
  try {
    const framed = encodeQR('-'.repeat(data.length), 'raw', {
      ecc: levels[level - 48] ?? 'low',
      border: 1,
      encoding: 'byte',
      optimize: false,
      textEncoder: () => data,
    });
    const rows = framed.slice(1, -1).map((row) => row.slice(1, -1));
    return { width: rows.length, height: rows.length, bytes: Uint8Array.from(rows.flat().map(Number)) };
  } catch {
    return undefined;
  }
}

function enlarged({ width, height, bytes }: Dots, by: number): Dots {
  const large = new Uint8Array(width * height * by * by);
  for (let at = 0; at < large.length; at += 1) {
    const [x, y] = [at % (width * by), Math.floor(at / (width * by))];
    large[at] = bytes[Math.floor(y / by) * width + Math.floor(x / by)] ?? 0;
  }
  return { width: width * by, height: height * by, bytes: large };
}

/** A raster with its size before it: width in bytes, height in dots. */
function packed(args: Uint8Array, at: number): Dots {
  const width = ((args[at] ?? 0) + (args[at + 1] ?? 0) * 256) * 8;
  return byRows(args.subarray(at + 4), width, (args[at + 2] ?? 0) + (args[at + 3] ?? 0) * 256);
}

const bit = (byte: number | undefined, at: number): number => ((byte ?? 0) >> (7 - at)) & 1;

/** As many rows as there are data, whatever the command says. */
function byRows(data: Uint8Array, width: number, said: number): Dots {
  const stride = Math.ceil(width / 8);
  const height = stride === 0 ? 0 : Math.min(said, Math.floor(data.length / stride));
  const bytes = Uint8Array.from({ length: width * height }, (_unused, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    return bit(data[y * stride + (x >> 3)], x & 7);
  });
  return { width, height, bytes };
}

function byColumns(data: Uint8Array, said: number, height: number): Dots {
  const stride = Math.ceil(height / 8);
  const width = stride === 0 ? 0 : Math.min(said, Math.floor(data.length / stride));
  const bytes = Uint8Array.from({ length: width * height }, (_unused, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    return bit(data[x * stride + (y >> 3)], y & 7);
  });
  return { width, height, bytes };
}

const gb18030 = new TextDecoder('gb18030');

/** @returns undefined while more bytes decide */
function chineseOf(held: readonly number[]): string | undefined {
  const [first = 0, second] = held;
  if (first < 0x80) return String.fromCharCode(first);
  if (second === undefined) return undefined;
  const length = second >= 0x30 && second <= 0x39 ? 4 : 2;
  return held.length < length ? undefined : gb18030.decode(Uint8Array.from(held));
}

function singleOf(byte: number, page: number): string {
  if (byte < 0x80) return String.fromCharCode(byte);
  const label = pages[page];
  return label === undefined ? (pc437[byte - 0x80] ?? '') : new TextDecoder(label).decode(Uint8Array.of(byte));
}

function barCodeText(args: Uint8Array): string {
  const [system = 0, length = 0] = args;
  const data = system <= 6 ? args.subarray(1, -1) : args.subarray(2, 2 + length);
  return `${system} ${Buffer.from(data).toString('latin1')}`;
}
