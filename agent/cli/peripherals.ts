/** `outpost peripherals`: the devices of the running agent, and the word of a human who has looked at one. */
import { Command } from 'commander';
import type { Status } from '#agent/outpost.ts';
import { exitCodes, print, printJson, printTable } from './output.ts';
import { type AgentChoice, onAgent, socketOf } from './local-agent.ts';

const examples = `
Examples:
  outpost peripherals
  outpost peripherals --json | jq '.[] | {id, phase, readings}'
  outpost peripherals resolve front-door      after an unknown outcome, when you have seen the door yourself

After an unknown outcome nothing that moves, unlocks, prints, alarms or switches power is done by that device until it is
resolved: the state is asked first, then a human.`;

export const peripheralsCommand = (): Command =>
  onAgent(new Command('peripherals').description('devices of the running agent: phase, figures, newest readings'))
    .addHelpText('after', examples)
    .action(list)
    .addCommand(
      onAgent(
        new Command('resolve')
          .description('say that you have looked: an unknown outcome is settled')
          .argument('<id>', 'peripheral'),
      ).action(resolve),
    );

async function list(choice: AgentChoice): Promise<void> {
  const { askStatus } = await import('#agent/console/socket.ts');
  const { peripherals } = (await askStatus(await socketOf(choice))) as Status;
  if (choice.json) {
    printJson(peripherals);
    return;
  }
  if (peripherals.length === 0) print('No peripherals are configured.');
  for (const { id, driver, phase, identity, port, readings, doubt, error } of peripherals) {
    print(`${id}  ${driver} at ${port}  ${phase}  ${identity ? Object.values(identity).join(', ') : ''}`.trimEnd());
    if (error !== undefined) print(`  ${error}`);
    if (doubt) print(`  IN DOUBT: ${doubt.action} at ${doubt.at}: ${doubt.reason}`);
    const rows = Object.entries(readings).map(([name, value]) => [`  ${name}`, JSON.stringify(value)]);
    if (rows.length > 0) printTable(rows);
  }
}

async function resolve(id: string, _choice: AgentChoice, command: Command): Promise<void> {
  // the parent knows the same options, and takes those before the word
  const choice = command.optsWithGlobals<AgentChoice>();
  const { askResolve } = await import('#agent/console/socket.ts');
  const resolved = await askResolve(await socketOf(choice), id);
  if (choice.json) printJson({ id, resolved });
  else print(resolved ? `${id} is trusted again.` : `Nothing about ${id} was in doubt.`);
  if (!resolved) process.exitCode = exitCodes.negative;
}
