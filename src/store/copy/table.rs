//! What is copied: all but who runs on the store (`node`, `lease`), what each database has for itself
//! (`waiting`), and what is read anew from the org (`org_…`). A test compares this with the migrations.

use crate::store::dialect::{Cells, Value};

/// How the rows of a table are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// By so many numbers, its first columns.
    Numbers(usize),
    /// By text, which databases sort in different ways: these rows, which are few and small, are
    /// copied at once.
    Whole,
}

/// A table and its statements. A batch has 2,000 rows at most.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: Key,
    #[cfg(test)]
    pub(super) columns: &'static str,
    /// All rows.
    pub(super) all: &'static str,
    /// The first rows.
    pub(super) first: &'static str,
    /// The rows after a key.
    pub(super) next: &'static str,
    /// The row with the highest key.
    pub(super) last: &'static str,
    pub(super) count: &'static str,
    pub(super) insert: &'static str,
    /// Removes all rows; `empty` at once, which only PostgreSQL can.
    pub(super) clear: &'static str,
    pub(super) empty: &'static str,
}

impl Table {
    /// The values of a row that are its key.
    pub(super) fn key_of(&self, row: &Cells) -> Vec<Value<'static>> {
        match self.key {
            Key::Numbers(count) => row.0.iter().take(count).cloned().collect(),
            Key::Whole => Vec::new(),
        }
    }
}

/// All in the order of `$key`, of which `$down` is the opposite and `$after` the placeholders.
macro_rules! table {
    ($name:literal, $kind:expr, $key:literal, $down:literal, $after:literal, $columns:literal) => {
        Table {
            name: $name,
            key: $kind,
            #[cfg(test)]
            columns: $columns,
            all: concat!("SELECT ", $columns, " FROM ", $name, " ORDER BY ", $key),
            first: concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $name,
                " ORDER BY ",
                $key,
                " LIMIT 2000"
            ),
            next: concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $name,
                " WHERE (",
                $key,
                ") > (",
                $after,
                ") ORDER BY ",
                $key,
                " LIMIT 2000"
            ),
            last: concat!(
                "SELECT ",
                $key,
                " FROM ",
                $name,
                " ORDER BY ",
                $down,
                " LIMIT 1"
            ),
            count: concat!("SELECT COUNT(*) FROM ", $name),
            insert: concat!("INSERT INTO ", $name, " (", $columns, ") VALUES"),
            clear: concat!("DELETE FROM ", $name),
            empty: concat!("TRUNCATE ", $name),
        }
    };
    ($name:literal, $columns:literal) => {
        table!($name, Key::Numbers(1), "id", "id DESC", "$1", $columns)
    };
    ($name:literal by event, $columns:literal) => {
        table!(
            $name,
            Key::Numbers(1),
            "event_id",
            "event_id DESC",
            "$1",
            $columns
        )
    };
}

pub(super) const TABLES: &[Table] = &[
    table!("event", "id, source, received_at, content_type, meta, body"),
    table!(
        "lead",
        "id, created_at, updated_at, record, last_content, last_received_at, salesforce_id, campaigns, followed"
    ),
    table!(
        "match_key",
        Key::Numbers(2),
        "key, nth",
        "key DESC, nth DESC",
        "$1, $2",
        "key, nth, lead_id"
    ),
    table!(
        "submission",
        Key::Numbers(2),
        "event_id, ordinal",
        "event_id DESC, ordinal DESC",
        "$1, $2",
        "event_id, ordinal, source, received_at, at, vendor_id, lead_id, delivery_id, outcome, reason, config_hash, fields"
    ),
    table!(
        "touch",
        "id, lead_id, event_id, source, at, campaign, attribution"
    ),
    table!(
        "delivery",
        "id, lead_id, destination, fields, also, priority, state, attempts, unsure, next_at, submitted_at, created_at, ended_at, claimed_by"
    ),
    table!("timeline", "id, lead_id, event_id, at, kind, detail"),
    table!(
        "dead_letter",
        "id, event_id, ordinal, source, lead_id, delivery_id, code, message, hint, at, resolved_at, cause"
    ),
    table!("vendor_record", "id, version"),
    table!(
        "fetch_task",
        "id, event_id, ordinal, source, bindings, attempts, next_at, created_at"
    ),
    table!(
        "cursor",
        Key::Whole,
        "source, key",
        "source DESC, key DESC",
        "$1, $2",
        "source, key, state, version, updated_at"
    ),
    table!(
        "credential",
        Key::Whole,
        "name",
        "name DESC",
        "$1",
        "name, sealed, version, updated_at"
    ),
    table!(
        "source_state",
        Key::Whole,
        "source",
        "source DESC",
        "$1",
        "source, state, updated_at"
    ),
    table!("replay" by event, "event_id"),
    table!("leaving" by event, "event_id"),
    table!(
        "ledger",
        Key::Whole,
        "source, outcome",
        "source DESC, outcome DESC",
        "$1, $2",
        "source, outcome, events"
    ),
    table!(
        "api_call",
        Key::Whole,
        "hour, purpose",
        "hour DESC, purpose DESC",
        "$1, $2",
        "hour, purpose, calls"
    ),
    table!(
        "bulk_job",
        Key::Whole,
        "id",
        "id DESC",
        "$1",
        "id, node, state, made_at"
    ),
];
