/** Signatures as values: what is signed, by which key, and how a public key is written. Ed25519 (RFC 8032) alone. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

export interface Signature {
  /** Of the public key: its thumbprint (RFC 7638), SHA-256 in base64url. */
  readonly kid: string;
  /** 64 bytes in base64url. */
  readonly value: string;
}

export type Sign = (bytes: Uint8Array) => Signature;

/** True when a key that is trusted for the purpose made it. */
export type Verify = (bytes: Uint8Array, signature: Signature) => boolean;

/** DER of a SubjectPublicKeyInfo up to the 32 bytes of the key (RFC 8410). */
const spkiHead = Buffer.from('302a300506032b6570032100', 'hex');
const keyBytes = 32;
const mostCharacters = 4_096;

/**
 * @param text PEM, or in base64 or base64url: a SubjectPublicKeyInfo in DER, or the 32 bytes of the key
 * @returns undefined for anything but an Ed25519 public key; a private key, too
 */
export function parsePublicKey(text: string): KeyObject | undefined {
  const trimmed = text.trim();
  if (trimmed.length > mostCharacters || /PRIVATE KEY/.test(trimmed)) return undefined;
  try {
    const key = trimmed.startsWith('-----') ? createPublicKey(trimmed) : fromBase64(trimmed);
    return key?.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    // not a key, says OpenSSL
    return undefined;
  }
}

/** The thumbprint of an Ed25519 public key (RFC 7638, members as in RFC 8037). */
export function keyId(key: KeyObject): string {
  const { x = '' } = key.export({ format: 'jwk' });
  return createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
}

function fromBase64(text: string): KeyObject | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  const der = bytes.length === keyBytes ? Buffer.concat([spkiHead, bytes]) : bytes;
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}
