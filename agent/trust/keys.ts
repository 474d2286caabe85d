/** Keys that sign and keys that are believed: Ed25519 of node:crypto. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { keyId, parsePublicKey, type Sign, type Verify } from '#agent/domain/signature.ts';

export interface NewKey {
  /** PKCS #8 in PEM: for the signer's eyes only. */
  readonly privatePem: string;
  /** SubjectPublicKeyInfo in PEM. */
  readonly publicPem: string;
  /** The 32 bytes in base64: one line of a configuration. */
  readonly publicBase64: string;
  readonly kid: string;
}

export function newKey(): NewKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    publicBase64: Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64'),
    kid: keyId(publicKey),
  };
}

/** A signer that knows its own name. */
export interface Signer {
  readonly kid: string;
  /** What those who are to believe it have in their configuration. */
  readonly publicBase64: string;
  readonly sign: Sign;
}

/** @param pem PKCS #8. @throws OutpostError `trust-key` */
export function signerOf(pem: string): Signer {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`the key is ${key.asymmetricKeyType}, not Ed25519`);
    const publicKey = createPublicKey(key);
    const kid = keyId(publicKey);
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    return {
      kid,
      publicBase64: raw.toString('base64'),
      sign: (bytes) => ({ kid, value: sign(undefined, bytes, key).toString('base64url') }),
    };
  } catch (thrown) {
    throw new OutpostError('trust-key', `The private key cannot be used: ${messageOf(thrown)}.`, { cause: thrown });
  }
}

/** @throws OutpostError `trust-key` */
export async function readSigner(path: string): Promise<Signer> {
  try {
    return signerOf(await readFile(path, 'utf8'));
  } catch (thrown) {
    throw new OutpostError('trust-key', `${path}: ${messageOf(thrown)}`, { context: { path }, cause: thrown });
  }
}

/**
 * Believes signatures of these keys, and no others.
 * @param texts public keys as `parsePublicKey` reads them
 * @throws OutpostError `trust-key`
 */
export function trustedKeys(texts: readonly string[]): Verify {
  const keys = new Map(
    texts.map((text, index) => {
      const key = parsePublicKey(text);
      if (!key) throw new OutpostError('trust-key', undefined, { context: { index } });
      return [keyId(key), key] as const;
    }),
  );
  return (bytes, { kid, value }) => {
    const key = keys.get(kid);
    const signature = Buffer.from(value, 'base64url');
    return key !== undefined && signature.length === 64 && verify(undefined, bytes, key, signature);
  };
}
