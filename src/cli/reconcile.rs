//! `leadstream reconcile <source>`: compares what the vendor holds with what came in.

use std::path::Path;

use super::Exit;
use super::backfill::{Wanted, carry_out};

/// Arguments of `reconcile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source, as in `[sources.<name>]`.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The counts as JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Compares, fetches what is missing, and says how much that was.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let wanted = Wanted {
        source: &args.source,
        kind: "reconcile",
        since: None,
        until: None,
        dry_run: false,
        json: args.json,
    };
    Box::pin(carry_out(&wanted, config_path)).await
}
