/** Resident memory of another process, from Linux's /proc (proc_pid_statm(5)). */
import { readFileSync } from 'node:fs';

const pageBytes = 4096;

/** @returns bytes; 0 when the process is gone or /proc is not there */
export function residentBytes(pid: number): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    return Number.isFinite(pages) ? pages * pageBytes : 0;
  } catch {
    return 0;
  }
}
