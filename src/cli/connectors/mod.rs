//! `leadstream connectors`: what can be connected, what each needs, and making one's own.

mod list;
mod new;
mod show;
mod test;

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use super::{Exit, output};
use crate::config;
use crate::connector::Catalog;
use crate::diagnostic::{self, Diagnostic};

/// What to do with connectors.
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// Show all connectors, and how leads come in by each.
    List(list::Args),
    /// Show what one needs, what it fills in, and how to set it up at the vendor.
    Show(show::Args),
    /// Write a folder with a manifest to start from.
    New(new::Args),
    /// Run a connector's samples, and show the leads that come of them.
    Test(test::Args),
}

/// Runs one of them.
pub fn run(command: &ConnectorsCommand, config_path: &Path) -> Exit {
    match command {
        ConnectorsCommand::List(args) => list::run(args, &catalog(config_path)),
        ConnectorsCommand::Show(args) => show::run(args, &catalog(config_path)),
        ConnectorsCommand::New(args) => new::run(args),
        ConnectorsCommand::Test(args) => test::run(args),
    }
}

/// The program's connectors, and those that the configuration adds, if there is one.
fn catalog(config_path: &Path) -> Arc<Catalog> {
    if config_path.exists() {
        let loaded = config::load_with_process_env(config_path);
        // Those of one's own that cannot be read would be missing without a word; what else is wrong
        // with the configuration is no matter here.
        let broken: Vec<Diagnostic> = loaded
            .diagnostics
            .into_iter()
            .filter(|problem| problem.code.starts_with("connector."))
            .collect();
        if !broken.is_empty() {
            let drawn = diagnostic::render(&broken, output::stderr_takes_colour());
            output::error_line(&drawn);
        }
        loaded.catalog
    } else {
        Catalog::embedded()
    }
}
