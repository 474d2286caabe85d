/** All commands, in the order of `--help`. What a command needs beyond its options is imported when it runs. */
import { Command, CommanderError } from 'commander';
import { version } from '#agent/core/version.ts';
import { benchCommand } from './bench.ts';
import { checkConfigCommand } from './check-config.ts';
import { demoCommand } from './demo.ts';
import { driversCommand } from './drivers.ts';
import { evalCommand } from './eval.ts';
import { generateCommand } from './generate.ts';
import { endWhenNobodyReads, exitCodes, reportError } from './output.ts';
import { doctorCommand } from './doctor.ts';
import { keysCommand } from './keys.ts';
import { modelsCommand } from './models.ts';
import { peripheralsCommand } from './peripherals.ts';
import { replayCommand } from './replay.ts';
import { runCommand } from './run.ts';
import { simulateCommand } from './simulate.ts';
import { sinkCommand } from './sink.ts';
import { statusCommand } from './status.ts';
import { verifyCommand } from './verify.ts';
import { voiceCommand } from './voice.ts';

const exitCodeHelp = `
Exit codes: 0 done · 1 the answer is no · 2 wrong command line · 3 wrong configuration or input ·
4 a device, server or the network failed · 5 a limit was reached · 70 a bug in Outpost`;

/** Commands that were built alone end the process on a mistake: these throw it, like the program they belong to. */
function inherit(parent: Command): Command {
  for (const command of parent.commands) inherit(command.copyInheritedSettings(parent));
  return parent;
}

function program(): Command {
  const root = new Command('outpost')
    .description('Watches cameras on the device, and tells what matters upstream, losing nothing.')
    .version(version)
    .showHelpAfterError('(run with --help for examples)')
    .addHelpText('after', exitCodeHelp)
    .addCommand(runCommand())
    .addCommand(demoCommand())
    .addCommand(replayCommand())
    .addCommand(checkConfigCommand())
    .addCommand(modelsCommand())
    .addCommand(driversCommand())
    .addCommand(statusCommand())
    .addCommand(peripheralsCommand())
    .addCommand(voiceCommand())
    .addCommand(doctorCommand())
    .addCommand(sinkCommand())
    .addCommand(verifyCommand())
    .addCommand(keysCommand())
    .addCommand(simulateCommand())
    .addCommand(evalCommand())
    .addCommand(benchCommand())
    .addCommand(generateCommand(), { hidden: true })
    .exitOverride();
  return inherit(root);
}

/** @param argv as in process.argv: the first two are skipped */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  endWhenNobodyReads();
  try {
    await program().parseAsync(argv);
  } catch (thrown) {
    if (thrown instanceof CommanderError) process.exitCode = thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    else reportError(thrown, argv.includes('--json'));
  }
}
