//! `leadstream sources`: how each source is doing.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, output};
use crate::connector::ConnectorOptions;
use crate::edge::clock::{Clock as _, SystemClock};
use crate::ingest::poll::status::{Held, SourceState};
use crate::model::Millis;

/// Arguments of `sources`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Shows them; fails if one of them waits for a person.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let loaded = super::load(config_path);
    let Some(config) = &loaded.config else {
        return Exit::Failure;
    };
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    let now = SystemClock.now();
    let mut exit = Exit::Success;
    let mut all = Vec::new();
    for (name, source) in &config.sources {
        let state = match SourceState::load(&store, name).await {
            Ok(state) => state,
            Err(error) => {
                output::error_line(&format!("error: {error}"));
                return Exit::Failure;
            }
        };
        if state.paused.is_some() {
            exit = Exit::Failure;
        }
        let is_polled = match &source.options {
            ConnectorOptions::Manifest(of) => {
                !of.manifest.poll.is_empty() && of.common.schedule.as_deref() != Some("off")
            }
            _ => false,
        };
        if args.json {
            let mut shown = serde_json::to_value(&state).unwrap_or_default();
            shown["source"] = json!(&**name);
            shown["connector"] = json!(source.connector);
            all.push(shown);
        } else {
            output::line(to_text(name, &source.connector, is_polled, &state, now).trim_end());
        }
    }
    for name in &config.fenced {
        exit = Exit::Failure;
        if !args.json {
            output::line(&format!(
                "{name}: switched off because of an error; `leadstream check` says which"
            ));
        }
    }
    if args.json {
        output::line(&Value::Array(all).to_string());
    }
    store.close().await;
    exit
}

fn to_text(
    name: &str,
    connector: &str,
    is_polled: bool,
    state: &SourceState,
    now: Millis,
) -> String {
    let mut text = format!("{name} ({connector})\n");
    // Writing to a String cannot fail.
    if let Some(held) = &state.paused {
        add_held(&mut text, "PAUSED", held);
    }
    if let Some(held) = &state.failing {
        add_held(&mut text, "failing", held);
    }
    if !is_polled {
        text.push_str("  is not polled\n");
        return text;
    }
    match state.complete {
        Some(at) => {
            let _ = writeln!(text, "  read to the end: {}", ago(at, now));
        }
        None => text.push_str("  not read to the end yet\n"),
    }
    if let Some(last) = &state.last {
        let _ = writeln!(
            text,
            "  last poll: {} records on {} pages, {} of them new",
            last.read, last.pages, last.new
        );
    }
    if let Some(next) = state.next {
        let _ = writeln!(text, "  next: {next}");
    }
    if let Some(found) = &state.reconciled {
        let _ = writeln!(
            text,
            "  compared with the vendor: {}, {} records, {} were missing",
            ago(found.at, now),
            found.tally.read,
            found.tally.missing
        );
    }
    if let Some(facts) = &state.credential {
        let mut said = Vec::new();
        if let Some(at) = facts.obtained_at {
            said.push(format!("known since {}", ago(at, now)));
        }
        said.push(match facts.days_left(now) {
            Some(days) if days < 0 => "ended".to_owned(),
            Some(days) => format!("ends in {days} days"),
            None => "no end is known".to_owned(),
        });
        let _ = writeln!(text, "  credential ({}): {}", facts.way, said.join(", "));
    }
    text
}

fn add_held(text: &mut String, word: &str, held: &Held) {
    let _ = writeln!(
        text,
        "  {word} since {} [{}]: {}",
        held.since, held.trouble.code, held.trouble.message
    );
    if !held.trouble.hint.is_empty() {
        let _ = writeln!(text, "    help: {}", held.trouble.hint);
    }
    let _ = writeln!(text, "    tried again: {}", held.next);
}

/// How long ago, in the largest unit that says something.
fn ago(at: Millis, now: Millis) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds ago"),
        120..7_200 => format!("{} minutes ago", seconds / 60),
        7_200..172_800 => format!("{} hours ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
