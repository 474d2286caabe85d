/**
 * Who this device is: an Ed25519 key that is made on the device at its first start, and never leaves it.
 *
 *   {storage.path}/identity.pem, readable by the agent alone --> Identity: signer, public key, a name
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, OutpostError, systemCode } from '#agent/core/errors.ts';
import { newKey, type Signer, signerOf } from './keys.ts';

export interface Identity extends Signer {
  /** What the device is called where nobody gave it a name: `outpost-` and eight digits of its key’s hash. */
  readonly name: string;
  /** Made just now. */
  readonly isNew: boolean;
}

export const identityFile = (storagePath: string): string => join(storagePath, 'identity.pem');

const ownerOnly = 0o600;

/**
 * Reads the device's key, or makes it.
 * @throws OutpostError `identity-unusable`: the file is there and is no key, or cannot be read or made. It is never replaced
 */
export async function openIdentity(storagePath: string): Promise<Identity> {
  const path = identityFile(storagePath);
  try {
    const found = await readKey(path);
    return identityOf(found ?? (await makeKey(path)), found === undefined);
  } catch (cause) {
    throw new OutpostError('identity-unusable', `The device’s key ${path} cannot be used: ${messageOf(cause)}`, {
      context: { path },
      cause,
    });
  }
}

function identityOf(pem: string, isNew: boolean): Identity {
  const signer = signerOf(pem);
  const digits = createHash('sha256').update(Buffer.from(signer.publicBase64, 'base64')).digest('hex').slice(0, 8);
  return { ...signer, name: `outpost-${digits}`, isNew };
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    const pem = await readFile(path, 'utf8');
    // A copy from a backup may have come with other rights.
    if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, ownerOnly);
    return pem;
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** Whole or not at all, also when the power goes in between. */
async function makeKey(path: string): Promise<string> {
  const { privatePem } = newKey();
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const temporary = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    await using file = await open(temporary, 'wx', ownerOnly);
    await file.writeFile(privatePem);
    await file.sync();
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await rename(temporary, path);
  await using holder = await open(folder, 'r');
  await holder.sync();
  return privatePem;
}
