import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keyId, parsePublicKey } from '#agent/domain/signature.ts';
import { newKey, readSigner, signerOf, trustedKeys } from './keys.ts';

describe('a key', () => {
  it('is the same in every way of writing it', () => {
    const key = newKey();
    const raw = Buffer.from(key.publicBase64, 'base64');
    const der = parsePublicKey(key.publicPem)?.export({ format: 'der', type: 'spki' }).toString('base64') ?? '';
    const written = [key.publicPem, key.publicBase64, raw.toString('base64url'), der, `\n ${key.publicBase64} \n`];
    const ids = written.map((text) => parsePublicKey(text)).map((parsed) => parsed && keyId(parsed));
    expect(ids).toEqual(written.map(() => key.kid));
    expect(signerOf(key.privatePem)).toMatchObject({ kid: key.kid, publicBase64: key.publicBase64 });
  });

  it('has the thumbprint of RFC 8037, appendix A.3', () => {
    const key = parsePublicKey('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo');
    expect(key && keyId(key)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  });

  it('signs as RFC 8037, appendix A.4', () => {
    const seed = Buffer.from('nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A', 'base64url');
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const pem = `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`;
    const { value } = signerOf(pem).sign(Buffer.from('eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc'));
    expect(value).toBe('hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg');
  });

  it.each([
    ['nothing', ''],
    ['a word', 'key'],
    ['too few bytes', Buffer.alloc(31).toString('base64')],
    ['base64 with a hole', `${'A'.repeat(20)} ${'A'.repeat(23)}`],
    ['a private key', newKey().privatePem],
    [
      'RSA',
      generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    ],
    ['a great deal', 'A'.repeat(100_000)],
  ])('that is %s is refused', (_what, text) => {
    expect(parsePublicKey(text)).toBeUndefined();
    expect(() => trustedKeys([newKey().publicPem, text])).toThrow(expect.objectContaining({ code: 'trust-key' }));
  });

  it('is read from its file, and its absence is said', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'outpost-keys-'));
    try {
      const key = newKey();
      const path = join(folder, 'consumer.pem');
      await writeFile(path, key.privatePem, { mode: 0o600 });
      expect((await readSigner(path)).kid).toBe(key.kid);
      await expect(readSigner(join(folder, 'none.pem'))).rejects.toMatchObject({ code: 'trust-key' });
      await writeFile(path, key.publicPem);
      await expect(readSigner(path)).rejects.toMatchObject({ code: 'trust-key', kind: 'config' });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('trusted keys', () => {
  it('believe their own, and nobody else', () => {
    const [ours, others] = [newKey(), newKey()];
    const believes = trustedKeys([ours.publicBase64, newKey().publicPem]);
    const bytes = Buffer.from('what is signed');
    const signature = signerOf(ours.privatePem).sign(bytes);
    expect(believes(bytes, signature)).toBe(true);
    expect(believes(Buffer.from('something else'), signature)).toBe(false);
    expect(believes(bytes, signerOf(others.privatePem).sign(bytes))).toBe(false);
    expect(believes(bytes, { ...signature, kid: others.kid })).toBe(false);
    expect(believes(bytes, { ...signature, value: '' })).toBe(false);
    expect(trustedKeys([])(bytes, signature)).toBe(false);
  });
});
