/** Processes of this machine, as a test may ask: who lives, and whose child. */
import { readdirSync, readFileSync } from 'node:fs';

/** False for a zombie too: it has ended. */
export function lives(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Children, and theirs, of a process. */
export function descendants(pid: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      if (parent) parents.set(Number(name), Number(parent));
    } catch {
      // it ended while we looked
    }
  }
  const found: number[] = [];
  for (let wave = [pid]; wave.length > 0;) {
    wave = [...parents].filter(([, parent]) => wave.includes(parent)).map(([child]) => child);
    found.push(...wave);
  }
  return found;
}
