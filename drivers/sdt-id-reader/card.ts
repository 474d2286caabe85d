/** The text of a card: 256 bytes of UTF-16LE in fields, by the kind of the card (its mark is the 125th character). Pure. */
import { type Card, sexes } from './manifest.ts';
import { nationName } from './nations.ts';
import { judgeNumber } from './number.ts';

/** Fields in their order, each with its bytes. */
type Layout = readonly (readonly [field: string, bytes: number])[];

const person: Layout = [
  ['name', 30],
  ['sex', 2],
  ['nation', 4],
  ['birth', 16],
  ['address', 70],
  ['number', 36],
  ['issuer', 30],
  ['validFrom', 16],
  ['validUntil', 16],
];

/** Each is 256 bytes, and has its mark at the same place. */
export const layouts = {
  resident: [...person, ['newAddress', 28], ['mark', 2], ['rest', 6]],
  'residence-permit': [...person, ['passNumber', 18], ['issues', 4], ['spare', 6], ['mark', 2], ['rest', 6]],
  'foreigner-2017': [
    ['latinName', 120],
    ['sex', 2],
    ['number', 30],
    ['nationality', 6],
    ['name', 30],
    ['validFrom', 16],
    ['validUntil', 16],
    ['birth', 16],
    ['version', 4],
    ['issuer', 8],
    ['mark', 2],
    ['rest', 6],
  ],
  'foreigner-2023': [
    ['name', 30],
    ['sex', 2],
    ['issues', 4],
    ['birth', 16],
    ['latinName', 70],
    ['number', 36],
    ['spare', 30],
    ['validFrom', 16],
    ['validUntil', 16],
    ['latinNameGoesOn', 22],
    ['nationality', 6],
    ['mark', 2],
    ['rest', 6],
  ],
} as const satisfies Record<Card['document'], Layout>;

export const textBytes = 256;
const markAt = 248;
/** Marks of the kinds; a resident's card has a blank. */
export const marks: Readonly<Record<string, Card['document']>> = {
  J: 'residence-permit',
  I: 'foreigner-2017',
  Y: 'foreigner-2023',
};

/**
 * @param data of a read: length of the text ×2, of the photo ×2, text, photo
 * @returns undefined when it is not what a card holds
 */
export function readCard(data: Uint8Array, withPhoto: boolean): Card | undefined {
  if (data.length < 4 + textBytes) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const [text, photo] = [view.getUint16(0), view.getUint16(2)];
  if (text !== textBytes || data.length < 4 + text + photo) return undefined;
  const card = cardOf(data.subarray(4, 4 + text));
  if (!card || !withPhoto || photo === 0) return card;
  return { ...card, photo: Buffer.from(data.subarray(4 + text, 4 + text + photo)).toString('base64') };
}

function cardOf(text: Uint8Array): Card | undefined {
  const document = marks[String.fromCodePoint(text[markAt] as number)] ?? 'resident';
  const fields = fieldsOf(text, layouts[document]);
  const { number } = fields;
  if (number === undefined) return undefined;
  const birth = dateOf(fields['birth']);
  const latinName = [fields['latinName'], fields['latinNameGoesOn']].join('');
  return present({
    document,
    name: fields['name'],
    latinName: latinName === '' ? undefined : latinName,
    sex: sexOf(fields['sex']),
    nation: fields['nation'],
    nationName: nationName(fields['nation']),
    nationality: fields['nationality'],
    birth,
    address: fields['address'],
    number,
    numberIs: judgeNumber(document, number, birth),
    issuer: fields['issuer'],
    validFrom: dateOf(fields['validFrom']),
    validUntil: fields['validUntil'] === '长期' ? 'long-term' : dateOf(fields['validUntil']),
    passNumber: fields['passNumber'],
    issues: fields['issues'],
    newAddress: fields['newAddress'],
  });
}

function fieldsOf(text: Uint8Array, layout: Layout): Readonly<Record<string, string | undefined>> {
  let at = 0;
  const fields: Record<string, string | undefined> = {};
  for (const [field, bytes] of layout) {
    const raw = Buffer.from(text.subarray(at, at + bytes)).toString('utf16le');
    const trimmed = raw.replaceAll('\0', ' ').trim();
    if (trimmed !== '') fields[field] = trimmed;
    at += bytes;
  }
  return fields;
}

const sexOf = (code: string | undefined): Card['sex'] => {
  const at = ['0', '1', '2', '9'].indexOf(code ?? '');
  return sexes[at];
};

/** YYYYMMDD; a day that no calendar has is none. */
function dateOf(text: string | undefined): string | undefined {
  const match = /^(\d{4})(\d{2})(\d{2})$/.exec(text ?? '');
  if (!match) return undefined;
  const iso = match.slice(1).join('-');
  const time = Date.parse(`${iso}T00:00:00Z`);
  return Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== iso ? undefined : iso;
}

/** Without the members that are undefined. */
const present = (card: { readonly [Field in keyof Card]: Card[Field] | undefined }): Card =>
  Object.fromEntries(Object.entries(card).filter(([, value]) => value !== undefined)) as Card;
