/**
 * The faults as a table that anyone can make again.
 *
 *   npm run test:faults [-- --count N --only NAME[,NAME] --small --json]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Fault, held, type Outcome } from './fault.ts';
import { chainFaults } from './chain-faults.ts';
import { peerFaults } from './peer-faults.ts';
import { storeFaults } from './store-faults.ts';
import { week } from './week-fault.ts';

const faults: readonly Fault[] = [...storeFaults, week, ...chainFaults, ...peerFaults].sort(
  (a, b) => a.point - b.point,
);

const { values } = parseArgs({
  options: {
    count: { type: 'string' },
    only: { type: 'string' },
    small: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const only = values.only?.split(',');
const chosen = faults.filter(({ name }) => only?.includes(name) ?? true);
if (chosen.length === 0)
  throw new Error(`No fault is named so. There are: ${faults.map(({ name }) => name).join(', ')}`);

const rows: { readonly fault: Fault; readonly outcome: Outcome | undefined; readonly why: string }[] = [];
for (const fault of chosen) {
  const missing = fault.needs.flatMap((need) => need() ?? []);
  const count = values.count === undefined ? (values.small ? fault.small : fault.full) : Number(values.count);
  const folder = await mkdtemp(join(tmpdir(), 'outpost-faults-'));
  try {
    process.stderr.write(`${fault.name} x ${count} …\n`);
    const outcome = missing.length > 0 ? undefined : await fault.run(count, folder);
    rows.push({ fault, outcome, why: missing.join('; ') });
    for (const note of outcome?.notes ?? []) process.stderr.write(`  ${note}\n`);
  } catch (thrown) {
    rows.push({ fault, outcome: undefined, why: String((thrown as Error).stack) });
    process.stderr.write(`  FAILED: ${String((thrown as Error).stack)}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (values.json) {
  process.stdout.write(
    `${JSON.stringify(rows.map(({ fault, outcome, why }) => ({ name: fault.name, ...outcome, why })))}\n`,
  );
} else {
  const head = '| point | fault | runs | acknowledged | lost | wrong | declared | longest start | holds |';
  process.stdout.write(`${head}\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n`);
  for (const { fault, outcome, why } of rows) process.stdout.write(`${line(fault, outcome, why)}\n`);
}
process.exitCode = rows.every(({ fault, outcome }) => fault.isPeer === true || (outcome && held(outcome))) ? 0 : 1;

function line({ point, name, what, isPeer = false }: Fault, outcome: Outcome | undefined, why: string): string {
  const cells = outcome
    ? [
        outcome.runs,
        outcome.acknowledged,
        outcome.lost,
        outcome.wrong,
        outcome.declared,
        `${outcome.worstStartMs} ms`,
        isPeer ? 'a peer' : held(outcome) ? 'yes' : 'NO',
      ]
    : ['', '', '', '', '', '', `not run: ${why.split('\n')[0]}`];
  return `| ${[point, `${name}: ${what}`, ...cells].join(' | ')} |`;
}
