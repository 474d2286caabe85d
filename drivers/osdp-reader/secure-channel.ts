/**
 * The secure channel of OSDP (IEC 60839-11-5, annex D): AES-128 throughout. Pure but for the running MAC.
 *
 *   SCBK, RND.A --> S-ENC, S-MAC1, S-MAC2
 *   command --seal--> MAC --> reply --seal--> MAC --> command …      each MAC begins with the one before, from the other side
 */
import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';
import { authenticatedBytes, type Frame, isAuthenticated, isEncrypted } from './codec.ts';

export interface SessionKeys {
  readonly encryption: Uint8Array;
  readonly mac1: Uint8Array;
  readonly mac2: Uint8Array;
}

const blockBytes = 16;
const endMark = 0x80;

/** D.4.1: of RND.A the first six bytes count. */
export function sessionKeys(baseKey: Uint8Array, rndA: Uint8Array): SessionKeys {
  const derived = (kind: number): Uint8Array => {
    const block = new Uint8Array(blockBytes);
    block.set([0x01, kind]);
    block.set(rndA.subarray(0, 6), 2);
    return aesBlock(baseKey, block);
  };
  return { encryption: derived(0x82), mac1: derived(0x01), mac2: derived(0x02) };
}

/** What the reader proves itself with. */
export const clientCryptogram = ({ encryption }: SessionKeys, rndA: Uint8Array, rndB: Uint8Array): Uint8Array =>
  aesBlock(encryption, Buffer.concat([rndA, rndB]));

/** What we prove ourselves with. */
export const serverCryptogram = ({ encryption }: SessionKeys, rndA: Uint8Array, rndB: Uint8Array): Uint8Array =>
  aesBlock(encryption, Buffer.concat([rndB, rndA]));

/** R-MAC-I: the first of the chain. */
export const initialMac = ({ mac1, mac2 }: SessionKeys, server: Uint8Array): Uint8Array =>
  aesBlock(mac2, aesBlock(mac1, server));

export const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

/** One side of a channel that stands; commands and replies take turns in it. */
export class SecureSession {
  readonly #keys: SessionKeys;
  #lastMac: Uint8Array;

  constructor(keys: SessionKeys, firstMac: Uint8Array) {
    this.#keys = keys;
    this.#lastMac = firstMac;
  }

  /** Encrypts what has a payload, and signs it; the chain goes on. */
  seal(plain: Frame): Frame {
    const isPlain = plain.payload.length === 0;
    const type = (isPlain ? 0x15 : 0x17) + (plain.reply ? 1 : 0);
    const payload = isPlain
      ? plain.payload
      : cbc(this.#keys.encryption, complement(this.#lastMac), padded(plain.payload, true));
    const unsigned: Frame = { ...plain, security: { type, data: new Uint8Array(0) }, payload };
    this.#lastMac = this.#macOf(unsigned);
    return { ...unsigned, mac: this.#lastMac.slice(0, 4) };
  }

  /** Whether the other side said it, now: with the right key, and as the next of the chain. */
  isGenuine(sealed: Frame): boolean {
    if (!sealed.mac || !sealed.security || !isAuthenticated(sealed.security.type)) return false;
    // SCS_15 and SCS_17 are the panel's, the others the reader's: nothing is reflected
    if ((sealed.security.type % 2 === 0) !== sealed.reply) return false;
    return isSame(this.#macOf(sealed).subarray(0, 4), sealed.mac);
  }

  /** @returns undefined when it is not genuine, or not encrypted as it should be; then the chain stays where it was */
  open(sealed: Frame): Frame | undefined {
    if (!this.isGenuine(sealed)) return undefined;
    const isCipher = isEncrypted(sealed.security?.type ?? 0);
    const payload = isCipher ? this.#decrypted(sealed.payload) : sealed.payload;
    if (!payload) return undefined;
    this.#lastMac = this.#macOf(sealed);
    const { security: _security, mac: _mac, ...plain } = sealed;
    return { ...plain, payload };
  }

  #decrypted(payload: Uint8Array): Uint8Array | undefined {
    if (payload.length === 0 || payload.length % blockBytes !== 0) return undefined;
    const decipher = createDecipheriv('aes-128-cbc', this.#keys.encryption, complement(this.#lastMac));
    decipher.setAutoPadding(false);
    return unpadded(Buffer.concat([decipher.update(payload), decipher.final()]));
  }

  /** CBC with S-MAC1, the last block with S-MAC2. */
  #macOf(frame: Frame): Uint8Array {
    const blocks = padded(authenticatedBytes(frame), false);
    const last = blocks.length - blockBytes;
    const chained = last === 0 ? this.#lastMac : cbc(this.#keys.mac1, this.#lastMac, blocks.subarray(0, last));
    return cbc(this.#keys.mac2, chained.subarray(-blockBytes), blocks.subarray(last));
  }
}

/** 80 00 … to whole blocks; `always`: also where they are whole already, as payloads are. */
function padded(bytes: Uint8Array, always: boolean): Uint8Array {
  const rest = bytes.length % blockBytes;
  if (rest === 0 && !always) return bytes;
  const whole = new Uint8Array(bytes.length - rest + blockBytes);
  whole.set(bytes);
  whole[bytes.length] = endMark;
  return whole;
}

function unpadded(bytes: Uint8Array): Uint8Array | undefined {
  const end = bytes.findLastIndex((byte) => byte !== 0);
  return bytes[end] === endMark ? Uint8Array.from(bytes.subarray(0, end)) : undefined;
}

const complement = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => ~byte);

function cbc(key: Uint8Array, iv: Uint8Array, blocks: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-cbc', key, iv);
  cipher.setAutoPadding(false);
  return Uint8Array.from(Buffer.concat([cipher.update(blocks), cipher.final()]));
}

function aesBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-ecb', key, null);
  cipher.setAutoPadding(false);
  return Uint8Array.from(Buffer.concat([cipher.update(block), cipher.final()]));
}
