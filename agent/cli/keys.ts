/** `outpost keys`: makes the key with which a consumer signs, and says what the devices are to believe. */
import { Command } from 'commander';
import { print, printJson } from './output.ts';

const examples = `
Examples:
  outpost keys new consumer.pem             a new key; its public half is printed
  outpost keys show consumer.pem --json     the public half again

The private key stays in its file, which nobody else may read. The public half goes into \`uplink.consumers\` of the devices.`;

interface KeysOptions {
  readonly json?: boolean;
}

export const keysCommand = (): Command =>
  new Command('keys')
    .description('the key with which a consumer signs')
    .addHelpText('after', examples)
    .addCommand(
      new Command('new')
        .description('makes a key, and refuses to write over one')
        .argument('<file>', 'where the private key goes')
        .option('--json', 'one JSON object')
        .action(make),
    )
    .addCommand(
      new Command('show')
        .description('the public half of a key')
        .argument('<file>', 'a private key, PKCS #8 in PEM')
        .option('--json', 'one JSON object')
        .action(show),
    );

async function make(file: string, options: KeysOptions): Promise<void> {
  const [{ writeFile }, { newKey }, { messageOf, OutpostError }] = await Promise.all([
    import('node:fs/promises'),
    import('#agent/trust/keys.ts'),
    import('#agent/core/errors.ts'),
  ]);
  try {
    await writeFile(file, newKey().privatePem, { flag: 'wx', mode: 0o600, flush: true });
  } catch (thrown) {
    throw new OutpostError('output-unwritable', messageOf(thrown), { context: { file }, cause: thrown });
  }
  await show(file, options);
}

async function show(file: string, { json }: KeysOptions): Promise<void> {
  const { readSigner } = await import('#agent/trust/keys.ts');
  const { kid, publicBase64 } = await readSigner(file);
  if (json) printJson({ file, kid, publicKey: publicBase64 });
  else {
    print(`uplink:\n  consumers:\n    - ${publicBase64}`);
    print(`# kid ${kid}`);
  }
}
