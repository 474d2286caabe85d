import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { idPattern } from '#agent/core/ids.ts';
import { identityFile, openIdentity } from './identity.ts';
import { trustedKeys } from './keys.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outpost-identity-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('is made once, on the device, for its owner alone, and is another on every device', async () => {
  const [here, there] = [join(folder, 'a', 'b'), join(folder, 'c')];
  const first = await openIdentity(here);
  expect(first.isNew).toBe(true);
  expect(first.name).toMatch(idPattern);
  expect(statSync(identityFile(here)).mode & 0o777).toBe(0o600);
  expect(readdirSync(here)).toEqual(['identity.pem']);
  const again = await openIdentity(here);
  expect(again).toMatchObject({ isNew: false, kid: first.kid, name: first.name });
  const other = await openIdentity(there);
  expect(other.kid).not.toBe(first.kid);
  expect(other.name).not.toBe(first.name);
  const text = Buffer.from('said');
  expect(trustedKeys([first.publicBase64])(text, again.sign(text))).toBe(true);
});

it('rights that are too wide are narrowed', async () => {
  await openIdentity(folder);
  chmodSync(identityFile(folder), 0o644);
  await openIdentity(folder);
  expect(statSync(identityFile(folder)).mode & 0o777).toBe(0o600);
});

it.each(['', 'no key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'])(
  'what is no key is said, and left as it is: %j',
  async (content) => {
    writeFileSync(identityFile(folder), content);
    await expect(openIdentity(folder)).rejects.toMatchObject({ code: 'identity-unusable' });
    expect(readFileSync(identityFile(folder), 'utf8')).toBe(content);
  },
);
