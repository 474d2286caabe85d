/**
 * outpost(1), from the commands themselves: what `--help` says, as one page.
 *
 *   commander's tree --> NAME, SYNOPSIS, COMMANDS with their options, FILES, EXIT STATUS --> roff, man(7)
 */
import type { Command, Help } from 'commander';
import { folders, places, unitName } from './layout.ts';

export interface ManPage {
  readonly version: string;
  /** Seconds since 1970. */
  readonly epoch: number;
}

/** @param root the whole program */
export function manPage(root: Command, { version, epoch }: ManPage): string {
  const help = root.createHelp();
  const day = new Date(epoch * 1000).toISOString().slice(0, 10);
  return `${[
    `.TH OUTPOST 1 ${day} "outpost ${version}" "User Commands"`,
    '.SH NAME',
    'outpost \\- program inside patrol robots, kiosks and unmanned police stations',
    '.SH SYNOPSIS',
    '.B outpost',
    '.RI [ options ] " command " [ arguments ]',
    '.SH DESCRIPTION',
    line(root.description()),
    '.PP',
    'Each command explains itself, with examples:',
    `.B ${literal('outpost help')}`,
    '.IR command .',
    '.SH OPTIONS',
    ...optionsOf(help, root),
    '.SH COMMANDS',
    ...commandsBelow(help, root),
    '.SH FILES',
    ...filesSection(),
    '.SH EXIT STATUS',
    ...exitStatus.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, line(meaning)]),
    '.SH SEE ALSO',
    '.BR systemctl (1),',
    '.BR journalctl (1)',
  ].join('\n')}\n`;
}

const exitStatus = [
  ['0', 'Done.'],
  ['1', 'The answer is no.'],
  ['2', 'Wrong command line.'],
  ['3', 'Wrong configuration or input.'],
  ['4', 'A device, a server or the network failed.'],
  ['5', 'A limit was reached.'],
  ['70', 'A bug in Outpost.'],
] as const;

/** Those with commands of their own are described by these. */
function commandsBelow(help: Help, command: Command, before = ''): readonly string[] {
  return help
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help')
    .flatMap((each) => {
      const name = `${before}${each.name()}`;
      const own = help.visibleArguments(each).map((argument) => ` ${help.argumentTerm(argument)}`);
      const deeper = commandsBelow(help, each, `${name} `);
      const words = `${name}${own.join('')}`;
      const about = [`.SS ${literal(words)}`, line(each.description()), ...optionsOf(help, each)];
      return [...about, ...deeper];
    });
}

const optionsOf = (help: Help, command: Command): readonly string[] =>
  help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .flatMap((option) => ['.TP', `.B ${literal(help.optionTerm(option))}`, line(help.optionDescription(option))]);

function filesSection(): readonly string[] {
  const means = {
    configuration: 'Configuration.',
    state: 'Events that wait, identity.',
    cache: 'What the program unpacked.',
  };
  const files: (readonly [string, string])[] = [
    [places.config, 'The configuration: every key with its default, commented out.'],
    ...folders.filter(({ holds }) => holds !== 'configuration').map(({ path, holds }) => [path, means[holds]] as const),
    [unitName, 'The unit of systemd.'],
    [places.docs, 'From a bare board to a running camera; every key of the configuration; licences.'],
  ];
  return files.flatMap(([path, what]) => ['.TP', `.I ${literal(path)}`, line(what)]);
}

/** A backslash would begin an escape, a dot or an apostrophe at the beginning a request. */
const line = (text: string): string =>
  text
    .trim()
    .split(/\s*\n\s*/)
    .map((each) => each.replaceAll('\\', '\\e').replace(/^(?=[.'])/, '\\&'))
    .join('\n');

/** What is typed as it stands: hyphens are minus signs. */
const literal = (text: string): string => line(text).replaceAll('-', '\\-').replaceAll('"', '\\(dq');
