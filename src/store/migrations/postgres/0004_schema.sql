-- The same tables as in SQLite; what they hold is said there.
CREATE TABLE org_describe (
    object TEXT PRIMARY KEY,
    described TEXT NOT NULL,
    last_modified TEXT,
    mapping TEXT NOT NULL,
    read_at BIGINT NOT NULL,
    checked_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Where the mapping and the org do not fit together. `drifted`: they did before the org was changed.
CREATE TABLE org_problem (
    object TEXT NOT NULL,
    code TEXT NOT NULL,
    about TEXT NOT NULL,
    is_error BOOLEAN NOT NULL,
    drifted BOOLEAN NOT NULL,
    message TEXT NOT NULL,
    hint TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (object, code, about)
);

-- What many have in common that one fix cures. No personal data.
ALTER TABLE dead_letter ADD COLUMN cause TEXT NOT NULL DEFAULT '';
UPDATE dead_letter SET cause = code;
CREATE INDEX dead_letter_cause ON dead_letter (cause, id) WHERE resolved_at IS NULL;
