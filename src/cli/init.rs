use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Exit, output};
use crate::config;

/// What `init` writes: as little as makes a working configuration.
const STARTER: &str = include_str!("../../config/starter.toml");

/// The file that the `#:schema` line names.
const SCHEMA_FILE: &str = "leadstream.schema.json";

/// Arguments of `leadstream init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write over a file that is there already.
    #[arg(long)]
    force: bool,
    /// The file to write, or the folder to write leadstream.toml into; otherwise that of --config.
    path: Option<PathBuf>,
}

pub(super) fn run(args: &Args, config: &Path) -> Exit {
    let mut path = args.path.clone().unwrap_or_else(|| config.to_owned());
    if path.is_dir() {
        path.push("leadstream.toml");
    }
    match write(&path, args.force) {
        Ok(schema) => {
            output::line(&format!(
                "wrote {} and {}\n\
                 next: put your Salesforce address and consumer key into it, set SF_CLIENT_SECRET, \
                 and run `leadstream --config {0} check`",
                path.display(),
                schema.display()
            ));
            Exit::Success
        }
        Err(message) => {
            output::error_line(&message);
            Exit::Failure
        }
    }
}

fn write(path: &Path, force: bool) -> Result<PathBuf, String> {
    let failed = |path: &Path, error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!(
            "error: {} is there already; nothing was written\n  = help: `--force` writes over it",
            path.display()
        ),
        _ => format!("error: cannot write {}: {error}", path.display()),
    };
    let mut options = fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        // Asking first and then writing would race with whoever else writes it.
        options.create_new(true);
    }
    let mut file = options.open(path).map_err(|error| failed(path, error))?;
    file.write_all(STARTER.as_bytes())
        .map_err(|error| failed(path, error))?;
    let schema = path.with_file_name(SCHEMA_FILE);
    fs::write(&schema, format!("{:#}\n", config::schema()))
        .map_err(|error| failed(&schema, error))?;
    Ok(schema)
}
