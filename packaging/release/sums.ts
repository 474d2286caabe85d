/**
 * What a release says of itself: SHA256SUMS, as sha256sum(1) writes it, and SHA256SUMS.sig, 64 bytes of Ed25519 over it.
 *
 *   files --sha256--> SHA256SUMS --release key--> SHA256SUMS.sig
 */
import { createHash, createPrivateKey, sign, verify } from 'node:crypto';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import { parsePublicKey } from '#agent/domain/signature.ts';

export const sumsFile = 'SHA256SUMS';
export const signatureFile = 'SHA256SUMS.sig';

/** Plain names alone: a release is flat, and no name leads out of it. */
export const releaseName = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/;

/** @returns sorted by name */
export const writeSums = (hashes: ReadonlyMap<string, string>): string =>
  [...hashes]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, sha256]) => `${sha256}  ${name}\n`)
    .join('');

/** @throws OutpostError `release-damaged` */
export function readSums(text: string): ReadonlyMap<string, string> {
  const sums = new Map<string, string>();
  for (const line of text.split('\n').filter((entry) => entry !== '')) {
    const [, sha256 = '', name = ''] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
    if (!releaseName.test(name) || sums.has(name)) {
      throw new OutpostError('release-damaged', `${sumsFile} has a line that it must not have: ${line.slice(0, 100)}`);
    }
    sums.set(name, sha256);
  }
  return sums;
}

/** @param pem PKCS #8. @throws OutpostError `trust-key` */
export function signSums(sums: string, pem: string): Uint8Array {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is ${key.asymmetricKeyType}, not Ed25519`);
    return sign(undefined, Buffer.from(sums), key);
  } catch (cause) {
    throw new OutpostError('trust-key', `The release key cannot be used: ${messageOf(cause)}.`, { cause });
  }
}

/**
 * @param keys public keys, as `parsePublicKey` reads them
 * @throws OutpostError `release-untrusted`, `trust-key`
 */
export function checkSignature(sums: Uint8Array, signature: Uint8Array, keys: readonly string[]): void {
  if (keys.length === 0) {
    throw new OutpostError('release-untrusted', 'This program knows no release key.', {
      hint: 'Name the public key of who made the release: --key FILE.',
    });
  }
  const isSigned = keys.some((text) => {
    const key = parsePublicKey(text);
    if (!key) throw new OutpostError('trust-key');
    return signature.length === 64 && verify(undefined, sums, key, signature);
  });
  if (!isSigned) throw new OutpostError('release-untrusted');
}

export const sha256Of = async (chunks: AsyncIterable<Uint8Array>): Promise<string> => {
  const hashing = createHash('sha256');
  for await (const chunk of chunks) hashing.update(chunk);
  return hashing.digest('hex');
};
