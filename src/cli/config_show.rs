use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, output};
use crate::config::{Origin, Setting, key_to_toml, to_toml};

/// Arguments of `leadstream config show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show what is not written, too: the defaults.
    #[arg(long)]
    effective: bool,
    /// Say behind each value where it came from.
    #[arg(long)]
    origin: bool,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, path: &Path) -> Exit {
    let loaded = super::load(path);
    let Some(mut settings) = loaded.settings() else {
        return Exit::Failure;
    };
    if !args.effective {
        settings.retain(|setting| setting.origin != Origin::Default);
    }
    let hash = loaded.config.as_ref().map(|config| config.hash.as_str());
    let text = if args.json {
        format!("{:#}", as_json(&settings, hash))
    } else {
        as_toml(&settings, args.origin, hash)
    };
    output::line(text.trim_end());
    if loaded.has_errors() {
        Exit::Failure
    } else {
        Exit::Success
    }
}

fn as_json(settings: &[Setting], hash: Option<&str>) -> Value {
    let settings: Vec<Value> = settings
        .iter()
        .map(|setting| {
            json!({
                "table": setting.table,
                "key": setting.key,
                "value": setting.value,
                "origin": setting.origin.to_json(),
            })
        })
        .collect();
    json!({ "hash": hash, "settings": settings })
}

/// TOML that could be read again, but for the secrets. What is not set is a comment.
fn as_toml(settings: &[Setting], with_origin: bool, hash: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(hash) = hash {
        let _ = writeln!(text, "# configuration {hash}");
    }
    let mut table: &[String] = &[];
    for setting in settings {
        if setting.table != table {
            table = &setting.table;
            let name: Vec<String> = table.iter().map(|key| key_to_toml(key)).collect();
            let _ = writeln!(text, "\n[{}]", name.join("."));
        }
        let key = key_to_toml(&setting.key);
        let is_secret = matches!(setting.origin, Origin::Secret { .. });
        let _ = match &setting.value {
            Some(value) if with_origin || is_secret => {
                let origin = one_line(&setting.origin.in_words());
                writeln!(text, "{key} = {}  # {origin}", to_toml(value))
            }
            Some(value) => writeln!(text, "{key} = {}", to_toml(value)),
            None => writeln!(text, "# {key} is not set"),
        };
    }
    text
}

/// A file's name may hold anything; a comment ends with its line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}
