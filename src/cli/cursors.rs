//! `leadstream cursors`: how far each source has been read, and reading on from another place.

use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, output};
use crate::connector::ConnectorOptions;
use crate::connector::manifest::CursorKind;
use crate::connector::mechanism::cursor::{Mark, State};
use crate::connector::time;
use crate::edge::clock::{Clock as _, SystemClock};
use crate::ingest::poll::status::SourceState;
use crate::model::{Millis, SourceName};
use crate::store::{CursorMove, Store, StoreError, StoredCursor};

/// How often a rewind is tried while a daemon moves the cursor under it.
const TRIES: u32 = 20;

/// Arguments of `cursors`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<CursorsCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum CursorsCommand {
    /// Show how far each source has been read.
    List {
        /// Only this one.
        #[arg(value_name = "SOURCE")]
        source: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Read a source again from an earlier time; what is known is dropped.
    Rewind {
        /// The source, as in `[sources.<name>]`.
        #[arg(value_name = "SOURCE")]
        source: String,
        /// From when on: a date, or how long ago, for example `2026-01-31` or `90d`.
        #[arg(long, value_name = "WHEN")]
        to: String,
    },
}

/// Shows or moves them.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    match &args.command {
        None => Box::pin(list(None, false, config_path)).await,
        Some(CursorsCommand::List { source, json }) => {
            Box::pin(list(source.as_deref(), *json, config_path)).await
        }
        Some(CursorsCommand::Rewind { source, to }) => {
            Box::pin(rewind(source, to, config_path)).await
        }
    }
}

async fn list(only: Option<&str>, as_json: bool, config_path: &Path) -> Exit {
    let loaded = super::load(config_path);
    let Some(config) = loaded.config else {
        return Exit::Failure;
    };
    if let Some(name) = only
        && !config.sources.contains_key(name)
    {
        return failed(&format!("there is no source `{name}`, or it has errors"));
    }
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    let mut all = serde_json::Map::new();
    for name in config.sources.keys() {
        if only.is_some_and(|only| only != &**name) {
            continue;
        }
        let shown = async {
            let cursors = store.cursors(name).await?;
            let state = SourceState::load(&store, name).await?;
            Ok::<_, StoreError>((cursors, state))
        };
        match shown.await {
            Ok((cursors, state)) if as_json => {
                let cursors: serde_json::Map<_, _> = cursors.iter().map(as_value).collect();
                let state = serde_json::to_value(&state).unwrap_or_default();
                all.insert(
                    name.to_string(),
                    json!({ "cursors": cursors, "state": state }),
                );
            }
            Ok((cursors, state)) => show(name, &cursors, &state),
            Err(error) => return failed(&error.to_string()),
        }
    }
    store.close().await;
    if as_json {
        output::line(&Value::Object(all).to_string());
    }
    Exit::Success
}

fn as_value(cursor: &StoredCursor) -> (String, Value) {
    let state: Value = serde_json::from_str(&cursor.state).unwrap_or_default();
    let moved = cursor.updated_at.to_string();
    (
        cursor.key.clone(),
        json!({ "moved": moved, "state": state }),
    )
}

fn show(name: &SourceName, cursors: &[StoredCursor], state: &SourceState) {
    let is_list = |cursor: &&StoredCursor| !cursor.key.starts_with("request:");
    let lists: Vec<_> = cursors.iter().filter(is_list).collect();
    if lists.is_empty() && state == &SourceState::default() {
        return;
    }
    output::line(&format!("{name}"));
    for held in [&state.paused, &state.failing].into_iter().flatten() {
        output::line(&format!(
            "  not read since {}: {}; next try {}",
            held.since,
            held.trouble.sentence(),
            held.next
        ));
    }
    if let Some(complete) = state.complete {
        output::line(&format!("  all read at {complete}"));
    }
    if let Some(next) = state.next {
        output::line(&format!("  next poll {next}"));
    }
    if let Some(found) = &state.reconciled {
        output::line(&format!(
            "  compared at {}: {} listed, {} were missing",
            found.at, found.tally.read, found.tally.missing
        ));
    }
    for cursor in lists {
        output::line(&format!("  {}: {}", cursor.key, words(&cursor.state)));
    }
}

/// Where a list is, in words.
fn words(state: &str) -> String {
    let Ok(state) = serde_json::from_str::<State>(state) else {
        return "taken".to_owned();
    };
    let since = match &state.since {
        // Times are in milliseconds; no vendor counts its records so far.
        Some(Mark::Number(at)) if *at > 100_000_000_000 => format!("read to {}", Millis(*at)),
        Some(Mark::Number(number)) => format!("read to {number}"),
        Some(Mark::Text(_)) => "read to a place of the vendor's".to_owned(),
        None if state.complete.is_some() => "read".to_owned(),
        None => "not read to its end yet".to_owned(),
    };
    match &state.walk {
        Some(walk) => format!(
            "{since}; under way: {} pages, {} records, {} of them new",
            walk.pages, walk.records, walk.taken
        ),
        None => since,
    }
}

async fn rewind(source: &str, to: &str, config_path: &Path) -> Exit {
    let loaded = super::load(config_path);
    let Some(config) = loaded.config else {
        return Exit::Failure;
    };
    let name = SourceName::new(source);
    let own = match config.sources.get(&name).map(|source| &source.options) {
        Some(ConnectorOptions::Manifest(own)) if !own.manifest.poll.is_empty() => own,
        Some(_) => return failed(&format!("`{source}` is not polled")),
        None => return failed(&format!("there is no source `{source}`, or it has errors")),
    };
    let zone = time::zone(own.common.timezone.as_deref());
    let now = SystemClock.now();
    let Some(to) = super::backfill::ago(to, now).or_else(|| time::parse(to, None, &zone)) else {
        return failed(&format!(
            "`{to}` is no time; write for example `2026-01-31` or `90d`"
        ));
    };
    if to > now {
        return failed("a cursor is set back, and never into the future");
    }
    let polls: Vec<(&str, bool)> = own
        .manifest
        .poll
        .iter()
        .map(|poll| {
            let kind = poll.cursor.as_ref().map(|cursor| cursor.kind);
            (poll.name.as_str(), kind == Some(CursorKind::Time))
        })
        .collect();
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    let rewound = rewound(&store, &name, &polls, to).await;
    store.close().await;
    match rewound {
        Ok(0) => failed(&format!("nothing was read of `{source}` yet")),
        Ok(count) => {
            output::line(&format!(
                "{count} cursors set back to {to}; the next poll reads on from there, and what is known is dropped"
            ));
            Exit::Success
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// Sets a source's cursors back; those that are no time go back to the beginning.
async fn rewound(
    store: &Store,
    source: &SourceName,
    polls: &[(&str, bool)],
    to: Millis,
) -> Result<usize, StoreError> {
    let mut tries = 0;
    loop {
        let moves: Vec<CursorMove> = store
            .cursors(source)
            .await?
            .into_iter()
            .filter_map(|cursor| {
                let list = cursor.key.split('/').next().unwrap_or_default();
                let (_, is_time) = polls.iter().find(|(name, _)| *name == list)?;
                let mut state: State = serde_json::from_str(&cursor.state).unwrap_or_default();
                state.walk = None;
                state.fingerprint = None;
                state.since = match state.since {
                    Some(Mark::Number(at)) if *is_time => Some(Mark::Number(at.min(to.0))),
                    None if *is_time => Some(Mark::Number(to.0)),
                    _ => None,
                };
                Some(CursorMove {
                    source: source.clone(),
                    key: cursor.key,
                    expected: cursor.version,
                    state: serde_json::to_string(&state).ok(),
                })
            })
            .collect();
        match store.move_cursors(&moves, SystemClock.now()).await {
            Ok(()) => break Ok(moves.len()),
            Err(StoreError::Conflict) if tries < TRIES => tries += 1,
            Err(error) => break Err(error),
        }
    }
}

fn failed(message: &str) -> Exit {
    output::error_line(&format!("error: {message}"));
    Exit::Failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use crate::store::Access;

    #[tokio::test]
    async fn cursors_are_set_back_and_never_forward() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let demo = SourceName::new("demo");
        let at = |at: i64| Some(Mark::Number(at));
        let before = [
            ("members/a", at(5_000)),
            ("members/b", at(1_000)),
            ("numbers", at(77)),
            ("other", at(9)),
            ("request:backfill", None),
        ];
        let moves = before.map(|(key, since)| CursorMove {
            source: demo.clone(),
            key: key.to_owned(),
            expected: 0,
            state: serde_json::to_string(&State {
                since,
                fingerprint: Some("x".to_owned()),
                ..State::default()
            })
            .ok(),
        });
        store.move_cursors(&moves, Millis(1)).await.unwrap();
        let polls = [("members", true), ("numbers", false)];
        let count = rewound(&store, &demo, &polls, Millis(3_000)).await.unwrap();
        assert_eq!(count, 3);
        let after = store.cursors(&demo).await.unwrap();
        let after: Vec<_> = after
            .iter()
            .map(|cursor| {
                let state: State = serde_json::from_str(&cursor.state).unwrap();
                (cursor.key.as_str(), state.since)
            })
            .collect();
        let expect = [
            ("members/a", at(3_000)),
            ("members/b", at(1_000)),
            ("numbers", None),
            ("other", at(9)),
            ("request:backfill", None),
        ];
        assert_eq!(after, expect);
        store.close().await;
    }
}
