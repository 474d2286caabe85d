/** Answers a camera's HTTP challenge: Basic (RFC 7617) and Digest (RFC 7616: MD5, SHA-256, `auth`). */
import { createHash, randomBytes } from 'node:crypto';

export interface Login {
  readonly user: string;
  readonly password: string;
}

/** The user and password of a URL, and the URL without them. */
export function splitLogin(url: string): { readonly address: string; readonly login: Login | undefined } {
  const parsed = new URL(url);
  const { username, password } = parsed;
  parsed.username = '';
  parsed.password = '';
  if (!username && !password) return { address: parsed.href, login: undefined };
  return { address: parsed.href, login: { user: decode(username), password: decode(password) } };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // a lone percent sign stands for itself
    return text;
  }
}

/**
 * @param challenge the `WWW-Authenticate` header, one or several challenges
 * @param target path and query of the request
 * @param clientNonce for tests that know the answer
 * @returns the `Authorization` header, or undefined when no challenge is understood
 */
export function answerChallenge(
  challenge: string,
  login: Login,
  target: string,
  clientNonce = randomBytes(8).toString('hex'),
): string | undefined {
  for (const digest of challenge.split(/(?=\bDigest\s)/i).filter((part) => /^Digest\s/i.test(part))) {
    const answer = answerDigest(digest, login, target, clientNonce);
    if (answer) return answer;
  }
  if (!/(^|,\s*)Basic\b/i.test(challenge)) return undefined;
  return `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;
}

function answerDigest(challenge: string, login: Login, target: string, cnonce: string): string | undefined {
  const { realm = '', nonce, opaque, qop, algorithm = 'MD5' } = parameters(challenge);
  const name = { MD5: 'md5', 'SHA-256': 'sha256' }[algorithm.toUpperCase()];
  if (!name || nonce === undefined) return undefined;
  const withQop = qop?.split(',').some((offered) => offered.trim() === 'auth') ?? false;
  if (qop && !withQop) return undefined;
  const hash = (text: string): string => createHash(name).update(text).digest('hex');
  const secret = hash(`${login.user}:${realm}:${login.password}`);
  const request = hash(`GET:${target}`);
  const count = '00000001';
  const response = withQop
    ? hash(`${secret}:${nonce}:${count}:${cnonce}:auth:${request}`)
    : hash(`${secret}:${nonce}:${request}`);
  const quoted = {
    username: login.user,
    realm,
    nonce,
    uri: target,
    response,
    ...(opaque === undefined ? {} : { opaque }),
  };
  const fields = Object.entries(quoted).map(
    ([key, value]) => `${key}="${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`,
  );
  return `Digest ${[...fields, `algorithm=${algorithm}`, ...(withQop ? ['qop=auth', `nc=${count}`, `cnonce="${cnonce}"`] : [])].join(', ')}`;
}

function parameters(challenge: string): Partial<Record<string, string>> {
  const pairs = challenge.matchAll(/(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g);
  // Reversed: the first of a name counts, what follows may belong to another challenge.
  return Object.fromEntries(
    [...pairs].toReversed().map(([, key = '', quoted, plain]) => [key.toLowerCase(), quoted ?? plain ?? '']),
  );
}
