-- The same tables as in SQLite; what they hold is said there.
CREATE TABLE api_call (
    hour BIGINT NOT NULL,
    purpose TEXT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (hour, purpose)
);

CREATE TABLE bulk_job (
    id TEXT PRIMARY KEY,
    node BIGINT NOT NULL,
    state TEXT NOT NULL,
    made_at BIGINT NOT NULL
);

-- The rows of the running hour are changed every minute.
ALTER TABLE api_call SET (fillfactor = 50);
