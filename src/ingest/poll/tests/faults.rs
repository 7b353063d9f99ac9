use proptest::prelude::*;

use super::vendor::{Change, Fault, STYLES, retry};
use super::*;
use crate::connector::mechanism::call::Next;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

#[tokio::test]
async fn a_thousand_records_come_in_once_and_then_only_what_is_new() {
    for style in STYLES {
        let ground = Ground::new(style, 70, rows(1_000, 30));
        let node = ground.start().await;
        let tally = node.round(Job::Poll).await;
        assert_eq!(tally.new, 1_000, "{style:?}");
        whole(&node.stored().await, &ground.vendor, &format!("{style:?}"));
        node.process().await;

        // Nothing is new; then one is, and one has changed.
        let tally = node.round(Job::Poll).await;
        assert_eq!(tally.new, 0, "{style:?}");
        assert!(tally.pages <= 3, "{style:?}: {tally:?}");
        {
            let mut state = ground.vendor.state.lock();
            state.rows.push(Row::new(1_000, NOW.0 - 1_000));
            state.rows[3].at = NOW.0 - 900;
            state.rows[3].version = 2;
        }
        let tally = node.round(Job::Poll).await;
        assert_eq!((tally.new, tally.changed), (2, 1), "{style:?}");
        node.process().await;
        whole(&node.stored().await, &ground.vendor, &format!("{style:?}"));
        node.die().await;
    }
}

#[tokio::test]
async fn what_comes_and_changes_while_it_is_read_is_neither_lost_nor_doubled() {
    for style in STYLES {
        let ground = Ground::new(style, 10, rows(95, 7));
        {
            let mut state = ground.vendor.state.lock();
            let new = Row::new(500, NOW.0 - 5_000);
            state.changes.insert(2, Change::Insert(new));
            state.changes.insert(4, Change::Edit(3, NOW.0 - 3_000));
            state.changes.insert(5, Change::Edit(60, NOW.0 - 2_000));
            state.changes.insert(6, Change::Expire);
            state.faults.insert(3, retry());
            state.faults.insert(7, Fault::Torn);
            let throttle = Next::Throttle(None);
            state.faults.insert(8, Fault::Error(throttle));
            state.faults.insert(9, Fault::Error(Next::Shrink));
        }
        let node = ground.start().await;
        node.round(Job::Poll).await;
        node.process().await;
        // What changed behind the walk's back comes with the next one.
        node.round(Job::Poll).await;
        node.process().await;
        if style == Style::Page {
            // Numbers of pages shift when a record moves; the vendor has nothing better, and only a
            // comparison finds what was hidden.
            node.round(Job::Reconcile { since: None }).await;
        }
        whole(&node.stored().await, &ground.vendor, &format!("{style:?}"));
        node.die().await;
    }
}

#[tokio::test]
async fn the_first_poll_goes_back_as_far_as_the_source_says() {
    for (style, options, expect) in [
        (Style::Keyed, serde_json::json!({}), 100),
        (
            Style::Keyed,
            serde_json::json!({ "start_date": Millis(NOW.0 - 3_600_000 + 5_000).to_string() }),
            50,
        ),
        (
            Style::Stops,
            serde_json::json!({ "start_date": Millis(NOW.0 - 3_600_000 + 5_000).to_string() }),
            50,
        ),
    ] {
        let ground = Ground::with(&style.manifest(8), style, rows(100, 10), options);
        let node = ground.start().await;
        assert_eq!(node.round(Job::Poll).await.new, expect, "{style:?}");
        node.process().await;
        assert_eq!(node.round(Job::Poll).await.new, 0, "{style:?}");
        node.die().await;
    }
}

#[tokio::test]
async fn a_backfill_reads_a_span_and_leaves_the_polls_cursor_alone() {
    let start = NOW.0 - 3_600_000;
    for style in STYLES {
        let ground = Ground::new(style, 9, rows(100, 10));
        let node = ground.start().await;
        let span = Span {
            since: Some(Millis(start + 2_000)),
            until: Some(Millis(start + 5_500)),
        };
        let job = |dry_run| Job::Backfill { span, dry_run };
        let dry = node.round(job(true)).await;
        assert_eq!(dry.new, 40, "{style:?}");
        assert!(node.stored().await.is_empty(), "{style:?}");
        assert_eq!(node.round(job(false)).await.new, 40, "{style:?}");
        node.process().await;
        let again = node.round(job(false)).await;
        // Pages of offsets begin with the last record of the one before.
        assert!(again.new == 0 && again.known >= 40, "{style:?}: {again:?}");
        let cursors = node.store.cursors(&SourceName::new("demo")).await;
        assert_eq!(cursors.unwrap(), [], "{style:?}");
        assert_eq!(node.round(Job::Poll).await.new, 60, "{style:?}");
        whole(&node.stored().await, &ground.vendor, &format!("{style:?}"));
        node.die().await;
    }
}

#[tokio::test]
async fn a_comparison_brings_what_is_missing_and_counts_only_what_is_old() {
    let ground = Ground::new(Style::Token, 30, rows(200, 3));
    let node = ground.start().await;
    node.round(Job::Poll).await;
    node.process().await;
    {
        let mut state = ground.vendor.state.lock();
        // Two showed up late, with their true times; one has just been sent.
        state.rows.push(Row::new(900, NOW.0 - 3_500_000));
        state.rows.push(Row::new(901, NOW.0 - 3_400_000));
        state.rows.push(Row::new(902, NOW.0 - 60_000));
    }
    let mut state = status::SourceState {
        complete: Some(NOW),
        ..status::SourceState::default()
    };
    state
        .save(&node.store, &SourceName::new("demo"), NOW)
        .await
        .unwrap();
    let job = node.poller.reconciliation();
    let (_trigger, shutdown) = shutdown::channel();
    let mut round = Round::new(job);
    node.poller.step(&mut round, &shutdown).await.unwrap();
    assert_eq!((round.tally.new, round.tally.missing), (3, 2));
    node.poller.reconciled(&mut state, &round, NOW);
    assert_eq!(state.reconciled.unwrap().tally.missing, 2);
    node.process().await;
    let again = node.round(job).await;
    assert_eq!((again.new, again.missing), (0, 0));
    whole(&node.stored().await, &ground.vendor, "reconciled");
    node.die().await;
}

#[tokio::test]
async fn items_have_cursors_of_their_own_and_unchanged_ones_are_left_alone() {
    // The stand-in lists its own records as items, which is as good as any list.
    let ground = Ground::with(&forms(50), Style::Page, rows(3, 1), serde_json::json!({}));
    let node = ground.start().await;
    assert_eq!(node.round(Job::Poll).await.new, 9);
    let source = SourceName::new("demo");
    let cursors = node.store.cursors(&source).await.unwrap();
    let keys: Vec<&str> = cursors.iter().map(|cursor| cursor.key.as_str()).collect();
    assert_eq!(keys, ["poll/r00000", "poll/r00001", "poll/r00002"]);
    assert_eq!(node.round(Job::Poll).await.pages, 0, "nothing has changed");
    ground.vendor.state.lock().rows[1].version = 2;
    let asked = ground.vendor.state.lock().asked.len();
    node.round(Job::Poll).await;
    let asked: Vec<String> = ground.vendor.state.lock().asked[asked..].to_vec();
    let forms: Vec<&String> = asked
        .iter()
        .filter(|target| target.contains("form="))
        .collect();
    assert!(
        forms.iter().all(|target| target.contains("form=r00001")),
        "{forms:?}"
    );
    assert!(!forms.is_empty());
    node.die().await;
}

#[tokio::test]
async fn what_changes_in_an_item_while_its_walk_is_interrupted_is_read_afterwards() {
    let ground = Ground::with(&forms(2), Style::Page, rows(3, 1), serde_json::json!({}));
    let node = ground.start().await;
    let (_trigger, shutdown) = shutdown::channel();
    let source = SourceName::new("demo");
    // The list, its end, the first item's first page; the second fails.
    ground.vendor.state.lock().faults.insert(4, retry());
    let mut round = Round::new(Job::Poll);
    assert!(node.poller.step(&mut round, &shutdown).await.is_err());
    let left = node.store.cursor(&source, "poll/r00000").await.unwrap();
    assert!(left.unwrap().state.contains("\"walk\""));
    ground.vendor.state.lock().rows[0].version = 2;
    node.round(Job::Poll).await;
    let asked = ground.vendor.state.lock().asked.len();
    node.round(Job::Poll).await;
    let asked: Vec<String> = ground.vendor.state.lock().asked[asked..].to_vec();
    assert!(
        asked.iter().any(|target| target.contains("form=r00000")),
        "{asked:?}"
    );
    node.round(Job::Poll).await;
    assert_eq!(node.round(Job::Poll).await.pages, 0, "nothing has changed");
    node.die().await;
}

#[tokio::test]
async fn a_cursor_that_a_person_moves_meanwhile_counts() {
    let ground = Ground::new(Style::Keyed, 10, rows(50, 5));
    let node = ground.start().await;
    node.round(Job::Poll).await;
    node.process().await;
    let source = SourceName::new("demo");
    let stored = node.store.cursor(&source, "poll").await.unwrap().unwrap();
    let (_trigger, shutdown) = shutdown::channel();
    let calls = ground.vendor.state.lock().calls;
    ground.vendor.state.lock().faults.insert(calls + 2, retry());
    let moves = crate::store::CursorMove {
        source: source.clone(),
        key: "poll".to_owned(),
        expected: stored.version,
        state: None,
    };
    node.store.move_cursors(&[moves], NOW).await.unwrap();
    let mut round = Round::new(Job::Poll);
    // Rewound to its beginning: all is read again, and known.
    while node.poller.step(&mut round, &shutdown).await.is_err() {}
    assert!(round.tally.read >= 50);
    assert_eq!(round.tally.new, 0);
    node.die().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_ties_and_the_size_of_pages_nothing_is_lost_or_doubled(
        style in prop::sample::select(STYLES.to_vec()),
        count in 0_usize..120,
        ties in 1_usize..40,
        size in 1_usize..30,
        faults in prop::collection::btree_map(
            1_u64..40,
            prop_oneof![
                Just(retry()),
                Just(Fault::Torn),
                Just(Fault::Error(Next::Throttle(None))),
                Just(Fault::Error(Next::Shrink)),
                Just(Fault::Error(Next::Restart)),
            ],
            0..4,
        ),
    ) {
        block_on(async {
            let ground = Ground::new(style, size, rows(count, ties));
            ground.vendor.state.lock().faults = faults;
            let node = ground.start().await;
            node.round(Job::Poll).await;
            whole(&node.stored().await, &ground.vendor, "first");
            node.process().await;
            assert_eq!(node.round(Job::Poll).await.new, 0);
            node.die().await;
        });
    }
}
