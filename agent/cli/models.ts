/** `outpost models`: what is known, what is here, how to get it, whether it is sound. */
import { Command } from 'commander';
import type { Model } from '#models/model.ts';
import { exitCodes, note, print, printJson, printTable } from './output.ts';
import { untilStopped } from './running.ts';

const examples = `
Examples:
  outpost models list
  outpost models pull yolox-nano              from the first source that answers
  outpost models pull yolox-nano --from yolox_nano_416x416.onnx
  outpost models verify                       hashes, and one inference of each that is here

Weights are kept in $XDG_CACHE_HOME/outpost/models (~/.cache/outpost/models), and looked for in the folders of
OUTPOST_MODELS. A model of your own is a folder with a manifest.json: see models/README.md.`;

export const modelsCommand = (): Command =>
  new Command('models')
    .description('list, pull and verify detection models')
    .addHelpText('after', examples)
    .addCommand(
      new Command('list').description('models that Outpost knows').option('--json', 'one JSON array').action(list),
    )
    .addCommand(
      new Command('pull')
        .description('bring the weights of a model onto this machine, checked by their sha256')
        .argument('[name]', 'model', 'yolox-nano')
        .option('--from <file>', 'a file that is already here, instead of a download')
        .option('--force', 'pull although it is here')
        .option('--json', 'one JSON object')
        .action(pull),
    )
    .addCommand(
      new Command('verify')
        .description('check the weights that are here, and run each once')
        .argument('[name...]', 'models; all that are here when absent')
        .option('--json', 'one JSON array')
        .action(verify),
    );

interface Json {
  readonly json?: boolean;
}

async function list({ json }: Json): Promise<void> {
  const { modelNames, readManifest, resolveModel } = await import('#models/registry.ts');
  const rows = await Promise.all(
    modelNames.map(async (name) => {
      const { manifest } = await readManifest(name);
      const here = await resolveModel(name).then(
        ({ weightsPath }) => weightsPath,
        () => undefined,
      );
      const { title, weights, licence } = manifest;
      return { name, title, bytes: weights.bytes, licence: licence.weights, notice: licence.notice, path: here };
    }),
  );
  if (json) printJson(rows);
  else {
    printTable([
      ['name', 'what', 'licence', 'here'],
      ...rows.map(({ name, title, licence, path }) => [name, title, licence, path ?? 'no']),
    ]);
  }
}

interface PullChoice extends Json {
  readonly from?: string;
  readonly force?: boolean;
}

async function pull(name: string, { from, force, json }: PullChoice): Promise<void> {
  const { pullModel } = await import('#models/pull/pull.ts');
  const { openScreen } = await import('./demo-screen.ts');
  const screen = openScreen(process.stderr.isTTY && !json ? 'table' : 'lines', process.stderr);
  const stop = untilStopped();
  const model = await pullModel(name, {
    ...(from === undefined ? {} : { from }),
    force: force ?? false,
    signal: stop.signal,
    onProgress: (progress) => screen.progress(name, progress),
  });
  const { licence } = model.manifest;
  if (json) printJson({ name, path: model.weightsPath, licence: licence.weights, notice: licence.notice });
  else print(`${name}: ${model.weightsPath}\n${licence.weights}: ${licence.notice}`);
}

async function verify(names: readonly string[], { json }: Json): Promise<void> {
  const { modelNames, resolveModel } = await import('#models/registry.ts');
  const results: { name: string; ok: boolean; detail: string }[] = [];
  for (const name of names.length > 0 ? names : modelNames) {
    try {
      results.push({ name, ok: true, detail: await runOnce(await resolveModel(name)) });
    } catch (thrown) {
      const { toOutpostError } = await import('#agent/core/errors.ts');
      const error = toOutpostError(thrown);
      // Of all that are known, one that was never pulled is nothing to complain of.
      if (names.length === 0 && error.code === 'model-missing') note(`${name} is not here`);
      else results.push({ name, ok: false, detail: `${error.message} ${error.hint}` });
    }
  }
  if (json) printJson(results);
  else for (const { name, ok, detail } of results) print(`${ok ? 'ok  ' : 'FAIL'}  ${name}  ${detail}`);
  if (results.length === 0 || results.some(({ ok }) => !ok)) process.exitCode = exitCodes.negative;
}

/** Loads it, which checks size, sha256 and shapes, and runs it over a grey picture. */
async function runOnce(model: Model): Promise<string> {
  const [{ openSession }, { Detector }, { frameFormat }] = await Promise.all([
    import('#agent/vision/session.ts'),
    import('#agent/vision/detector.ts'),
    import('#models/model.ts'),
  ]);
  await using session = await openSession(model, { threads: 1 });
  const { width, height } = frameFormat(model.manifest);
  const grey = new Uint8Array(3 * width * height).fill(128);
  const { detections } = await new Detector(session, model).detect(grey, { width, height });
  return `${model.weightsPath}: size, sha256 and shapes as its manifest says; ${detections.length} detections in a grey picture`;
}
