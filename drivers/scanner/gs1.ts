/**
 * GS1 element strings: one code that says several things, each with its application identifier (AI).
 *
 *   01 04912345123459 17 251231 10 ABC <GS> 21 42  ->  (01) GTIN, (17) expiry, (10) batch, (21) serial
 *
 * GS1 General Specifications, section 3 (identifiers), 7.8 (element strings), 7.9 (check digits).
 */

export interface Element {
  readonly ai: string;
  readonly title: string;
  readonly value: string;
  /** The value for people, where it is coded: a date, a decimal number. */
  readonly meaning?: string;
}

export type Parsed = { readonly elements: readonly Element[] } | { readonly error: string };

type Kind = 'digits' | 'text' | 'date' | 'time' | 'checked' | 'decimal';

interface Identifier {
  readonly title: string;
  readonly kind: Kind;
  readonly least: number;
  readonly most: number;
}

const fixed = (title: string, length: number, kind: Kind = 'digits'): Identifier => ({
  title,
  kind,
  least: length,
  most: length,
});
const upTo = (title: string, most: number, kind: Kind = 'text'): Identifier => ({ title, kind, least: 1, most });

// prettier-ignore
const identifiers: Readonly<Record<string, Identifier>> = {
  '00': fixed('SSCC', 18, 'checked'), '01': fixed('GTIN', 14, 'checked'), '02': fixed('CONTENT', 14, 'checked'),
  '10': upTo('BATCH/LOT', 20), '11': fixed('PROD DATE', 6, 'date'), '12': fixed('DUE DATE', 6, 'date'),
  '13': fixed('PACK DATE', 6, 'date'), '15': fixed('BEST BEFORE', 6, 'date'), '16': fixed('SELL BY', 6, 'date'),
  '17': fixed('USE BY OR EXPIRY', 6, 'date'), '20': fixed('VARIANT', 2), '21': upTo('SERIAL', 20),
  '22': upTo('CPV', 20), '235': upTo('TPX', 28), '240': upTo('ADDITIONAL ID', 30), '241': upTo('CUST. PART No.', 30),
  '242': upTo('MTO VARIANT', 6, 'digits'), '243': upTo('PCN', 20), '250': upTo('SECONDARY SERIAL', 30),
  '251': upTo('REF. TO SOURCE', 30), '253': { title: 'GDTI', kind: 'text', least: 13, most: 30 },
  '254': upTo('GLN EXTENSION COMPONENT', 20), '255': { title: 'GCN', kind: 'digits', least: 13, most: 25 },
  '30': upTo('VAR. COUNT', 8, 'digits'), '37': upTo('COUNT', 8, 'digits'), '400': upTo('ORDER NUMBER', 30),
  '401': upTo('GINC', 30), '402': fixed('GSIN', 17, 'checked'), '403': upTo('ROUTE', 30),
  '410': fixed('SHIP TO LOC', 13, 'checked'), '411': fixed('BILL TO', 13, 'checked'),
  '412': fixed('PURCHASE FROM', 13, 'checked'), '413': fixed('SHIP FOR LOC', 13, 'checked'),
  '414': fixed('LOC No.', 13, 'checked'), '415': fixed('PAY TO', 13, 'checked'),
  '416': fixed('PROD/SERV LOC', 13, 'checked'), '417': fixed('PARTY', 13, 'checked'), '420': upTo('SHIP TO POST', 20),
  '421': { title: 'SHIP TO POST', kind: 'text', least: 4, most: 12 }, '422': fixed('ORIGIN', 3),
  '7001': fixed('NSN', 13), '7003': fixed('EXPIRY TIME', 10, 'time'), '8003': { title: 'GRAI', kind: 'text', least: 14, most: 30 },
  '8004': upTo('GIAI', 30), '8005': fixed('PRICE PER UNIT', 6), '8006': fixed('ITIP', 18), '8007': upTo('IBAN', 34),
  '8008': { title: 'PROD TIME', kind: 'digits', least: 8, most: 12 }, '8017': fixed('GSRN - PROVIDER', 18, 'checked'),
  '8018': fixed('GSRN - RECIPIENT', 18, 'checked'), '8020': upTo('REF No.', 25), '8110': upTo('COUPON', 70),
  '8200': upTo('PRODUCT URL', 70), '90': upTo('INTERNAL', 30),
  ...Object.fromEntries(Array.from({ length: 9 }, (_unused, at) => [String(91 + at), upTo('INTERNAL', 90)])),
};

/** 310n to 369n: measures; the fourth digit says where the decimal point is. 390n to 395n: amounts. */
function measure(text: string): readonly [ai: string, Identifier] | undefined {
  const ai = text.slice(0, 4);
  if (/^3[1-6]\d[0-5]$/.test(ai)) return [ai, fixed(measureTitles[ai.slice(0, 3)] ?? 'MEASURE', 6, 'decimal')];
  if (/^39[02]\d$/.test(ai)) return [ai, upTo(ai.startsWith('390') ? 'AMOUNT' : 'PRICE', 15, 'decimal')];
  return undefined;
}

const measureTitles: Readonly<Record<string, string>> = {
  '310': 'NET WEIGHT (kg)',
  '311': 'LENGTH (m)',
  '312': 'WIDTH (m)',
  '313': 'HEIGHT (m)',
  '314': 'AREA (m²)',
  '315': 'NET VOLUME (l)',
  '316': 'NET VOLUME (m³)',
  '330': 'GROSS WEIGHT (kg)',
};

/** Of these no separator follows: their length is known by the first two digits (figure 7.8.5-1). */
const predefined = /^(0[0-4]|1[1-9]|20|3[1-6]|41)/;

export const separator = '\u001d';

/**
 * @param text after the symbology identifier; a separator (GS, for FNC1) at its beginning is allowed
 * @param thisYear dates have two digits for theirs
 */
export function parseGs1(text: string, thisYear: number): Parsed {
  const elements: Element[] = [];
  let rest = text.startsWith(separator) ? text.slice(1) : text;
  if (rest === '') return { error: 'It is empty.' };
  while (rest !== '') {
    const known = identifierOf(rest);
    if (!known) return { error: `No application identifier is ${JSON.stringify(rest.slice(0, 4))}.` };
    const [ai, identifier] = known;
    const from = ai.length;
    const end = predefined.test(ai) ? from + identifier.most : endOf(rest, from);
    const value = rest.slice(from, end);
    const wrong = wrongWith(value, identifier, thisYear);
    if (wrong !== undefined) return { error: `(${ai}) ${identifier.title}: ${wrong}` };
    const meaning = meaningOf(ai, value, identifier, thisYear);
    elements.push({ ai, title: identifier.title, value, ...(meaning === undefined ? {} : { meaning }) });
    rest = rest.slice(end);
    // superfluous after a known length, but allowed
    if (rest.startsWith(separator)) rest = rest.slice(1);
  }
  return { elements };
}

function identifierOf(text: string): readonly [ai: string, Identifier] | undefined {
  for (const length of [2, 3, 4]) {
    const ai = text.slice(0, length);
    const known = Object.hasOwn(identifiers, ai) ? identifiers[ai] : undefined;
    if (known) return [ai, known];
  }
  return measure(text);
}

function endOf(text: string, from: number): number {
  const end = text.indexOf(separator, from);
  return end < 0 ? text.length : end;
}

function wrongWith(value: string, { kind, least, most }: Identifier, thisYear: number): string | undefined {
  if (value.length < least || value.length > most)
    return least === most
      ? `${value.length} characters, not ${most}`
      : `${value.length} characters, not ${least} to ${most}`;
  if (kind === 'text') return /^[!-"%-?A-Z_a-z]+$/.test(value) ? undefined : 'a character that GS1 does not have';
  if (!/^\d+$/.test(value)) return 'not only digits';
  if (kind === 'checked') return isChecked(value) ? undefined : 'the check digit is wrong';
  return kind === 'date' && dateOf(value, thisYear) === undefined ? 'no date' : undefined;
}

/** Weights 3 and 1 in turns from the right (7.9.1). */
function isChecked(digits: string): boolean {
  const sum = Array.from(digits)
    .toReversed()
    .reduce((total, digit, at) => total + Number(digit) * (at % 2 === 0 ? 1 : 3), 0);
  return sum % 10 === 0;
}

/** The century in which the year is nearest to this one (7.12): 51 years ahead are 49 ago. Day 00 is the month's last. */
function dateOf(digits: string, thisYear: number): string | undefined {
  const [year, month, day] = [0, 2, 4].map((at) => Number(digits.slice(at, at + 2))) as [number, number, number];
  const ahead = year - (thisYear % 100);
  const full = thisYear + ahead + (ahead > 50 ? -100 : ahead < -49 ? 100 : 0);
  const last = new Date(Date.UTC(full, month, 0)).getUTCDate();
  if (month < 1 || month > 12 || day > last) return undefined;
  return `${full}-${String(month).padStart(2, '0')}-${String(day === 0 ? last : day).padStart(2, '0')}`;
}

function meaningOf(ai: string, value: string, { kind }: Identifier, thisYear: number): string | undefined {
  if (kind === 'date') return dateOf(value, thisYear);
  if (kind === 'time') {
    const date = dateOf(value.slice(0, 6), thisYear);
    return date === undefined ? undefined : `${date}T${value.slice(6, 8)}:${value.slice(8, 10)}`;
  }
  if (kind !== 'decimal') return undefined;
  const digits = Number(ai[3]);
  return digits === 0 ? String(Number(value)) : (Number(value) / 10 ** digits).toFixed(digits);
}
