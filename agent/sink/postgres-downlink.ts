/** What is remembered to be sent again, in PostgreSQL: inside the caller's transaction, rows in one order. */
import type { PoolClient } from 'pg';
import { type Intake, mostCommands, type Resend, type ResendLimits } from './database.ts';
import { answersIn, downlinkRound } from './downlink.ts';

/** Before the presences are written: a device that was away, or has booted since, may be sent everything anew. */
export async function welcomeBack(client: PoolClient, { presences }: Intake): Promise<void> {
  const online = presences.filter((presence) => presence.online);
  if (online.length === 0) return;
  await client.query(welcomeSql, [online.map(({ device }) => device), online.map(({ state }) => state)]);
}

export async function writeDownlinks(client: PoolClient, { events, downlinks = [] }: Intake): Promise<void> {
  const { desired, commands, reported } = downlinkRound(downlinks);
  const kept = desired.filter((one) => one.kind === 'desired');
  const cleared = desired.filter((one) => one.kind === 'cleared').map(({ device }) => device);
  if (cleared.length > 0) await client.query('DELETE FROM outpost_desired WHERE device = ANY($1::text[])', [cleared]);
  if (kept.length > 0) {
    await client.query(desiredSql, [
      kept.map(({ device }) => device),
      kept.map(({ version }) => version),
      kept.map(({ hash }) => hash),
      kept.map(({ message }) => message),
    ]);
  }
  if (reported.length > 0) {
    await client.query(reportedSql, [
      reported.map(({ device }) => device),
      reported.map(({ version }) => version),
      reported.map(({ hash }) => hash ?? null),
      reported.map(({ phase }) => phase ?? null),
      reported.map((one) => one.reported),
    ]);
  }
  if (commands.length > 0) {
    await client.query(commandSql, [
      commands.map(({ device }) => device),
      commands.map(({ id }) => id),
      commands.map(({ expiresMs }) => new Date(expiresMs).toISOString()),
      commands.map(({ message }) => message),
    ]);
    await client.query(boundSql, [commands.map(({ device }) => device), mostCommands]);
  }
  const answers = answersIn(events);
  if (answers.length === 0) return;
  await client.query(answerSql, [
    answers.map(({ device }) => device),
    answers.map(({ id }) => id),
    answers.map(({ answer }) => answer),
  ]);
}

export async function claimResends(
  client: PoolClient,
  devices: readonly string[],
  { graceMs, leastMs, times }: ResendLimits,
): Promise<readonly Resend[]> {
  await client.query(endSql, [devices]);
  const claim = async (sql: string, name: Resend['name']): Promise<Resend[]> => {
    const { rows } = await client.query<{ device: string; message: Buffer }>(sql, [devices, times, graceMs, leastMs]);
    return rows.map(({ device, message }) => ({ device, name, message }));
  };
  return [...(await claim(claimDesiredSql, 'desired')), ...(await claim(claimCommandsSql, 'cmd'))];
}

const welcomeSql = `
  WITH back AS (
    SELECT n.device FROM unnest($1::text[], $2::jsonb[]) AS n (device, state) LEFT JOIN outpost_device d USING (device)
    WHERE d.device IS NULL OR NOT d.online OR d.state ->> 'boot' IS DISTINCT FROM n.state ->> 'boot'
  ), desired AS (UPDATE outpost_desired SET sends = 0 WHERE sends > 0 AND device IN (SELECT device FROM back))
  UPDATE outpost_command SET sends = 0
  WHERE sends > 0 AND message IS NOT NULL AND device IN (SELECT device FROM back)`;

const desiredSql = `
  INSERT INTO outpost_desired AS d (device, version, hash, message)
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[])
  ON CONFLICT (device) DO UPDATE SET version = excluded.version, hash = excluded.hash, message = excluded.message,
    seen_at = now(), sent_at = NULL, sends = 0
  WHERE excluded.version > d.version OR (excluded.version = d.version AND excluded.message <> d.message)`;

const reportedSql = `
  INSERT INTO outpost_reported (device, version, hash, phase, reported)
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::jsonb[])
  ON CONFLICT (device) DO UPDATE SET version = excluded.version, hash = excluded.hash, phase = excluded.phase,
    reported = excluded.reported, seen_at = now()`;

const commandSql = `
  INSERT INTO outpost_command (device, command_id, expires_at, message)
  SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bytea[])
  ON CONFLICT DO NOTHING`;

const boundSql = `
  UPDATE outpost_command c SET message = NULL FROM (
    SELECT device, command_id, row_number() OVER (PARTITION BY device ORDER BY seen_at DESC, command_id DESC) AS place
    FROM outpost_command WHERE device = ANY($1::text[]) AND message IS NOT NULL
  ) AS ranked
  WHERE ranked.place > $2 AND c.device = ranked.device AND c.command_id = ranked.command_id`;

const answerSql = `
  INSERT INTO outpost_command (device, command_id, answer, answered_at)
  SELECT device, id, answer, now() FROM unnest($1::text[], $2::text[], $3::text[]) AS a (device, id, answer)
  ON CONFLICT (device, command_id) DO UPDATE SET answer = excluded.answer, answered_at = now(), message = NULL`;

const endSql = `
  UPDATE outpost_command SET message = NULL
  WHERE device = ANY($1::text[]) AND message IS NOT NULL AND expires_at <= now()`;

const isDue = (row: string): string => `${row}.sends < $2 AND ${row}.seen_at <= now() - $3 * interval '1 ms'
    AND (${row}.sent_at IS NULL OR ${row}.sent_at <= now() - $4 * (2 ^ (${row}.sends - 1)) * interval '1 ms')`;

/** A row that another sink has just claimed is looked at again once that one is done, and is not due any more. */
const claimDesiredSql = `
  UPDATE outpost_desired d SET sent_at = now(), sends = d.sends + 1 FROM (
    SELECT d.device FROM outpost_desired d LEFT JOIN outpost_reported r USING (device)
    WHERE d.device = ANY($1::text[]) AND ${isDue('d')}
      AND (r.device IS NULL OR r.version <> d.version OR coalesce(r.hash, d.hash) <> d.hash)
    ORDER BY d.device FOR UPDATE OF d
  ) AS due
  WHERE d.device = due.device RETURNING d.device, d.message`;

const claimCommandsSql = `
  UPDATE outpost_command c SET sent_at = now(), sends = c.sends + 1 FROM (
    SELECT c.device, c.command_id FROM outpost_command c
    WHERE c.device = ANY($1::text[]) AND c.message IS NOT NULL AND ${isDue('c')}
    ORDER BY c.device, c.command_id FOR UPDATE
  ) AS due
  WHERE c.device = due.device AND c.command_id = due.command_id RETURNING c.device, c.message`;
