-- The inbox has a file of its own, so that an acknowledgement never waits for the other loops'
-- transactions. Rows are immutable; ids grow in the order of commit.
CREATE TABLE event (
    id INTEGER PRIMARY KEY NOT NULL,
    source TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    meta TEXT NOT NULL,
    body BLOB NOT NULL
);
