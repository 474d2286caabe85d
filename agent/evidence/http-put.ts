/**
 * One PUT of one piece of evidence to a server, bounded in time, in what is read back, and in pace.
 *
 *   bytes --pace--> PUT {url}/{device}/{id-sha}.jpg, Repr-Digest --> 2xx after the last byte: stored
 *                                                               '-> anything else: OutpostError `upload-…`
 *
 * Redirects are not followed: the token is for the server that was configured, and for no other.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Clock } from '#agent/core/clock.ts';
import { http, https } from '#agent/core/http.ts';
import { messageOf, OutpostError, systemCode } from '#agent/core/errors.ts';
import type { EvidenceServerConfig } from '#config/schema.ts';
import type { Pace } from './pace.ts';

export interface Upload {
  /** Below the configured URL: `robot-07/front-1-1-0123456789ab.jpg`. */
  readonly path: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

export interface HttpPutOptions {
  readonly server: EvidenceServerConfig;
  readonly pace: Pace;
  readonly clock: Clock;
  /** Without a byte either way. */
  readonly silenceMs?: number;
}

const defaultSilenceMs = 30_000;
/** All of it: this, and a second for each 4 KiB. */
const wholeMs = 120_000;
const slowestBytesPerSecond = 4 * 1024;

/** @returns the URL that it was stored at @throws OutpostError `upload-…`; the signal's reason when aborted */
export async function httpPut(upload: Upload, options: HttpPutOptions, signal: AbortSignal): Promise<string> {
  const { server, clock } = options;
  const url = `${server.url.replace(/\/+$/, '')}/${upload.path}`;
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const limitMs = wholeMs + (1_000 * upload.bytes.byteLength) / slowestBytesPerSecond;
  const late = clock.sleep(limitMs, within).then(
    () => over.abort(new OutpostError('upload-silent', 'The server did not take the picture in time.')),
    () => undefined,
  );
  try {
    await exchange(url, upload, options, within);
    return url;
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    throw toUploadError(thrown, url);
  } finally {
    over.abort();
    await late;
  }
}

async function exchange(url: string, upload: Upload, options: HttpPutOptions, signal: AbortSignal): Promise<void> {
  const { pace, clock } = options;
  const request = await openRequest(url, upload, options, signal);
  const over = new AbortController();
  try {
    const answer = answerOf(request);
    const startedMonoMs = await connectedAt(request, answer, clock);
    const writing = write(request, upload.bytes, pace, AbortSignal.any([signal, over.signal]));
    // an answer that comes before the end of the body, such as 403, is the answer
    const { statusCode = 0 } = await Promise.race([answer, writing.then(async () => await answer)]);
    if (statusCode < 200 || statusCode > 299 || !request.writableFinished) {
      throw new OutpostError('upload-refused', `The server answers ${statusCode}.`, {
        context: { status: statusCode },
      });
    }
    pace.answered(upload.bytes.byteLength, clock.monoMs() - startedMonoMs.at - startedMonoMs.tookMs);
  } finally {
    over.abort();
    // the status says all: whatever else the server goes on to say is not read
    request.destroy();
  }
}

async function openRequest(
  url: string,
  { mediaType, bytes, sha256 }: Upload,
  { server, silenceMs = defaultSilenceMs }: HttpPutOptions,
  signal: AbortSignal,
): Promise<ClientRequest> {
  const [ca, cert, key] = await Promise.all([server.ca, server.certificate, server.key].map(readPem));
  const digest = `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
  const { token } = server;
  const open = url.startsWith('https:') ? https().request : http().request;
  const request = open(url, {
    method: 'PUT',
    agent: false,
    signal,
    timeout: silenceMs,
    rejectUnauthorized: true,
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    headers: {
      'content-type': mediaType,
      'content-length': bytes.byteLength,
      'content-digest': digest,
      'repr-digest': digest,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  });
  request.on('timeout', () => request.destroy(new OutpostError('upload-silent')));
  return request;
}

function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    // stays for what comes after the answer, too
    request.on('error', reject);
    request.once('close', () => reject(new OutpostError('upload-unreachable', 'The server hung up.')));
  });
  answer.catch(() => undefined);
  return answer;
}

/** When the line stood, and how long that took: with TLS at least two round trips, and so more than one. */
async function connectedAt(
  request: ClientRequest,
  answer: Promise<unknown>,
  clock: Clock,
): Promise<{ readonly at: number; readonly tookMs: number }> {
  const begunMonoMs = clock.monoMs();
  request.flushHeaders();
  const connected = (async () => {
    const [socket] = (await once(request, 'socket')) as [{ readonly encrypted?: boolean } & NodeJS.EventEmitter];
    await once(socket, socket.encrypted === true ? 'secureConnect' : 'connect');
  })();
  connected.catch(() => undefined);
  await Promise.race([connected, answer]);
  const at = clock.monoMs();
  return { at, tookMs: at - begunMonoMs };
}

async function write(request: ClientRequest, bytes: Uint8Array, pace: Pace, signal: AbortSignal): Promise<void> {
  try {
    for await (const slice of pace.slices(bytes, signal)) {
      if (!request.write(slice)) await once(request, 'drain', { signal });
    }
    request.end();
  } catch {
    // the answer, or the end of the connection, tells why
  }
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new OutpostError('upload-file', messageOf(thrown), { context: { path }, cause: thrown });
  }
}

/** What Node and OpenSSL say of a certificate or a handshake: `CERT_HAS_EXPIRED`, `ERR_TLS_CERT_ALTNAME_INVALID`, … */
const tlsCode = /CERT|^ERR_(TLS|SSL|OSSL)|^EPROTO$|SIGNATURE|ISSUER/;

function toUploadError(thrown: unknown, url: string): OutpostError {
  if (thrown instanceof OutpostError) return thrown;
  const cause = thrown instanceof Error && thrown.cause instanceof OutpostError ? thrown.cause : undefined;
  if (cause) return cause;
  const code = tlsCode.test(systemCode(thrown) ?? '') ? 'upload-tls' : 'upload-unreachable';
  return new OutpostError(code, `${new URL(url).host}: ${messageOf(thrown)}`, { cause: thrown });
}
