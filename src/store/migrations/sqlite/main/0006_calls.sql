-- Calls that we made to Salesforce, by the hour in which they were made and what they were for.
CREATE TABLE api_call (
    hour BIGINT NOT NULL,
    purpose TEXT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (hour, purpose)
) WITHOUT ROWID;

-- Bulk jobs that we made in Salesforce and have not seen to their end, so that a restart can.
-- `node`: who made it; `state`: open (nothing is written yet), closed, left (by its own node).
CREATE TABLE bulk_job (
    id TEXT PRIMARY KEY NOT NULL,
    node BIGINT NOT NULL,
    state TEXT NOT NULL,
    made_at BIGINT NOT NULL
) WITHOUT ROWID;
