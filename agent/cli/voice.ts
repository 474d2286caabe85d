/** `outpost voice`: what the running agent says, said by hand, and its mute. */
import { Command } from 'commander';
import type { VoiceAnswer, VoiceOrder } from '#agent/console/socket.ts';
import { parseDuration } from '#agent/core/duration.ts';
import type { Status } from '#agent/outpost.ts';
import { type AgentChoice, onAgent, socketOf } from './local-agent.ts';
import { exitCodes, print, printJson } from './output.ts';

const examples = `
Examples:
  outpost voice                            what is said, what waits, whether it can be heard
  outpost voice announce leave-area        an announcement of the configuration, by its id
  outpost voice mute 30m                   nothing but alarms for half an hour; without a span until \`unmute\`
  outpost voice unmute`;

export const voiceCommand = (): Command =>
  onAgent(new Command('voice').description('announcements of the running agent: say one, mute, unmute'))
    .addHelpText('after', examples)
    .action(show)
    .addCommand(
      onAgent(
        new Command('announce').description('say it when its turn comes').argument('<id>', 'announcement'),
      ).action(async (id: string, _choice: AgentChoice, command: Command) => await order('announce', id, command)),
    )
    .addCommand(
      onAgent(
        new Command('mute').description('nothing but alarms').argument('[span]', 'such as 30m; absent: until unmute'),
      ).action(mute),
    )
    .addCommand(
      onAgent(new Command('unmute').description('say everything again')).action(
        async (_choice: AgentChoice, command: Command) => await order('unmute', undefined, command),
      ),
    );

async function show(choice: AgentChoice): Promise<void> {
  const { askStatus } = await import('#agent/console/socket.ts');
  const { voice } = (await askStatus(await socketOf(choice))) as Status;
  if (choice.json) printJson(voice ?? null);
  else if (!voice) print('The voice is off: no announcements are configured (voice.announcements).');
  else {
    const { playing, waiting, mutedUntil, ended, silent, owed } = voice;
    print(
      `says ${playing ?? 'nothing'}, ${waiting} wait${mutedUntil === undefined ? '' : `, muted until ${mutedUntil}`}`,
    );
    print(
      Object.entries(ended)
        .map(([ending, count]) => `${ending} ${count}`)
        .join(', '),
    );
    if (silent !== undefined) print(`not heard: ${silent}`);
    if (owed > 0) print(`still to be switched off: ${owed}`);
  }
}

async function mute(span: string | undefined, _choice: AgentChoice, command: Command): Promise<void> {
  const ms = span === undefined ? undefined : parseDuration(span);
  if (span !== undefined && ms === undefined) {
    command.error(`error: ${span} is no span; write 30m or 2h`, { exitCode: exitCodes.usage });
  }
  await order('mute', ms === undefined ? undefined : String(Math.round(ms)), command);
}

async function order(name: VoiceOrder, argument: string | undefined, command: Command): Promise<void> {
  // the parent knows the same options, and takes those before the word
  const choice = command.optsWithGlobals<AgentChoice>();
  const { askVoice } = await import('#agent/console/socket.ts');
  const answer: VoiceAnswer = await askVoice(await socketOf(choice), name, argument);
  if (choice.json) printJson(answer);
  else print(answer.reason ?? answer.status);
  if (answer.status === 'refused') process.exitCode = exitCodes.negative;
}
