//! What became of leads, and what it cost in calls: by a command beside the daemon.

use std::time::Duration;

use leadstream::model::End;
use serde_json::Value;

use crate::harness::{ANNA, TestDaemon, form_with};

/// The daemons of tests live at another time than the command.
const ALWAYS: &str = "3650";

async fn report(test: &TestDaemon) -> Value {
    let output = test.command(&["report", "--json", "--days", ALWAYS]).await;
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn leads_are_counted_by_source_and_calls_by_purpose() {
    let mut test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post_and_end(ANNA, End::Merged).await;
    test.post_and_end(&[("company", "Acme")], End::DeadLetter)
        .await;
    test.post_and_end(&form_with(ANNA, &[("_gotcha", "x")]), End::Filtered)
        .await;
    // What was not written down in time is when the daemon stops.
    test.stop().await;

    let told = report(&test).await;
    let demo = &told["sources"]["demo"];
    for (what, count) in [
        ("taken", 4),
        ("synced", 1),
        ("merged", 1),
        ("filtered", 1),
        ("dead_letter", 1),
        ("on_the_way", 0),
    ] {
        assert_eq!(demo[what], count, "{what} {told}");
        assert_eq!(told["all"][what], count, "{what} {told}");
    }
    // Signing in is free; all else is what the org itself counts.
    let all = told["calls_all"].as_u64().unwrap();
    assert!(all > 0, "{told}");
    assert_eq!(told["calls"]["upsert"], 1, "{told}");
    assert_eq!(told["budget"]["used"], all, "{told}");
    assert_eq!(told["budget"]["own"], all, "{told}");
    assert_eq!(told["budget"]["state"], "real_time");
    // Of two leads that came through.
    assert_eq!(
        told["calls_per_1000_leads"].as_f64(),
        Some(all as f64 * 500.0)
    );
}

#[tokio::test]
async fn calls_of_before_a_restart_are_known_after_it() {
    let mut test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.stop().await;
    let before = report(&test).await["calls_all"].as_u64().unwrap();
    test.run().await;
    test.post_and_end(
        &[("email", "ben@acme.example"), ("company", "Acme")],
        End::Synced,
    )
    .await;
    test.clock.advance(Duration::from_secs(61));
    test.until("the calls are written down", async || {
        report(&test).await["calls"]["upsert"] == 2
    })
    .await;
    let after = report(&test).await;
    assert!(after["calls_all"].as_u64().unwrap() > before, "{after}");
    test.stop().await;
    let stopped = report(&test).await;
    assert_eq!(stopped["budget"]["own"], stopped["calls_all"]);
}

#[tokio::test]
async fn people_get_a_page() {
    let mut test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.stop().await;
    let output = test.command(&["report", "--days", ALWAYS]).await;
    assert_eq!(output.status.code(), Some(0));
    let page = String::from_utf8(output.stdout).unwrap();
    for part in [
        "leads since ",
        "\ndemo ",
        "per 1,000 leads",
        "budget, as told",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains('\u{1b}'), "{page}");
    // The last days of the machine's clock hold nothing of that.
    let output = test.command(&["report"]).await;
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(!page.contains("demo"), "{page}");
}

#[tokio::test]
async fn days_that_make_no_sense_are_refused() {
    let test = TestDaemon::start().await;
    for days in ["0", "4000", "x"] {
        let output = test.command(&["report", "--days", days]).await;
        assert_eq!(output.status.code(), Some(2), "{days}");
    }
}
