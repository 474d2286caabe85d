import { expect, it } from 'vitest';
import { onAbort } from './abort.ts';

it('hears of an abort before, after, once, and not when disposed', () => {
  let heard = 0;
  const listener = (): void => {
    heard += 1;
  };
  onAbort(AbortSignal.abort(), listener);
  expect(heard).toBe(1);
  const later = new AbortController();
  onAbort(later.signal, listener);
  expect(heard).toBe(1);
  later.abort();
  later.abort();
  expect(heard).toBe(2);
  const never = new AbortController();
  onAbort(never.signal, listener)[Symbol.dispose]();
  never.abort();
  expect(heard).toBe(2);
});
