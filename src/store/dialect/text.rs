//! One text of SQL for both databases. What they say in different words stands in braces:
//!
//! | written | SQLite | PostgreSQL |
//! | --- | --- | --- |
//! | `{in $1}` | `IN (SELECT value FROM json_each($1))` | `= ANY($1)` |
//! | `{rows $1: id bigint, at bigint}` | a row for each array in a JSON array | the same |
//! | `{lock}` | nothing: there is one writer | `FOR UPDATE` |
//! | `{skip locked}` | nothing | `FOR UPDATE SKIP LOCKED` |
//! | `{now}` | the database's clock, in milliseconds | the same |
//! | `{waiting}` | events above the floor | events of a group that waits |

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;

use super::Kind;

/// `text` as `kind` says it; made once.
pub(super) fn text(text: &'static str, kind: Kind) -> Arc<str> {
    type Made = HashMap<(&'static str, Kind), Arc<str>>;
    static MADE: LazyLock<Mutex<Made>> = LazyLock::new(Mutex::default);
    MADE.lock()
        .entry((text, kind))
        .or_insert_with(|| translate(text, kind).into())
        .clone()
}

fn translate(text: &str, kind: Kind) -> String {
    let mut translated = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        translated.push_str(before);
        let (word, after) = after.split_once('}').unwrap_or((after, ""));
        translated.push_str(&in_words_of(kind, word));
        rest = after;
    }
    translated.push_str(rest);
    translated
}

fn in_words_of(kind: Kind, word: &str) -> String {
    if let Some(parameter) = word.strip_prefix("in ") {
        return match kind {
            Kind::Sqlite => format!("IN (SELECT value FROM json_each({parameter}))"),
            Kind::Postgres => format!("= ANY({parameter})"),
        };
    }
    if let Some((parameter, columns)) = word
        .strip_prefix("rows ")
        .and_then(|rows| rows.split_once(": "))
    {
        return rows(kind, parameter, columns);
    }
    let (sqlite, postgres) = match word {
        "lock" => ("", "FOR UPDATE"),
        "skip locked" => ("", "FOR UPDATE SKIP LOCKED"),
        "now" => (
            "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint",
        ),
        "waiting" => (
            "event e WHERE e.id > COALESCE((SELECT CAST(value AS INTEGER) FROM store_info WHERE name = 'floor'), 0)",
            "waiting w JOIN event e ON e.id BETWEEN w.first_id AND w.last_id",
        ),
        // A test prepares every statement on both, which then refuse it.
        _ => ("{", "{"),
    };
    match kind {
        Kind::Sqlite => sqlite,
        Kind::Postgres => postgres,
    }
    .to_owned()
}

fn rows(kind: Kind, parameter: &str, columns: &str) -> String {
    let mut text = String::from("(SELECT ");
    for (index, column) in columns.split(", ").enumerate() {
        let (name, of_type) = column.split_once(' ').unwrap_or((column, "text"));
        let separator = if index == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = match kind {
            Kind::Sqlite => write!(
                text,
                "{separator}json_extract(value, '$[{index}]') AS {name}"
            ),
            Kind::Postgres => write!(text, "{separator}(value ->> {index})::{of_type} AS {name}"),
        };
    }
    let _ = match kind {
        Kind::Sqlite => write!(text, " FROM json_each({parameter}))"),
        Kind::Postgres => write!(text, " FROM jsonb_array_elements({parameter}::jsonb))"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_put_into_the_words_of_each() {
        let written =
            "SELECT a FROM t, {rows $2: id bigint, at bigint} AS r WHERE a {in $1} {lock}";
        assert_eq!(
            &*text(written, Kind::Sqlite),
            "SELECT a FROM t, (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS at \
             FROM json_each($2)) AS r WHERE a IN (SELECT value FROM json_each($1)) "
        );
        assert_eq!(
            &*text(written, Kind::Postgres),
            "SELECT a FROM t, (SELECT (value ->> 0)::bigint AS id, (value ->> 1)::bigint AS at \
             FROM jsonb_array_elements($2::jsonb)) AS r WHERE a = ANY($1) FOR UPDATE"
        );
    }
}
