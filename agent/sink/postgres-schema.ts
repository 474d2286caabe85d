/** The tables in PostgreSQL, version by version; README.md documents them. */
export const postgresMigrations: readonly string[] = [
  `
  CREATE TABLE outpost_device (
    device text PRIMARY KEY,
    online boolean NOT NULL,
    version text,
    epoch text,
    custody text,
    state jsonb NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE outpost_lane (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device text NOT NULL,
    epoch text NOT NULL,
    lane text NOT NULL,
    upto bigint NOT NULL DEFAULT 0,
    contiguous bigint NOT NULL DEFAULT 0,
    missing jsonb NOT NULL DEFAULT '[]',
    ahead jsonb NOT NULL DEFAULT '[]',
    duplicates bigint NOT NULL DEFAULT 0,
    conflicts bigint NOT NULL DEFAULT 0,
    told_first bigint,
    told_last bigint,
    told_depth bigint,
    first_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (device, epoch, lane)
  ) WITH (fillfactor = 50);
  CREATE TABLE outpost_event (
    lane_id bigint NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    subject text NOT NULL,
    boot bigint NOT NULL,
    mono_ms bigint NOT NULL,
    clock text NOT NULL,
    digest uuid NOT NULL,
    extra jsonb,
    data jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lane_id, seq)
  );
  CREATE INDEX outpost_event_received ON outpost_event USING brin (received_at);
  CREATE TABLE outpost_dropped (
    lane_id bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    count bigint NOT NULL,
    bytes bigint NOT NULL,
    reason text NOT NULL,
    by_lane_id bigint NOT NULL,
    by_seq bigint NOT NULL,
    PRIMARY KEY (by_lane_id, by_seq)
  );
  CREATE INDEX outpost_dropped_lane ON outpost_dropped (lane_id, first_seq);
  CREATE TABLE outpost_rejected (
    digest uuid PRIMARY KEY,
    topic text NOT NULL,
    device text NOT NULL,
    lane_id bigint,
    seq bigint,
    reason text NOT NULL,
    payload bytea NOT NULL,
    bytes bigint NOT NULL,
    count bigint NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX outpost_rejected_lane ON outpost_rejected (lane_id, seq) WHERE lane_id IS NOT NULL;
  CREATE VIEW outpost_events AS
    SELECT l.device, l.epoch, l.lane, e.seq, e.type, e.time, e.subject, e.data, e.boot, e.mono_ms, e.clock, e.extra,
      e.received_at, 'e-' || left(l.epoch, 8) || '-' || l.lane || '-' || e.seq AS id
    FROM outpost_event e JOIN outpost_lane l ON l.id = e.lane_id;
  `,
  `
  CREATE TABLE outpost_media (
    device text NOT NULL,
    media_id text NOT NULL,
    sha256 text NOT NULL,
    media_type text NOT NULL,
    size bigint NOT NULL,
    chunks integer NOT NULL,
    state text NOT NULL DEFAULT 'partial',
    path text,
    first_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device, media_id, sha256)
  );
  CREATE INDEX outpost_media_partial ON outpost_media (state) WHERE state = 'partial';
  CREATE TABLE outpost_media_chunk (
    device text NOT NULL,
    media_id text NOT NULL,
    sha256 text NOT NULL,
    chunk integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (device, media_id, sha256, chunk)
  );
  `,
  `
  CREATE TABLE outpost_desired (
    device text PRIMARY KEY,
    version bigint NOT NULL,
    hash text NOT NULL,
    message bytea NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    sends integer NOT NULL DEFAULT 0
  );
  CREATE TABLE outpost_reported (
    device text PRIMARY KEY,
    version bigint NOT NULL,
    hash text,
    phase text,
    reported jsonb NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE outpost_command (
    device text NOT NULL,
    command_id text NOT NULL,
    expires_at timestamptz,
    message bytea,
    answer text,
    answered_at timestamptz,
    seen_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    sends integer NOT NULL DEFAULT 0,
    PRIMARY KEY (device, command_id)
  );
  CREATE INDEX outpost_command_open ON outpost_command (device) WHERE message IS NOT NULL;
  `,
];
