use std::time::Duration;

use super::request::{Order, StoredOrder};
use super::status::SourceState;
use super::vendor::{Fault, retry};
use super::*;
use crate::connector::mechanism::call::Next;

pub struct Running {
    stop: shutdown::Trigger,
    task: tokio::task::JoinHandle<()>,
    pub hints: Hints,
}

pub fn run(node: &Node) -> Running {
    let (stop, stopping) = shutdown::channel();
    let hints = Hints::new([SourceName::new("demo")]);
    let (poller, told) = (Arc::clone(&node.poller), hints.clone());
    let task = tokio::spawn(async move { poller.run(&told, stopping).await.unwrap() });
    Running { stop, task, hints }
}

impl Running {
    pub async fn stop(self, node: Node) {
        self.stop.stop();
        self.task.await.unwrap();
        node.die().await;
    }
}

/// Moves the clock on until `done`: a loop sleeps by it.
pub async fn until(ground: &Ground, step: Duration, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if done().await {
            return;
        }
        ground.clock.advance(step);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    panic!("it never comes");
}

pub async fn state(node: &Node) -> SourceState {
    SourceState::load(&node.store, &SourceName::new("demo"))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_source_is_polled_at_its_start_then_by_its_schedule_and_when_it_is_told_to() {
    let ground = Ground::new(Style::Keyed, 10, rows(5, 1));
    // Between two runs.
    ground.clock.advance(Duration::from_secs(60));
    let node = ground.start().await;
    let running = run(&node);
    let second = Duration::from_secs(1);
    until(&ground, Duration::ZERO, async || {
        node.stored().await.len() == 5
    })
    .await;
    node.process().await;
    until(&ground, Duration::ZERO, async || {
        state(&node).await.next.is_some()
    })
    .await;
    let next = state(&node).await.next.unwrap();
    let five = Duration::from_secs(300);
    assert!(next > ground.clock.now() && next <= NOW.after(five + second * 30));
    // Not before its time, unless it is told to.
    let calls = || ground.vendor.state.lock().calls;
    let before = calls();
    ground.vendor.state.lock().rows.push(Row::new(7, NOW.0));
    running.hints.poll_now("other");
    running.hints.poll_now("demo");
    until(&ground, Duration::ZERO, async || {
        node.stored().await.len() == 6
    })
    .await;
    assert!(calls() > before);
    node.process().await;
    ground.vendor.state.lock().rows.push(Row::new(8, NOW.0));
    until(&ground, second * 5, async || node.stored().await.len() == 7).await;
    assert!(ground.clock.now() >= NOW.after(Duration::from_secs(200)));
    running.stop(node).await;
}

#[tokio::test]
async fn a_source_that_fails_is_tried_again_and_one_that_is_refused_pauses_with_its_cursor_kept() {
    let ground = Ground::new(Style::Keyed, 10, rows(35, 4));
    {
        let mut vendor = ground.vendor.state.lock();
        vendor.faults.insert(1, retry());
        vendor.faults.insert(2, Fault::Torn);
        vendor.faults.insert(4, Fault::Error(Next::Pause));
    }
    let node = ground.start().await;
    let running = run(&node);
    let step = Duration::from_secs(2);
    until(&ground, step, async || state(&node).await.paused.is_some()).await;
    let paused = state(&node).await.paused.unwrap();
    assert_eq!(paused.trouble.code, "vendor.stand_in");
    assert_eq!(paused.trouble.hint, "let it");
    let kept = node.stored().await.len();
    assert!((1..35).contains(&kept), "{kept}");
    // A day later by itself, or when a person says so.
    let calls = ground.vendor.state.lock().calls;
    for _ in 0..20 {
        ground.clock.advance(Duration::from_secs(600));
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(ground.vendor.state.lock().calls, calls);
    node.process().await;
    // A vendor's hint is no person's word.
    running.hints.poll_now("demo");
    for _ in 0..50 {
        ground.clock.advance(step);
        tokio::task::yield_now().await;
    }
    assert_eq!(ground.vendor.state.lock().calls, calls);
    let now = ground.clock.now();
    let mut order = StoredOrder {
        order: Order {
            asked: now.0,
            ..Order::default()
        },
        version: 0,
    };
    let source = SourceName::new("demo");
    order.save(&node.store, &source, "poll", now).await.unwrap();
    until(&ground, step, async || node.stored().await.len() == 35).await;
    until(&ground, step, async || state(&node).await.paused.is_none()).await;
    whole(&node.stored().await, &ground.vendor, "paused");
    running.stop(node).await;
}

#[tokio::test]
async fn an_order_of_a_command_is_carried_out_and_its_end_is_told() {
    let mut options = serde_json::json!({});
    options["schedule"] = "off".into();
    let manifest = Style::Page.manifest(10);
    let ground = Ground::with(&manifest, Style::Page, rows(45, 4), options);
    let node = ground.start().await;
    let running = run(&node);
    let source = SourceName::new("demo");
    let mut stored = StoredOrder {
        order: Order {
            asked: NOW.0,
            since: Some(Millis(NOW.0 - 3_600_000 + 5_000)),
            ..Order::default()
        },
        version: 0,
    };
    stored
        .save(&node.store, &source, "backfill", NOW)
        .await
        .unwrap();
    let order = async || {
        let stored = StoredOrder::load(&node.store, &source, "backfill").await;
        stored.unwrap().unwrap().order
    };
    let second = Duration::from_secs(1);
    until(&ground, second, async || order().await.ended.is_some()).await;
    let ended = order().await;
    assert_eq!(ended.ended, Some(Ok(())));
    assert_eq!(ended.tally.new, 25);
    assert_eq!(node.stored().await.len(), 25);
    running.stop(node).await;
}

#[tokio::test]
async fn before_a_vendor_deletes_what_was_not_read_that_is_told_three_times() {
    let manifest = Style::Keyed.manifest(10).replace(
        "records = \"items\"",
        "records = \"items\"\nretention_days = 60",
    );
    let ground = Ground::with(&manifest, Style::Keyed, rows(1, 1), serde_json::json!({}));
    let node = ground.start().await;
    let mut state = SourceState {
        complete: Some(NOW),
        ..SourceState::default()
    };
    let mut told = Vec::new();
    for day in 0..70 {
        node.poller.warn_of_deletion(&mut state);
        if told.last().map(|(_, days)| *days) != state.warned_days
            && let Some(days) = state.warned_days
        {
            told.push((day, days));
        }
        ground.clock.advance(Duration::from_secs(86_400));
    }
    assert_eq!(told, [(46, 14), (53, 7), (59, 1)]);
    node.die().await;
}

#[tokio::test]
async fn two_sources_of_one_account_are_read_one_after_the_other() {
    let ground = Ground::new(Style::Keyed, 10, rows(5, 1));
    let node = ground.start().await;
    let lease = node.store.acquire("poll:account").await.unwrap().unwrap();
    let (_trigger, shutdown) = shutdown::channel();
    let mut round = Round::new(Job::Poll);
    let stop = node.poller.step(&mut round, &shutdown).await;
    assert_eq!(stop, Err(Stop::Busy));
    assert_eq!(ground.vendor.state.lock().calls, 0);
    node.store.release(lease).await.unwrap();
    node.poller.step(&mut round, &shutdown).await.unwrap();
    node.die().await;
}
