/** The two protocols as one union of messages; which one a line speaks is in the options. */
import type { Codec } from '../codec.ts';
import { pelcoCodec, type PelcoFrame } from './pelco-d.ts';
import { viscaCodec, type ViscaPacket } from './visca.ts';

export type HeadMessage = PelcoFrame | ViscaPacket;

export const headCodec = (
  protocol: 'pelco-d' | 'visca',
  hears: 'cameras' | 'controller',
): Codec<HeadMessage, HeadMessage> => (protocol === 'visca' ? viscaCodec(hears) : pelcoCodec());
