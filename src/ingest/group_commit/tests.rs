use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt as _, poll};

use super::*;
use crate::edge::clock::ManualClock;
use crate::model::{EventMeta, SourceName};
use crate::store::{Access, CursorMove, Lease, StoredCursor, postgres};

struct Bench {
    folder: Option<tempfile::TempDir>,
    store: Arc<Store>,
    inbox: Inbox,
    group_commit: GroupCommit,
}

async fn bench(capacity: usize) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/test.db", folder.path().display());
    Bench {
        folder: Some(folder),
        ..bench_at(&url, capacity).await
    }
}

async fn bench_at(url: &str, capacity: usize) -> Bench {
    let config = crate::config::StoreConfig::at(url);
    let store = Store::open(&config, Access::Daemon).await.unwrap();
    let clock = ManualClock::at(NOW);
    let (inbox, group_commit) =
        group_commit(Arc::clone(&store), capacity, clock, Metrics::new()).unwrap();
    Bench {
        folder: None,
        store,
        inbox,
        group_commit,
    }
}

const NOW: Millis = Millis(1_772_359_200_000);

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
    let folder = bench.folder.as_ref().unwrap();
    let file = folder.path().join("test.db-inbox");
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

fn page(bodies: &[&'static str], expected: i64, state: &str, lease: Option<&Lease>) -> Page {
    Page {
        events: bodies.iter().map(|body| event(body)).collect(),
        cursors: vec![CursorMove {
            source: SourceName::new("demo"),
            key: "members".to_owned(),
            expected,
            state: Some(state.to_owned()),
        }],
        lease: lease.cloned(),
    }
}

impl Bench {
    /// What becomes of a page, beside which a request comes in that is taken in any case.
    async fn append(&mut self, page: Page) -> Result<PageStored, AppendError> {
        let inbox = self.inbox.clone();
        let mut taken = Box::pin(inbox.append_page(page));
        let mut posted = Box::pin(inbox.append(event("posted")));
        assert!(poll!(&mut taken).is_pending());
        assert!(poll!(&mut posted).is_pending());
        let mut answered = 0;
        while answered < 2 {
            answered += self.group_commit.step().await;
        }
        posted.await.unwrap();
        taken.await
    }

    /// All that is stored beside what was posted.
    async fn stored(&self) -> Vec<(EventId, Bytes)> {
        let stored = self.store.events_after(EventId(0), 100).await.unwrap();
        let stored = stored
            .into_iter()
            .map(|event| (event.id, event.received.body));
        stored.filter(|(_, body)| body != "posted").collect()
    }

    async fn cursor(&self) -> Option<StoredCursor> {
        let demo = SourceName::new("demo");
        self.store.cursor(&demo, "members").await.unwrap()
    }
}

/// A page is stored with its cursor or not at all, and alone.
async fn check_pages(mut bench: Bench) {
    let lost = bench.store.acquire("poll demo").await.unwrap().unwrap();
    let first = bench.append(page(&["a", "b"], 0, "1", Some(&lost))).await;
    let PageStored { first, count: 2 } = first.unwrap() else {
        panic!("{first:?}");
    };
    let both = [(first, "a"), (EventId(first.0 + 1), "b")];
    let both = both.map(|(id, body)| (id, Bytes::from(body)));
    assert_eq!(bench.stored().await, both);
    let cursor = bench.cursor().await.unwrap();
    assert_eq!((&*cursor.state, cursor.version), ("1", 1));
    assert_eq!(cursor.updated_at, NOW);

    // Another has read on, or a command has rewound it.
    for expected in [0, 2] {
        let refused = bench.append(page(&["c"], expected, "2", Some(&lost))).await;
        assert_eq!(refused, Err(AppendError::Conflict));
    }
    let mut half = page(&["c"], 1, "2", None);
    half.cursors.extend(page(&[], 7, "2", None).cursors);
    assert_eq!(bench.append(half).await, Err(AppendError::Conflict));
    // Another has taken over.
    bench.store.release(lost.clone()).await.unwrap();
    let held = bench.store.acquire("poll demo").await.unwrap().unwrap();
    let refused = bench.append(page(&["c"], 1, "2", Some(&lost))).await;
    assert_eq!(refused, Err(AppendError::Fenced));
    assert_eq!(bench.stored().await, both);
    assert_eq!(bench.cursor().await, Some(cursor));

    let second = bench.append(page(&["c"], 1, "2", Some(&held))).await;
    let second = second.unwrap();
    assert!(second.first > both[1].0);
    // A page without events, the last one of a list, moves its cursor as well.
    let empty = bench.append(page(&[], 2, "3", Some(&held))).await.unwrap();
    assert_eq!(empty.count, 0);
    assert_eq!(bench.stored().await.len(), 3);
    assert_eq!(bench.cursor().await.unwrap().version, 3);
    let mut last = page(&[], 3, "", None);
    last.cursors[0].state = None;
    bench.append(last).await.unwrap();
    assert_eq!(bench.cursor().await, None);

    // All of it waits to be processed, in the order of the ids.
    let posted = 8;
    let waiting = bench.store.claim_events(100).await.unwrap();
    assert_eq!(waiting.events.len(), posted + 3);
    assert!(waiting.events.is_sorted_by_key(|event| event.id));
    drop(waiting);
    bench.store.close().await;
}

#[tokio::test]
async fn a_page_is_stored_with_its_cursor_or_not_at_all_and_refused_alone() {
    check_pages(bench(10).await).await;
}

#[tokio::test]
async fn a_page_is_stored_with_its_cursor_or_not_at_all_and_refused_alone_on_postgresql() {
    if let Some(url) = postgres::database() {
        check_pages(bench_at(&url, 10).await).await;
    }
}

#[tokio::test]
async fn the_largest_page_is_stored_as_one_run_of_ids() {
    for url in [None, postgres::database()] {
        let mut bench = match &url {
            Some(url) => bench_at(url, 10).await,
            None => bench(10).await,
        };
        let count = crate::ingest::page::MOST_EVENTS;
        let stored = bench.append(page(&vec!["x"; count], 0, "1", None)).await;
        let PageStored { first, .. } = stored.unwrap();
        let last = EventId(first.0 + count as i64 - 1);
        assert!(bench.store.event(last).await.unwrap().is_some());
        let too_large = page(&vec!["x"; count + 1], 1, "2", None);
        let refused = bench.inbox.append_page(too_large).await;
        assert_eq!(refused, Err(AppendError::TooLarge));
        bench.store.close().await;
    }
}

#[tokio::test]
async fn what_comes_after_a_page_gets_a_higher_id_and_a_full_queue_only_makes_a_page_wait() {
    let mut bench = bench(2).await;
    let inbox = bench.inbox.clone();
    let mut before = Box::pin(inbox.append(event("before")));
    let mut taken = Box::pin(inbox.append_page(page(&["a"], 0, "1", None)));
    assert!(poll!(&mut before).is_pending());
    assert!(poll!(&mut taken).is_pending());
    // No room is left.
    let mut waits = Box::pin(inbox.append_page(page(&["b"], 1, "2", None)));
    assert!(poll!(&mut waits).is_pending());
    let full = inbox.append(event("one too many")).now_or_never();
    assert_eq!(full, Some(Err(AppendError::Full)));
    assert_eq!(bench.group_commit.step().await, 2);
    assert!(poll!(&mut waits).is_pending());
    let mut after = Box::pin(inbox.append(event("after")));
    assert!(poll!(&mut after).is_pending());
    assert_eq!(bench.group_commit.step().await, 1);
    assert_eq!(bench.group_commit.step().await, 1);
    let ids = [
        before.await.unwrap(),
        taken.await.unwrap().first,
        waits.await.unwrap().first,
        after.await.unwrap(),
    ];
    assert!(ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn a_page_that_cannot_be_written_is_refused_and_leaves_its_cursor() {
    let mut bench = bench(10).await;
    let folder = bench.folder.as_ref().unwrap();
    let other = rusqlite::Connection::open(folder.path().join("test.db-inbox")).unwrap();
    let rename = |from: &str, to: &str| {
        let rename = format!("ALTER TABLE {from} RENAME TO {to}");
        other.execute_batch(&rename).unwrap();
    };
    rename("event", "gone");
    let inbox = bench.inbox.clone();
    let mut refused = Box::pin(inbox.append_page(page(&["a"], 0, "1", None)));
    assert!(poll!(&mut refused).is_pending());
    assert_eq!(bench.group_commit.step().await, 1);
    assert_eq!(refused.await, Err(AppendError::Unavailable));
    rename("gone", "event");
    assert_eq!(bench.cursor().await, None);
    bench.append(page(&["a"], 0, "1", None)).await.unwrap();
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
