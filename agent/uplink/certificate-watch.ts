/**
 * Looks after the device's certificate: says when it gets old, and when new files are complete and good asks for new
 * connections. Half an exchange, a file that is gone or a certificate that is no better leave the old line alone.
 */
import type { Clock } from '#agent/core/clock.ts';
import { toOutpostError } from '#agent/core/errors.ts';
import type { Health } from '#agent/core/health.ts';
import type { Log } from '#agent/core/log.ts';
import type { UplinkConfig } from '#config/schema.ts';
import { type Credentials, fingerprint, isOld, readCredentials, validityText, whyNotValid } from './credentials.ts';

export interface CertificateWatchOptions {
  readonly config: UplinkConfig;
  readonly health: Health;
  readonly clock: Clock;
  readonly log: Log;
  /** The files are others now, and can be used. */
  readonly exchanged: () => void;
}

const everyMs = 1_000;

/** A service: returns when aborted. */
export async function watchCertificate(options: CertificateWatchOptions, signal: AbortSignal): Promise<void> {
  const { config, clock } = options;
  if (config.ca === undefined && config.certificate === undefined && config.key === undefined) return;
  let seen: string | undefined;
  let held: Credentials | undefined;
  while (!signal.aborted) {
    const now = await fingerprint(config);
    if (now !== seen || held === undefined || whyNotValid(held.validity, clock.wallMs()) !== undefined) {
      held = await look(options, held);
      seen = now;
    }
    if (held) tellAge(options, held);
    await clock.sleep(everyMs, signal).catch(() => undefined);
  }
}

async function look(
  { config, health, clock, log, exchanged }: CertificateWatchOptions,
  held: Credentials | undefined,
): Promise<Credentials | undefined> {
  try {
    const found = await readCredentials(config);
    health.clear('certificate-unusable', 'agent');
    if (held?.digest === found.digest) return held;
    const wallMs = clock.wallMs();
    if (held && whyNotValid(found.validity, wallMs) && !whyNotValid(held.validity, wallMs)) return held;
    if (held) {
      log.info('The certificate files were exchanged.', found.validity && { validity: validityText(found.validity) });
      exchanged();
    }
    return found;
  } catch (thrown) {
    const { code, message, hint } = toOutpostError(thrown);
    health.set('certificate-unusable', 'agent', `${message} [${code}] ${hint}`);
    return held;
  }
}

function tellAge({ health, clock }: CertificateWatchOptions, { validity }: Credentials): void {
  const wallMs = clock.wallMs();
  if (!validity || !isOld(validity, wallMs)) health.clear('certificate-old', 'agent');
  else {
    const over = wallMs > validity.untilMs ? 'It has expired: ' : '';
    health.set('certificate-old', 'agent', `${over}${validityText(validity)}.`);
  }
}
