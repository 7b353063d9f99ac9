//! Many requests, one commit: whoever arrives while the disk is busy shares the next sync.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error};

use crate::edge::clock::SharedClock;
use crate::model::{EventId, NewEvent};
use crate::store::{InboxRow, InboxWriter, Store, StoreError};
use crate::telemetry::Metrics;

/// The most events in one commit.
const MOST_EVENTS: usize = 1024;

/// How often the writer lets others run before it commits, as long as that brings it more events.
/// Requests that were woken by the last commit are about to be followed by the next ones.
const MOST_YIELDS: usize = 8;

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
    writer: InboxWriter,
    runtime: tokio::runtime::Handle,
    store: Arc<Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

/// An inbox of which at most `capacity` events wait for the disk, and its writer.
pub async fn group_commit(
    store: Arc<Store>,
    capacity: usize,
    clock: SharedClock,
    metrics: Arc<Metrics>,
) -> Result<(Inbox, GroupCommit), StoreError> {
    let writer = store.inbox_writer().await?;
    let (sender, queue) = mpsc::channel(capacity.max(1));
    Ok((
        Inbox { queue: sender },
        GroupCommit {
            queue,
            writer,
            runtime: tokio::runtime::Handle::current(),
            store,
            clock,
            metrics,
        },
    ))
}

impl GroupCommit {
    /// Commits until every `Inbox` is dropped and the queue is empty. Blocks its thread: its turn
    /// must not wait behind the requests that it has just answered. After a crash, whose events
    /// are refused, it can be run again.
    pub fn run(&mut self) {
        let runtime = self.runtime.clone();
        while runtime.block_on(self.step()) {}
    }

    /// Waits for events and commits them as one group. False at the end, when no more can come.
    pub async fn step(&mut self) -> bool {
        let mut waiting = Vec::with_capacity(MOST_EVENTS);
        if self.queue.recv_many(&mut waiting, MOST_EVENTS).await == 0 {
            return false;
        }
        self.gather(&mut waiting);
        let (rows, senders): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.row, waiting.done))
            .unzip();
        self.commit(rows, senders).await;
        true
    }

    fn gather(&mut self, waiting: &mut Vec<Waiting>) {
        for _ in 0..MOST_YIELDS {
            let before = waiting.len();
            std::thread::yield_now();
            while waiting.len() < MOST_EVENTS {
                match self.queue.try_recv() {
                    Ok(next) => waiting.push(next),
                    Err(_) => break,
                }
            }
            if waiting.len() == before {
                return;
            }
        }
    }

    async fn commit(&mut self, rows: Vec<InboxRow>, senders: Vec<Sender>) {
        let events = rows.len();
        let first = self.store.take_ids(self.clock.now(), events).first();
        let result: Result<(), StoreError> = async {
            self.store.reach("ingest.before_append").await?;
            self.writer.append(EventId(first), rows).await?;
            self.store.reach("ingest.after_append").await
        }
        .await;
        match &result {
            Ok(()) => debug!(events, "committed"),
            // Said once a group, not once an event: the senders are told one by one.
            Err(error) => {
                error!(events, %error, "events were refused: the inbox cannot be written");
            }
        }
        for (id, sender) in (first..).zip(senders) {
            let answer = if result.is_ok() {
                Ok(EventId(id))
            } else {
                Err(AppendError::Unavailable)
            };
            // Whoever no longer waits has gone; the event stays, and reaches Salesforce.
            let _ = sender.send(answer);
        }
        if result.is_ok() {
            self.metrics.events_per_commit.observe(events as f64);
            self.store.note_crowd(events, self.clock.now());
            self.store.inbox_changed.notify_one();
        }
    }
}
