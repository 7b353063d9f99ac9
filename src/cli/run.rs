//! `leadstream run`: the daemon.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use super::Exit;
use super::output;
use crate::daemon::Daemon;
use crate::edge::clock::SystemClock;
use crate::edge::shutdown::Signals;
use crate::telemetry;

/// Runs until Ctrl-C or SIGTERM; a second one ends at once.
pub async fn run(config_path: &Path) -> Exit {
    telemetry::start_logging();
    let Some(config) = super::load(config_path).config else {
        return Exit::Failure;
    };
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            output::error_line(&format!("error: cannot wait for signals: {error}"));
            return Exit::Failure;
        }
    };
    let daemon = match Daemon::start(
        &config,
        // Loading has made the store's file relative to the configuration already.
        Path::new(""),
        Arc::new(SystemClock),
    )
    .await
    {
        Ok(daemon) => daemon,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    let sources = config.sources.len();
    info!(address = %daemon.address(), sources, config.hash = %config.hash, "leadstream takes leads");
    for source in &config.fenced {
        warn!(%source, "fenced off because of an error in its configuration; the others run");
    }
    signals.next().await;
    info!("stopping: finishing what is in hand; once more ends at once");
    tokio::select! {
        () = daemon.stop() => Exit::Success,
        () = signals.next() => {
            warn!("ended at once; what was accepted is on disk and goes on at the next start");
            Exit::Failure
        }
    }
}
