/** The citizen's number (GB 11643-1999): region ×6, date of birth ×8, order ×3, check digit. */
import type { Card } from './manifest.ts';

const digits = '10X98765432';

/** ISO 7064, MOD 11-2. @param leading the first 17 digits */
export function checkDigit(leading: string): string {
  let sum = 0;
  // the weight of a place is 2 to the power of its distance from the last, modulo 11
  for (const digit of leading) sum = ((sum + Number(digit)) * 2) % 11;
  return digits[sum] as string;
}

/** Foreigners' cards of 2017 have another number, whose check digit is not described in public. */
export function judgeNumber(document: Card['document'], number: string, birth: string | undefined): Card['numberIs'] {
  if (document === 'foreigner-2017') return 'unchecked';
  if (!/^\d{17}[\dX]$/.test(number) || checkDigit(number.slice(0, 17)) !== number[17]) return 'wrong';
  const holdsBirth = number.slice(6, 14) === birth?.replaceAll('-', '');
  return holdsBirth || document === 'foreigner-2023' ? 'right' : 'wrong';
}
