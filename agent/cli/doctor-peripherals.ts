/** What `doctor` sees of the peripherals without touching them: driver, options, and whether the port is there and free. */
import type { PeripheralConfig } from '#config/schema.ts';
import type { Finding } from './doctor-finding.ts';

/** Whether a port that the agent opens is refused to everybody else: said once for all. */
export async function checkPorts(peripherals: readonly PeripheralConfig[]): Promise<readonly Finding[]> {
  const [{ canRefuseOthers }, { parsePort }] = await Promise.all([
    import('#drivers/exclusive.ts'),
    import('#drivers/port.ts'),
  ]);
  const serial = peripherals.filter(({ enabled, port }) => enabled && parsePort(port)?.is !== 'tcp');
  if (serial.length === 0) return [];
  const check = 'serial ports';
  if (canRefuseOthers())
    return [{ check, verdict: 'ok', detail: 'opened by the agent, they are refused to all but root' }];
  const detail = 'locked by flock alone: a program that asks for no lock can open them beside the agent';
  return [{ check, verdict: 'ok', detail: `${detail} (no addon: node packaging/notify/build.ts)` }];
}

/** The running agent holds its own ports: that is as it should be. */
const isOurs = (name: string): boolean => name === 'outpost' || name === 'node' || name === 'MainThread';

export async function checkPeripheral({
  id,
  driver: name,
  options,
  port,
  enabled,
}: PeripheralConfig): Promise<readonly Finding[]> {
  const check = `device ${id}`;
  if (!enabled) return [{ check, verdict: 'ok', detail: 'disabled' }];
  const [{ loadDriver }, { parseOptions }, { holdersOf, parsePort, pathsOf, portForms }] = await Promise.all([
    import('#drivers/registry.ts'),
    import('#drivers/options.ts'),
    import('#drivers/port.ts'),
  ]);
  parseOptions(await loadDriver(name), options);
  const spec = parsePort(port);
  if (!spec) return [{ check, verdict: 'fail', detail: `${port} is no port`, hint: `Write ${portForms}.` }];
  if (spec.is === 'tcp') return [{ check, verdict: 'ok', detail: `${port}, not asked` }];
  const [path] = await pathsOf(spec);
  if (path === undefined) {
    return [
      { check, verdict: 'fail', detail: `${port} is not plugged in`, hint: 'See `outpost drivers ports` for what is.' },
    ];
  }
  const others = (await holdersOf(path)).filter((holder) => !isOurs(holder.name));
  if (others.length === 0) return [{ check, verdict: 'ok', detail: `${name} at ${path}` }];
  const who = others.map((holder) => `${holder.name} (process ${holder.pid})`).join(', ');
  return [
    {
      check,
      verdict: 'fail',
      detail: `${who} holds ${path}`,
      hint: `End it, or install packaging/system/70-outpost.rules.`,
    },
  ];
}
