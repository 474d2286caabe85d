/**
 * What a start finds on a bare box, and makes where it is missing: a configuration, a folder for the store, a key.
 *
 *   systemd's folders, else the working directory --> outpost.yaml --> storage.path --> identity.pem --> device.id
 */
import { access, constants, mkdir, open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { messageOf, OutpostError, toOutpostError } from '#agent/core/errors.ts';
import type { Log } from '#agent/core/log.ts';
import type { ServiceFolders } from '#agent/core/notify.ts';
import type { Identity } from '#agent/trust/identity.ts';
import { loadConfig, type SchemaFor } from '#config/load.ts';
import type { Config } from '#config/schema.ts';

export interface StartOptions {
  readonly file?: string | undefined;
  readonly profile?: string | undefined;
  readonly folders: ServiceFolders;
  readonly schemaFor: SchemaFor;
}

export interface Found {
  readonly config: Config;
  /** Undefined: none was there. */
  readonly file: string | undefined;
  /** The configuration names no device. */
  readonly isNameless: boolean;
}

/** @throws OutpostError as `loadConfig` */
export async function findConfig({ file, profile, folders, schemaFor }: StartOptions): Promise<Found> {
  const { state, configuration } = folders;
  const found = await loadConfig({
    schemaFor,
    file,
    profile,
    ...(configuration === undefined ? {} : { search: [join(configuration, 'outpost.yaml')] }),
  });
  const { config, originOf } = found;
  const isPathByDefault = originOf(['storage', 'path']).kind === 'default';
  return {
    config:
      state !== undefined && isPathByDefault ? { ...config, storage: { ...config.storage, path: state } } : config,
    file: found.file,
    isNameless: originOf(['device', 'id']).kind === 'default',
  };
}

/** @throws OutpostError `storage-unusable` */
export async function makeStorage(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o750 });
    await access(path, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new OutpostError(
      'storage-unusable',
      `The folder ${resolve(path)} cannot be made or written: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Writes the commented configuration where none is; what cannot be written is said, and nothing depends on it. */
export async function writeStarter(config: Config, { configuration, state }: ServiceFolders, log: Log): Promise<void> {
  const { starterConfig } = await import('#config/starter.ts');
  const file = resolve(configuration ?? '.', 'outpost.yaml');
  try {
    await using handle = await open(file, 'wx', 0o640);
    await handle.writeFile(starterConfig(state === undefined ? {} : { storagePath: config.storage.path }));
    await handle.sync();
    log.info('There was no configuration: one was written, with every key commented out.', { file });
  } catch (thrown) {
    log.warn('There is no configuration, and none can be written here: the defaults hold.', {
      file,
      why: messageOf(thrown),
    });
  }
}

export interface Named {
  readonly config: Config;
  readonly identity: Identity | undefined;
  /** Why there is none. */
  readonly fault: OutpostError | undefined;
}

/** A device that nobody named is named after its key: two that were never configured are not one. */
export async function identify({ config, isNameless }: Found): Promise<Named> {
  const { openIdentity } = await import('#agent/trust/identity.ts');
  try {
    const identity = await openIdentity(config.storage.path);
    const named = isNameless ? { ...config, device: { ...config.device, id: identity.name } } : config;
    return { config: named, identity, fault: undefined };
  } catch (thrown) {
    return { config, identity: undefined, fault: toOutpostError(thrown) };
  }
}

/** What `outpost doctor` would name of this machine, without opening a camera or the model. */
export async function sayWhatIsMissing(config: Config, log: Log): Promise<void> {
  const { quickChecks } = await import('./doctor.ts');
  const findings = await quickChecks(config);
  for (const { check, verdict, detail, hint } of findings)
    if (verdict !== 'ok') log.warn('Something is missing on this machine.', { check, verdict, detail, hint });
}
