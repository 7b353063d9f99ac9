use std::path::Path;

use super::{Exit, output};
use crate::config;
use crate::config::Loaded;
use crate::diagnostic;

/// Arguments of `leadstream check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the problems as JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, path: &Path) -> Exit {
    let loaded = if args.json {
        let loaded = config::load_with_process_env(path);
        output::line(&format!("{:#}", diagnostic::to_json(&loaded.diagnostics)));
        loaded
    } else {
        let loaded = super::load(path);
        output::line(&verdict(&loaded, path));
        loaded
    };
    if loaded.has_errors() {
        Exit::Failure
    } else {
        Exit::Success
    }
}

/// One line at the end: what was found, and what a start would do.
fn verdict(loaded: &Loaded, path: &Path) -> String {
    let file = path.display();
    let found = diagnostic::summary(&loaded.diagnostics);
    match (&loaded.config, found) {
        (Some(config), None) => format!(
            "{file} is in order: {}, configuration {}",
            sources(config.sources.len()),
            config.hash
        ),
        (Some(config), Some(found)) if config.fenced.is_empty() => format!(
            "{file}: {found}; {}, configuration {}",
            sources(config.sources.len()),
            config.hash
        ),
        (Some(config), Some(found)) => {
            let names: Vec<&str> = config.fenced.iter().map(|name| &**name).collect();
            format!(
                "{file}: {found}; it would run with {}, without {}",
                sources(config.sources.len()),
                names.join(", ")
            )
        }
        (None, found) => format!(
            "{file}: {}; it would not run",
            found.unwrap_or_else(|| "no configuration".to_owned())
        ),
    }
}

fn sources(count: usize) -> String {
    match count {
        1 => "1 source".to_owned(),
        _ => format!("{count} sources"),
    }
}
