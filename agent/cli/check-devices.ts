/** What a configuration asks of drivers: that the actions are there, take these arguments, and can be said twice. */
import type { Complaint } from '#config/issues.ts';
import type { Path } from '#config/path.ts';
import type { Config, PeripheralConfig } from '#config/schema.ts';
import type { Manifest } from '#drivers/driver.ts';
import { parseOptions } from '#drivers/options.ts';
import { loadDriver } from '#drivers/registry.ts';

type Part = Pick<Config, 'peripherals' | 'power' | 'voice'>;

/** @returns sirens that cannot be told so, and a power supply that has not what is needed */
export async function deviceComplaints({ peripherals, power, voice }: Part): Promise<readonly Complaint[]> {
  const manifests = new Map(
    await Promise.all(peripherals.map(async (each) => [each.id, await manifestOf(each)] as const)),
  );
  const orders = voice.announcements.flatMap(({ with: effects }, index) =>
    effects.flatMap(({ peripheral, start, end }, place) => {
      const path: Path = ['voice', 'announcements', index, 'with', place];
      const manifest = manifests.get(peripheral);
      if (!manifest) return [];
      return [
        ...orderComplaints(manifest, start, [...path, 'start']),
        ...orderComplaints(manifest, end, [...path, 'end']),
        ...onceComplaints(manifest, end.action, [...path, 'end', 'action']),
      ];
    }),
  );
  const supply = power.ups === undefined ? undefined : manifests.get(power.ups);
  return [...orders, ...(supply ? supplyComplaints(supply, power.cut) : [])];
}

/** Options were parsed with the configuration. */
async function manifestOf({ driver: name, options }: PeripheralConfig): Promise<Manifest> {
  const driver = await loadDriver(name);
  return driver.manifest(parseOptions(driver, options));
}

interface Order {
  readonly action: string;
  readonly args: Readonly<Record<string, unknown>>;
}

function orderComplaints({ actions, name }: Manifest, { action, args }: Order, path: Path): Complaint[] {
  const declared = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (!declared) {
    const known = Object.keys(actions).join(', ') || 'none';
    return [{ path: [...path, 'action'], message: `is no action of ${name}`, hint: `there are: ${known}` }];
  }
  const { error } = declared.args.safeParse(args);
  const example = `such as ${JSON.stringify(declared.example)}`;
  return (error?.issues ?? []).map(({ path: at, message }) => ({
    path: [...path, 'args'],
    message: [...at.map(String), message].join(': '),
    hint: example,
  }));
}

/** It is said until the device says yes. */
const onceComplaints = ({ actions }: Manifest, action: string, path: Path): Complaint[] =>
  Object.hasOwn(actions, action) && actions[action]?.idempotent === false
    ? [{ path, message: 'must be an action for which twice is once: switch off, not toggle' }]
    : [];

function supplyComplaints({ properties, actions, name }: Manifest, isCut: boolean): Complaint[] {
  const missing = ['onBattery', 'lowBattery'].filter((property) => !Object.hasOwn(properties, property));
  return [
    ...missing.map((property) => ({ path: ['power', 'ups'], message: `${name} has no property ${property}` })),
    ...(isCut && !Object.hasOwn(actions, 'shutdown')
      ? [{ path: ['power', 'cut'], message: `${name} has no action shutdown` }]
      : []),
  ];
}
