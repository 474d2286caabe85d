/**
 * The door to the service manager that started us: systemd, or whoever listens on NOTIFY_SOCKET (sd_notify(3)).
 *
 *   tell({ READY: 1, STATUS: '…' }) --notify.node--> datagram on $NOTIFY_SOCKET
 *
 * An addon of our own (packaging/notify), since Node sends no datagrams to Unix sockets: agent/decisions/018.
 */
import { getSystemErrorMap } from 'node:util';
import { openAddon } from './addon.ts';
import { messageOf, OutpostError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the service manager asked for. */
export interface ServiceRequest {
  /** A path, or a name of the abstract namespace after an `@`. */
  readonly socket: string;
  /** It wants to hear WATCHDOG=1 at least this often, or it ends the process. */
  readonly watchdogMs: number | undefined;
}

export interface ServiceManager {
  readonly watchdogMs: number | undefined;
  /**
   * One message of several lines. Never blocks, never throws.
   * @returns why it was not taken, or undefined
   */
  tell(lines: Readonly<Record<string, string | number>>): string | undefined;
}

/** @returns undefined where nobody listens */
export function serviceRequest(environment: Environment, pid: number): ServiceRequest | undefined {
  const socket = environment['NOTIFY_SOCKET'];
  if (!socket || !/^[/@]./.test(socket)) return undefined;
  const micros = Number(environment['WATCHDOG_USEC']);
  // sd_watchdog_enabled(3): a parent may have been meant.
  const isMeant = [undefined, '', String(pid)].includes(environment['WATCHDOG_PID']);
  return { socket, watchdogMs: isMeant && Number.isFinite(micros) && micros > 0 ? micros / 1_000 : undefined };
}

/**
 * Takes the request out of the environment, so that no child takes it for its own.
 * @returns undefined where nobody listens
 */
export function takeServiceRequest(): ServiceRequest | undefined {
  const request = serviceRequest(process.env, process.pid);
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete process.env[name];
  return request;
}

/** Folders that systemd made for the service (systemd.exec(5)); the first where it made several. */
export interface ServiceFolders {
  readonly state: string | undefined;
  readonly configuration: string | undefined;
}

export const serviceFolders = (environment: Environment = process.env): ServiceFolders => {
  const first = (name: string): string | undefined => environment[name]?.split(':', 1)[0] || undefined;
  return { state: first('STATE_DIRECTORY'), configuration: first('CONFIGURATION_DIRECTORY') };
};

/** @returns errno, or 0 */
export type Send = (address: string, text: string) => number;

/** The addon takes texts up to this. */
const mostBytes = 4_000;

/** @throws OutpostError `notify-unavailable` */
export const openServiceManager = (
  { socket, watchdogMs }: ServiceRequest,
  send: Send = addonSend(),
): ServiceManager => ({
  watchdogMs,
  tell(lines) {
    const text = Object.entries(lines)
      .map(([key, value]) => `${key}=${String(value).replaceAll(/[\n\r]+/g, ' ')}`)
      .join('\n');
    const errno = send(socket, Buffer.from(text).subarray(0, mostBytes).toString('utf8'));
    return errno === 0 ? undefined : (getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`);
  },
});

function addonSend(): Send {
  try {
    return openAddon().send;
  } catch (cause) {
    throw new OutpostError('notify-unavailable', `The addon for systemd cannot be opened: ${messageOf(cause)}.`, {
      cause,
    });
  }
}
