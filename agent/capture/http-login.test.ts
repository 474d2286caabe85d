import { createHash } from 'node:crypto';
import { expect, describe, it } from 'vitest';
import { answerChallenge, splitLogin } from './http-login.ts';

const mufasa = { user: 'Mufasa', password: 'Circle of Life' };
const nonce = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v';
const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
const challenge = (algorithm: string): string =>
  `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="${nonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`;
const responseOf = (header: string | undefined): string | undefined => /response="([0-9a-f]+)"/.exec(header ?? '')?.[1];
const answer = (algorithm: string) => answerChallenge(challenge(algorithm), mufasa, '/dir/index.html', cnonce);
const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

describe('answers a challenge', () => {
  it('as RFC 7616 section 3.9.1 does, with MD5 and with SHA-256', () => {
    expect(responseOf(answer('MD5'))).toBe('8ca523f5e9506fed4657c9700eebdbec');
    expect(responseOf(answer('SHA-256'))).toBe('753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1');
    expect(answer('MD5')).toContain('opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"');
  });

  it('prefers what it can digest among several', () => {
    const both = `${challenge('SHA-512-256')}, ${challenge('MD5')}, Basic realm="x"`;
    expect(responseOf(answerChallenge(both, mufasa, '/dir/index.html', cnonce))).toBe(
      '8ca523f5e9506fed4657c9700eebdbec',
    );
  });

  it('without qop as RFC 2069 did, as old cameras do', () => {
    const old = answerChallenge('Digest realm="cam", nonce="abc"', { user: 'u', password: 'p' }, '/a?b=1');
    expect(responseOf(old)).toBe(md5(`${md5('u:cam:p')}:abc:${md5('GET:/a?b=1')}`));
  });

  it('with Basic where nothing else is offered, and not at all where nothing is understood', () => {
    expect(answerChallenge('Basic realm="cam"', { user: 'u', password: 'ü:p' }, '/')).toBe(
      `Basic ${Buffer.from('u:ü:p').toString('base64')}`,
    );
    expect(answerChallenge('Negotiate', mufasa, '/')).toBeUndefined();
    expect(answerChallenge('', mufasa, '/')).toBeUndefined();
  });
});

it('takes the login out of an address', () => {
  expect(splitLogin('http://us%40er:p%25a@10.0.0.1:81/x?y=1')).toEqual({
    address: 'http://10.0.0.1:81/x?y=1',
    login: { user: 'us@er', password: 'p%a' },
  });
  expect(splitLogin('http://10.0.0.1/x')).toEqual({ address: 'http://10.0.0.1/x', login: undefined });
});
