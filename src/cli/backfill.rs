//! `leadstream backfill <source>`: reads what the vendor holds of a span of time.
//!
//! On SQLite one process appends: if a daemon runs, it is asked to read, and this shows how far it
//! is. Otherwise, and on PostgreSQL, this process reads by itself, under the account's lease.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Exit, output};
use crate::config::Config;
use crate::connector::time;
use crate::edge::clock::{Clock as _, SharedClock, SystemClock};
use crate::edge::shutdown::{self, Signals};
use crate::ingest::group_commit;
use crate::ingest::poll::request::{Order, StoredOrder};
use crate::ingest::poll::{PollSource, Poller, Round, Stop, Tally};
use crate::model::{Millis, SourceName};
use crate::store::{Access, Store, StoreError};
use crate::telemetry::Metrics;

/// How often a daemon's progress is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long a daemon may take to take an order up before that is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// Another reads the account, or the vendor failed and did not say for how long.
const WAIT: Duration = Duration::from_secs(5);

/// How often in a row a vendor may fail before this gives up; the same command goes on later.
const MOST_FAILURES: u32 = 8;

/// Arguments of `backfill`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source, as in `[sources.<name>]`.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// From when on: a date, or how long ago, for example `2026-01-31` or `90d`.
    #[arg(long, value_name = "WHEN")]
    since: String,
    /// Until when; until now if not said.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only count what would be read.
    #[arg(long)]
    dry_run: bool,
    /// The counts as JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Of which source.
    pub source: &'a str,
    /// The kind of order: `backfill` or `reconcile`.
    pub kind: &'static str,
    /// From when.
    pub since: Option<&'a str>,
    /// Until when.
    pub until: Option<&'a str>,
    /// Only count.
    pub dry_run: bool,
    /// Say it as JSON.
    pub json: bool,
}

/// Reads, and says how much there was.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let wanted = Wanted {
        source: &args.source,
        kind: "backfill",
        since: Some(&args.since),
        until: args.until.as_deref(),
        dry_run: args.dry_run,
        json: args.json,
    };
    Box::pin(carry_out(&wanted, config_path)).await
}

/// Carries out what a command asks for, by itself or through the daemon.
pub async fn carry_out(wanted: &Wanted<'_>, config_path: &Path) -> Exit {
    let Some(config) = super::load(config_path).config else {
        return Exit::Failure;
    };
    match Box::pin(try_to(wanted, &config)).await {
        Ok(tally) => {
            clear(wanted);
            tell(wanted, tally);
            Exit::Success
        }
        Err(message) => {
            clear(wanted);
            output::error_line(&format!("error: {message}"));
            Exit::Failure
        }
    }
}

async fn try_to(wanted: &Wanted<'_>, config: &Config) -> Result<Tally, String> {
    let name = SourceName::new(wanted.source);
    if !config.sources.contains_key(&name) {
        let source = wanted.source;
        return Err(format!("there is no source `{source}`, or it has errors"));
    }
    let order = order(wanted, config, &name, SystemClock.now())?;
    let text = |error: StoreError| error.to_string();
    match Store::open(&config.store, Access::Daemon).await {
        Ok(store) => {
            let result = Box::pin(here(wanted, config, &name, &order, &store)).await;
            store.close().await;
            result
        }
        Err(StoreError::InUse(_)) => {
            let opened = Store::open(&config.store, Access::Command).await;
            let store = opened.map_err(text)?;
            let result = there(wanted, &name, order, &store).await;
            store.close().await;
            result
        }
        Err(error) => Err(text(error)),
    }
}

fn order(
    wanted: &Wanted<'_>,
    config: &Config,
    name: &SourceName,
    now: Millis,
) -> Result<Order, String> {
    let own = config.sources.get(name).map(|source| &source.options);
    let zone = match own {
        Some(crate::connector::ConnectorOptions::Manifest(own))
            if !own.manifest.poll.is_empty() =>
        {
            time::zone(own.common.timezone.as_deref())
        }
        _ => {
            return Err(format!(
                "`{name}` is not polled: its connector asks no vendor"
            ));
        }
    };
    let moment = |text: Option<&str>| {
        text.map(|text| {
            ago(text, now)
                .or_else(|| time::parse(text, None, &zone))
                .ok_or_else(|| {
                    format!("`{text}` is no time; write for example `2026-01-31` or `90d`")
                })
        })
        .transpose()
    };
    let (since, until) = (moment(wanted.since)?, moment(wanted.until)?);
    if since.is_some_and(|since| since >= until.unwrap_or(now)) {
        return Err("--since must be before --until, and before now".to_owned());
    }
    Ok(Order {
        asked: now.0,
        since,
        until,
        dry_run: wanted.dry_run,
        ..Order::default()
    })
}

/// The moment that `90d` or `12h` before `now` means: a whole one of its unit, so that the same
/// command goes on where it was stopped.
pub(super) fn ago(text: &str, now: Millis) -> Option<Millis> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let unit = seconds * 1_000;
    let ago = number.checked_mul(unit).filter(|ago| *ago >= 0)?;
    let at = now.0.saturating_sub(ago);
    Some(Millis(at.div_euclid(unit) * unit))
}

/// By this process.
async fn here(
    wanted: &Wanted<'_>,
    config: &Config,
    name: &SourceName,
    order: &Order,
    store: &Arc<Store>,
) -> Result<Tally, String> {
    let clock: SharedClock = Arc::new(SystemClock);
    let source = PollSource::all(config, store, &clock)
        .into_iter()
        .find(|(known, _)| known == name);
    let source = match source {
        Some((_, Ok(source))) => source,
        Some((_, Err(error))) => return Err(format!("{error}; {}", error.hint)),
        None => return Err(format!("`{name}` has no way to sign in: set its options")),
    };
    let metrics = Metrics::new();
    let (inbox, mut writer) = group_commit(
        Arc::clone(store),
        10,
        Arc::clone(&clock),
        Arc::clone(&metrics),
    )
    .map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Handle::current();
    let writing = std::thread::Builder::new()
        .name("group-commit".to_owned())
        .spawn(move || writer.run(&runtime))
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let keeper = tokio::spawn(keep_node(Arc::clone(store)));
    let poller = Poller::new(source, Arc::clone(store), inbox, clock, metrics);
    let job = order.job(wanted.kind, poller.reconciliation());
    let result = Box::pin(until_done(wanted, &poller, Round::new(job))).await;
    keeper.abort();
    drop(poller);
    // With the poller its way into the inbox is gone.
    let _ = tokio::task::spawn_blocking(move || writing.join()).await;
    result
}

/// On PostgreSQL this process is a node like any other.
async fn keep_node(store: Arc<Store>) {
    let Some(interval) = store.lease_interval() else {
        return;
    };
    loop {
        SystemClock.sleep(interval).await;
        // Should that fail for too long, the next page is refused.
        let _ = store.keep_node().await;
    }
}

async fn until_done(
    wanted: &Wanted<'_>,
    poller: &Poller,
    mut round: Round,
) -> Result<Tally, String> {
    let mut signals = Signals::new().map_err(|error| error.to_string())?;
    let (trigger, shutdown) = shutdown::channel();
    let mut failures = 0;
    let mut told = String::new();
    loop {
        let stepped = {
            let mut step = std::pin::pin!(poller.step(&mut round, &shutdown));
            tokio::select! {
                stepped = &mut step => stepped,
                () = signals.next() => {
                    trigger.stop();
                    step.await
                }
            }
        };
        progress(wanted, round.tally);
        let (wait, why) = match stepped {
            Ok(()) => {
                if wanted.kind == "reconcile" {
                    poller.note_reconciled(&round).await;
                }
                return Ok(round.tally);
            }
            Err(Stop::Turn) => {
                failures = 0;
                continue;
            }
            Err(Stop::Stopping) => {
                return Err("stopped; the same command goes on where this one was".to_owned());
            }
            Err(Stop::Overtaken) => {
                round = Round::new(round.job);
                (WAIT, "somebody else has moved on; begun anew".to_owned())
            }
            Err(Stop::Busy) => (WAIT, "waits for another that reads this account".to_owned()),
            Err(Stop::Store(error)) => return Err(error),
            Err(Stop::Pause(trouble)) => return Err(trouble.sentence()),
            Err(Stop::Again {
                wait,
                is_throttle,
                trouble,
            }) => {
                failures += u32::from(!is_throttle);
                if failures > MOST_FAILURES {
                    let sentence = trouble.sentence();
                    return Err(format!(
                        "{sentence}; the same command goes on where this one was"
                    ));
                }
                let doubled = WAIT.saturating_mul(1 << failures.min(6));
                (wait.unwrap_or(doubled), trouble.sentence())
            }
        };
        if why != told {
            clear(wanted);
            output::error_line(&why);
            told = why;
        }
        tokio::select! {
            () = SystemClock.sleep(wait) => {}
            () = signals.next() => trigger.stop(),
        }
    }
}

/// By the daemon that runs on the store.
async fn there(
    wanted: &Wanted<'_>,
    name: &SourceName,
    order: Order,
    store: &Store,
) -> Result<Tally, String> {
    let text = |error: StoreError| error.to_string();
    let before = StoredOrder::load(store, name, wanted.kind).await;
    let before = before.map_err(text)?;
    let now = SystemClock.now();
    if let Some(before) = &before
        && before.order.begun
        && before.order.is_open(now)
        && !before.order.is_same(&order)
    {
        return Err(format!(
            "the daemon is at another {} of `{name}`; wait until it is done",
            wanted.kind
        ));
    }
    let goes_on = before
        .as_ref()
        .is_some_and(|before| before.order.is_open(now) && before.order.is_same(&order));
    if !goes_on {
        let mut stored = StoredOrder {
            version: before.map_or(0, |before| before.version),
            order,
        };
        stored
            .save(store, name, wanted.kind, now)
            .await
            .map_err(text)?;
    }
    if !wanted.json {
        output::error_line("the daemon reads; Ctrl-C ends only this command");
    }
    let mut signals = Signals::new().map_err(|error| error.to_string())?;
    let mut told = None;
    let mut is_late_told = false;
    loop {
        let stored = StoredOrder::load(store, name, wanted.kind).await;
        let order = match stored.map_err(text)? {
            Some(stored) => stored.order,
            None => return Err("the order is gone; give it again".to_owned()),
        };
        progress(wanted, order.tally);
        if let Some(ended) = order.ended {
            return ended.map(|()| order.tally);
        }
        if order.waits.is_some() && order.waits != told {
            clear(wanted);
            output::error_line(&format!(
                "waits: {}",
                order.waits.as_deref().unwrap_or_default()
            ));
            told = order.waits;
        }
        if !order.begun && !is_late_told && SystemClock.now().since(now) > PATIENCE {
            clear(wanted);
            output::error_line(
                "the daemon has not taken it up yet: does it run with this configuration?",
            );
            is_late_told = true;
        }
        tokio::select! {
            () = SystemClock.sleep(LOOK) => {}
            () = signals.next() => {
                return Err("not waited for; the daemon goes on, and the same command shows how far it is".to_owned());
            }
        }
    }
}

fn is_drawn(wanted: &Wanted<'_>) -> bool {
    !wanted.json && output::stdout_can_be_drawn_on()
}

fn progress(wanted: &Wanted<'_>, tally: Tally) {
    if is_drawn(wanted) {
        output::part(&format!(
            "\r\u{1b}[2K{} pages, {} records read, {} new",
            tally.pages, tally.read, tally.new
        ));
    }
}

fn clear(wanted: &Wanted<'_>) {
    if is_drawn(wanted) {
        output::part("\r\u{1b}[2K");
    }
}

fn tell(wanted: &Wanted<'_>, tally: Tally) {
    if wanted.json {
        output::line(&serde_json::to_string(&tally).unwrap_or_default());
        return;
    }
    let taken = if wanted.dry_run {
        "would be new"
    } else {
        "new"
    };
    output::line(&format!(
        "{} read on {} pages: {} {taken}, {} known",
        tally.read, tally.pages, tally.new, tally.known
    ));
    if wanted.kind == "reconcile" {
        output::line(&match tally.missing {
            0 => "nothing was missing".to_owned(),
            missing => format!(
                "{missing} had not come in and are fetched now: look at the vendor's webhook"
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, expect) in [
            ("10d", Some(90 * 86_400_000)),
            ("1h", Some(100 * 86_400_000 + 4 * 3_600_000)),
            ("0s", Some(100 * 86_400_000 + 5 * 3_600_000 + 1_000)),
            ("2026-01-31", None),
            ("-5d", None),
            ("d", None),
            ("", None),
            ("9999999999999999d", None),
        ] {
            let now = Millis(100 * 86_400_000 + 5 * 3_600_000 + 1_001);
            assert_eq!(ago(text, now), expect.map(Millis), "{text}");
        }
    }
}
