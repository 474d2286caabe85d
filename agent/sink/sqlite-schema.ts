/** The tables in SQLite, version by version: those of PostgreSQL, with times and JSON as text. README.md documents them. */
export const sqliteMigrations: readonly string[] = [
  `
  CREATE TABLE outpost_version (version INTEGER NOT NULL) STRICT;
  INSERT INTO outpost_version VALUES (0);
  CREATE TABLE outpost_device (
    device TEXT PRIMARY KEY,
    online INTEGER NOT NULL,
    version TEXT,
    epoch TEXT,
    custody TEXT,
    state TEXT NOT NULL,
    seen_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE outpost_lane (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    epoch TEXT NOT NULL,
    lane TEXT NOT NULL,
    upto INTEGER NOT NULL DEFAULT 0,
    contiguous INTEGER NOT NULL DEFAULT 0,
    missing TEXT NOT NULL DEFAULT '[]',
    ahead TEXT NOT NULL DEFAULT '[]',
    duplicates INTEGER NOT NULL DEFAULT 0,
    conflicts INTEGER NOT NULL DEFAULT 0,
    told_first INTEGER,
    told_last INTEGER,
    told_depth INTEGER,
    first_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    UNIQUE (device, epoch, lane)
  ) STRICT;
  CREATE TABLE outpost_event (
    lane_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    time TEXT NOT NULL,
    subject TEXT NOT NULL,
    boot INTEGER NOT NULL,
    mono_ms INTEGER NOT NULL,
    clock TEXT NOT NULL,
    digest TEXT NOT NULL,
    extra TEXT,
    data TEXT NOT NULL,
    received_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    PRIMARY KEY (lane_id, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE outpost_dropped (
    lane_id INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL,
    by_lane_id INTEGER NOT NULL,
    by_seq INTEGER NOT NULL,
    PRIMARY KEY (by_lane_id, by_seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX outpost_dropped_lane ON outpost_dropped (lane_id, first_seq);
  CREATE TABLE outpost_rejected (
    digest TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    device TEXT NOT NULL,
    lane_id INTEGER,
    seq INTEGER,
    reason TEXT NOT NULL,
    payload BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    first_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    last_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
  ) STRICT;
  CREATE INDEX outpost_rejected_lane ON outpost_rejected (lane_id, seq) WHERE lane_id IS NOT NULL;
  CREATE VIEW outpost_events AS
    SELECT l.device, l.epoch, l.lane, e.seq, e.type, e.time, e.subject, e.data, e.boot, e.mono_ms, e.clock, e.extra,
      e.received_at, 'e-' || substr(l.epoch, 1, 8) || '-' || l.lane || '-' || e.seq AS id
    FROM outpost_event e JOIN outpost_lane l ON l.id = e.lane_id;
  `,
  `
  CREATE TABLE outpost_media (
    device TEXT NOT NULL,
    media_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'partial',
    path TEXT,
    first_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    PRIMARY KEY (device, media_id, sha256)
  ) STRICT;
  CREATE INDEX outpost_media_partial ON outpost_media (state) WHERE state = 'partial';
  CREATE TABLE outpost_media_chunk (
    device TEXT NOT NULL,
    media_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    chunk INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (device, media_id, sha256, chunk)
  ) STRICT;
  `,
  `
  CREATE TABLE outpost_desired (
    device TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    hash TEXT NOT NULL,
    message BLOB NOT NULL,
    seen_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    sent_at TEXT,
    sends INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE outpost_reported (
    device TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    hash TEXT,
    phase TEXT,
    reported TEXT NOT NULL,
    seen_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
  ) STRICT;
  CREATE TABLE outpost_command (
    device TEXT NOT NULL,
    command_id TEXT NOT NULL,
    expires_at TEXT,
    message BLOB,
    answer TEXT,
    answered_at TEXT,
    seen_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    sent_at TEXT,
    sends INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, command_id)
  ) STRICT;
  CREATE INDEX outpost_command_open ON outpost_command (device) WHERE message IS NOT NULL;
  `,
];
