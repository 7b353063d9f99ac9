-- The same tables as in SQLite, where `cursor` is in the inbox's file; what they hold is said there.
CREATE TABLE cursor (
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (source, key)
);

CREATE TABLE vendor_record (
    id BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);

CREATE TABLE fetch_task (
    id BIGINT PRIMARY KEY,
    event_id BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    source TEXT NOT NULL,
    bindings TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX fetch_task_submission ON fetch_task (event_id, ordinal);
CREATE INDEX fetch_task_due ON fetch_task (source, next_at, id);

CREATE TABLE credential (
    name TEXT PRIMARY KEY,
    sealed BYTEA NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE source_state (
    source TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Rows of these are changed, or come and go, all the time.
ALTER TABLE cursor SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE fetch_task SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
