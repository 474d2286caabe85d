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
    .description('check this machine: what is missing, each with what mends it')
    .option('-c, --config <file>', 'configuration file')
    .option('--no-cameras', 'do not open the cameras')
    .option('--json', 'one JSON array')
    .addHelpText('after', examples)
    .action(run);

async function run({ config: file, cameras, json }: DoctorOptions): Promise<void> {
  const [links, devices] = await Promise.all([import('./doctor-links.ts'), import('./doctor-peripherals.ts')]);
  const { config, finding: configuration } = await readConfig(file);
  const checks: readonly Promise<readonly Finding[]>[] = [
    ...(await machineChecks(config)),
    attempt('model', async () => await links.checkModel(config)),
    attempt('agent', async () => await links.checkAgent(config)),
    attempt('broker', async () => await links.checkBroker(config)),
    attempt('serial ports', async () => await devices.checkPorts(config.peripherals)),
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

/** All that does not touch cameras, broker, or the inference runtime. */
export const quickChecks = async (config: Config): Promise<readonly Finding[]> =>
  (await Promise.all([...(await machineChecks(config)), attempt('model', async () => await findModel(config))])).flat();

async function findModel(config: Config): Promise<readonly Finding[]> {
  const { resolveModel } = await import('#models/registry.ts');
  const { manifest, weightsPath } = await resolveModel(config.vision.model);
  return [{ check: 'model', verdict: 'ok', detail: `${manifest.name} at ${weightsPath}` }];
}

async function machineChecks(config: Config): Promise<readonly Promise<readonly Finding[]>[]> {
  const [machine, system, service] = await Promise.all([
    import('./doctor-machine.ts'),
    import('./doctor-system.ts'),
    import('./doctor-service.ts'),
  ]);
  const checks: Readonly<Record<string, () => readonly Finding[] | Promise<readonly Finding[]>>> = {
    ffmpeg: machine.checkFfmpeg,
    font: system.checkFont,
    cpu: machine.checkCpu,
    glibc: system.checkGlibc,
    proc: system.checkProc,
    memory: machine.checkMemory,
    disk: async () => await machine.checkDisk(config),
    clock: machine.checkClock,
    locale: system.checkLocale,
    terminal: system.checkTerminal,
    user: service.checkUser,
    udev: service.checkUdev,
    service: service.checkService,
    'hardware dog': service.checkHardwareWatchdog,
  };
  return Object.entries(checks).map(async ([name, look]) => await attempt(name, async () => await look()));
}

/** A configuration that is wrong is a finding too: the rest is looked at with the defaults. */
async function readConfig(file: string | undefined): Promise<{ readonly config: Config; readonly finding: Finding }> {
  const { loadConfig } = await import('#config/load.ts');
  const check = 'configuration';
  try {
    const { config, file: found } = await loadConfig({
      schemaFor: deviceSchema,
      ...(file === undefined ? {} : { file }),
    });
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
