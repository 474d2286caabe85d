/**
 * The files that TLS needs, read together: a certificate whose key does not fit is an exchange half done, not a failure.
 *
 *   ca, certificate, key --readCredentials--> Credentials        changed files -> another digest -> another connection
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { messageOf, OutpostError } from '#agent/core/errors.ts';
import type { UplinkConfig } from '#config/schema.ts';

export interface Credentials {
  readonly ca: Buffer | undefined;
  readonly certificate: Buffer | undefined;
  readonly key: Buffer | undefined;
  /** Of the device's certificate, milliseconds since 1970. */
  readonly validity: Validity | undefined;
  /** Other files, another text. */
  readonly digest: string;
}

export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

type Files = Pick<UplinkConfig, 'ca' | 'certificate' | 'key'>;

/** @throws OutpostError `uplink-file` when one cannot be read; `certificate-unusable` when they do not belong together */
export async function readCredentials(files: Files): Promise<Credentials> {
  const [ca, certificate, key] = await Promise.all([files.ca, files.certificate, files.key].map(readPem));
  const hash = createHash('sha256');
  for (const part of [ca, certificate, key]) hash.update(`${part?.byteLength ?? 'none'} `).update(part ?? '');
  const validity = certificate && validityOf(certificate, key, files.certificate);
  return { ca, certificate, key, validity, digest: hash.digest('hex') };
}

/** Cheap: changes whenever one of the files was written or replaced. */
export async function fingerprint({ ca, certificate, key }: Files): Promise<string> {
  const parts = await Promise.all(
    [ca, certificate, key].map(async (path) => {
      if (path === undefined) return '';
      const found = await stat(path).catch(() => undefined);
      return found ? `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}` : 'absent';
    }),
  );
  return parts.join('|');
}

/** By this clock; undefined: it holds, or there is none. */
export function whyNotValid(validity: Validity | undefined, wallMs: number): 'expired' | 'not-yet' | undefined {
  if (!validity) return undefined;
  if (wallMs > validity.untilMs) return 'expired';
  return wallMs < validity.fromMs ? 'not-yet' : undefined;
}

/** Two thirds of its life are over. */
export const isOld = ({ fromMs, untilMs }: Validity, wallMs: number): boolean =>
  wallMs >= fromMs + ((untilMs - fromMs) * 2) / 3;

export const validityText = ({ fromMs, untilMs }: Validity): string =>
  `valid from ${new Date(fromMs).toISOString()} until ${new Date(untilMs).toISOString()}`;

function validityOf(certificate: Buffer, key: Buffer | undefined, path: string | undefined): Validity {
  try {
    const parsed = new X509Certificate(certificate);
    if (key && !parsed.checkPrivateKey(createPrivateKey(key))) throw new Error('the key does not belong to it');
    return { fromMs: Date.parse(parsed.validFrom), untilMs: Date.parse(parsed.validTo) };
  } catch (thrown) {
    throw new OutpostError('certificate-unusable', `The certificate cannot be used: ${messageOf(thrown)}.`, {
      context: { path },
      cause: thrown,
    });
  }
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new OutpostError('uplink-file', messageOf(thrown), { context: { path }, cause: thrown });
  }
}
