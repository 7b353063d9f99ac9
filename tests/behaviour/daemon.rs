//! Starting, running and asking how it goes.

use leadstream::daemon::StartError;
use leadstream::model::End;
use serde_json::{Map, Value};

use crate::harness::{ANNA, Setup, TestDaemon, form_with};

/// What no metric and no answer may hold of Anna, in any case.
pub const PERSONAL: &[&str] = &["anna", "berg", "acme", "9018201", "growth", "s3cr3t"];

pub fn assert_private(what: &str, text: &str) {
    let text = text.to_lowercase();
    for word in PERSONAL {
        assert!(!text.contains(word), "{what} holds {word:?}: {text}");
    }
}

#[tokio::test]
async fn it_is_alive_ready_and_counts() {
    let test = TestDaemon::start().await;
    assert_eq!(
        test.get("/healthz").await,
        (reqwest::StatusCode::OK, "ok\n".to_owned())
    );
    test.until("ready", async || test.get("/readyz").await.0 == 200)
        .await;
    let ready: Value = serde_json::from_str(&test.get("/readyz").await.1).unwrap();
    assert_eq!(
        ready,
        serde_json::json!({ "ready": true, "store": "writable", "salesforce": "signed in" })
    );

    test.post_and_end(ANNA, End::Synced).await;
    test.post_and_end(ANNA, End::Merged).await;
    let (status, metrics) = test.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "leadstream_events_accepted_total{source=\"demo\"} 2",
        "leadstream_submissions_ended_total{source=\"demo\",end=\"synced\"} 1",
        "leadstream_submissions_ended_total{source=\"demo\",end=\"merged\"} 1",
        "leadstream_salesforce_calls_total{purpose=\"token\"} 1",
        "leadstream_salesforce_calls_total{purpose=\"upsert\"} 1",
        "leadstream_outbox_pending 0",
        "leadstream_oldest_pending_seconds 0",
        "leadstream_acknowledge_seconds_count 2",
        "leadstream_salesforce_api_allowed 100000",
        "# EOF",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
}

#[tokio::test]
async fn what_waits_is_counted_with_its_age() {
    let test = TestDaemon::start().await;
    test.sandbox.set_daily_limit(0);
    test.post(ANNA).await;
    test.outbox_holds(1).await;
    test.clock.advance(std::time::Duration::from_secs(90));
    let metrics = test.get("/metrics").await.1;
    assert!(
        metrics.contains("leadstream_outbox_pending 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("leadstream_oldest_pending_seconds 90\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn refusals_are_counted_by_source_and_reason_and_not_by_what_was_asked_for() {
    let test = TestDaemon::start().await;
    assert_eq!(test.post_to("anna-berg", ANNA).await.0, 404);
    let metrics = test.get("/metrics").await.1;
    assert!(
        metrics.contains("leadstream_requests_refused_total{source=\"unknown\""),
        "{metrics}"
    );
    assert_private("metrics", &metrics);
}

#[tokio::test]
async fn neither_metrics_nor_answers_hold_personal_data() {
    let plan = Setup {
        lead: r#"Plann__c = { from = "plan" }"#,
        ..Setup::default()
    };
    let test = TestDaemon::with(plan).await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post_and_end(
        &form_with(ANNA, &[("plan", "Anna's"), ("city", "Berg")]),
        End::DeadLetter,
    )
    .await;
    for path in ["/metrics", "/readyz", "/healthz"] {
        assert_private(path, &test.get(path).await.1);
    }
}

#[tokio::test]
async fn a_broken_source_is_fenced_off_and_the_others_run() {
    let more = "[sources.broken]\nconnector = \"web-form\"\ncolour = \"red\"\n";
    let test = TestDaemon::with(Setup {
        more,
        ..Setup::default()
    })
    .await;
    let (status, body) = test.post_to("broken", ANNA).await;
    assert_eq!(status, 503, "{body}");
    test.post_and_end(ANNA, End::Synced).await;
    let ready: Value = serde_json::from_str(&test.get("/readyz").await.1).unwrap();
    assert_eq!(ready["fenced_sources"], serde_json::json!(["broken"]));
}

#[tokio::test]
async fn two_daemons_never_run_on_one_store() {
    let test = TestDaemon::start().await;
    let error = test.try_run().await.unwrap_err();
    assert!(matches!(error, StartError::Store(_)), "{error:?}");
    assert!(
        error.to_string().contains("another leadstream runs on"),
        "{error}"
    );
    test.post_and_end(ANNA, End::Synced).await;
}

#[tokio::test]
async fn events_whose_source_is_gone_are_dead_letters_until_it_is_back() {
    let newsletter = "[sources.newsletter]\nconnector = \"web-form\"\n";
    let mut test = TestDaemon::with(Setup {
        more: newsletter,
        ..Setup::default()
    })
    .await;
    // Accepted and not yet processed when the daemon stops: by hand, since it is quick.
    test.stop().await;
    append_by_hand(&test, "newsletter", r#"{"email":"anna@acme.example"}"#);
    test.restart(Setup::default()).await;
    test.drained().await;
    assert_eq!(test.dead_letter().await.code, "event.unknown_source");

    test.restart(Setup {
        more: newsletter,
        ..Setup::default()
    })
    .await;
    test.command(&["replay", "--all-dead"]).await;
    test.drained().await;
    assert_eq!(test.lead()["Email"], "anna@acme.example");
}

#[tokio::test]
async fn a_refused_event_that_shows_up_after_all_is_merged_with_its_senders_second_try() {
    let mut test = TestDaemon::start().await;
    // Its commit was written and its sync failed, so its sender was told to try again. Then comes a
    // crash, and what the next start finds in the log is whole.
    test.stop().await;
    let body: Map<String, Value> = ANNA
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    append_by_hand(&test, "demo", &Value::from(body).to_string());
    test.run().await;
    test.drained().await;
    test.post_and_end(ANNA, End::Merged).await;
    assert_eq!(test.lead()["Email"], "anna.berg@acme.example");
    assert_eq!(test.calls("collection_upsert"), 1);
}

/// Puts an event into the inbox of a daemon that does not run.
fn append_by_hand(test: &TestDaemon, source: &str, body: &str) {
    let inbox = rusqlite::Connection::open(test.directory().join("leads.db-inbox")).unwrap();
    inbox
        .execute(
            "INSERT INTO event (id, source, received_at, content_type, meta, body) \
             VALUES (?1, ?2, 1772359200000, 'application/json', '{}', ?3)",
            (1_i64 << 50, source, body.as_bytes()),
        )
        .unwrap();
}

#[tokio::test]
async fn what_the_store_cannot_read_back_stops_alone() {
    let mut test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.stop().await;
    let database = rusqlite::Connection::open(test.directory().join("leads.db")).unwrap();
    let damaged = "UPDATE lead SET record = '{'";
    assert_eq!(database.execute(damaged, []).unwrap(), 1);
    drop(database);
    let inbox = rusqlite::Connection::open(test.directory().join("leads.db-inbox")).unwrap();
    let body = br#"{"email":"bert@acme.example"}"#;
    inbox
        .execute(
            "INSERT INTO event (id, source, received_at, content_type, meta, body) \
             VALUES (?1, 'demo', 1772359200000, 'application/json', '{', ?2)",
            (1_i64 << 61, &body[..]),
        )
        .unwrap();
    drop(inbox);
    test.run().await;
    test.drained().await;
    assert_eq!(test.dead_letter().await.code, "event.damaged");
    // Anna again, who cannot be told from her damaged lead; and someone else.
    test.post_and_end(ANNA, End::DeadLetter).await;
    let codes: Vec<String> = test
        .dead_letters()
        .await
        .into_iter()
        .map(|letter| letter.code)
        .collect();
    assert_eq!(codes, ["event.damaged", "lead.damaged"]);
    test.post_and_end(&[("email", "carl@acme.example")], End::Synced)
        .await;
    assert_eq!(test.leads().len(), 2);
}
