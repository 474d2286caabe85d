/** What the machine says of itself: this boot, this machine, and how far its clock can be trusted. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { Clock } from '#agent/core/clock.ts';
import { randomId } from '#agent/core/ids.ts';
import type { ClockQuality } from '#agent/domain/envelope.ts';

export interface Host {
  /** Another text after each boot. */
  readonly bootId: string;
  /** Another text on another machine. */
  readonly machineId: string;
  clockQuality(): ClockQuality;
}

/** systemd-timesyncd, and chrony through its wait service, leave this file once the clock has been set. */
const synchronizedFile = '/run/systemd/timesync/synchronized';
const checkEveryMs = 1_000;
const stepMs = 1_000;

export const systemHost = (clock: Clock): Host => ({
  bootId: readLine('/proc/sys/kernel/random/boot_id') ?? randomId(),
  machineId: hashed(readLine('/etc/machine-id') ?? ''),
  clockQuality: clockQuality(clock, () => existsSync(synchronizedFile)),
});

/** `synced` while it is disciplined; else `stepped` once wall time has moved against monotonic time; else `unsynced`. */
export function clockQuality(clock: Clock, isSynchronized: () => boolean): () => ClockQuality {
  const offsetMs = clock.wallMs() - clock.monoMs();
  let checkedMonoMs = Number.NEGATIVE_INFINITY;
  let stepped = false;
  let quality: ClockQuality = 'unsynced';
  return () => {
    const now = clock.monoMs();
    stepped ||= Math.abs(clock.wallMs() - now - offsetMs) > stepMs;
    if (now - checkedMonoMs >= checkEveryMs || (stepped && quality === 'unsynced')) {
      checkedMonoMs = now;
      quality = isSynchronized() ? 'synced' : stepped ? 'stepped' : 'unsynced';
    }
    return quality;
  };
}

function readLine(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    // not Linux, or a minimal container
    return undefined;
  }
}

/** machine-id(5) asks not to expose the id itself. */
const hashed = (text: string): string => createHash('sha256').update(`outpost ${text}`).digest('hex').slice(0, 32);
