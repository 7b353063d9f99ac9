//! `leadstream replay`: has events processed once more, by the configuration as it is now.

use std::path::Path;

use super::{Exit, output};
use crate::edge::clock::{Clock as _, SystemClock};
use crate::model::EventId;

/// The most dead letters that one call replays.
const MOST: usize = 100_000;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events, by the receipts that their senders got.
    #[arg(value_name = "EVENT", required_unless_present_any = ["all_dead", "cause"])]
    events: Vec<EventId>,
    /// All events that are dead letters.
    #[arg(long)]
    all_dead: bool,
    /// All events that are dead letters of this cause, as `dead-letters` shows it.
    #[arg(long, value_name = "CAUSE", conflicts_with = "all_dead")]
    cause: Option<String>,
    /// With --all-dead or --cause: only those of this source.
    #[arg(long)]
    source: Option<String>,
    /// With --all-dead: only those that stopped for this reason.
    #[arg(long, requires = "all_dead", value_name = "REASON")]
    code: Option<String>,
}

/// Marks the events; a running daemon takes them up within a second, another at its start.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    if args.source.is_some() && !args.all_dead && args.cause.is_none() {
        output::error_line("error: --source goes with --all-dead or --cause");
        return Exit::Failure;
    }
    let mut events = args.events.clone();
    if let Some(cause) = &args.cause {
        match store.dead_events(cause, args.source.as_deref(), MOST).await {
            Ok(found) if found.is_empty() => {
                output::error_line(&format!("error: no dead letter has the cause `{cause}`"));
                output::error_line("  = help: `leadstream dead-letters` shows the causes");
                return Exit::Failure;
            }
            Ok(found) => events.extend(found),
            Err(error) => return failed(&error),
        }
    }
    if args.all_dead {
        match store.dead_letters(args.source.as_deref(), MOST).await {
            Ok(letters) => events.extend(
                letters
                    .into_iter()
                    .filter(|letter| args.code.as_ref().is_none_or(|code| *code == letter.code))
                    .map(|letter| letter.event),
            ),
            Err(error) => return failed(&error),
        }
    }
    events.sort_unstable();
    events.dedup();
    match store.replay(&events, SystemClock.now()).await {
        Ok(marked) => {
            output::line(&format!("{marked} events will be processed once more"));
            let left = events.len() as u64 - marked;
            if left > 0 {
                output::error_line(&format!(
                    "{left} were left alone: unknown, in flight, or in Salesforce already"
                ));
            }
            if marked > 0 || events.is_empty() {
                Exit::Success
            } else {
                Exit::Failure
            }
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &crate::store::StoreError) -> Exit {
    output::error_line(&format!("error: {error}"));
    Exit::Failure
}
