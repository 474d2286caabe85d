/** A frame for people: `drivers decode` and `watch`. Cards, keys and what is encrypted are left out. */
import { type Frame, isEncrypted } from './codec.ts';
import { commandCodes, replyCodes } from './messages.ts';

const nameOf = (codes: Readonly<Record<string, number>>, code: number): string =>
  Object.entries(codes).find(([, each]) => each === code)?.[0] ?? `0x${code.toString(16)}`;

/** What is surely not about a person; what is not named here is not shown. */
const harmless: ReadonlySet<number> = new Set([
  replyCodes.ack,
  replyCodes.nak,
  replyCodes.identity,
  replyCodes.capabilities,
  replyCodes.localStatus,
  replyCodes.readerStatus,
  replyCodes.busy,
]);

export function shown({ address, reply, sequence, security, code, payload }: Frame): unknown {
  const isHidden = !reply || !harmless.has(code) || isEncrypted(security?.type ?? 0);
  return {
    name: nameOf(reply ? replyCodes : commandCodes, code),
    address,
    sequence,
    ...(security ? { security: `SCS_${security.type.toString(16)}` } : {}),
    ...(isHidden ? { bytes: payload.length } : { payload: Buffer.from(payload).toString('hex') }),
  };
}
