-- How far each source has been read, by stream, item or file. In the inbox's file, so that it is
-- committed with the events that were read. `state` is JSON; `version` grows by one with each move.
CREATE TABLE cursor (
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (source, key)
) WITHOUT ROWID;
