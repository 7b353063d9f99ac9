use std::time::Duration;

use super::loops::{run, state, until};
use super::request::{Order, StoredOrder};
use super::vendor::Fault;
use super::*;
use crate::connector::mechanism::auth::CredentialFacts;

const STEP: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_list_that_is_refused_stops_no_other_and_is_told_as_long_as_that_lasts() {
    let ground = Ground::with(&forms(50), Style::Page, rows(3, 1), serde_json::json!({}));
    ground.vendor.state.lock().refused = Some("form=r00000");
    let node = ground.start().await;
    let running = run(&node);
    until(&ground, Duration::ZERO, async || {
        node.stored().await.values().sum::<usize>() == 6
    })
    .await;
    until(&ground, Duration::ZERO, async || {
        state(&node).await.failing.is_some()
    })
    .await;
    let told = state(&node).await;
    assert!(told.paused.is_none());
    assert_eq!(told.complete, None, "one list has not been read");
    assert_eq!(told.failing.unwrap().trouble.code, "vendor.refused");
    // Mended, it catches up by itself, and no word of it is left.
    node.process().await;
    ground.vendor.state.lock().refused = None;
    until(&ground, STEP * 30, async || {
        node.stored().await.values().sum::<usize>() == 9
    })
    .await;
    until(&ground, STEP, async || state(&node).await.failing.is_none()).await;
    assert!(state(&node).await.complete.is_some());
    running.stop(node).await;
}

#[tokio::test]
async fn where_no_list_can_be_read_the_source_pauses() {
    let ground = Ground::with(&forms(50), Style::Page, rows(3, 1), serde_json::json!({}));
    ground.vendor.state.lock().refused = Some("form=");
    let node = ground.start().await;
    let running = run(&node);
    until(&ground, STEP, async || state(&node).await.paused.is_some()).await;
    assert!(node.stored().await.is_empty());
    running.stop(node).await;
}

#[tokio::test]
async fn what_a_command_asks_for_and_the_vendor_refuses_ends_with_a_word_and_holds_no_poll() {
    let ground = Ground::new(Style::Keyed, 10, rows(5, 1));
    let node = ground.start().await;
    let running = run(&node);
    until(&ground, Duration::ZERO, async || {
        state(&node).await.next.is_some()
    })
    .await;
    let calls = ground.vendor.state.lock().calls;
    ground
        .vendor
        .state
        .lock()
        .faults
        .insert(calls + 1, Fault::Refused);
    let source = SourceName::new("demo");
    let mut order = StoredOrder {
        order: Order {
            asked: ground.clock.now().0,
            since: Some(Millis(NOW.0 - 10_000_000)),
            ..Order::default()
        },
        version: 0,
    };
    let now = ground.clock.now();
    order
        .save(&node.store, &source, "backfill", now)
        .await
        .unwrap();
    until(&ground, STEP, async || {
        let stored = StoredOrder::load(&node.store, &source, "backfill").await;
        matches!(
            stored,
            Ok(Some(StoredOrder {
                order: Order {
                    ended: Some(Err(_)),
                    ..
                },
                ..
            }))
        )
    })
    .await;
    assert!(state(&node).await.paused.is_none());
    node.process().await;
    ground.vendor.state.lock().rows.push(Row::new(7, NOW.0));
    until(&ground, STEP, async || node.stored().await.len() == 6).await;
    running.stop(node).await;
}

#[tokio::test]
async fn a_walk_that_the_vendor_does_not_go_on_with_begins_anew_and_loses_nobody() {
    let ground = Ground::new(Style::Token, 10, rows(35, 4));
    ground.vendor.state.lock().faults.insert(3, Fault::Refused);
    let node = ground.start().await;
    assert_eq!(node.round(Job::Poll).await.new, 35);
    whole(&node.stored().await, &ground.vendor, "begun anew");
    node.die().await;
    // Refused at its first page, it is not the page.
    let ground = Ground::new(Style::Token, 10, rows(35, 4));
    ground.vendor.state.lock().faults.insert(1, Fault::Refused);
    let node = ground.start().await;
    let (_trigger, shutdown) = shutdown::channel();
    let mut round = Round::new(Job::Poll);
    let ended = node.poller.step(&mut round, &shutdown).await;
    assert!(matches!(ended, Err(Stop::Pause(_))), "{ended:?}");
    node.die().await;
}

#[tokio::test]
async fn before_a_credential_ends_that_is_told_and_kept_for_people() {
    let ground = Ground::new(Style::Keyed, 10, rows(1, 1));
    ground.vendor.state.lock().credential = Some(CredentialFacts {
        grant_ends_at: Some(NOW.after(DAY * 10)),
        ..CredentialFacts::default()
    });
    let node = ground.start().await;
    let running = run(&node);
    let mut warned = Vec::new();
    until(&ground, Duration::from_secs(3_600), async || {
        let days = state(&node).await.credential_warned_days;
        if let Some(days) = days
            && warned.last() != Some(&days)
        {
            warned.push(days);
        }
        days == Some(0)
    })
    .await;
    assert_eq!(warned, [14, 7, 1, 0]);
    // A new one takes the warning back.
    ground.vendor.state.lock().credential = Some(CredentialFacts::default());
    until(&ground, Duration::from_secs(300), async || {
        state(&node).await.credential_warned_days.is_none()
    })
    .await;
    running.stop(node).await;
}
