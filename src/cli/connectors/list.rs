use serde_json::{Value, json};

use super::super::{Exit, output};
use crate::connector::Catalog;
use crate::connector::manifest::Manifest;

/// Arguments of `connectors list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Connectors that are Rust, with what they bring in.
const RUST: &[(&str, &str, &str, &str)] = &[(
    "web-form",
    "Web forms",
    "webhook",
    "What landing pages post, and Web-to-Lead forms",
)];

/// Shows all connectors.
pub fn run(args: &Args, catalog: &Catalog) -> Exit {
    let mut rows: Vec<(String, String, String, String)> = RUST
        .iter()
        .map(|(name, title, ways, help)| {
            let [name, title, ways, help] =
                [name, title, ways, help].map(|text| (*text).to_owned());
            (name, title, ways, help)
        })
        .collect();
    rows.extend(catalog.all().map(|manifest| {
        (
            manifest.name.clone(),
            manifest.title.clone(),
            ways(manifest),
            manifest.help.clone(),
        )
    }));
    rows.sort();
    if args.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(name, title, ways, help)| {
                json!({ "name": name, "title": title, "ways": ways, "help": help })
            })
            .collect();
        output::line(&Value::Array(rows).to_string());
        return Exit::Success;
    }
    let name_width = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let ways_width = rows.iter().map(|row| row.2.len()).max().unwrap_or(0);
    for (name, _, ways, help) in &rows {
        output::line(&format!("{name:name_width$}  {ways:ways_width$}  {help}"));
    }
    output::line("\n`leadstream connectors show <name>` says what one needs.");
    Exit::Success
}

/// How leads come in by it.
fn ways(manifest: &Manifest) -> String {
    let mut ways = Vec::new();
    if manifest.webhook.is_some() {
        ways.push("webhook");
    }
    if !manifest.poll.is_empty() {
        ways.push("poll");
    }
    ways.join(", ")
}
