/** `outpost models`: what is known, what is here, how to get it, whether it is sound. */
import { Command } from 'commander';
import { formatBytes } from '#agent/core/bytes.ts';
import { exitCodes, note, print, printJson, printTable } from './output.ts';
import { untilStopped } from './running.ts';

const examples = `
Examples:
  outpost models list
  outpost models pull yolox-nano              from the first source that answers
  outpost models pull yolox-nano --from yolox_nano_416x416.onnx
  outpost models verify                       hashes, and a picture with known results through each that is here

Weights are kept in $XDG_CACHE_HOME/outpost/models (~/.cache/outpost/models), and looked for in the folders of
OUTPOST_MODELS. A model of your own is a folder with a manifest.json: see models/README.md.`;

const cacheHelp = 'where weights are kept, instead of the user’s cache';

export const modelsCommand = (): Command =>
  new Command('models')
    .description('list, pull and verify detection models')
    .addHelpText('after', examples)
    .addCommand(
      new Command('list')
        .description('models that Outpost knows')
        .option('--cache <folder>', cacheHelp)
        .option('--json', 'one JSON array')
        .action(list),
    )
    .addCommand(
      new Command('pull')
        .description('bring the weights of a model onto this machine, checked by their sha256')
        .argument('[name]', 'model', 'yolox-nano')
        .option('--from <file>', 'a file that is already here, instead of a download')
        .option('--force', 'pull although it is here')
        .option('--cache <folder>', cacheHelp)
        .option('--json', 'one JSON object')
        .action(pull),
    )
    .addCommand(
      new Command('verify')
        .description('check the weights that are here, and find what is known to be in a picture')
        .argument('[name...]', 'models, or folders of your own; all that are here when absent')
        .option('--cache <folder>', cacheHelp)
        .option('--json', 'one JSON array')
        .action(verify),
    );

interface Places {
  readonly cache?: string;
  readonly json?: boolean;
}

const placesOf = ({ cache }: Places): { readonly cacheDir?: string } =>
  cache === undefined ? {} : { cacheDir: cache };

async function list(options: Places): Promise<void> {
  const { modelNames, readManifest, resolveModel } = await import('#models/registry.ts');
  const rows = await Promise.all(
    modelNames.map(async (name) => {
      const { manifest } = await readManifest(name);
      const here = await resolveModel(name, placesOf(options)).then(
        ({ weightsPath }) => weightsPath,
        () => undefined,
      );
      const { title, weights, licence } = manifest;
      return { name, title, bytes: weights.bytes, licence: licence.weights, notice: licence.notice, path: here };
    }),
  );
  if (options.json) {
    printJson(rows);
    return;
  }
  printTable([
    ['name', 'what', 'size', 'licence', 'here'],
    ...rows.map(({ name, title, bytes, licence, path }) => [
      name,
      title,
      formatBytes(bytes ?? 0),
      licence,
      path ?? 'no',
    ]),
  ]);
}

interface PullChoice extends Places {
  readonly from?: string;
  readonly force?: boolean;
}

async function pull(name: string, options: PullChoice): Promise<void> {
  const { from, force, json } = options;
  const [{ pullModel }, { openScreen }] = await Promise.all([
    import('#models/pull/pull.ts'),
    import('./demo-screen.ts'),
  ]);
  const screen = openScreen(process.stderr.isTTY && !json ? 'table' : 'lines', process.stderr);
  const stop = untilStopped();
  const model = await pullModel(name, {
    ...placesOf(options),
    ...(from === undefined ? {} : { from }),
    force: force ?? false,
    signal: stop.signal,
    onProgress: (progress) => screen.progress(name, progress),
  });
  const { licence } = model.manifest;
  if (json) printJson({ name, path: model.weightsPath, licence: licence.weights, notice: licence.notice });
  else print(`${name}: ${model.weightsPath}\n${licence.weights}: ${licence.notice}`);
}

async function verify(names: readonly string[], options: Places): Promise<void> {
  const [{ modelNames, resolveModel }, { verifyModel }, { toOutpostError }] = await Promise.all([
    import('#models/registry.ts'),
    import('#agent/vision/verify.ts'),
    import('#agent/core/errors.ts'),
  ]);
  const results: { name: string; ok: boolean; detail: string }[] = [];
  for (const name of names.length > 0 ? names : modelNames) {
    try {
      const model = await resolveModel(name, placesOf(options));
      const { picture, differences, inferenceMs } = await verifyModel(model);
      const found = differences.length === 0 ? 'as it should' : differences.join('; ');
      const detail = `${model.weightsPath}: opens, and sees a ${picture} picture ${found} (${inferenceMs.toFixed(0)} ms)`;
      results.push({ name, ok: differences.length === 0, detail });
    } catch (thrown) {
      const error = toOutpostError(thrown);
      // Of all that are known, one that was never pulled is nothing to complain of.
      if (names.length === 0 && error.code === 'model-missing') note(`${name} is not here`);
      else results.push({ name, ok: false, detail: `${error.message} ${error.hint}` });
    }
  }
  if (options.json) printJson(results);
  else for (const { name, ok, detail } of results) print(`${ok ? 'ok  ' : 'FAIL'}  ${name}  ${detail}`);
  if (results.length === 0 || results.some(({ ok }) => !ok)) process.exitCode = exitCodes.negative;
}
