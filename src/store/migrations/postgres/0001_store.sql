-- The same tables as in SQLite, in one database; what they hold is said there.
CREATE TABLE event (
    id BIGINT PRIMARY KEY,
    source TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    meta TEXT NOT NULL,
    body BYTEA NOT NULL
);

-- Events that wait to be processed, a row for each group that was committed together: their ids are
-- consecutive. SQLite has a floor instead.
CREATE TABLE waiting (
    first_id BIGINT PRIMARY KEY,
    last_id BIGINT NOT NULL
);

CREATE TABLE store_info (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE submission (
    event_id BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    source TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    at BIGINT NOT NULL,
    vendor_id TEXT,
    lead_id BIGINT,
    delivery_id BIGINT,
    outcome TEXT,
    reason TEXT,
    config_hash TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (event_id, ordinal)
);
CREATE INDEX submission_delivery ON submission (delivery_id) WHERE delivery_id IS NOT NULL;

CREATE TABLE lead (
    id BIGINT PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    record TEXT NOT NULL,
    last_content BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL,
    salesforce_id TEXT
);

CREATE TABLE match_key (
    key BIGINT NOT NULL,
    nth BIGINT NOT NULL,
    lead_id BIGINT NOT NULL,
    PRIMARY KEY (key, nth)
);

CREATE TABLE touch (
    id BIGINT PRIMARY KEY,
    lead_id BIGINT NOT NULL,
    event_id BIGINT NOT NULL,
    source TEXT NOT NULL,
    at BIGINT NOT NULL,
    campaign TEXT,
    attribution TEXT NOT NULL
);
CREATE INDEX touch_lead ON touch (lead_id);

CREATE TABLE delivery (
    id BIGINT PRIMARY KEY,
    lead_id BIGINT NOT NULL,
    destination TEXT NOT NULL,
    fields TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    unsure BOOLEAN NOT NULL,
    next_at BIGINT NOT NULL,
    submitted_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    claimed_by BIGINT
);
CREATE INDEX delivery_due ON delivery (next_at, id) WHERE state = 'pending';
CREATE INDEX delivery_open ON delivery (lead_id, id) WHERE state IN ('pending', 'sending');
CREATE INDEX delivery_sending ON delivery (claimed_by) WHERE state = 'sending';
CREATE INDEX delivery_dead ON delivery (lead_id) WHERE state = 'dead';

CREATE TABLE timeline (
    id BIGINT PRIMARY KEY,
    lead_id BIGINT NOT NULL,
    event_id BIGINT,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX timeline_lead ON timeline (lead_id, id);

CREATE TABLE dead_letter (
    id BIGINT PRIMARY KEY,
    event_id BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    source TEXT NOT NULL,
    lead_id BIGINT,
    delivery_id BIGINT,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    hint TEXT NOT NULL,
    at BIGINT NOT NULL,
    resolved_at BIGINT
);
CREATE INDEX dead_letter_open ON dead_letter (source, id) WHERE resolved_at IS NULL;
CREATE INDEX dead_letter_delivery ON dead_letter (delivery_id) WHERE resolved_at IS NULL;
CREATE INDEX dead_letter_event ON dead_letter (event_id) WHERE resolved_at IS NULL;

CREATE TABLE replay (
    event_id BIGINT PRIMARY KEY
);

CREATE TABLE node (
    slot BIGINT PRIMARY KEY,
    token BIGINT NOT NULL,
    name TEXT NOT NULL,
    until BIGINT NOT NULL
);

CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    token BIGINT NOT NULL,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
);

CREATE TABLE ledger (
    source TEXT NOT NULL,
    outcome TEXT NOT NULL,
    events BIGINT NOT NULL,
    PRIMARY KEY (source, outcome)
);

CREATE TABLE leaving (
    event_id BIGINT PRIMARY KEY
);

-- Rows of these come and go all the time: what is gone must be cleared away before it is long.
ALTER TABLE waiting SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE delivery SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
