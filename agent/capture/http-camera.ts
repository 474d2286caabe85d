/**
 * Asks a camera over HTTP: one request, its login, its size limit, its time limit.
 *
 *   GET -> [401 -> GET with login] -> status and type judged -> body
 */
import { onAbort } from '#agent/core/abort.ts';
import { OutpostError, messageOf, systemCode } from '#agent/core/errors.ts';
import { redactIn } from '#agent/core/redact-url.ts';
import type { Clock } from '#agent/core/clock.ts';
import { answerChallenge, splitLogin } from './http-login.ts';

export interface HttpAnswer {
  /** Lower case, without parameters. */
  readonly mediaType: string;
  readonly body: ReadableStream<Uint8Array>;
}

export interface HttpRequest {
  readonly url: string;
  readonly clock: Clock;
  /** Until the answer's head is there, ms. */
  readonly limitMs: number;
}

/**
 * @param signal ends the body too
 * @throws OutpostError `source-unauthorized`, `source-not-found`, `source-refused`, `source-unreachable`
 */
export async function askCamera({ url, clock, limitMs }: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const { address, login } = splitLogin(url);
  const get = async (authorization?: string): Promise<Response> =>
    await withinLimit(clock, limitMs, signal, async (either) => {
      const headers = authorization ? { authorization } : {};
      // A redirect could lead the login, or us, to another machine.
      return await fetch(address, { headers, signal: either, redirect: 'manual', cache: 'no-store' });
    }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw unreachable(cause, url);
    });
  let response = await get();
  if (response.status === 401 && login) {
    const { pathname, search } = new URL(address);
    const answer = answerChallenge(response.headers.get('www-authenticate') ?? '', login, pathname + search);
    await response.body?.cancel();
    if (answer) response = await get(answer);
  }
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw refused(response.status);
  }
  const mediaType = (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  return { mediaType, body: response.body };
}

/**
 * The whole body.
 * @throws OutpostError `picture-too-large`, `source-unreachable`
 */
export async function readBody(
  answer: HttpAnswer,
  maxBytes: number,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const { clock, limitMs, url } = request;
  const reader = answer.body.getReader();
  try {
    return await withinLimit(clock, limitMs, signal, async (either) => {
      onAbort(either, () => void reader.cancel().catch(() => undefined));
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        size += part.value.length;
        if (size > maxBytes)
          throw new OutpostError('picture-too-large', `The answer is longer than ${maxBytes} bytes.`);
        chunks.push(part.value);
      }
      either.throwIfAborted();
      return Buffer.concat(chunks);
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw cause instanceof OutpostError ? cause : unreachable(cause, url);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Gives the work a signal that is aborted with ours, or when the time is over. */
async function withinLimit<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal,
  work: (either: AbortSignal) => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const late = new AbortController();
  void clock.sleep(limitMs, AbortSignal.any([done.signal, signal])).then(
    () => late.abort(new OutpostError('source-unreachable', `No answer within ${limitMs} ms.`)),
    () => undefined,
  );
  try {
    return await work(AbortSignal.any([signal, late.signal]));
  } finally {
    done.abort();
  }
}

function unreachable(cause: unknown, url: string): OutpostError {
  if (cause instanceof OutpostError) return cause;
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const why = systemCode(inner) ?? redactIn(messageOf(inner), url);
  return new OutpostError('source-unreachable', `The camera does not answer: ${why}.`);
}

function refused(status: number): OutpostError {
  if (status === 401 || status === 403)
    return new OutpostError('source-unauthorized', `The camera answered ${status}.`);
  if (status === 404 || status === 410) return new OutpostError('source-not-found', `The camera answered ${status}.`);
  return new OutpostError('source-refused', `The camera answered ${status}.`);
}
