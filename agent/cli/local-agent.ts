/** Commands that speak to the agent on this device: how they find its socket. */
import type { Command } from 'commander';
import { deviceSchema } from './running.ts';

export interface AgentChoice {
  readonly config?: string;
  readonly socket?: string;
  readonly json?: boolean;
}

export const onAgent = (command: Command): Command =>
  command
    .option('-c, --config <file>', 'configuration file of the agent')
    .option('--socket <path>', 'its local socket, instead of the one of the configuration')
    .option('--json', 'JSON');

export async function socketOf({ config: file, socket }: AgentChoice): Promise<string> {
  if (socket !== undefined) return socket;
  const [{ socketPath }, { loadConfig }] = await Promise.all([
    import('#agent/console/socket.ts'),
    import('#config/load.ts'),
  ]);
  const { config } = await loadConfig({ schemaFor: deviceSchema, ...(file === undefined ? {} : { file }) });
  return socketPath(config.storage.path);
}
