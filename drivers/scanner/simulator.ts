/** The scanner's double: somebody holds a code before it every second. */
import type { Simulator } from '../simulator.ts';
import type { FromDevice, ToDevice } from './codec.ts';
import type { Options } from './manifest.ts';

/** A ticket, an article, a GS1 code of goods; each with the identifier that a scanner may be set to send. */
const codes: readonly (readonly [aim: string, text: string])[] = [
  [']Q1', 'https://example.org/t/2026-000123'],
  [']E0', '4006381333931'],
  [']C1', '010491234512345917271231\u001d10LOT42\u001d21A1'],
  [']Q1', '取件码 8842'],
];

export function scannerSimulator({ aim, charset }: Options): Simulator<FromDevice, ToDevice> {
  let next = 0;
  const scan = (): FromDevice => {
    const [identifier, text] = codes[next % codes.length] as (typeof codes)[number];
    next += 1;
    // no encoder for GB 18030 here: what is said in it is the number alone
    const sent = charset === 'utf-8' ? text : text.replace('取件码 ', '');
    return { is: 'line', bytes: Uint8Array.from(Buffer.from((aim ? identifier : '') + sent)) };
  };
  return {
    receive: ({ text }) =>
      text.endsWith('*')
        ? [{ is: 'answer', text: `${text.slice(0, -1)}ENA0`, accepted: true }]
        : [{ is: 'answer', text, accepted: false }],
    tell: () => [scan()],
    intervalMs: 1_000,
    provoke: (event) => (event === 'scanned' ? [scan()] : []),
  };
}
