/** A module with a desk, and cards of people who cannot be: region 000000, born in 1899. */
import type { Simulator } from '../simulator.ts';
import { layouts, marks, textBytes } from './card.ts';
import type { Command, Response } from './codec.ts';
import type { Card } from './manifest.ts';
import { checkDigit } from './number.ts';

/** Region 000000 is nowhere, and nobody born in 1899 holds such a card: the check digit alone is right. */
const leading = '00000018990101999';
export const inventedNumber = leading + checkDigit(leading);

/** Fields as they stand on the card. */
export const inventedCard: Readonly<Record<string, string>> = {
  name: '试验样人甲乙',
  sex: '2',
  nation: '97',
  birth: '18990101',
  address: '乌有省子虚市无何有县莫须有路〇号',
  number: inventedNumber,
  issuer: '子虚市公安局无何有分局',
  validFrom: '20990101',
  validUntil: '长期',
};

/** Not a picture of anybody, nor of anything. */
export const inventedPhoto = Uint8Array.from({ length: 1_024 }, (_unused, at) => (at * 7 + 3) & 0xff);

const empty = new Uint8Array(0);
const answer = (status: number, data: Uint8Array = empty): Response => ({ sw1: 0, sw2: 0, status, data });

/** 05.01-20990101-0000000000-0000000000 */
const moduleNumber = Uint8Array.of(5, 0, 1, 0, 0xa5, 0x48, 0x40, 0x01, 0, 0, 0, 0, 0, 0, 0, 0);

export interface Desk {
  /** `fresh`: laid down; `read`: still there, and not found again until it was lifted, as modules do. */
  card: 'none' | 'fresh' | 'damaged' | 'read';
  reads: number;
}

export function sdtSimulator(text: Uint8Array = textOf('resident', inventedCard)): Simulator<Response, Command> {
  const state: Desk = { card: 'none', reads: 0 };
  /** Cards that are laid down one after the other. */
  const coming: ('fresh' | 'damaged')[] = [];
  const found = (): Response => {
    if (state.card === 'fresh' || state.card === 'damaged') return answer(0x9f, new Uint8Array(4));
    state.card = coming.shift() ?? state.card;
    return answer(0x80);
  };
  return {
    state: state as unknown as Readonly<Record<string, unknown>>,
    provoke(event) {
      if (event === 'card') coming.push('fresh');
      if (event === 'failed') coming.push('damaged');
      return [];
    },
    receive: ({ command, parameter }) => {
      switch (command * 256 + parameter) {
        case 0x11ff:
          return [answer(0x90)];
        case 0x12ff:
          return [answer(0x90, moduleNumber)];
        case 0x2001:
          return [found()];
        case 0x2002:
          if (state.card === 'fresh') return [answer(0x90, new Uint8Array(8))];
          state.card = 'none';
          return [answer(0x81)];
        case 0x3001:
          if (state.card !== 'fresh') return [answer(0x41)];
          state.card = 'read';
          state.reads += 1;
          return [answer(0x90, contentOf(text))];
        default:
          return [answer(0x21)];
      }
    },
  };
}

const contentOf = (text: Uint8Array): Uint8Array =>
  Uint8Array.from([textBytes >> 8, textBytes & 0xff, 0x04, 0x00, ...text, ...inventedPhoto]);

/** The text of a card, blanks where there is nothing. */
export function textOf(document: Card['document'], fields: Readonly<Record<string, string>>): Uint8Array {
  const mark = Object.entries(marks).find(([, each]) => each === document)?.[0] ?? ' ';
  const text = layouts[document]
    .map(([field, bytes]) => (field === 'mark' ? mark : (fields[field] ?? '')).padEnd(bytes / 2, ' '))
    .join('');
  return Uint8Array.from(Buffer.from(text, 'utf16le'));
}
