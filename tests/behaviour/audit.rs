//! The books: they balance at any time, and say so when they do not.

use leadstream::model::End;
use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{ANNA, TestDaemon, form_with};

async fn audit(test: &TestDaemon) -> (Option<i32>, Value) {
    let output = test.command(&["audit", "--json"]).await;
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

#[tokio::test]
async fn beside_a_running_daemon_every_event_is_on_one_line() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post_and_end(ANNA, End::Merged).await;
    test.post_and_end(&[("company", "Acme")], End::DeadLetter)
        .await;
    test.post_and_end(&form_with(ANNA, &[("_gotcha", "x")]), End::Filtered)
        .await;
    test.post(&form_with(ANNA, &[("city", "Berlin")])).await;
    test.outbox_holds(1).await;

    let (code, books) = audit(&test).await;
    assert_eq!(code, Some(0));
    let expect = serde_json::json!({
        "balanced": true,
        "sources": { "demo": {
            "accepted": 5, "synced": 1, "merged": 1, "filtered": 1, "in_review": 0,
            "dead_letter": 1, "erased": 0, "waiting": 0, "delivering": 1, "fetching": 0, "in_flight": 1,
            "difference": 0,
        } },
    });
    assert_eq!(books, expect);
    test.drained().await;
    let (_, books) = audit(&test).await;
    assert_eq!(books["sources"]["demo"]["in_flight"], 0);
}

#[tokio::test]
async fn people_get_a_table() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let output = test.command(&["audit"]).await;
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(table, @r"
    source  accepted  synced  merged  filtered  in review  dead letter  erased  in flight  difference
    demo           1       1       0         0          0            0       0          0           0
    all            1       1       0         0          0            0       0          0           0
    balanced: every accepted event is at its end or in flight
    ");
}

/// Damages the store behind everybody's back and expects the difference.
async fn damaged(sql: &str, difference: i64) {
    let mut test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post(&[("email", "ben@acme.example")]).await;
    test.outbox_holds(1).await;
    test.stop().await;
    let database = Connection::open(test.directory().join("leads.db")).unwrap();
    assert_eq!(database.execute(sql, []).unwrap(), 1, "{sql}");
    drop(database);

    let (code, books) = audit(&test).await;
    assert_eq!(code, Some(1));
    assert_eq!(books["balanced"], false);
    assert_eq!(
        books["sources"]["demo"]["difference"], difference,
        "{books}"
    );
    let output = test.command(&["audit"]).await;
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("NOT balanced: demo"), "{table}");
}

#[tokio::test]
async fn a_lost_submission_shows() {
    damaged("DELETE FROM submission WHERE outcome = 'synced'", 1).await;
}

#[tokio::test]
async fn a_lost_delivery_shows() {
    damaged("DELETE FROM delivery WHERE state = 'pending'", 1).await;
}

#[tokio::test]
async fn an_event_that_was_passed_by_shows() {
    damaged("DELETE FROM submission WHERE outcome IS NULL", 1).await;
}

#[tokio::test]
async fn an_event_that_nobody_accepted_shows() {
    let copy = "INSERT INTO submission SELECT event_id + 1, ordinal, source, received_at, at, \
                vendor_id, lead_id, delivery_id, outcome, reason, config_hash, fields FROM submission \
                WHERE outcome = 'synced'";
    damaged(copy, -1).await;
}

#[tokio::test]
async fn without_a_store_there_is_a_clear_error() {
    let mut test = TestDaemon::start().await;
    test.stop().await;
    std::fs::remove_file(test.directory().join("leads.db")).unwrap();
    let output = test.command(&["audit"]).await;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("there is no store at"), "{error}");
}

#[tokio::test]
async fn it_needs_no_secret_and_finds_the_store_beside_the_configuration() {
    let mut test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.stop().await;
    std::fs::remove_file(test.directory().join("secret")).unwrap();
    let folder = test.directory().file_name().unwrap().to_owned();
    let mut command = crate::tools::leadstream(test.directory().parent().unwrap());
    command
        .arg("--config")
        .arg(std::path::Path::new(&folder).join("leadstream.toml"))
        .arg("audit");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
