//! `leadstream store`: what engineers look at, on either database.

use std::process::Output;

use leadstream::model::End;
use serde_json::Value;

use crate::harness::{ANNA, TestDaemon};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn rows(info: &Value, table: &str) -> u64 {
    let tables = info["tables"].as_array().unwrap();
    let found = tables.iter().find(|found| found["name"] == table);
    let found = found.unwrap_or_else(|| panic!("{info}"));
    assert_eq!(found["estimate"], false, "{info}");
    found["rows"].as_u64().unwrap()
}

async fn info(test: &TestDaemon) -> Value {
    let output = test.command(&["store", "info", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[tokio::test]
async fn info_says_what_is_there_and_who_runs_on_it() {
    let mut test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post_and_end(&[("company", "Acme")], End::DeadLetter)
        .await;
    test.post(&[("email", "ben@acme.example")]).await;
    test.outbox_holds(1).await;
    let lease = test.store().acquire("poll demo").await.unwrap().unwrap();

    let found = info(&test).await;
    assert_eq!(rows(&found, "event"), 3);
    assert_eq!(rows(&found, "lead"), 2);
    assert_eq!(rows(&found, "dead_letter"), 1);
    let events = &found["events"];
    assert_eq!(events["waiting"], 0, "{found}");
    assert!(
        events["oldest"]
            .as_str()
            .unwrap()
            .starts_with("2026-03-01T10:"),
        "{found}"
    );
    let deliveries = &found["deliveries"];
    assert_eq!(deliveries["pending"], 1, "{found}");
    assert_eq!(deliveries["dead"], 0, "{found}");
    assert!(deliveries["oldest_pending"].is_string(), "{found}");
    assert!(found["bytes"].as_u64().unwrap() > 10_000, "{found}");
    assert_eq!(found["unfinished_copy"], false);
    let here = format!(":{}", std::process::id());
    assert!(
        found["nodes"][0]["name"].as_str().unwrap().ends_with(&here),
        "{found}"
    );
    assert_eq!(found["leases"][0]["name"], "poll demo", "{found}");
    assert!(found["leases"][0]["seconds_left"].as_u64().unwrap() <= 2);

    let output = test.command(&["store", "info"]).await;
    let people = text(&output.stdout);
    for part in [
        "1  deliveries wait to be sent; the oldest was decided at 2026-03-01T10:",
        "3  event",
        "runs on it",
        "holds the lease poll demo",
    ] {
        assert!(people.contains(part), "{part} is missing in:\n{people}");
    }
    assert!(!people.contains('\u{1b}'), "{people}");

    test.store().release(lease).await.unwrap();
    test.drained().await;
    let found = info(&test).await;
    assert_eq!(found["deliveries"]["oldest_pending"], Value::Null);
    let others: Vec<&Value> = found["leases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|lease| lease["name"] == "poll demo")
        .collect();
    assert_eq!(others, [] as [&Value; 0]);
    test.stop().await;
    let found = info(&test).await;
    assert_eq!(found["nodes"], serde_json::json!([]), "{found}");
    assert_eq!(rows(&found, "event"), 3);
}

#[tokio::test]
async fn migrate_says_that_there_was_nothing_to_do() {
    let mut test = TestDaemon::start().await;
    test.stop().await;
    let output = test.command(&["store", "migrate"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let lines = text(&output.stdout);
    assert!(
        lines
            .lines()
            .all(|line| line.contains(": nothing to do, version ")),
        "{lines}"
    );
    assert!(!lines.is_empty());
    test.run().await;
    test.post_and_end(ANNA, End::Synced).await;
}
