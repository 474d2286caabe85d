import { expect, it } from 'vitest';
import { closeError, connectError, mayBeOlder } from './mqtt-errors.ts';

const url = 'mqtt://robot:secret@broker.example:1883';
const withCode = (message: string, code: string | number): Error => Object.assign(new Error(message), { code });

it('says who must act when a connection does not come up', () => {
  const cases: [unknown, string][] = [
    [withCode('Connection refused: Bad username or password', 4), 'broker-credentials'],
    [withCode('Connection refused: Not authorized', 135), 'broker-credentials'],
    [withCode('Connection refused: Unacceptable protocol version', 1), 'broker-protocol'],
    [withCode('Connection refused: Unsupported Protocol Version', 132), 'broker-protocol'],
    [withCode('Connection refused: Server busy', 137), 'broker-refused'],
    [withCode('connect ECONNREFUSED', 'ECONNREFUSED'), 'broker-unreachable'],
    [withCode('getaddrinfo ENOTFOUND', 'ENOTFOUND'), 'broker-unreachable'],
    [withCode('read ECONNRESET', 'ECONNRESET'), 'broker-closed'],
    [withCode('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'), 'broker-tls'],
    [withCode('altnames', 'ERR_TLS_CERT_ALTNAME_INVALID'), 'broker-tls'],
    [withCode('certificate has expired', 'CERT_HAS_EXPIRED'), 'broker-certificate-expired'],
    [withCode('certificate is not yet valid', 'CERT_NOT_YET_VALID'), 'broker-certificate-not-yet-valid'],
    [
      withCode('ssl3_read_bytes:tlsv1 alert certificate expired', 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'),
      'certificate-expired',
    ],
    [new Error('connack timeout'), 'broker-silent'],
    [new Error('Cannot parse'), 'broker-refused'],
    [undefined, 'broker-closed'],
  ];
  expect(cases.map(([thrown]) => connectError(thrown, url).code)).toEqual(cases.map(([, code]) => code));
});

it('notices a second client of the same name, and silence', () => {
  expect(closeError(undefined, 142, url).code).toBe('broker-taken-over');
  expect(closeError(new Error('Keepalive timeout'), undefined, url).code).toBe('broker-silent');
  expect(closeError(undefined, undefined, url)).toMatchObject({ code: 'broker-closed', context: { orderly: true } });
  expect(closeError(withCode('read ECONNRESET', 'ECONNRESET'), undefined, url).context).not.toHaveProperty('orderly');
});

it('tries 3.1.1 only where the version may be the reason', () => {
  const tried = [
    undefined,
    withCode('x', 1),
    withCode('x', 132),
    new Error('Cannot parse'),
    withCode('x', 'ECONNRESET'),
  ];
  const not = [
    withCode('x', 134),
    withCode('x', 137),
    withCode('x', 'ECONNREFUSED'),
    withCode('x', 'CERT_HAS_EXPIRED'),
  ];
  expect(tried.map((thrown) => mayBeOlder(connectError(thrown, url)))).toEqual(tried.map(() => true));
  expect(not.map((thrown) => mayBeOlder(connectError(thrown, url)))).toEqual(not.map(() => false));
});

it('never says a credential', () => {
  const error = connectError(new Error(`bad ${url} for robot with secret`), url);
  expect(JSON.stringify([error.message, error.context])).not.toMatch(/secret|robot/);
});
