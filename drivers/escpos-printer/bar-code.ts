/**
 * Bar codes as a printer draws them (GS k): EAN-13, EAN-8, UPC-A (ISO/IEC 15420) and Code 128 (ISO/IEC 15417).
 *
 *   GS k system, data --> modules, 1 is a bar --> as many dots a module as GS w says
 */

const left = [
  '0001101',
  '0011001',
  '0010011',
  '0111101',
  '0100011',
  '0110001',
  '0101111',
  '0111011',
  '0110111',
  '0001011',
];
/** Which of an EAN-13's six left digits are of set B, by its first digit. */
const parities = ['000000', '001011', '001101', '001110', '010011', '011001', '011100', '010101', '010110', '011010'];

const flipped = (modules: string): string => modules.replaceAll(/[01]/g, (module) => (module === '0' ? '1' : '0'));
const reversed = (modules: string): string => Array.from(modules).toReversed().join('');

/** Widths of bar, space, bar, space, bar, space by value; the last is the stop with its closing bar. */
const widths128 =
  '212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221223211221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321112313132113132311211313231113231311112133112331132131113123113321133121313121211331231131213113213311213131311123311321331121312113312311332111314111221411431111111224111422121124121421141122141221112214112412122114122411142112142211241211221114413111241112134111111242121142121241114212124112124211411212421112421211212141214121412121111143111341131141114113114311411113411311113141114131311141411131211412211214211232';
const stop128 = '2331112';
const starts = { A: 103, B: 104, C: 105 } as const;
type CodeSet = keyof typeof starts;
/** Values of the functions and changes of set that GS k writes as `{` and a character. */
const special: Readonly<Record<string, number>> = { '1': 102, '2': 97, '3': 96, '4': 100, S: 98 };
const changes: Readonly<Record<CodeSet, number>> = { A: 101, B: 100, C: 99 };

export interface BarCode {
  /** `1` is a bar, `0` a space. */
  readonly modules: string;
  /** For people, below or above it. */
  readonly text: string;
}

/** @returns undefined for a system that is not drawn here, and for data that the system does not have */
export function barCodeOf(args: Uint8Array): BarCode | undefined {
  const [system = 0, length = 0] = args;
  const data = Buffer.from(system <= 6 ? args.subarray(1, -1) : args.subarray(2, 2 + length)).toString('latin1');
  switch (system) {
    case 0:
    case 65:
      return digitsFit(data, 12) ? ean13(`0${data}`) : undefined;
    case 2:
    case 67:
      return digitsFit(data, 13) ? ean13(data) : undefined;
    case 3:
    case 68:
      return digitsFit(data, 8) ? ean8(data) : undefined;
    case 73:
      return code128(data);
    default:
      return undefined;
  }
}

/** With its check digit, or without it. */
const digitsFit = (data: string, length: number): boolean =>
  /^\d+$/.test(data) && (data.length === length || data.length === length - 1);

function checked(digits: string, length: number): string {
  const given = digits.slice(0, length - 1);
  const sum = Array.from(given)
    .toReversed()
    .reduce((total, digit, at) => total + Number(digit) * (at % 2 === 0 ? 3 : 1), 0);
  return given + String((10 - (sum % 10)) % 10);
}

const setA = (digit: string): string => left[Number(digit)] ?? '';
const setC = (digit: string): string => flipped(setA(digit));
const setB = (digit: string): string => reversed(setC(digit));

function ean13(data: string): BarCode {
  const text = checked(data, 13);
  const parity = parities[Number(text.charAt(0))] ?? '';
  const first = Array.from(text.slice(1, 7), (digit, at) => (parity[at] === '1' ? setB(digit) : setA(digit)));
  const second = Array.from(text.slice(7), setC);
  return { text, modules: ['101', ...first, '01010', ...second, '101'].join('') };
}

function ean8(data: string): BarCode {
  const text = checked(data, 8);
  const modules = ['101', ...Array.from(text.slice(0, 4), setA), '01010', ...Array.from(text.slice(4), setC), '101'];
  return { text, modules: modules.join('') };
}

/** Data begin with `{A`, `{B` or `{C`; `{{` is a brace; in set C each byte is a number from 0 to 99. */
function code128(data: string): BarCode | undefined {
  const begin = /^\{([ABC])/.exec(data)?.[1] as CodeSet | undefined;
  if (begin === undefined) return undefined;
  let set = begin;
  const values: number[] = [starts[set]];
  let text = '';
  for (let at = 2; at < data.length; at += 1) {
    const next = data.charAt(at + 1);
    const isMark = data[at] === '{' && next !== '{';
    if (isMark && Object.hasOwn(changes, next)) {
      set = next as CodeSet;
      values.push(changes[set]);
    } else if (isMark) values.push(special[next] ?? 0);
    else {
      const code = data.charCodeAt(at);
      values.push(set === 'C' ? code : code >= 32 ? code - 32 : code + 64);
      text += set === 'C' ? String(code).padStart(2, '0') : data.charAt(at);
    }
    if (data[at] === '{') at += 1;
  }
  const sum = values.reduce((total, value, at) => total + value * Math.max(1, at), 0);
  const widths = [...values, sum % 103].map((value) => widths128.slice(value * 6, value * 6 + 6)).join('') + stop128;
  const modules = Array.from(widths, (width, at) => (at % 2 === 0 ? '1' : '0').repeat(Number(width)));
  return values.some((value) => value > 105) ? undefined : { text, modules: modules.join('') };
}
