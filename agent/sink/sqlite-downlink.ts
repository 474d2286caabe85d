/** What is remembered to be sent again, in SQLite: inside the caller's transaction. */
import type { Sqlite } from '#agent/core/sqlite.ts';
import { type Intake, mostCommands, type Resend, type ResendLimits } from './database.ts';
import { answersIn, downlinkRound } from './downlink.ts';

const now = "strftime('%Y-%m-%dT%H:%M:%fZ')";
/** @param seconds an expression */
const ago = (seconds: string): string => `strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || (${seconds}) || ' seconds')`;

/** Before the presences are written: a device that was away, or has booted since, may be sent everything anew. */
export function welcomeBack(db: Sqlite, { presences }: Intake): void {
  for (const { device, online, state } of presences) {
    if (!online) continue;
    const before = db
      .prepare("SELECT online AND state ->> 'boot' IS ? ->> 'boot' FROM outpost_device WHERE device = ?")
      .pluck()
      .get(state, device);
    if (before === 1) continue;
    db.prepare('UPDATE outpost_desired SET sends = 0 WHERE device = ?').run(device);
    db.prepare('UPDATE outpost_command SET sends = 0 WHERE device = ? AND message IS NOT NULL').run(device);
  }
}

export function writeDownlinks(db: Sqlite, { events, downlinks = [] }: Intake): void {
  const { desired, commands, reported } = downlinkRound(downlinks);
  for (const one of desired) {
    if (one.kind === 'cleared') db.prepare('DELETE FROM outpost_desired WHERE device = ?').run(one.device);
    else db.prepare(desiredSql).run(one.device, one.version, one.hash, one.message);
  }
  for (const { device, version, hash, phase, reported: text } of reported) {
    db.prepare(reportedSql).run(device, version, hash ?? null, phase ?? null, text);
  }
  for (const { device, id, expiresMs, message } of commands) {
    db.prepare(commandSql).run(device, id, new Date(expiresMs).toISOString(), message);
    db.prepare(boundSql).run(device, device, mostCommands);
  }
  for (const { device, id, answer } of answersIn(events)) db.prepare(answerSql).run(device, id, answer);
}

export function claimResends(db: Sqlite, devices: readonly string[], limits: ResendLimits): readonly Resend[] {
  const { times } = limits;
  const [grace, least] = [limits.graceMs / 1_000, limits.leastMs / 1_000];
  return devices.flatMap((device): Resend[] => {
    db.prepare(endSql).run(device);
    const claim = (sql: string): Buffer[] => db.prepare(sql).pluck().all({ device, times, grace, least }) as Buffer[];
    return [
      ...claim(claimDesiredSql).map((message): Resend => ({ device, name: 'desired', message })),
      ...claim(claimCommandsSql).map((message): Resend => ({ device, name: 'cmd', message })),
    ];
  });
}

const desiredSql = `
  INSERT INTO outpost_desired (device, version, hash, message) VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET version = excluded.version, hash = excluded.hash, message = excluded.message,
    seen_at = ${now}, sent_at = NULL, sends = 0
  WHERE excluded.version > version OR (excluded.version = version AND excluded.message <> message)`;

const reportedSql = `
  INSERT INTO outpost_reported (device, version, hash, phase, reported) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET version = excluded.version, hash = excluded.hash, phase = excluded.phase,
    reported = excluded.reported, seen_at = ${now}`;

const commandSql = `
  INSERT INTO outpost_command (device, command_id, expires_at, message) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`;

const boundSql = `
  UPDATE outpost_command SET message = NULL WHERE device = ? AND message IS NOT NULL AND command_id IN (
    SELECT command_id FROM outpost_command WHERE device = ? AND message IS NOT NULL
    ORDER BY seen_at DESC, command_id DESC LIMIT -1 OFFSET ?)`;

const answerSql = `
  INSERT INTO outpost_command (device, command_id, answer, answered_at) VALUES (?, ?, ?, ${now})
  ON CONFLICT DO UPDATE SET answer = excluded.answer, answered_at = ${now}, message = NULL`;

const endSql = `
  UPDATE outpost_command SET message = NULL WHERE device = ? AND message IS NOT NULL AND expires_at <= ${now}`;

const isDue = `sends < $times AND seen_at <= ${ago('$grace')}
    AND (sent_at IS NULL OR sent_at <= ${ago('$least * (1 << (sends - 1))')})`;

const claimDesiredSql = `
  UPDATE outpost_desired SET sent_at = ${now}, sends = sends + 1 WHERE device = $device AND ${isDue}
    AND NOT EXISTS (SELECT 1 FROM outpost_reported r WHERE r.device = outpost_desired.device
      AND r.version = outpost_desired.version AND coalesce(r.hash, outpost_desired.hash) = outpost_desired.hash)
  RETURNING message`;

const claimCommandsSql = `
  UPDATE outpost_command SET sent_at = ${now}, sends = sends + 1
  WHERE device = $device AND message IS NOT NULL AND ${isDue} RETURNING message`;
