//! Loop 1, where the vendor does not send by itself: asks it page by page, and appends what is new.
//!
//! `plan` is a manifest made ready, `reader` takes records out of an answer, `walk` goes from page to
//! page, `items` and `lookups` are what is read before, `status` is what people are told, `run` is the
//! loop. Promises: a page's events and how far the walk has come are stored together, so that a crash
//! at any moment loses nothing and repeats nothing; an account is read by one node at a time.

mod items;
mod lease;
mod lookups;
pub mod reader;
pub mod request;
mod run;
mod source;
pub mod status;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{AppendError, Inbox};
use crate::connector::mechanism::call::{CallError, Next};
use crate::connector::mechanism::cursor::Span;
use crate::connector::mechanism::request::RequestError;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::model::Millis;
use crate::store::{CursorMove, Lease, Store, StoreError};
use crate::telemetry::Metrics;

use items::Item;
pub use reader::{ManifestReader, PageReader};
pub use run::Hints;
pub use source::{PollSource, SourceError};
pub(in crate::ingest) use walk::named_only;

/// So many lists in a row that cannot be read: it is the vendor, or the account.
const FAILURES_OF_ALL: usize = 5;

/// How long a round holds the account at most before others get their turn.
const TURN: Duration = Duration::from_secs(30);

/// Reads one source.
#[derive(Debug)]
pub struct Poller {
    pub(super) source: PollSource,
    pub(super) store: Arc<Store>,
    pub(super) inbox: Inbox,
    pub(super) clock: SharedClock,
    pub(super) metrics: Arc<Metrics>,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// What is new.
    Poll,
    /// A span of time, by a person's order.
    Backfill {
        /// Which.
        span: Span,
        /// Only counts.
        dry_run: bool,
    },
    /// What the vendor holds since then, whether or not it was read: is anything missing?
    Reconcile {
        /// From when; all there is if not said.
        since: Option<Millis>,
    },
}

impl Job {
    fn is_dry(self) -> bool {
        matches!(self, Self::Backfill { dry_run: true, .. })
    }

    /// The span that is asked for, in place of how far the list has been read.
    fn span(self) -> Option<Span> {
        match self {
            Self::Poll => None,
            Self::Backfill { span, .. } => Some(span),
            Self::Reconcile { since } => Some(Span { since, until: None }),
        }
    }

    /// The key of a list's cursor.
    fn key(self, stream: &str, item: Option<&str>) -> String {
        let list = match item {
            Some(item) => format!("{stream}/{item}"),
            None => stream.to_owned(),
        };
        match self {
            Self::Poll => list,
            Self::Backfill { span, .. } => {
                let moment = |at: Option<Millis>| at.map_or(String::new(), |at| at.0.to_string());
                let (since, until) = (moment(span.since), moment(span.until));
                if until.is_empty() {
                    format!("backfill:{since}/{list}")
                } else {
                    format!("backfill:{since}-{until}/{list}")
                }
            }
            Self::Reconcile { .. } => format!("reconcile:/{list}"),
        }
    }
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Pages.
    pub pages: u64,
    /// Records on them.
    pub read: u64,
    /// Those of them that were taken, or would be.
    pub new: u64,
    /// Those that had come in before.
    pub known: u64,
    /// Of the new ones, those of which an earlier version is known.
    pub changed: u64,
    /// Reconciling: those that should have come in long ago.
    pub missing: u64,
}

/// A job under way: what one turn has done, the next need not.
#[derive(Debug)]
pub struct Round {
    /// What is read.
    pub job: Job,
    /// How much was read.
    pub tally: Tally,
    /// When it began, once it has.
    pub began: Millis,
    /// The polls that are read; all if not said.
    only: Option<BTreeSet<String>>,
    /// What is wrong with some of the lists, while others could be read.
    trouble: Option<Trouble>,
    /// Whether it has waited once for what came in to be processed.
    waited: bool,
    /// The keys of lists that are done.
    done: HashSet<String>,
    /// Records that were appended and may not be processed yet.
    taken: HashSet<(i64, i64)>,
    items: BTreeMap<String, Arc<Vec<Item>>>,
    lookups: BTreeMap<String, Arc<Value>>,
}

impl Round {
    /// A job that reads some of the polls only.
    fn of(job: Job, only: BTreeSet<String>) -> Self {
        Self {
            only: Some(only),
            ..Self::new(job)
        }
    }

    /// The same job from its beginning.
    fn anew(self) -> Self {
        Self {
            only: self.only,
            taken: self.taken,
            ..Self::new(self.job)
        }
    }

    /// A job that is to be done.
    pub fn new(job: Job) -> Self {
        Self {
            job,
            tally: Tally::default(),
            began: Millis(0),
            only: None,
            trouble: None,
            waited: false,
            done: HashSet::new(),
            taken: HashSet::new(),
            items: BTreeMap::new(),
            lookups: BTreeMap::new(),
        }
    }
}

/// What is wrong. No secret, no person's data.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Trouble {
    /// Stable.
    pub code: String,
    /// What.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Why a turn ended before its round was done. How far it got is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Others get their turn; it goes on at once.
    Turn,
    /// It is time to stop.
    Stopping,
    /// Another source or node reads this account.
    Busy,
    /// Another node has taken over, or a person has moved a cursor: to be begun anew.
    Overtaken,
    /// It is to be tried again.
    Again {
        /// Not before this long.
        wait: Option<Duration>,
        /// Whether the vendor only asks for patience.
        is_throttle: bool,
        /// Why.
        trouble: Trouble,
    },
    /// A person must do something.
    Pause(Trouble),
    /// Our own store.
    Store(String),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced | StoreError::Conflict => Self::Overtaken,
            error => Self::Store(error.to_string()),
        }
    }
}

impl From<AppendError> for Stop {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Fenced | AppendError::Conflict => Self::Overtaken,
            AppendError::Full | AppendError::Unavailable | AppendError::TooLarge => {
                Self::Store(error.to_string())
            }
        }
    }
}

impl From<RequestError> for Stop {
    fn from(error: RequestError) -> Self {
        Self::Pause(Trouble {
            code: "poll.no_request".to_owned(),
            message: format!("the request cannot be made: {error}"),
            hint: "set the option that is named, or mend the connector's manifest".to_owned(),
        })
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        let trouble = Trouble {
            code: error.code.to_owned(),
            message: error.message,
            hint: error.hint,
        };
        match error.next {
            Next::Retry(wait) => Self::Again {
                wait,
                is_throttle: false,
                trouble,
            },
            Next::Throttle(wait) => Self::Again {
                wait,
                is_throttle: true,
                trouble,
            },
            Next::Restart | Next::End | Next::Shrink => Self::Again {
                wait: None,
                is_throttle: false,
                trouble,
            },
            Next::Pause | Next::Gone => Self::Pause(trouble),
        }
    }
}

impl Stop {
    /// Whether it may be a matter of one list only.
    fn is_of_a_list(&self) -> bool {
        matches!(
            self,
            Self::Pause(_)
                | Self::Again {
                    is_throttle: false,
                    ..
                }
        )
    }

    fn again(code: &str, message: String, hint: &str) -> Self {
        Self::Again {
            wait: None,
            is_throttle: false,
            trouble: Trouble {
                code: code.to_owned(),
                message,
                hint: hint.to_owned(),
            },
        }
    }
}

impl Poller {
    /// Reads `source` into `inbox`.
    pub fn new(
        source: PollSource,
        store: Arc<Store>,
        inbox: Inbox,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            source,
            store,
            inbox,
            clock,
            metrics,
        }
    }

    /// One turn of a round: goes on until it is done, or stops.
    pub async fn step(&self, round: &mut Round, shutdown: &Shutdown) -> Result<(), Stop> {
        let now = self.clock.now();
        if round.began == Millis(0) {
            round.began = now;
        }
        let until = now.after(TURN);
        self.under_lease(async |lease| self.all_lists(round, lease, until, shutdown).await)
            .await
    }

    async fn all_lists(
        &self,
        round: &mut Round,
        lease: &Lease,
        until: Millis,
        shutdown: &Shutdown,
    ) -> Result<(), Stop> {
        let mut held: Option<Stop> = None;
        let (mut failures, mut successes) = (0, round.done.len());
        for stream in &self.source.plan.streams {
            let only = round.only.as_ref();
            if only.is_some_and(|only| !only.contains(stream.name())) {
                continue;
            }
            let items = self.items(stream, &mut round.items).await?;
            for item in &*items {
                let key = round.job.key(stream.name(), item.key.as_deref());
                if round.done.contains(&key) {
                    continue;
                }
                let list = walk::List {
                    stream,
                    item,
                    key: &key,
                };
                match Box::pin(self.walk(list, round, lease, until, shutdown)).await {
                    Ok(()) => {
                        (failures, successes) = (0, successes + 1);
                        round.done.insert(key);
                    }
                    // One list that cannot be read stops no other. When none can, it is not the list.
                    Err(stop) if item.key.is_some() && stop.is_of_a_list() => {
                        failures += 1;
                        if failures >= FAILURES_OF_ALL {
                            return Err(held.unwrap_or(stop));
                        }
                        // What may pass is tried again soon, whatever else there is.
                        if held.is_none() || matches!(stop, Stop::Again { .. }) {
                            held = Some(stop);
                        }
                    }
                    Err(stop) => return Err(stop),
                }
            }
        }
        match held {
            Some(Stop::Pause(trouble)) if successes > 0 => {
                round.trouble = Some(trouble);
            }
            Some(stop) => return Err(stop),
            None => {}
        }
        if let Job::Backfill { dry_run: false, .. } = round.job {
            self.forget(round).await?;
        }
        Ok(())
    }

    /// A backfill is done: its cursors said only where it was to go on.
    async fn forget(&self, round: &Round) -> Result<(), Stop> {
        const AT_ONCE: usize = 500;
        let cursors = self.store.cursors(&self.source.name).await?;
        let done = cursors
            .into_iter()
            .filter(|cursor| round.done.contains(&cursor.key));
        let moves: Vec<CursorMove> = done
            .map(|cursor| CursorMove {
                source: self.source.name.clone(),
                key: cursor.key,
                expected: cursor.version,
                state: None,
            })
            .collect();
        for some in moves.chunks(AT_ONCE) {
            self.store.move_cursors(some, self.clock.now()).await?;
        }
        Ok(())
    }
}
