-- Which records of vendors have come in. `id` is a keyed hash of source and vendor's id, `version` of
-- the vendor's version of it; 0 if none was ever said. Kept when the event goes: the vendor may still
-- list it.
CREATE TABLE vendor_record (
    id BIGINT PRIMARY KEY NOT NULL,
    version BIGINT NOT NULL
) WITHOUT ROWID;

-- Records that a webhook only named, and are still to be fetched; a row goes when that has ended.
-- `bindings` is JSON.
CREATE TABLE fetch_task (
    id INTEGER PRIMARY KEY NOT NULL,
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

-- Tokens that vendors gave us, encrypted before they come here. `version` grows by one with each
-- change.
CREATE TABLE credential (
    name TEXT PRIMARY KEY NOT NULL,
    sealed BLOB NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;

-- How each source is doing, as JSON.
CREATE TABLE source_state (
    source TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;
