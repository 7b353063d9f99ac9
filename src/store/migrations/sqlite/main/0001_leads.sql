-- Facts about this store: its tag (part of every external id), the secret that match keys are
-- hashed with, and up to which event everything has been processed.
CREATE TABLE store_info (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- What each event held, and what became of it. `outcome` is NULL while in flight. An event that
-- held nobody, or could not be read, has one row without a lead.
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
) WITHOUT ROWID;
CREATE INDEX submission_vendor ON submission (vendor_id, source) WHERE vendor_id IS NOT NULL;
CREATE INDEX submission_delivery ON submission (delivery_id) WHERE delivery_id IS NOT NULL;

-- `last_content` is a keyed hash of the last submission's source and content, received at
-- `last_received_at`: the same again soon after is a double click.
CREATE TABLE lead (
    id INTEGER PRIMARY KEY NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    record TEXT NOT NULL,
    last_content BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL,
    salesforce_id TEXT
);

-- `key` is a keyed hash: no personal data here, and a match is verified on the lead's own values.
CREATE TABLE match_key (
    key BIGINT NOT NULL,
    lead_id BIGINT NOT NULL,
    PRIMARY KEY (key, lead_id)
) WITHOUT ROWID;

CREATE TABLE touch (
    id INTEGER PRIMARY KEY NOT NULL,
    lead_id BIGINT NOT NULL,
    event_id BIGINT NOT NULL,
    source TEXT NOT NULL,
    at BIGINT NOT NULL,
    campaign TEXT,
    attribution TEXT NOT NULL
);
CREATE INDEX touch_lead ON touch (lead_id);

-- state: pending, sending, done, dead, superseded. `unsure`: an earlier sending may have been carried out.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY NOT NULL,
    lead_id BIGINT NOT NULL,
    destination TEXT NOT NULL,
    fields TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    unsure BOOLEAN NOT NULL,
    next_at BIGINT NOT NULL,
    submitted_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX delivery_due ON delivery (next_at, id) WHERE state = 'pending';
CREATE INDEX delivery_open ON delivery (lead_id, id) WHERE state IN ('pending', 'sending');
CREATE INDEX delivery_dead ON delivery (lead_id) WHERE state = 'dead';

CREATE TABLE timeline (
    id INTEGER PRIMARY KEY NOT NULL,
    lead_id BIGINT NOT NULL,
    event_id BIGINT,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX timeline_lead ON timeline (lead_id, id);

-- One row per stop; `resolved_at` is set when it was replayed or overtaken by a success.
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY NOT NULL,
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

-- Events that are to be processed once more.
CREATE TABLE replay (
    event_id BIGINT PRIMARY KEY NOT NULL
) WITHOUT ROWID;
