/** All commands, in the order of `--help`. What a command needs beyond its options is imported when it runs. */
import { Command, CommanderError } from 'commander';
import { benchCommand } from './bench.ts';
import { checkConfigCommand } from './check-config.ts';
import { demoCommand } from './demo.ts';
import { driversCommand } from './drivers.ts';
import { evalCommand } from './eval.ts';
import { generateCommand } from './generate.ts';
import { endWhenNobodyReads, exitCodes, print, reportError } from './output.ts';
import { doctorCommand } from './doctor.ts';
import { installCommand, uninstallCommand } from './install.ts';
import { keysCommand } from './keys.ts';
import { licensesCommand } from './licenses.ts';
import { modelsCommand } from './models.ts';
import { peripheralsCommand } from './peripherals.ts';
import { replayCommand } from './replay.ts';
import { runCommand } from './run.ts';
import { simulateCommand } from './simulate.ts';
import { sinkCommand } from './sink.ts';
import { statusCommand } from './status.ts';
import { verifyCommand } from './verify.ts';
import { versionText } from './version.ts';
import { voiceCommand } from './voice.ts';

const exitCodeHelp = `
Exit codes: 0 done · 1 the answer is no · 2 wrong command line · 3 wrong configuration or input ·
4 a device, server or the network failed · 5 a limit was reached · 70 a bug in Outpost`;

/** Commands that were built alone end the process on a mistake: these throw it, like the program they belong to. */
function inherit(parent: Command): Command {
  for (const command of parent.commands) inherit(command.copyInheritedSettings(parent));
  return parent;
}

/** @param json for what is answered while the words are still read */
export function program(json: boolean): Command {
  const root = new Command('outpost')
    // so that a command with commands of its own leaves them their options
    .enablePositionalOptions()
    .description('Watches cameras on the device, and tells what matters upstream, losing nothing.')
    .option('-V, --version', 'version, commit and hashes of what is inside; with --json for scripts')
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
    .addCommand(installCommand())
    .addCommand(uninstallCommand())
    .addCommand(sinkCommand())
    .addCommand(verifyCommand())
    .addCommand(keysCommand())
    .addCommand(simulateCommand())
    .addCommand(evalCommand())
    .addCommand(benchCommand())
    .addCommand(licensesCommand())
    .addCommand(generateCommand(), { hidden: true })
    .exitOverride();
  root.on('option:version', () => {
    print(versionText(json));
    throw new CommanderError(exitCodes.ok, 'commander.version', '');
  });
  return inherit(root);
}

/** @param argv as in process.argv: the first two are skipped */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  endWhenNobodyReads();
  const json = argv.includes('--json');
  try {
    await program(json).parseAsync(argv);
  } catch (thrown) {
    if (thrown instanceof CommanderError) process.exitCode = thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    else reportError(thrown, json);
  }
}
