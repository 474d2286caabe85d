/**
 * A receipt as commands, cut into parts that fit the smallest printer's buffer: each is confirmed before the next is sent.
 *
 *   blocks --wrap, encode--> lines --gather--> parts of about 1 KiB
 */
import { type Command, command, commandBytes, control } from './commands.ts';
import { gb18030Of } from './gb18030.ts';
import { type Block, columnsOf, type Options, type PrintArgs } from './manifest.ts';

export const partBytes = 1_024;

type Encode = (character: string) => readonly number[] | undefined;

const asciiOf: Encode = (character) => {
  const point = character.codePointAt(0) ?? 0;
  return point < 0x80 ? [point] : undefined;
};

/** What stays together: one line with its settings, one code. */
type Line = readonly Command[];

/** @returns the parts, or why it cannot be printed */
export function partsOf({ content, cut }: PrintArgs, options: Options): readonly (readonly Command[])[] | string {
  const encode = options.charset === 'gb18030' ? gb18030Of : asciiOf;
  const foreign = content.flatMap(textsOf).find((text) => Array.from(text).some((each) => encode(each) === undefined));
  if (foreign !== undefined) return `The printer has no characters for “${foreign.slice(0, 40)}”.`;
  const width = columnsOf(options);
  const end: Line = cut ? [command('GS V', 66, 0)] : [];
  return gather([beginning(options), ...content.flatMap((block) => linesOf(block, width, encode)), end]);
}

/** Paper and offline are told by themselves (GS a), whatever was set before; Chinese mode where there is one. */
const beginning = ({ charset }: Options): Line => [
  command('ESC @'),
  command('GS a', 0x0e),
  charset === 'gb18030' ? command('FS &') : command('FS .'),
];

function gather(lines: readonly Line[]): readonly (readonly Command[])[] {
  const parts: Command[][] = [[]];
  let bytes = 0;
  for (const line of lines) {
    const length = line.reduce((sum, each) => sum + commandBytes(each).length, 0);
    if (bytes > 0 && bytes + length > partBytes) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(...line);
    bytes += length;
  }
  return parts;
}

function textsOf(block: Block): readonly string[] {
  if (block.is === 'text') return block.text.split('\n');
  return block.is === 'pair' ? [block.left, block.right] : [];
}

interface Style {
  readonly align?: 'left' | 'center' | 'right';
  readonly bold?: boolean;
  readonly underline?: boolean;
  readonly size?: number;
}

const alignments = { left: 0, center: 1, right: 2 } as const;

const styleOf = ({ align = 'left', bold = false, underline = false, size = 1 }: Style): Line => [
  command('ESC a', alignments[align]),
  command('ESC E', Number(bold)),
  command('ESC -', Number(underline)),
  command('FS -', Number(underline)),
  command('GS !', (size - 1) * 0x11),
];

function linesOf(block: Block, width: number, encode: Encode): readonly Line[] {
  const print = (text: string): Line => [
    { is: 'text', bytes: Uint8Array.from(Array.from(text).flatMap((each) => encode(each) ?? [])) } as const,
    control('LF'),
  ];
  switch (block.is) {
    case 'text':
      return wrapped(block.text, Math.floor(width / block.size), encode).map((line) => [
        ...styleOf(block),
        ...(line === '' ? [control('LF')] : print(line)),
      ]);
    case 'pair':
      return paired(block, width, encode).map((line) => [...styleOf({ bold: block.bold }), ...print(line)]);
    case 'rule':
      return [[...styleOf({}), ...print('-'.repeat(width))]];
    case 'feed':
      return [[command('ESC d', block.lines)]];
    case 'qr':
      return [[...styleOf({ align: block.align }), ...qrCode(block)]];
  }
}

/** What takes more than a byte is as wide as two. */
const columnsTaken = (text: string, encode: Encode): number =>
  Array.from(text).reduce((sum, each) => sum + ((encode(each)?.length ?? 1) > 1 ? 2 : 1), 0);

function paired({ left, right }: { left: string; right: string }, width: number, encode: Encode): readonly string[] {
  const [a, b] = [columnsTaken(left, encode), columnsTaken(right, encode)];
  if (!`${left}${right}`.includes('\n') && a + b < width) return [left + ' '.repeat(width - a - b) + right];
  const indented = wrapped(right, width, encode).map((line) => ' '.repeat(width - columnsTaken(line, encode)) + line);
  return [...wrapped(left, width, encode), ...indented].filter((line) => line !== '');
}

/** None of these begins a line (GB/T 15834). */
const closing = '。，、；：？！）】》”’…';

/** At a space where there is one in the second half of the line; Chinese breaks anywhere but before a closing mark. */
function breakAt(line: string, next: string): number {
  const space = line.lastIndexOf(' ');
  if (space > line.length / 2 && next !== ' ') return space + 1;
  const last = Array.from(line).at(-1)?.length ?? 0;
  return closing.includes(next) && line.length > last ? line.length - last : line.length;
}

function wrapped(text: string, width: number, encode: Encode): readonly string[] {
  return text.split('\n').flatMap((paragraph) => {
    const lines: string[] = [];
    let line = '';
    for (const character of paragraph) {
      if (line !== '' && columnsTaken(line + character, encode) > width) {
        const end = breakAt(line, character);
        lines.push(line.slice(0, end).trimEnd());
        line = line.slice(end);
      }
      line += character;
    }
    return [...lines, line];
  });
}

const levels = { L: 48, M: 49, Q: 50, H: 51 } as const;

function qrCode({ data, level }: { data: string; level: keyof typeof levels }): Line {
  const bytes = Buffer.from(data);
  // at level H 600 bytes are 125 modules, 150 are 65, 80 are 53: all fit on 58 mm
  const dots = bytes.length <= 80 ? 6 : bytes.length <= 150 ? 4 : 3;
  const qr = (fn: number, ...rest: readonly number[]): Command =>
    command('GS (', 0x6b, (rest.length + 2) & 0xff, (rest.length + 2) >> 8, 49, fn, ...rest);
  // a reader wants it apart from what stands above and below
  const gap = command('ESC J', 12);
  return [gap, qr(65, 50, 0), qr(67, dots), qr(69, levels[level]), qr(80, 48, ...bytes), qr(81, 48), gap];
}
