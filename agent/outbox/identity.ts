/** Who a store belongs to: another device or machine begins a new epoch, another boot counts one up. */
import { randomBytes } from 'node:crypto';
import type { Sqlite } from '#agent/core/sqlite.ts';
import type { Origin } from '#agent/domain/cloudevent.ts';
import type { WriterOptions } from './protocol.ts';

export interface Past {
  /** The number of the boot in which the store was written that this one takes the place of; 0: none. */
  readonly bootBefore: number;
  /** Its last commit may have been acknowledged: its numbers are not given again. */
  readonly isCutShort: boolean;
}

/** Inside a transaction. */
export function identify(db: Sqlite, { device, bootId, machineId, now }: WriterOptions, past: Past): Origin {
  const get = db.prepare('SELECT value FROM meta WHERE key = ?').pluck();
  const read = (key: string): string | undefined => get.get(key) as string | undefined;
  const set = db.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value');
  const isSame = !past.isCutShort && read('device') === device && read('machine_id') === machineId;
  const epoch = (isSame ? read('epoch') : undefined) ?? randomBytes(16).toString('hex');
  const bootSoFar = Number(read('boot') ?? past.bootBefore);
  const boot = read('boot_id') === bootId ? bootSoFar : bootSoFar + 1;
  if (read('epoch') !== epoch) set.run('epoch_began', new Date(Math.max(0, now.wallMs)).toISOString());
  for (const [key, value] of Object.entries({ device, machine_id: machineId, epoch, boot_id: bootId, boot })) {
    if (read(key) !== String(value)) set.run(key, String(value));
  }
  return { device, epoch, boot };
}
