/** One round in SQLite: row by row, with prepared statements, inside the caller's transaction. */
import type { Sqlite, Statement } from '#agent/core/sqlite.ts';
import type { Committed, Intake } from './database.ts';
import { contiguous, type Mark } from './marks.ts';
import type { Presence } from './presence.ts';
import type { Ranges } from '#agent/domain/ranges.ts';
import type { LaneKey } from './received.ts';
import { welcomeBack, writeDownlinks } from './sqlite-downlink.ts';
import {
  advanced,
  chunksIn,
  conflictsAside,
  countIn,
  declarationsIn,
  isConflict,
  lanesIn,
  type LaneWork,
  type PlacedChunk,
  type PlacedEvent,
  type PlacedRejected,
  planRound,
  type Uploaded,
  uploadsIn,
  waitsInVain,
} from './round.ts';

const now = "strftime('%Y-%m-%dT%H:%M:%fZ')";

export class SqliteRound {
  readonly #db: Sqlite;
  readonly #findLane: Statement;
  readonly #addLane: Statement;
  readonly #event: Statement;
  readonly #digest: Statement;
  readonly #rejected: Statement;
  readonly #dropped: Statement;
  readonly #device: Statement;
  readonly #media: Statement;
  readonly #chunk: Statement;
  readonly #upload: Statement;
  readonly #lane: Statement;
  readonly #update: Statement;

  constructor(db: Sqlite) {
    this.#db = db;
    this.#findLane = db.prepare('SELECT id FROM outpost_lane WHERE device = ? AND epoch = ? AND lane = ?').pluck();
    this.#addLane = db.prepare('INSERT INTO outpost_lane (device, epoch, lane) VALUES (?, ?, ?)');
    this.#event = db.prepare(
      `INSERT INTO outpost_event (lane_id, seq, type, time, subject, boot, mono_ms, clock, digest, extra, data)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    this.#digest = db.prepare('SELECT digest FROM outpost_event WHERE lane_id = ? AND seq = ?').pluck();
    this.#rejected = db
      .prepare(
        `INSERT INTO outpost_rejected (digest, topic, device, lane_id, seq, reason, payload, bytes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET count = count + 1, last_at = ${now} RETURNING count`,
      )
      .pluck();
    this.#dropped = db.prepare('INSERT INTO outpost_dropped VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING');
    this.#device = db.prepare(
      `INSERT INTO outpost_device (device, online, version, epoch, custody, state) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET online = excluded.online, version = excluded.version, epoch = excluded.epoch,
         custody = excluded.custody, state = excluded.state, seen_at = ${now}`,
    );
    this.#media = db.prepare(
      `INSERT INTO outpost_media (device, media_id, sha256, media_type, size, chunks) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET updated_at = ${now}`,
    );
    this.#chunk = db.prepare(
      `INSERT INTO outpost_media_chunk (device, media_id, sha256, chunk, content)
       SELECT device, media_id, sha256, $chunk, $content FROM outpost_media
       WHERE device = $device AND media_id = $id AND sha256 = $sha256 AND state = 'partial' ON CONFLICT DO NOTHING`,
    );
    this.#upload = db.prepare(
      `INSERT INTO outpost_media (device, media_id, sha256, media_type, size, chunks, state, path)
       VALUES (?, ?, ?, ?, ?, 0, ?, ?)
       ON CONFLICT DO UPDATE SET state = excluded.state, path = excluded.path, updated_at = ${now}
       WHERE state NOT IN ('stored', 'uploaded')`,
    );
    this.#lane = db.prepare('SELECT upto, missing, ahead FROM outpost_lane WHERE id = ?');
    this.#update = db.prepare(
      `UPDATE outpost_lane SET upto = $upto, contiguous = $contiguous, missing = $missing, ahead = $ahead,
         duplicates = duplicates + $duplicates, conflicts = conflicts + $conflicts,
         told_depth = CASE WHEN $toldLast IS NULL
           OR (told_last IS NOT NULL AND ($toldLast, $toldFirst) < (told_last, told_first))
           THEN told_depth ELSE $toldDepth END,
         told_first = max(coalesce($toldFirst, told_first), coalesce(told_first, $toldFirst)),
         told_last = max(coalesce($toldLast, told_last), coalesce(told_last, $toldLast)),
         updated_at = ${now}
       WHERE id = $id`,
    );
  }

  /** @throws SqliteError: the caller rolls back */
  write(intake: Intake): Committed {
    const ids = new Map([...lanesIn(intake)].map(([name, key]) => [name, this.#laneId(key)]));
    const round = planRound(intake, ids);
    const works = new Map(round.lanes.map((work) => [work.laneId, work]));
    const inserted: PlacedEvent[] = [];
    const twice: PlacedEvent[] = [];
    for (const placed of round.events) (this.#insert(placed) ? inserted : twice).push(placed);
    const conflicting = [...twice, ...round.conflicting].filter((placed) => this.#differs(placed));
    for (const { laneId } of twice) countIn(works, laneId, 'duplicates');
    for (const { laneId } of conflicting) countIn(works, laneId, 'conflicts');
    for (const placed of [...round.rejected, ...conflictsAside(conflicting)]) this.#setAside(placed, works);
    for (const { targetId, declaration, byLaneId, bySeq } of declarationsIn(inserted, ids)) {
      const { range, count, bytes, reason } = declaration;
      this.#dropped.run(targetId, range[0], range[1], count, bytes, reason, byLaneId, bySeq);
    }
    const chunks = chunksIn(inserted);
    for (const chunk of chunks) this.#keep(chunk);
    for (const upload of uploadsIn(inserted)) this.#uploaded(upload);
    welcomeBack(this.#db, intake);
    for (const presence of intake.presences) this.#meet(presence);
    writeDownlinks(this.#db, intake);
    const devices = new Set(round.lanes.filter((work) => this.#advance(work)).map(({ key }) => key.device));
    return {
      inserted: inserted.length,
      duplicates: round.lanes.reduce((sum, work) => sum + work.duplicates, 0),
      conflicts: conflicting.map(({ event: { key, seq } }) => ({ key, seq })),
      rejected: round.rejected.length,
      chunks: chunks.length,
      devices,
    };
  }

  #laneId(key: LaneKey): number {
    const { device, epoch, lane } = key;
    const found: unknown = this.#findLane.get(device, epoch, lane);
    return found === undefined ? Number(this.#addLane.run(device, epoch, lane).lastInsertRowid) : Number(found);
  }

  #insert({ laneId, event }: PlacedEvent): boolean {
    const { seq, type, time, subject, boot, monoMs, clock, digest, extra, data } = event;
    const values = [laneId, seq, type, time, subject, boot, monoMs, clock, digest, extra ?? null, data];
    return this.#event.run(...values).changes > 0;
  }

  #differs({ laneId, event }: PlacedEvent): boolean {
    return this.#digest.get(laneId, event.seq) !== event.digest;
  }

  #setAside({ laneId, rejected }: PlacedRejected, works: ReadonlyMap<number, LaneWork>): void {
    const { digest, topic, device, identity, reason, payload, bytes } = rejected;
    const values = [digest, topic, device, laneId ?? null, identity?.seq ?? null, reason, payload, bytes];
    const isAgain = this.#rejected.get(...values) !== 1;
    if (isAgain && laneId !== undefined && !isConflict(rejected)) countIn(works, laneId, 'duplicates');
  }

  #keep({ device, id, sha256, mediaType, size, chunk, chunks, content }: PlacedChunk): void {
    this.#media.run(device, id, sha256, mediaType, size, chunks);
    this.#chunk.run({ device, id, sha256, chunk, content });
  }

  #uploaded({ device, id, sha256, mediaType, size, state, url }: Uploaded): void {
    this.#upload.run(device, id, sha256, mediaType, size, state, url ?? null);
  }

  #meet({ device, online, version, epoch, custody, state }: Presence): void {
    this.#device.run(device, online ? 1 : 0, version ?? null, epoch ?? null, custody ?? null, state);
  }

  /** @returns true when the device is to be told */
  #advance(work: LaneWork): boolean {
    const row = this.#lane.get(work.laneId) as { upto: number; missing: string; ahead: string };
    const before: Mark = {
      upto: row.upto,
      missing: JSON.parse(row.missing) as Ranges,
      ahead: JSON.parse(row.ahead) as Ranges,
    };
    const mark = advanced(before, work);
    const { laneId: id, duplicates, conflicts, told, seqs, declared } = work;
    this.#update.run({
      id,
      upto: mark.upto,
      contiguous: contiguous(mark),
      missing: JSON.stringify(mark.missing),
      ahead: JSON.stringify(mark.ahead),
      duplicates,
      conflicts,
      toldFirst: told?.first ?? null,
      toldLast: told?.last ?? null,
      toldDepth: told?.depth ?? null,
    });
    return seqs.size + declared.length > 0 || waitsInVain(work, mark);
  }
}
