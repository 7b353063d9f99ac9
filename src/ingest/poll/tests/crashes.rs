use std::pin::pin;
use std::task::Poll;

use super::vendor::{Change, STYLES};
use super::*;

/// Runs a round, and drops it the `most`th time that it is looked at. Says whether it was done.
async fn crash_after(node: &Node, most: usize) -> bool {
    let (_trigger, shutdown) = shutdown::channel();
    let mut round = Round::new(Job::Poll);
    let mut step = pin!(node.poller.step(&mut round, &shutdown));
    let mut polls = 0;
    std::future::poll_fn(|context| {
        if polls == most {
            return Poll::Ready(false);
        }
        polls += 1;
        match step.as_mut().poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(true),
            Poll::Ready(Err(stop)) => panic!("{stop:?}"),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn a_crash_at_any_moment_loses_nothing_and_doubles_nothing() {
    for style in STYLES {
        let mut most = 0;
        loop {
            let ground = Ground::new(style, 9, rows(40, 4));
            let node = ground.start().await;
            let done = crash_after(&node, most).await;
            node.die().await;
            let node = ground.start().await;
            node.process().await;
            node.round(Job::Poll).await;
            let why = format!("{style:?} after {most}");
            whole(&node.stored().await, &ground.vendor, &why);
            node.die().await;
            if done {
                assert!(most > 10, "{style:?}: there were moments to crash at");
                break;
            }
            // All moments of the first pages, then some.
            most += if most < 24 { 1 } else { 7 };
        }
    }
}

#[tokio::test]
async fn a_thousand_records_survive_crash_after_crash() {
    for style in STYLES {
        let ground = Ground::new(style, 50, rows(1_000, 60));
        ground.vendor.state.lock().changes.insert(6, Change::Expire);
        let mut crashes = 0;
        loop {
            let node = ground.start().await;
            node.process().await;
            let done = crash_after(&node, 23 + crashes % 11).await;
            node.die().await;
            crashes += 1;
            if done {
                break;
            }
            assert!(crashes < 400, "{style:?} makes no headway");
        }
        let node = ground.start().await;
        node.process().await;
        whole(&node.stored().await, &ground.vendor, &format!("{style:?}"));
        assert_eq!(node.round(Job::Poll).await.new, 0, "{style:?}");
        node.die().await;
    }
}
