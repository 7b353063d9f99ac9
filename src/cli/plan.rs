//! `leadstream plan`: what a list would become, and nothing written save, if asked for, its
//! acceptance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Exit, output};
use crate::config::{Config, SourceConfig};
use crate::connector::ConnectorOptions;
use crate::connector::custom::file_drop::{self, FileDropOptions, ROW_CONTENT_TYPE, Role, Table};
use crate::deliver::salesforce::Mapping;
use crate::edge::clock::{Clock as _, SystemClock};
use crate::ingest::file::{accept, read_limited};
use crate::model::{Door, Event, EventId, EventMeta, Millis, NewEvent, SourceName};
use crate::process::Rules;
use crate::process::preview::{Expected, Previewed, preview};
use crate::store::{Access, Store, StoreError};

/// The most rows of each kind that are listed; `--json` has them all.
const MOST_LISTED: usize = 20;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The list: a CSV, Excel or JSON lines file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The source that it is for; needed if there are several of files and it lies in no folder of
    /// theirs.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Print all of it as JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Accept the file as it is now: a source that waits for that takes it.
    #[arg(long)]
    accept: bool,
}

/// A list and what its rows would become.
struct Plan {
    source: SourceName,
    table: Table,
    rows: Vec<Previewed>,
}

/// Reads, previews, prints; fails if the list cannot be read.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let loaded = super::load(config_path);
    let Some(config) = &loaded.config else {
        return Exit::Failure;
    };
    match plan(args, config).await {
        Ok((plan, sha256)) => {
            if args.json {
                output::line(&format!("{:#}", plan.as_json()));
            } else {
                plan.print();
            }
            if args.accept {
                return accepted(&args.file, &sha256, args.json);
            }
            Exit::Success
        }
        Err(problem) => {
            output::error_line(&format!("error: {problem}"));
            Exit::Failure
        }
    }
}

fn accepted(file: &Path, sha256: &str, quiet: bool) -> Exit {
    match accept(file, sha256) {
        Ok(()) if quiet => Exit::Success,
        Ok(()) => {
            output::line(
                "accepted: it is taken at the next look into the folder, unless it changes",
            );
            Exit::Success
        }
        Err(error) => {
            output::error_line(&format!("error: it cannot be accepted: {error}"));
            Exit::Failure
        }
    }
}

async fn plan(args: &Args, config: &Config) -> Result<(Plan, String), String> {
    let (name, source, options) = source_of(args, config)?;
    let file_name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let read =
        read_limited(&args.file).map_err(|error| format!("the file cannot be read: {error}"))?;
    let (bytes, sha256) = read.ok_or("the file is larger than 64 MiB; split it into several")?;
    let table = file_drop::read(&file_name, &bytes, source, options).map_err(|error| {
        format!(
            "{} [{}]\n  = help: {}",
            error.message, error.code, error.hint
        )
    })?;
    let store = match Store::open(&config.store, Access::Command).await {
        Ok(store) => Some(store),
        // Before the first start nobody is known.
        Err(StoreError::Missing(_)) => None,
        Err(error) => return Err(error.to_string()),
    };
    let secret = store.as_ref().map_or([0; 16], |store| store.key_secret());
    let mapping = Arc::new(Mapping::new(&config.salesforce));
    let rules = Rules::of(config, mapping, secret);
    let now = SystemClock.now();
    let events = events(&table, name, now);
    let rows = preview(store.as_deref(), &rules, events, now)
        .await
        .map_err(|error| error.to_string())?;
    let plan = Plan {
        source: name.clone(),
        table,
        rows,
    };
    Ok((plan, sha256))
}

/// The rows as the events that they would be.
fn events(table: &Table, source: &SourceName, now: Millis) -> Vec<Event> {
    let rows = (1..).zip(&table.rows);
    rows.map(|(id, row)| Event {
        id: EventId(id),
        received: NewEvent {
            source: source.clone(),
            received_at: now,
            content_type: ROW_CONTENT_TYPE.to_owned(),
            meta: EventMeta {
                door: Door::File,
                ..EventMeta::default()
            },
            body: Bytes::from(table.body(row)),
        },
    })
    .collect()
}

type Source<'c> = (&'c SourceName, &'c SourceConfig, &'c FileDropOptions);

/// The source that is named, or in whose folder the file lies, or the only one of files.
fn source_of<'c>(args: &Args, config: &'c Config) -> Result<Source<'c>, String> {
    let of_files = |(name, source): (&'c SourceName, &'c SourceConfig)| match &source.options {
        ConnectorOptions::FileDrop(options) => Some((name, source, &**options)),
        _ => None,
    };
    let sources: Vec<Source<'c>> = config.sources.iter().filter_map(of_files).collect();
    if let Some(wanted) = &args.source {
        let found = sources.iter().find(|(name, ..)| ***name == **wanted);
        return found.copied().ok_or_else(|| {
            format!("there is no source `{wanted}` with `connector = \"file-drop\"`")
        });
    }
    let folder = args.file.canonicalize().ok();
    let folder = folder.as_deref().and_then(Path::parent);
    let is_there = |(_, _, options): &&Source<'c>| {
        folder.is_some() && options.folder.canonicalize().ok().as_deref() == folder
    };
    match (sources.iter().find(is_there), &sources[..]) {
        (Some(source), _) | (None, [source]) => Ok(*source),
        (None, []) => Err("no source has `connector = \"file-drop\"`".to_owned()),
        (None, _) => {
            let names: Vec<&str> = sources.iter().map(|(name, ..)| &***name).collect();
            Err(format!(
                "which source is it for? Write --source with one of: {}",
                names.join(", ")
            ))
        }
    }
}

fn kind(end: &Expected) -> &'static str {
    match end {
        Expected::Created => "create",
        Expected::Merged => "merge",
        Expected::Unchanged | Expected::Filtered(_) | Expected::Fetched => "skip",
        Expected::Review(_) | Expected::DeadLetter { .. } => "blocked",
    }
}

fn why(end: &Expected) -> String {
    match end {
        Expected::Created | Expected::Merged | Expected::Fetched => String::new(),
        Expected::Unchanged => "taken before".to_owned(),
        Expected::Filtered(why) => why.clone(),
        Expected::Review(why) => format!("{why} [review]"),
        Expected::DeadLetter { code, message, .. } => format!("{message} [{code}]"),
    }
}

fn notes(row: &Previewed) -> Vec<String> {
    let notes = row.notes.iter();
    let told = notes.map(|note| format!("{}: {} [{}]", note.field, note.message, note.code));
    told.collect()
}

impl Plan {
    fn of_kind(&self, wanted: &'static str) -> impl Iterator<Item = (u32, &Previewed)> {
        let rows = self.table.rows.iter().zip(&self.rows);
        rows.filter(move |(_, row)| kind(&row.end) == wanted)
            .map(|(row, planned)| (row.number, planned))
    }

    fn print(&self) {
        let count = |kind| self.of_kind(kind).count();
        let faults = &self.table.faults;
        output::line(&format!(
            "{}: {} creates, {} merges, {} skips, {} blockers",
            self.source,
            count("create"),
            count("merge"),
            count("skip"),
            count("blocked") + faults.len()
        ));
        output::line(&format!(
            "\ncolumns (header in row {}):",
            self.table.header_row
        ));
        for (name, role) in self.table.columns() {
            output::line(&match role {
                Role::Other => format!("  {name}: kept under its own name"),
                role => format!("  {name}: {}", role.shown()),
            });
        }
        if !self.table.warnings.is_empty() {
            output::line("\nwarnings:");
            for warning in &self.table.warnings {
                output::line(&format!("  {} [{}]", warning.message, warning.code));
            }
        }
        for (kind, title) in [
            ("create", "creates"),
            ("merge", "merges"),
            ("skip", "skips"),
        ] {
            let lines = self.of_kind(kind).map(|(number, row)| line(number, row));
            list(title, lines.collect());
        }
        let blocked = self
            .of_kind("blocked")
            .map(|(number, row)| line(number, row));
        let faults = faults
            .iter()
            .map(|fault| format!("  row {}: {} [{}]", fault.number, fault.message, fault.code));
        list("blockers", blocked.chain(faults).collect());
    }

    fn as_json(&self) -> Value {
        let rows = self
            .table
            .rows
            .iter()
            .zip(&self.rows)
            .map(|(row, planned)| {
                json!({
                    "row": row.number,
                    "what": kind(&planned.end),
                    "why": why(&planned.end),
                    "notes": notes(planned),
                })
            });
        let faults = self.table.faults.iter().map(
            |fault| json!({ "row": fault.number, "code": fault.code, "message": fault.message }),
        );
        let columns = self
            .table
            .columns()
            .map(|(name, role)| json!({ "name": name, "is": role.shown() }));
        let warnings = self
            .table
            .warnings
            .iter()
            .map(|warning| json!({ "code": warning.code, "message": warning.message }));
        json!({
            "source": &*self.source,
            "creates": self.of_kind("create").count(),
            "merges": self.of_kind("merge").count(),
            "skips": self.of_kind("skip").count(),
            "blockers": self.of_kind("blocked").count() + self.table.faults.len(),
            "header_row": self.table.header_row,
            "columns": columns.collect::<Vec<_>>(),
            "warnings": warnings.collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
            "errors": faults.collect::<Vec<_>>(),
        })
    }
}

fn line(number: u32, row: &Previewed) -> String {
    let why = why(&row.end);
    let notes = notes(row).join("; ");
    let said: Vec<&str> = [why.as_str(), notes.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    if said.is_empty() {
        format!("  row {number}")
    } else {
        format!("  row {number}: {}", said.join("; "))
    }
}

fn list(title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    output::line(&format!("\n{title}:"));
    for line in lines.iter().take(MOST_LISTED) {
        output::line(line);
    }
    if lines.len() > MOST_LISTED {
        output::line(&format!(
            "  and {} more (--json has all)",
            lines.len() - MOST_LISTED
        ));
    }
}
