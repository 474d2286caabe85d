/** `outpost check-config`: every value and who said it, or everything that is wrong. */
import { Command } from 'commander';
import type { LoadOptions, ReadResult } from '#config/load.ts';
import { exitCodes, print, printJson, printTable } from './output.ts';
import { deviceSchema } from './running.ts';

interface Options {
  readonly profile?: string;
  readonly json?: boolean;
}

const help = `
Examples:
  $ outpost check-config                          ./outpost.yaml, else /etc/outpost/outpost.yaml
  $ outpost check-config site.yaml --profile kiosk
  $ outpost check-config site.yaml --json | jq .problems

Exit code 0: it can be used. 3: it cannot; each problem is one line, FILE:LINE:COLUMN: PATH: what (what to write).`;

export function checkConfigCommand(): Command {
  return new Command('check-config')
    .summary('print every value of the configuration and where it came from')
    .description('Checks a configuration: prints every value and where it came from, or every problem with its place.')
    .argument('[file]', 'the configuration; by default ./outpost.yaml, then /etc/outpost/outpost.yaml')
    .option('--profile <name>', 'use the defaults of this profile: patrol-robot, kiosk or station')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action(checkConfig);
}

async function checkConfig(file: string | undefined, { profile, json }: Options): Promise<void> {
  const [{ searchedFiles }, { explain }, { problemText }] = await Promise.all([
    import('#config/load.ts'),
    import('#config/explain.ts'),
    import('#config/problem.ts'),
  ]);
  const schema = await deviceSchema();
  const result = await readWithFiles({ file, profile, schemaFor: async () => await Promise.resolve(schema) });
  const values = result.ok ? explain(result, schema) : [];
  const problems = result.ok ? [] : result.problems;
  if (!result.ok) process.exitCode = exitCodes.config;
  if (json === true) {
    printJson({ ok: result.ok, file: result.file ?? null, values, problems });
    return;
  }
  for (const problem of problems) print(problemText(problem));
  if (!result.ok) {
    print(`\n${result.file ?? 'The configuration'} cannot be used: ${count(problems.length, 'problem')}.`);
    return;
  }
  printTable([
    ['key', 'value', 'from'],
    ...values.map(({ path, value, unit, origin }) => [path, withUnit(value, unit), origin]),
  ]);
  print(`\n${result.file ?? `Defaults alone: there is neither ${searchedFiles.join(' nor ')}`}: it can be used.`);
}

/** As read, and found wanting too when a file or an action that it names is not there. */
async function readWithFiles(options: LoadOptions): Promise<ReadResult> {
  const [{ placed, readConfig }, { fileComplaints }, { deviceComplaints }] = await Promise.all([
    import('#config/load.ts'),
    import('./check-files.ts'),
    import('./check-devices.ts'),
  ]);
  const result = await readConfig(options);
  const complaints = result.ok
    ? [...(await fileComplaints(result.config)), ...(await deviceComplaints(result.config))]
    : [];
  if (!result.ok || complaints.length === 0) return result;
  const problems = complaints.map((complaint) => placed(complaint, result.originOf(complaint.path)));
  return { ok: false, file: result.file, problems };
}

const count = (amount: number, what: string): string => `${amount} ${what}${amount === 1 ? '' : 's'}`;

const withUnit = (value: string, unit: string | undefined): string => (unit === undefined ? value : `${value} ${unit}`);
