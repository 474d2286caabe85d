/** The statements of the sink in PostgreSQL; each takes whole columns, so that a round is a few statements, not thousands. */

export const insertEvents = `
  INSERT INTO outpost_event (lane_id, seq, type, time, subject, boot, mono_ms, clock, digest, extra, data)
  SELECT * FROM ROWS FROM (
    unnest($1::bigint[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::timestamptz[]), unnest($5::text[]),
    unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::text[]), unnest($9::uuid[]), unnest($10::jsonb[]),
    jsonb_array_elements($11::jsonb)
  )
  ON CONFLICT DO NOTHING
  RETURNING lane_id, seq`;

export const insertRejected = `
  INSERT INTO outpost_rejected AS r (digest, topic, device, lane_id, seq, reason, payload, bytes)
  SELECT * FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], $8::bigint[]
  )
  ON CONFLICT (digest) DO UPDATE SET count = r.count + 1, last_at = now()
  RETURNING digest, count`;

export const insertDropped = `
  INSERT INTO outpost_dropped (lane_id, first_seq, last_seq, count, bytes, reason, by_lane_id, by_seq)
  SELECT * FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[]
  )
  ON CONFLICT DO NOTHING`;

export const upsertDevices = `
  INSERT INTO outpost_device (device, online, version, epoch, custody, state)
  SELECT * FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
  ON CONFLICT (device) DO UPDATE SET online = excluded.online, version = excluded.version, epoch = excluded.epoch,
    custody = excluded.custody, state = excluded.state, seen_at = now()`;

export const ensureLanes = `
  INSERT INTO outpost_lane (device, epoch, lane)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (device, epoch, lane)
  WHERE NOT EXISTS (SELECT FROM outpost_lane l
    WHERE l.device = wanted.device AND l.epoch = wanted.epoch AND l.lane = wanted.lane)
  ON CONFLICT DO NOTHING`;

export const findLanes = `
  SELECT l.id, l.device, l.epoch, l.lane FROM outpost_lane l
  JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (device, epoch, lane) USING (device, epoch, lane)`;

export const lockLanes = `
  SELECT id, upto, missing, ahead FROM outpost_lane WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE`;

export const updateLanes = `
  UPDATE outpost_lane l SET upto = u.upto, contiguous = u.contiguous, missing = u.missing, ahead = u.ahead,
    duplicates = l.duplicates + u.duplicates, conflicts = l.conflicts + u.conflicts,
    told_first = greatest(u.told_first, l.told_first), told_last = greatest(u.told_last, l.told_last),
    told_depth = CASE WHEN u.told_last IS NULL OR (u.told_last, u.told_first) < (l.told_last, l.told_first)
      THEN l.told_depth ELSE u.told_depth END,
    updated_at = now()
  FROM unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::jsonb[], $5::jsonb[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[]
  ) AS u (id, upto, contiguous, missing, ahead, duplicates, conflicts, told_first, told_last, told_depth)
  WHERE l.id = u.id`;

export const digestsOf = `
  SELECT e.lane_id, e.seq, replace(e.digest::text, '-', '') AS digest FROM outpost_event e
  JOIN unnest($1::bigint[], $2::bigint[]) AS wanted (lane_id, seq) USING (lane_id, seq)`;

export const upsertMedia = `
  INSERT INTO outpost_media (device, media_id, sha256, media_type, size, chunks)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::integer[])
  ON CONFLICT (device, media_id, sha256) DO UPDATE SET updated_at = now()`;

export const upsertUploads = `
  INSERT INTO outpost_media AS m (device, media_id, sha256, media_type, size, chunks, state, path)
  SELECT device, media_id, sha256, media_type, size, 0, state, path
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
    AS n (device, media_id, sha256, media_type, size, state, path)
  ON CONFLICT (device, media_id, sha256) DO UPDATE SET state = excluded.state, path = excluded.path, updated_at = now()
  WHERE m.state NOT IN ('stored', 'uploaded')`;

export const insertChunks = `
  INSERT INTO outpost_media_chunk (device, media_id, sha256, chunk, content)
  SELECT n.* FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::bytea[])
    AS n (device, media_id, sha256, chunk, content)
  JOIN outpost_media m USING (device, media_id, sha256) WHERE m.state = 'partial'
  ON CONFLICT DO NOTHING`;

export const findWholeMedia = `
  SELECT device, media_id, sha256, media_type, size FROM outpost_media m
  WHERE state = 'partial' AND chunks = (SELECT count(*) FROM outpost_media_chunk c
    WHERE c.device = m.device AND c.media_id = m.media_id AND c.sha256 = m.sha256 AND c.chunk < m.chunks)
  ORDER BY updated_at LIMIT 1`;

export const contentOf = `
  SELECT content FROM outpost_media_chunk WHERE device = $1 AND media_id = $2 AND sha256 = $3 ORDER BY chunk`;

export const settleMedia = `
  UPDATE outpost_media SET state = $4, path = $5, updated_at = now()
  WHERE device = $1 AND media_id = $2 AND sha256 = $3`;

export const removeChunks = `
  DELETE FROM outpost_media_chunk WHERE device = $1 AND media_id = $2 AND sha256 = $3`;

export const marksOf = `
  SELECT device, epoch, lane, upto, missing FROM (
    SELECT *, dense_rank() OVER (PARTITION BY device ORDER BY born DESC, epoch) AS age FROM (
      SELECT *, min(id) OVER (PARTITION BY device, epoch) AS born FROM outpost_lane WHERE device = ANY($1::text[])
    ) AS lanes
  ) AS ranked WHERE age <= $2 ORDER BY device, age, id`;

export const tally = `
  WITH counted AS (SELECT lane_id, count(*) AS received FROM outpost_event GROUP BY lane_id)
  SELECT l.device, l.epoch, l.lane, l.upto, l.missing, l.ahead, l.duplicates, l.conflicts,
    l.told_first, l.told_last, l.told_depth, coalesce(c.received, 0) + (SELECT count(DISTINCT r.seq) FROM outpost_rejected r WHERE r.lane_id = l.id
      AND NOT EXISTS (SELECT 1 FROM outpost_event e WHERE e.lane_id = r.lane_id AND e.seq = r.seq)) AS received,
    (SELECT count(*) FROM outpost_rejected r WHERE r.lane_id = l.id) AS rejected,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(d.first_seq, d.last_seq, d.count)), '[]') FROM outpost_dropped d
      WHERE d.lane_id = l.id) AS declared
  FROM outpost_lane l LEFT JOIN counted c ON c.lane_id = l.id
  ORDER BY l.device, l.id`;

export const absentIn = `
  WITH stored AS (
    SELECT seq FROM outpost_event WHERE lane_id = $1 AND seq <= $2
    UNION SELECT seq FROM outpost_rejected WHERE lane_id = $1 AND seq <= $2
    UNION SELECT 0 UNION SELECT $2::bigint + 1
  ), next AS (SELECT seq, lead(seq) OVER (ORDER BY seq) AS following FROM stored)
  SELECT seq + 1 AS first, following - 1 AS last FROM next WHERE following > seq + 1 ORDER BY seq`;
