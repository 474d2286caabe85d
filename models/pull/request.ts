/** A GET that follows redirects itself, over https alone; http only to this machine, for mirrors and tests. */
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';
import { redactUrl } from '#agent/core/redact-url.ts';

const maxRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** A server that is busy, or in trouble: worth another try. */
const passing: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * @param from first byte that is wanted
 * @returns an answer with status 200, 206 or 416
 * @throws OutpostError `download-unreachable`, `download-refused`, `download-broken`
 */
export async function request(url: string, from: number, signal: AbortSignal): Promise<Response> {
  let target = new URL(url);
  for (let hop = 0; hop <= maxRedirects; hop += 1) {
    checkScheme(target, new URL(url));
    const response = await get(target, from, signal);
    if (!redirects.has(response.status)) return await checked(response, target);
    const location = response.headers.get('location');
    await response.body?.cancel();
    if (location === null || !URL.canParse(location, target.href)) {
      throw new OutpostError('download-refused', `${redactUrl(target.href)} redirects to nowhere.`);
    }
    target = new URL(location, target);
  }
  throw new OutpostError('download-refused', `${redactUrl(url)} redirects more than ${maxRedirects} times.`);
}

const isLocal = ({ hostname }: URL): boolean => ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);

function checkScheme(target: URL, first: URL): void {
  const isAllowed = target.protocol === 'https:' || (target.protocol === 'http:' && isLocal(target) && isLocal(first));
  if (!isAllowed) throw new OutpostError('download-refused', `${redactUrl(target.href)} is not https.`);
}

async function get(url: URL, from: number, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, {
      redirect: 'manual',
      signal,
      // Lengths and ranges count the bytes of the file, so it must come as it is.
      headers: { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
    });
  } catch (cause) {
    if (cause instanceof OutpostError) throw cause;
    const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    // It answered before: the same server is worth another try.
    if (['ECONNRESET', 'UND_ERR_SOCKET'].includes(systemCode(reason) ?? '')) {
      throw new OutpostError('download-broken', `${url.host} closed the connection.`, { cause });
    }
    throw new OutpostError('download-unreachable', `${url.host} cannot be reached: ${messageOf(reason)}`, { cause });
  }
}

async function checked(response: Response, url: URL): Promise<Response> {
  const { status } = response;
  if (status === 200 || status === 206 || status === 416) return response;
  await response.body?.cancel();
  const code = passing.has(status) ? 'download-broken' : 'download-refused';
  throw new OutpostError(code, `${redactUrl(url.href)} answers ${status}.`);
}
