/**
 * A port that nobody else may open. flock(2), which serialport takes, keeps out only who asks for it; TIOCEXCL of
 * tty_ioctl(4) has the kernel refuse every further opening with EBUSY (but to root).
 *
 *   held --closed by us: TIOCNXCL--> free        held --process killed--> the kernel's last close frees it
 */
import { type Addon, openAddon } from '#agent/core/addon.ts';

type Exclusive = NonNullable<Addon['exclusive']>;
let known: { readonly exclusive: Exclusive | undefined } | undefined;

function exclusive(): Exclusive | undefined {
  known ??= { exclusive: find() };
  return known.exclusive;
}

function find(): Exclusive | undefined {
  try {
    return openAddon().exclusive;
  } catch {
    // then flock alone, which `doctor` says
    return undefined;
  }
}

/** Whether ports can be held so here: the addon is there. */
export const canRefuseOthers = (): boolean => exclusive() !== undefined;

/**
 * Whether a path is a port of the kernel's own serial drivers. A pseudo terminal keeps the flag as long as its other end
 * lives: after a kill, nobody but root could open it again.
 */
export const isKernelPort = (path: string): boolean => /^\/dev\/(tty|rfcomm)/.test(path);

/** Every other opening is refused until this is disposed of; call it when all descriptors of one's own are open. */
export function refuseOthers(fd: number): Disposable {
  const isHeld = exclusive()?.(fd, true) === 0;
  // a terminal that hung up refuses, and is nobody's
  return { [Symbol.dispose]: () => void (isHeld && exclusive()?.(fd, false)) };
}
