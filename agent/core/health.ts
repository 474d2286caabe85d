/**
 * What is wrong now, as a declared table of conditions: read by `status`, the screen, the console, metrics and `up/state`.
 *
 *   rooms --set/clear--> Health --> entries(), worst(), changes
 */
import type { Clock } from './clock.ts';

export type Severity = 'info' | 'warning' | 'critical';

export interface HealthEntry {
  readonly title: string;
  readonly severity: Severity;
  readonly text: string;
}

export const healthCodes = {
  'camera-down': {
    title: 'A camera sends nothing',
    severity: 'warning',
    text: 'It is tried again with backoff. Check its power, its cable and its address.',
  },
  'vision-down': {
    title: 'Detection is not running',
    severity: 'critical',
    text: 'The inference child ended; it is started again with backoff. The rest of the agent goes on.',
  },
  'vision-slow': {
    title: 'Detection is slower than the camera',
    severity: 'info',
    text: 'Frames are dropped so that results stay fresh. Lower the camera’s rate or choose a smaller model.',
  },
  'model-unusable': {
    title: 'The model cannot be used',
    severity: 'critical',
    text: 'Run `outpost models verify`, then `outpost models pull`.',
  },
  'processor-unsuited': {
    title: 'Detection cannot run on this processor',
    severity: 'critical',
    text: 'Its native libraries ended by an illegal instruction, or need what the processor lacks. The rest of the agent goes on.',
  },
  'outbox-down': {
    title: 'Events cannot be written to disk',
    severity: 'critical',
    text: 'Check the disk’s space and health. Events wait in bounded memory and the writer is opened again.',
  },
  'uplink-down': {
    title: 'No line to the broker',
    severity: 'warning',
    text: 'Events are kept on disk and sent when the line is back. Check the network and the broker.',
  },
  'identity-unusable': {
    title: 'The device’s own key cannot be used',
    severity: 'critical',
    text: 'Events are kept and sent. Restore identity.pem from a backup, or move it away and enrol the device anew.',
  },
  'evidence-down': {
    title: 'Pictures cannot be stored',
    severity: 'warning',
    text: 'Events go on without pictures. Check the disk’s space.',
  },
  'upload-failing': {
    title: 'Pictures do not reach the server',
    severity: 'warning',
    text: 'They wait on the disk; the oldest make room when the quota is reached, and are declared. Check evidence.server.',
  },
  // outbox, uplink
  'outbox-full': {
    title: 'The store is full',
    severity: 'critical',
    text: 'Events are given up in the declared order, or refused. Restore the line, or raise outbox.maxSize.',
  },
  'outbox-lost': {
    title: 'The store was damaged, or is gone',
    severity: 'critical',
    text: 'What could be read was taken over, and the rest declared. Check the disk’s health; a damaged store is kept beside the new one.',
  },
  'outbox-salvaging': {
    title: 'What can be read of a damaged store is being taken over',
    severity: 'warning',
    text: 'New events are stored and sent meanwhile; the old ones follow when it is done. Leave the device on.',
  },
  'ack-refused': {
    title: 'An acknowledgement of the consumer is refused',
    severity: 'warning',
    text: 'Nothing was removed for it. Check uplink.consumers, the consumer’s key, and who may publish on down/ack.',
  },
  'uplink-deaf': {
    title: 'The broker lets this device not hear what is meant for it',
    severity: 'warning',
    text: 'Acknowledgements and configuration do not arrive. Check the broker’s access list for down/.',
  },
  'uplink-poison': {
    title: 'An event was given up, since the broker never takes it',
    severity: 'warning',
    text: 'It is declared in lane audit. Check the broker’s packet size and its rules for payloads.',
  },
  'device-twice': {
    title: 'Another device uses this device’s id',
    severity: 'critical',
    text: 'The broker cuts the one when the other comes. Look for a copy of this device, and give each its own device.id.',
  },
  'certificate-old': {
    title: 'The device’s certificate runs out',
    severity: 'warning',
    text: 'Two thirds of its life are over. Put a new one into its files; it is taken without a pause.',
  },
  'certificate-unusable': {
    title: 'The files of the certificate cannot be used',
    severity: 'warning',
    text: 'The line goes on with what it has. Check that certificate and key belong together and can be read.',
  },
  'peripheral-down': {
    title: 'A peripheral does not answer',
    severity: 'warning',
    text: 'Its port is opened again with backoff. Check its plug, its power and its address.',
  },
  'peripheral-degraded': {
    title: 'A peripheral has fallen silent',
    severity: 'info',
    text: 'Its last readings are old. When it goes on, its port is opened again.',
  },
  'peripheral-doubt': {
    title: 'Nobody knows whether a command was carried out',
    severity: 'critical',
    text: 'Look at the device, then say what is so with `outpost peripherals resolve`. Until then it moves, unlocks and prints nothing.',
  },
  'voice-silent': {
    title: 'Announcements cannot be heard',
    severity: 'warning',
    text: 'Check the sound device, the player (alsa-utils), espeak-ng and the recordings. Everything else goes on.',
  },
  'voice-effect': {
    title: 'A siren or strobe may still be on',
    severity: 'warning',
    text: 'It is told to switch off until it says yes. Look at it; after an unknown outcome `outpost peripherals resolve` is needed first.',
  },
  'power-ending': {
    title: 'The battery ends; so does the device',
    severity: 'critical',
    text: 'The agent ends in good order, and returns with the mains.',
  },
  'power-unordered': {
    title: 'The power supply was not told to cut its output',
    severity: 'critical',
    text: 'It may cut without a return: somebody may have to switch the device on. Look at the power supply.',
  },
  'uplink-undelivered': {
    title: 'The broker does not take the events',
    severity: 'warning',
    text: 'Events are kept on disk and offered again. Check the consumer and the broker’s access list.',
  },
} as const satisfies Record<string, HealthEntry>;

export type HealthCode = keyof typeof healthCodes;

export interface HealthCondition extends HealthEntry {
  readonly code: HealthCode;
  /** What it is about: `camera/front`, or the agent itself. */
  readonly subject: string;
  /** One clause of detail; never data about people, never a credential. */
  readonly detail: string;
  readonly sinceMs: number;
}

export class Health {
  readonly #conditions = new Map<string, HealthCondition>();
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Raises a condition, or refreshes its detail; `since` stays that of the first time. */
  set(code: HealthCode, subject: string, detail: string): void {
    const key = `${code} ${subject}`;
    const before = this.#conditions.get(key);
    if (before?.detail === detail) return;
    const sinceMs = before?.sinceMs ?? this.#clock.wallMs();
    this.#conditions.set(key, { code, subject, detail, sinceMs, ...healthCodes[code] });
    this.#changed();
  }

  clear(code: HealthCode, subject: string): void {
    if (this.#conditions.delete(`${code} ${subject}`)) this.#changed();
  }

  entries(): readonly HealthCondition[] {
    return [...this.#conditions.values()];
  }

  /** The gravest severity that holds now, or `ok`. */
  worst(): Severity | 'ok' {
    const held = new Set([...this.#conditions.values()].map(({ severity }) => severity));
    return (['critical', 'warning', 'info'] as const).find((severity) => held.has(severity)) ?? 'ok';
  }

  /** @returns a function that ends the subscription */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
