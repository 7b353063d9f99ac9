//! `leadstream store`: looks after where everything is kept.

mod copy;
mod info;
mod migrate;

use std::path::Path;

use clap::Subcommand;

use super::{Exit, output, tell};
use crate::config;
use crate::store::StoreError;

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Bring the tables up to date now; every start does so by itself, too.
    Migrate,
    /// Show sizes, what waits and since when, and who runs on it.
    Info(info::Args),
    /// Copy a SQLite store into an empty database of PostgreSQL; again, to go on where it stopped.
    Copy(copy::Args),
}

/// Runs one of them.
pub async fn run(command: StoreCommand, config_path: &Path) -> Exit {
    let loaded = config::load_with_process_env(config_path);
    let Some(store) = &loaded.store else {
        tell(&loaded);
        return Exit::Failure;
    };
    match command {
        StoreCommand::Migrate => migrate::run(store).await,
        StoreCommand::Info(args) => info::run(&args, store).await,
        StoreCommand::Copy(args) => copy::run(&args, store).await,
    }
}

fn failed(error: &dyn std::fmt::Display, hint: Option<&str>) -> Exit {
    output::error_line(&format!("error: {error}"));
    if let Some(hint) = hint {
        output::error_line(&format!("  help: {hint}"));
    }
    Exit::Failure
}

/// What helps where a daemon is in the way.
fn hint_of(error: &StoreError) -> Option<&'static str> {
    matches!(error, StoreError::InUse(_)).then_some("stop it first; start it again afterwards")
}
