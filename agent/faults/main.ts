/**
 * The faults as a table that anyone can make again.
 *
 *   npm run test:faults [-- --count N --only NAME[,NAME] --small --json --help]
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

const usage = `Injects faults and counts what is lost: npm run test:faults [-- OPTIONS], as root

  --only NAME[,NAME]   these faults alone
  --count N            runs of each, instead of those in the list
  --small              the small count of each
  --json               one JSON array

Examples:
  npm run test:faults                                    everything, some hours
  npm run test:faults -- --only kill,power-cut --count 20

Faults, runs, small runs:
${faults.map(({ name, full, small }) => `  ${name.padEnd(22)} ${String(full).padStart(9)} ${String(small).padStart(6)}`).join('\n')}
`;

function choose() {
  try {
    const { values } = parseArgs({
      options: {
        count: { type: 'string' },
        only: { type: 'string' },
        small: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false, short: 'h' },
      },
    });
    const only = values.only?.split(',');
    const unknown = only?.filter((name) => !faults.some((fault) => fault.name === name)) ?? [];
    if (unknown.length > 0) throw new Error(`No fault is named ${unknown.join(' or ')}.`);
    const count = values.count === undefined ? undefined : Number(values.count);
    if (count !== undefined && !(Number.isInteger(count) && count > 0))
      throw new Error('--count is a number from 1 on.');
    return { ...values, count, chosen: faults.filter(({ name }) => only?.includes(name) ?? true) };
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

const { chosen, ...values } = choose();
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}

const rows: { readonly fault: Fault; readonly outcome: Outcome | undefined; readonly why: string }[] = [];
for (const fault of chosen) {
  const missing = fault.needs.flatMap((need) => need() ?? []);
  const count = values.count ?? (values.small ? fault.small : fault.full);
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
