/** `outpost doctor`: what is missing on this machine, each with what mends it. */
import { Command } from 'commander';
import type { Config } from '#config/schema.ts';
import type { Finding } from './doctor-finding.ts';
import { exitCodes, print, printJson } from './output.ts';
import { deviceSchema } from './running.ts';

const examples = `
Examples:
  outpost doctor
  outpost doctor --config robot-07.yaml --json
  outpost doctor --no-cameras                without opening any camera

Exit code 1 when something fails. A warning is worth reading, and no failure.`;

interface DoctorOptions {
  readonly config?: string;
  readonly cameras: boolean;
  readonly json?: boolean;
}

export const doctorCommand = (): Command =>
  new Command('doctor')
    .description('check this machine: ffmpeg, model, cameras, devices, CPU, memory, disk, clock, broker')
    .option('-c, --config <file>', 'configuration file')
    .option('--no-cameras', 'do not open the cameras')
    .option('--json', 'one JSON array')
    .addHelpText('after', examples)
    .action(run);

async function run({ config: file, cameras, json }: DoctorOptions): Promise<void> {
  const [machine, links, devices] = await Promise.all([
    import('./doctor-machine.ts'),
    import('./doctor-links.ts'),
    import('./doctor-peripherals.ts'),
  ]);
  const { config, finding: configuration } = await readConfig(file);
  const checks: readonly Promise<readonly Finding[]>[] = [
    attempt('ffmpeg', async () => await machine.checkFfmpeg()),
    attempt('model', async () => await links.checkModel(config)),
    attempt('cpu', async () => await machine.checkCpu()),
    attempt('memory', async () => await machine.checkMemory()),
    attempt('disk', async () => await machine.checkDisk(config)),
    attempt('clock', async () => await machine.checkClock()),
    attempt('agent', async () => await links.checkAgent(config)),
    attempt('broker', async () => await links.checkBroker(config)),
    ...config.peripherals.map(
      async (peripheral) =>
        await attempt(`device ${peripheral.id}`, async () => await devices.checkPeripheral(peripheral)),
    ),
    ...(cameras
      ? config.cameras.map(
          async (camera) =>
            await attempt(`camera ${camera.id}`, async () => await links.checkCamera(camera.id, config)),
        )
      : []),
  ];
  const findings = [configuration, ...(await Promise.all(checks)).flat()];
  if (json) printJson(findings);
  else for (const finding of findings) show(finding);
  if (findings.some(({ verdict }) => verdict === 'fail')) process.exitCode = exitCodes.negative;
}

/** A configuration that is wrong is a finding too: the rest is looked at with the defaults. */
async function readConfig(file: string | undefined): Promise<{ readonly config: Config; readonly finding: Finding }> {
  const [{ loadConfig }, schema] = await Promise.all([import('#config/load.ts'), deviceSchema()]);
  const check = 'configuration';
  try {
    const { config, file: found } = await loadConfig({ schema, ...(file === undefined ? {} : { file }) });
    return { config, finding: { check, verdict: 'ok', detail: found ?? 'none found: all defaults' } };
  } catch (thrown) {
    const { toOutpostError } = await import('#agent/core/errors.ts');
    const { message: detail, hint } = toOutpostError(thrown);
    const { config } = await loadConfig({ search: [] });
    return { config, finding: { check, verdict: 'fail', detail, hint } };
  }
}

function show({ check, verdict, detail, hint }: Finding): void {
  print(`${{ ok: 'ok  ', warn: 'warn', fail: 'FAIL' }[verdict]}  ${check.padEnd(14)} ${detail}`);
  if (hint !== undefined && verdict !== 'ok') print(`      ${''.padEnd(14)} → ${hint}`);
}

/** What a check throws is its finding. */
async function attempt(check: string, look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (thrown) {
    const { toOutpostError } = await import('#agent/core/errors.ts');
    const { message, hint } = toOutpostError(thrown);
    return [{ check, verdict: 'fail', detail: message, hint }];
  }
}
