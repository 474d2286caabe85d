/** `outpost licenses`: the notices of everything by others that is inside. */
import { Command } from 'commander';
import { assetPath, packaged } from '#agent/core/program.ts';
import { print } from './output.ts';

const examples = `
Examples:
  outpost licenses
  outpost licenses | less`;

export const licensesCommand = (): Command =>
  new Command('licenses')
    .description('print the licences of the works by others that are inside')
    .addHelpText('after', examples)
    .action(async () => {
      const inside = packaged();
      if (inside) return print(Buffer.from(inside.read('THIRD-PARTY-NOTICES')).toString('utf8'));
      const { sourceNotices } = await import('#packaging/notices.ts');
      print(await sourceNotices(assetPath()));
    });
