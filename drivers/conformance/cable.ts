/** Two pseudo terminals joined like a null modem, for a third-party program at each end, or ours at one. */
import { openPty, type Pty } from '../pty.ts';
import { clock } from './rig.ts';

export interface Cable extends AsyncDisposable {
  readonly paths: readonly [string, string];
}

export function openCable(): Cable {
  const [a, b] = [openPty(clock), openPty(clock)];
  join(a, b);
  join(b, a);
  return {
    paths: [a.path, b.path],
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
    },
  };
}

function join(from: Pty, to: Pty): void {
  from.attach({ onBytes: (bytes) => void to.write(bytes.slice()).catch(() => undefined), onClosed: () => undefined });
}
