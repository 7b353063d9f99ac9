-- `nth` counts the leads that have a key, from 0. Two nodes that give one key to a new lead at the
-- same instant both say the same nth: one is refused, and looks again.
CREATE TABLE numbered_key (
    key BIGINT NOT NULL,
    nth BIGINT NOT NULL,
    lead_id BIGINT NOT NULL,
    PRIMARY KEY (key, nth)
) WITHOUT ROWID;
INSERT INTO numbered_key (key, nth, lead_id)
    SELECT key, ROW_NUMBER() OVER (PARTITION BY key ORDER BY lead_id) - 1, lead_id FROM match_key;
DROP TABLE match_key;
ALTER TABLE numbered_key RENAME TO match_key;

-- The sender's own id of a submission is a match key as well.
DROP INDEX submission_vendor;

-- Which node is sending: the mark of its lease.
ALTER TABLE delivery ADD COLUMN claimed_by BIGINT;
CREATE INDEX delivery_sending ON delivery (claimed_by) WHERE state = 'sending';

-- Who runs on this store. `token` grows whenever a slot changes hands; who has an older one can
-- write nothing. `until` is by the database's clock.
CREATE TABLE node (
    slot BIGINT PRIMARY KEY NOT NULL,
    token BIGINT NOT NULL,
    name TEXT NOT NULL,
    until BIGINT NOT NULL
) WITHOUT ROWID;

-- What only one node may do at a time.
CREATE TABLE lease (
    name TEXT PRIMARY KEY NOT NULL,
    token BIGINT NOT NULL,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
) WITHOUT ROWID;

-- Events that are no longer kept, by their ends, so that the books still balance.
CREATE TABLE ledger (
    source TEXT NOT NULL,
    outcome TEXT NOT NULL,
    events BIGINT NOT NULL,
    PRIMARY KEY (source, outcome)
) WITHOUT ROWID;

-- Events that stand in the ledger already, and are about to be removed from the inbox.
CREATE TABLE leaving (
    event_id BIGINT PRIMARY KEY NOT NULL
) WITHOUT ROWID;
