/** Resident memory of a process, from Linux's /proc (proc_pid_status(5)): in kibibytes there, whatever a page is. */
import { readFileSync } from 'node:fs';

/** @returns bytes; 0 when the process is gone or /proc is not there */
export function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
