//! Many requests, one commit: whoever arrives while the disk is busy shares the next sync. Pages
//! that were read from vendors come in by the same writer, each by itself: a page whose reader was
//! overtaken is refused alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info};

use super::page::{Page, PageStored};
use crate::edge::clock::SharedClock;
use crate::model::{EventId, Millis, NewEvent};
use crate::store::{InboxPage, InboxRow, InboxWriter, Store, StoreError};
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
    /// A page only: its lease is another's now.
    #[error("another node has taken over what this one was reading")]
    Fenced,
    /// A page only: one of its cursors is not where it was.
    #[error("a cursor was moved by somebody else meanwhile")]
    Conflict,
    /// A page only: more than one transaction should take.
    #[error(
        "the page is too large: 10,000 events, 1,000 cursors and 64 MiB are the most, and contexts of 100 levels"
    )]
    TooLarge,
}

type Sender = oneshot::Sender<Result<EventId, AppendError>>;

#[derive(Debug)]
enum Waiting {
    Event { row: InboxRow, done: Sender },
    Page(Box<WaitingPage>),
}

#[derive(Debug)]
struct WaitingPage {
    page: InboxPage,
    done: oneshot::Sender<Result<PageStored, AppendError>>,
}

impl Inbox {
    /// Returns the event's id once it is on disk.
    pub async fn append(&self, event: NewEvent) -> Result<EventId, AppendError> {
        let (done, committed) = oneshot::channel();
        self.queue
            .try_send(Waiting::Event {
                row: event.into(),
                done,
            })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => AppendError::Full,
                mpsc::error::TrySendError::Closed(_) => AppendError::Unavailable,
            })?;
        committed.await.unwrap_or(Err(AppendError::Unavailable))
    }

    /// Stores a page and moves its cursors, all at once or nothing of it; returns once that is on
    /// disk. Waits for its turn while many requests wait for the disk. Should the caller stop
    /// waiting, the page may be stored or not: its cursors say.
    pub async fn append_page(&self, page: Page) -> Result<PageStored, AppendError> {
        let page = page.into_rows()?;
        let (done, committed) = oneshot::channel();
        self.queue
            .send(Waiting::Page(Box::new(WaitingPage { page, done })))
            .await
            .map_err(|_| AppendError::Unavailable)?;
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
    /// Taken from the queue after them: its turn is next.
    page: Option<Box<WaitingPage>>,
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
            page: None,
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
        self.page = None;
        while let Some(first) = self.queue.blocking_recv() {
            self.take(first);
            self.gather();
            if !self.rows.is_empty() {
                let answers = runtime.block_on(self.commit());
                // A task that is woken from outside its runtime goes through a lock and may cost a
                // call to the system: that is for one task to pay, not for each that waits.
                runtime.spawn(async move { answers.give() });
            }
            if let Some(page) = self.page.take() {
                runtime.block_on(self.commit_page(*page));
            }
        }
    }

    /// Waits for events, commits them as far as one transaction takes them, then the page that has
    /// come after them, if one has, and answers those who wait for it. Returns how many it has
    /// answered: 0 at the end, when no more can come.
    pub async fn step(&mut self) -> usize {
        let Some(first) = self.queue.recv().await else {
            return 0;
        };
        self.take(first);
        self.take_queued();
        let mut answered = 0;
        if !self.rows.is_empty() {
            answered += self.commit().await.give();
        }
        if let Some(page) = self.page.take() {
            self.commit_page(*page).await;
            answered += 1;
        }
        answered
    }

    async fn commit_page(&mut self, WaitingPage { page, done }: WaitingPage) {
        let count = page.rows.len();
        let now = self.clock.now();
        let first = EventId(self.store.take_ids(now, count).first());
        let result = match self.append_page(first, &page, now).await {
            Ok(()) => {
                self.page_committed(count);
                Ok(PageStored { first, count })
            }
            Err(StoreError::Fenced) => Err(AppendError::Fenced),
            Err(StoreError::Conflict) => Err(AppendError::Conflict),
            Err(error) => {
                self.failed(count.max(1), &error);
                Err(AppendError::Unavailable)
            }
        };
        // Whoever no longer waits reads from the cursors how far it got.
        let _ = done.send(result);
    }

    async fn append_page(
        &mut self,
        first: EventId,
        page: &InboxPage,
        now: Millis,
    ) -> Result<(), StoreError> {
        if let Some(lease) = &page.lease {
            self.store.confirm_lease(lease).await?;
        }
        self.store.reach("ingest.before_append").await?;
        self.writer.append_page(first, page, now).await?;
        self.store.reach("ingest.after_append").await
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
        match waiting {
            Waiting::Event { row, done } => {
                self.rows.push(row);
                self.senders.push(done);
            }
            Waiting::Page(page) => self.page = Some(page),
        }
    }

    fn take_queued(&mut self) {
        // What comes after a page must not come before it.
        while self.rows.len() < MOST_EVENTS
            && self.page.is_none()
            && let Ok(next) = self.queue.try_recv()
        {
            self.take(next);
        }
    }

    fn gather(&mut self) {
        for _ in 0..MOST_YIELDS {
            if self.page.is_some() {
                return;
            }
            let before = self.rows.len();
            std::thread::yield_now();
            self.take_queued();
            if self.rows.len() == before {
                return;
            }
        }
    }

    fn committed(&mut self, events: usize) {
        self.note_commit(events);
        let now = self.clock.now();
        self.store.note_crowd(self.flow.count(events, now), now);
        self.store.inbox_changed.notify_one();
    }

    /// A page is no crowd: no one who sends waits behind it, so the other loops need not rest.
    fn page_committed(&mut self, events: usize) {
        self.note_commit(events);
        if events > 0 {
            self.store.inbox_changed.notify_one();
        }
    }

    fn note_commit(&mut self, events: usize) {
        debug!(events, "committed");
        if self.refused > 0 {
            let refused = std::mem::take(&mut self.refused);
            info!(refused, "the inbox can be written again");
        }
        self.metrics.events_per_commit.observe(events as f64);
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
mod tests;
