/** A driver put on a line: what the agent, the command line and the tests all do alike. */
import type { Clock } from '#agent/core/clock.ts';
import { OutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { Bus } from './bus.ts';
import type { Driver, LineNeeds, Manifest, Peripheral } from './driver.ts';
import { Link } from './link.ts';
import { openTcp } from './tcp-transport.ts';
import { pathsOf, type PortSpec } from './port.ts';
import type { Transport } from './transport.ts';

/** One device on one connection; disposing it leaves the bus, which others may share. */
export interface OpenedPeripheral extends Disposable {
  readonly manifest: Manifest;
  /** The manifest's, with what configuration says over it. */
  readonly line: LineNeeds;
  readonly link: Link<unknown, unknown>;
  readonly peripheral: Peripheral;
}

export interface PeripheralOptions {
  readonly driver: Driver;
  /** Parsed by `driver.options`. */
  readonly options: unknown;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  /** What configuration says of the line, over the manifest. */
  readonly line?: Partial<LineNeeds>;
  readonly echo?: boolean;
  readonly onMessage?: (message: unknown) => void;
  /** Default: always well. */
  readonly isHealthy?: () => boolean;
}

export function openPeripheral({
  driver,
  options,
  bus,
  clock,
  log,
  line,
  echo,
  onMessage,
  isHealthy = () => true,
}: PeripheralOptions): OpenedPeripheral {
  const manifest = driver.manifest(options);
  const merged = { ...manifest.line, ...line };
  const link = new Link<unknown, unknown>({
    bus,
    codec: driver.protocol(options).host(),
    line: merged,
    clock,
    ...(echo === undefined ? {} : { echo }),
    ...(onMessage === undefined ? {} : { onMessage }),
  });
  return {
    manifest,
    line: merged,
    link,
    peripheral: driver.open({ options, link, clock, log, isHealthy }),
    [Symbol.dispose]: () => link[Symbol.dispose](),
  };
}

/**
 * Opens where a device is said to be; of several places, the first that can be opened.
 * @throws OutpostError `port-missing` when nothing is plugged in there, and as openSerial and openTcp
 */
export async function openPort(
  spec: PortSpec,
  line: LineNeeds,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Transport> {
  if (spec.is === 'tcp') return await openTcp(spec.host, spec.port, clock, signal);
  // an agent without peripherals does not load the addon
  const { openSerial } = await import('./serial-transport.ts');
  const paths = await pathsOf(spec);
  let refusal: unknown;
  for (const path of paths) {
    signal?.throwIfAborted();
    try {
      return await openSerial(path, line, clock);
    } catch (thrown) {
      refusal = thrown;
    }
  }
  if (refusal !== undefined) throw refusal as Error;
  throw new OutpostError('port-missing', `${portText(spec)} is not plugged in.`, { context: { port: portText(spec) } });
}

/** As it is written in the configuration. */
export function portText(spec: PortSpec): string {
  switch (spec.is) {
    case 'ask':
      return 'ask';
    case 'path':
      return spec.path;
    case 'usb':
      return `usb:${spec.vendor}:${spec.product}${spec.serial === undefined ? '' : `/${spec.serial}`}`;
    case 'tcp':
      return `tcp://${spec.host.includes(':') ? `[${spec.host}]` : spec.host}:${spec.port}`;
  }
}
