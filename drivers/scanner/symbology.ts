/** AIM symbology identifiers, ISO/IEC 15424: `]`, a letter for the symbology, a modifier. */

const titles: Readonly<Record<string, string>> = {
  A: 'Code 39',
  C: 'Code 128',
  E: 'EAN/UPC',
  F: 'Codabar',
  G: 'Code 93',
  H: 'Code 11',
  I: 'Interleaved 2 of 5',
  J: 'DotCode',
  L: 'PDF417',
  M: 'MSI',
  Q: 'QR Code',
  S: 'Industrial 2 of 5',
  U: 'MaxiCode',
  X: 'other bar code',
  d: 'Data Matrix',
  e: 'GS1 DataBar',
  h: 'Han Xin',
  z: 'Aztec Code',
};

/** Those that carry GS1 element strings, and nothing else (GS1 General Specifications, figure 5.1.2-1). */
const gs1 = new Set([']C1', ']e0', ']e1', ']e2', ']d2', ']Q3', ']J1']);

export interface Identified {
  readonly symbology: string;
  readonly title: string | undefined;
  readonly isGs1: boolean;
  readonly rest: string;
}

/** @returns undefined when the text begins with none */
export function identified(text: string): Identified | undefined {
  const symbology = /^\][A-Za-z][0-9A-Za-z]/.exec(text)?.[0];
  if (symbology === undefined) return undefined;
  return {
    symbology,
    title: titles[symbology.charAt(1)],
    isGs1: gs1.has(symbology),
    rest: text.slice(symbology.length),
  };
}
