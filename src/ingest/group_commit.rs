//! Many requests, one commit: whoever arrives while the disk is busy shares the next sync.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info};

use crate::edge::clock::SharedClock;
use crate::model::{EventId, Millis, NewEvent};
use crate::store::{InboxRow, InboxWriter, Store, StoreError};
use crate::telemetry::Metrics;

/// The most events in one commit.
const MOST_EVENTS: usize = 1024;

/// How often the writer lets others run before it commits, as long as that brings it more events.
/// Requests that were woken by the last commit are about to be followed by the next ones.
const MOST_YIELDS: usize = 8;

/// How long events are counted together.
const MOMENT: Duration = Duration::from_millis(10);

/// Events in a moment that keep the processor busy, be their commits ever so small.
const FLOOD: usize = 100;

/// The way into the inbox. Cheap to clone; when all are dropped, the writer ends.
#[derive(Debug, Clone)]
pub struct Inbox {
    queue: mpsc::Sender<Waiting>,
}

/// Why an event was not taken. Nothing of it is stored, as far as we know; its sender may try
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too many events wait for the disk.
    #[error("too many events are waiting to be stored")]
    Full,
    /// The store cannot write: disk full, database lost, or shutting down.
    #[error("the store cannot write")]
    Unavailable,
}

type Sender = oneshot::Sender<Result<EventId, AppendError>>;

#[derive(Debug)]
struct Waiting {
    row: InboxRow,
    done: Sender,
}

impl Inbox {
    /// Returns the event's id once it is on disk.
    pub async fn append(&self, event: NewEvent) -> Result<EventId, AppendError> {
        let (done, committed) = oneshot::channel();
        self.queue
            .try_send(Waiting {
                row: event.into(),
                done,
            })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => AppendError::Full,
                mpsc::error::TrySendError::Closed(_) => AppendError::Unavailable,
            })?;
        committed.await.unwrap_or(Err(AppendError::Unavailable))
    }
}

/// The writer behind an `Inbox`.
#[derive(Debug)]
pub struct GroupCommit {
    queue: mpsc::Receiver<Waiting>,
    /// Taken from the queue for the next commit.
    rows: Vec<InboxRow>,
    /// Who waits for each of `rows`.
    senders: Vec<Sender>,
    writer: InboxWriter,
    flow: Flow,
    /// Events refused since the inbox could last be written.
    refused: usize,
    store: Arc<Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

/// How many events came in lately. A quick disk makes small commits even of a flood of events.
#[derive(Debug)]
struct Flow {
    since: Millis,
    events: usize,
}

impl Flow {
    /// Counts `events` committed just now. Returns those of this commit, or, if they are many, all
    /// of the last moment.
    fn count(&mut self, events: usize, now: Millis) -> usize {
        // A clock that goes back begins a new moment, too.
        if now < self.since || now.since(self.since) >= MOMENT {
            self.since = now;
            self.events = 0;
        }
        self.events += events;
        if self.events >= FLOOD {
            self.events
        } else {
            events
        }
    }
}

/// What became of one commit, for those who wait for it in the order of their ids.
#[derive(Debug)]
struct Answers {
    /// The first of their ids.
    result: Result<EventId, AppendError>,
    senders: Vec<Sender>,
}

impl Answers {
    fn give(self) -> usize {
        let count = self.senders.len();
        for (index, sender) in (0..).zip(self.senders) {
            // Whoever no longer waits has gone; the event stays, and reaches Salesforce.
            let _ = sender.send(self.result.map(|first| EventId(first.0 + index)));
        }
        count
    }
}

/// An inbox of which at most `capacity` events wait for the disk, and its writer.
pub fn group_commit(
    store: Arc<Store>,
    capacity: usize,
    clock: SharedClock,
    metrics: Arc<Metrics>,
) -> Result<(Inbox, GroupCommit), StoreError> {
    let writer = store.inbox_writer()?;
    let (sender, queue) = mpsc::channel(capacity.max(1));
    Ok((
        Inbox { queue: sender },
        GroupCommit {
            queue,
            rows: Vec::with_capacity(MOST_EVENTS),
            senders: Vec::with_capacity(MOST_EVENTS),
            writer,
            flow: Flow {
                since: Millis(0),
                events: 0,
            },
            refused: 0,
            store,
            clock,
            metrics,
        },
    ))
}

impl GroupCommit {
    /// Commits until every `Inbox` is dropped and the queue is empty. Blocks its thread: its turn
    /// must not wait behind the requests that it has just answered, which run on `runtime`. After a
    /// crash, whose events are refused, it can be run again.
    pub fn run(&mut self, runtime: &Handle) {
        self.rows.clear();
        self.senders.clear();
        while let Some(first) = self.queue.blocking_recv() {
            self.take(first);
            self.gather();
            let answers = runtime.block_on(self.commit());
            // A task that is woken from outside its runtime goes through a lock and may cost a
            // call to the system: that is for one task to pay, not for each that waits.
            runtime.spawn(async move { answers.give() });
        }
    }

    /// Waits for events, commits them as far as one transaction takes them, and answers those who
    /// wait for it. Returns how many events it has answered: 0 at the end, when no more can come.
    pub async fn step(&mut self) -> usize {
        let Some(first) = self.queue.recv().await else {
            return 0;
        };
        self.take(first);
        self.take_queued();
        self.commit().await.give()
    }

    async fn commit(&mut self) -> Answers {
        let events = self.rows.len();
        let room = Vec::with_capacity(events);
        let senders = std::mem::replace(&mut self.senders, room);
        let first = EventId(self.store.take_ids(self.clock.now(), events).first());
        let result = match self.append(first).await {
            Ok(()) => {
                self.committed(events);
                Ok(first)
            }
            Err(error) => {
                self.failed(events, &error);
                Err(AppendError::Unavailable)
            }
        };
        self.rows.clear();
        Answers { result, senders }
    }

    async fn append(&mut self, first: EventId) -> Result<(), StoreError> {
        self.store.reach("ingest.before_append").await?;
        self.writer.append(first, &self.rows).await?;
        self.store.reach("ingest.after_append").await
    }

    fn take(&mut self, waiting: Waiting) {
        self.rows.push(waiting.row);
        self.senders.push(waiting.done);
    }

    fn take_queued(&mut self) {
        while self.rows.len() < MOST_EVENTS
            && let Ok(next) = self.queue.try_recv()
        {
            self.take(next);
        }
    }

    fn gather(&mut self) {
        for _ in 0..MOST_YIELDS {
            let before = self.rows.len();
            std::thread::yield_now();
            self.take_queued();
            if self.rows.len() == before {
                return;
            }
        }
    }

    fn committed(&mut self, events: usize) {
        debug!(events, "committed");
        if self.refused > 0 {
            let refused = std::mem::take(&mut self.refused);
            info!(refused, "the inbox can be written again");
        }
        self.metrics.events_per_commit.observe(events as f64);
        let now = self.clock.now();
        self.store.note_crowd(self.flow.count(events, now), now);
        self.store.inbox_changed.notify_one();
    }

    /// Said when it begins, not of each commit: a full disk may be where the log is, too.
    fn failed(&mut self, events: usize, error: &StoreError) {
        if self.refused == 0 {
            error!(%error, "the inbox cannot be written: senders are told to try again until it can");
        }
        self.refused += events;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::future::join_all;
    use futures_util::{FutureExt as _, poll};

    use super::*;
    use crate::edge::clock::ManualClock;
    use crate::model::{EventMeta, SourceName};
    use crate::store::Access;

    struct Bench {
        folder: tempfile::TempDir,
        store: Arc<Store>,
        inbox: Inbox,
        group_commit: GroupCommit,
    }

    async fn bench(capacity: usize) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&crate::config::StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let clock = ManualClock::at(Millis(1_772_359_200_000));
        let (inbox, group_commit) =
            group_commit(Arc::clone(&store), capacity, clock, Metrics::new()).unwrap();
        Bench {
            folder,
            store,
            inbox,
            group_commit,
        }
    }

    fn event(body: &'static str) -> NewEvent {
        NewEvent {
            source: SourceName::new("demo"),
            received_at: Millis(7),
            content_type: "text/plain".to_owned(),
            meta: EventMeta {
                request_id: "r".to_owned(),
                ..EventMeta::default()
            },
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[tokio::test]
    async fn a_step_commits_all_that_is_queued_in_its_order_and_waits_for_no_more() {
        let mut bench = bench(10).await;
        assert!(bench.group_commit.step().now_or_never().is_none());
        let inbox = &bench.inbox;
        let mut appends = Box::pin(join_all(
            ["a", "b", "c"].map(|body| inbox.append(event(body))),
        ));
        assert!(poll!(&mut appends).is_pending());
        assert_eq!(bench.group_commit.step().await, 3);
        let receipts = appends.await.into_iter().map(Result::unwrap);
        let stored = bench.store.events_after(EventId(0), 10).await.unwrap();
        let stored = stored.into_iter().map(|event| {
            assert_eq!(event.received_at, Millis(7));
            assert_eq!(event.content_type, "text/plain");
            assert_eq!(event.meta.request_id, "r");
            (event.id, event.received.body)
        });
        let expected: Vec<_> = receipts.zip(["a", "b", "c"].map(Bytes::from)).collect();
        assert_eq!(stored.collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn what_cannot_be_committed_is_refused_and_the_next_is_taken_once_it_can_be() {
        let mut bench = bench(1).await;
        let file = bench.folder.path().join("test.db-inbox");
        let other = rusqlite::Connection::open(file).unwrap();
        for round in ["first", "second"] {
            other
                .execute_batch("ALTER TABLE event RENAME TO gone")
                .unwrap();
            let mut refused = Box::pin(bench.inbox.append(event(round)));
            assert!(poll!(&mut refused).is_pending());
            // There is room for one that waits.
            let full = bench.inbox.append(event("one too many")).now_or_never();
            assert_eq!(full, Some(Err(AppendError::Full)));
            assert_eq!(bench.group_commit.step().await, 1);
            assert_eq!(refused.await, Err(AppendError::Unavailable));

            other
                .execute_batch("ALTER TABLE gone RENAME TO event")
                .unwrap();
            let mut taken = Box::pin(bench.inbox.append(event(round)));
            assert!(poll!(&mut taken).is_pending());
            bench.group_commit.step().await;
            taken.await.unwrap();
        }
        let stored = bench.store.events_after(EventId(0), 10).await.unwrap();
        assert_eq!(stored.len(), 2);
    }

    #[test]
    fn many_small_commits_in_a_moment_are_a_flood() {
        let mut flow = Flow {
            since: Millis(0),
            events: 0,
        };
        let mut count = |events, at| flow.count(events, Millis(at));
        assert_eq!(count(60, 1_000), 60);
        assert_eq!(count(60, 1_009), 120);
        assert_eq!(count(3, 1_010), 3, "another moment");
        assert_eq!(count(99, 1_011), 102);
        assert_eq!(count(3, 5), 3, "the clock went back");
    }
}
