/** A week without a line, compressed: everything waits, nothing grows but the file. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { engineFlags } from '#agent/core/program.ts';
import type { Fault } from './fault.ts';

interface Week {
  readonly appended: number;
  readonly drained: number;
  readonly outOfOrder: number;
  readonly left: number;
  readonly seconds: number;
  readonly earlyMs: { readonly p50: number; readonly p99: number };
  readonly lateMs: { readonly p50: number; readonly p99: number };
  readonly earlyRss: number;
  readonly lateRss: number;
  readonly drainedRss: number;
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
/** Of the process, from a tenth of the events on. */
const mostGrowth = 1.3;

export const week: Fault = {
  name: 'week',
  point: 5,
  what: 'a week without a line, compressed: so many events of 1 KiB wait, then all are handed over in order',
  full: 1_000_000,
  small: 150_000,
  needs: [],
  async run(count, folder) {
    const script = resolve(import.meta.dirname, 'week.ts');
    // with V8 set as in the program itself
    const { stdout } = await promisify(execFile)(process.execPath, [...engineFlags, script, folder, String(count)]);
    const end = JSON.parse(stdout) as Week;
    const isFlat = Math.max(end.lateRss, end.drainedRss) <= mostGrowth * end.earlyRss;
    const rss = `memory ${mebibytes(end.earlyRss)} at first, ${mebibytes(end.lateRss)} with all, ${mebibytes(end.drainedRss)} after`;
    const { earlyMs, lateMs } = end;
    const append = `append p50 ${earlyMs.p50.toFixed(2)} and ${lateMs.p50.toFixed(2)} ms, p99 ${earlyMs.p99.toFixed(2)} and ${lateMs.p99.toFixed(2)} ms`;
    return {
      runs: count,
      acknowledged: end.appended,
      lost: end.appended - end.drained,
      wrong: end.outOfOrder + end.left,
      declared: 0,
      worstStartMs: 0,
      notes: [
        `${isFlat ? '' : 'FAILED '}${rss}`,
        `${append} (at first, and with all waiting); drained at ${Math.round(end.drained / end.seconds)}/s`,
      ],
    };
  },
};
