/** `outpost verify`: did everything arrive? The device's numbers against the sink's database. */
import { Command } from 'commander';
import type { LaneVerdict } from '#agent/sink/verify.ts';
import { exitCodes, print, printJson, printTable } from './output.ts';

const examples = `
Examples:
  outpost verify --database sqlite:sink.db                      by what devices said in up/state
  outpost verify --database postgres://outpost@localhost/city --device robot-07 --json
  outpost verify --database sqlite:sink.db --store /var/lib/outpost    against the device's own store

appended = received + late + dropped + lost. late: still waiting on the device, as its store or its last up/state says.
dropped: given up, and declared by the device. duplicates came again and were suppressed. Custody \`consumer\` loses
nothing: there, lost is 0. With up/state alone, gaps of a device whose lane audit is not complete count as late, since
the declaration may be on its way.

Exit code 1 when anything is lost.`;

interface VerifyChoice {
  readonly database: string;
  readonly store?: string;
  readonly device?: string;
  readonly json?: boolean;
}

export const verifyCommand = (): Command =>
  new Command('verify')
    .description('compare what devices sent with what a sink stored: late, duplicated, dropped, lost')
    .requiredOption('--database <url>', 'postgres://user@host/name, or sqlite:FILE')
    .option('--store <folder>', 'storage of one device; without it, what up/state told')
    .option('--device <id>', 'this device alone')
    .option('--json', 'one JSON object')
    .addHelpText('after', examples)
    .action(verifyAll);

async function verifyAll({ database: url, store: folder, device, json = false }: VerifyChoice): Promise<void> {
  const [{ openDatabase }, { readDeviceStore }, { verify }] = await Promise.all([
    import('#agent/sink/open-database.ts'),
    import('#agent/sink/device-store.ts'),
    import('#agent/sink/verify.ts'),
  ]);
  const store = folder === undefined ? undefined : readDeviceStore(folder);
  await using database = await openDatabase(url, 'read');
  const lanes = await verify(database, { ...(store ? { store } : {}), ...(device === undefined ? {} : { device }) });
  const total = totalOf(lanes);
  if (json) printJson({ lanes, total });
  else show(lanes, total);
  if (total.lost > 0) process.exitCode = exitCodes.negative;
}

const columns = ['appended', 'received', 'duplicates', 'late', 'dropped', 'lost'] as const;
type Total = Readonly<Record<(typeof columns)[number], number>>;

const totalOf = (lanes: readonly LaneVerdict[]): Total =>
  Object.fromEntries(columns.map((column) => [column, lanes.reduce((sum, lane) => sum + lane[column], 0)])) as Total;

function show(lanes: readonly LaneVerdict[], total: Total): void {
  printTable([
    ['device', 'epoch', 'lane', ...columns],
    ...lanes.map((lane) => [lane.device, lane.epoch.slice(0, 8), lane.lane, ...columns.map((column) => lane[column])]),
    ['all', '', '', ...columns.map((column) => total[column])],
  ]);
  const aside = lanes.reduce((sum, { rejected }) => sum + rejected, 0);
  const conflicts = lanes.reduce((sum, lane) => sum + lane.conflicts, 0);
  if (aside > 0) print(`Of the received, ${aside} were set aside as no events: table outpost_rejected.`);
  if (conflicts > 0) print(`${conflicts} came with the number of another and other content; the first is kept.`);
  for (const { device, lane, lostRanges } of lanes) {
    if (lostRanges.length === 0) continue;
    print(`lost of ${device}, ${lane}: ${lostRanges.map(([a, b]) => (a === b ? a : `${a}-${b}`)).join(', ')}`);
  }
}
