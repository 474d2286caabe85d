/** What keeps a connection from coming up, or ends it, in Outpost's errors. */
import type { ErrorCode } from './error-codes.ts';
import { messageOf, OutpostError, systemCode } from './errors.ts';
import { redactIn, redactUrl } from './redact-url.ts';

/** CONNACK: MQTT 3.1.1 section 3.2.2.3 (1 to 5), MQTT 5 section 3.2.2.2 (from 128). */
const connackCodes: Readonly<Record<number, ErrorCode>> = {
  1: 'broker-protocol',
  4: 'broker-credentials',
  5: 'broker-credentials',
  132: 'broker-protocol',
  134: 'broker-credentials',
  135: 'broker-credentials',
  140: 'broker-credentials',
};

const networkCode =
  /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|ETIMEDOUT|EPIPE|ECONNABORTED|EADDRNOTAVAIL)/;

/** @param thrown undefined when the peer closed without a word */
export function connectError(thrown: unknown, url: string): OutpostError {
  const reason = reasonCode(thrown);
  if (reason !== undefined) return brokerError(connackCodes[reason] ?? 'broker-refused', thrown, url, { reason });
  const system = systemCode(thrown);
  if (system !== undefined && networkCode.test(system)) {
    return brokerError(system === 'ECONNRESET' ? 'broker-closed' : 'broker-unreachable', thrown, url, { system });
  }
  const certificate = certificateCode(thrown, system);
  if (certificate) return brokerError(certificate, thrown, url, { system });
  if (isTls(thrown, system)) return brokerError('broker-tls', thrown, url, { system });
  if (thrown === undefined) return brokerError('broker-closed', undefined, url);
  if (/timeout/i.test(messageOf(thrown))) return brokerError('broker-silent', thrown, url);
  return brokerError('broker-refused', thrown, url);
}

/** @param reason of the DISCONNECT packet, MQTT 5 section 3.14.2.1 */
export function closeError(thrown: unknown, reason: number | undefined, url: string): OutpostError {
  if (reason === 142) return brokerError('broker-taken-over', undefined, url, { reason });
  if (thrown !== undefined && /timeout/i.test(messageOf(thrown))) return brokerError('broker-silent', thrown, url);
  // TLS 1.3 tells the client after the handshake that its certificate is refused
  const certificate = certificateCode(thrown, systemCode(thrown));
  if (certificate) return brokerError(certificate, thrown, url);
  if (thrown !== undefined) return brokerError('broker-closed', thrown, url);
  return brokerError('broker-closed', undefined, url, { orderly: true, ...(reason === undefined ? {} : { reason }) });
}

/** A broker of 3.1.1 answers CONNECT 5 with a code, a CONNACK that 5 cannot read, or by hanging up. */
export const mayBeOlder = ({ code, context }: OutpostError): boolean =>
  code === 'broker-protocol' ||
  code === 'broker-closed' ||
  (code === 'broker-refused' && (context['reason'] === undefined || context['reason'] === 1));

function brokerError(
  code: ErrorCode,
  thrown: unknown,
  url: string,
  context: Readonly<Record<string, unknown>> = {},
): OutpostError {
  const broker = redactUrl(url);
  const text = thrown === undefined ? undefined : `${redactIn(messageOf(thrown), url)} (${broker})`;
  return new OutpostError(code, text, { context: { broker, ...context } });
}

/** mqtt.js gives the reason as a number in `code`. */
function reasonCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'number' ? thrown.code : undefined;
}

/** Ours as the broker sees it (TLS alert 45, RFC 8446 section 6.2), or the broker's as OpenSSL here sees it. */
function certificateCode(thrown: unknown, system: string | undefined): ErrorCode | undefined {
  if (system === 'CERT_HAS_EXPIRED') return 'broker-certificate-expired';
  if (system === 'CERT_NOT_YET_VALID') return 'broker-certificate-not-yet-valid';
  return thrown !== undefined && /alert certificate expired/.test(messageOf(thrown))
    ? 'certificate-expired'
    : undefined;
}

const isTls = (thrown: unknown, system: string | undefined): boolean =>
  thrown !== undefined &&
  (/^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO|HOSTNAME_MISMATCH)/.test(system ?? '') ||
    /certificate|TLS|SSL|PEM/.test(messageOf(thrown)));
