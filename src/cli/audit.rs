//! `leadstream audit`: accepted is the sum of the ends and what is in flight, by source.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, output};
use crate::model::{End, SourceName};
use crate::store::AuditLine;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Fails if a line does not balance.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    let books = match store.audit().await {
        Ok(books) => books,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    output::line(&if args.json {
        to_json(&books).to_string()
    } else {
        table(&books)
    });
    if books.values().all(|line| line.difference() == 0) {
        Exit::Success
    } else {
        Exit::Failure
    }
}

/// The books as JSON, by source.
fn to_json(books: &BTreeMap<SourceName, AuditLine>) -> Value {
    let sources: serde_json::Map<String, Value> = books
        .iter()
        .map(|(source, line)| {
            let mut row = json!({ "accepted": line.accepted });
            for end in End::ALL {
                row[end.name()] = json!(line.ends.get(&end).copied().unwrap_or(0));
            }
            row["waiting"] = json!(line.waiting);
            row["delivering"] = json!(line.delivering);
            row["fetching"] = json!(line.fetching);
            row["in_flight"] = json!(line.in_flight());
            row["difference"] = json!(line.difference());
            (source.to_string(), row)
        })
        .collect();
    let balanced = books.values().all(|line| line.difference() == 0);
    json!({ "balanced": balanced, "sources": sources })
}

/// The books for people, with a line for all sources together.
pub fn table(books: &BTreeMap<SourceName, AuditLine>) -> String {
    let mut header = vec!["source".to_owned(), "accepted".to_owned()];
    header.extend(End::ALL.map(|end| end.name().replace('_', " ")));
    header.extend(["in flight".to_owned(), "difference".to_owned()]);
    let row = |name: &str, line: &AuditLine| {
        let mut row = vec![name.to_owned(), line.accepted.to_string()];
        row.extend(End::ALL.map(|end| line.ends.get(&end).copied().unwrap_or(0).to_string()));
        row.extend([line.in_flight().to_string(), line.difference().to_string()]);
        row
    };
    let mut total = AuditLine::default();
    let mut rows = vec![header];
    for (source, line) in books {
        rows.push(row(source, line));
        total.accepted += line.accepted;
        total.waiting += line.waiting;
        total.delivering += line.delivering;
        total.fetching += line.fetching;
        for (end, count) in &line.ends {
            *total.ends.entry(*end).or_default() += count;
        }
    }
    rows.push(row("all", &total));

    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    let wrong: Vec<&str> = books
        .iter()
        .filter(|(_, line)| line.difference() != 0)
        .map(|(source, _)| &**source)
        .collect();
    match wrong.as_slice() {
        [] => text + "balanced: every accepted event is at its end or in flight",
        sources => text + "NOT balanced: " + &sources.join(", "),
    }
}
