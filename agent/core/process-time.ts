/** How long a process has had a processor, by Linux's own account. */
import { readFileSync } from 'node:fs';

/** proc(5): in /proc/PID/stat the 14th and 15th field, in ticks of which Linux shows 100 a second to every program. */
const ticksPerSecond = 100;

/** Of all its threads, user and system together. @throws a system error where there is no such process, or no /proc */
export function processSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // the second field is the program's name in brackets, which may hold spaces and brackets itself
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
