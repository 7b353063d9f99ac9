//! Salesforce calls are the scarce resource.

use std::time::Duration;

use futures_util::future::join_all;
use leadstream::model::End;

use crate::harness::{Setup, TestDaemon};

/// So many people post at once, while the clock stands still.
async fn burst(test: &TestDaemon, people: usize) {
    let posts = (0..people).map(|number| async move {
        let email = format!("person{number}@acme.example");
        test.post(&[
            ("email", &email),
            ("last_name", "Berg"),
            ("company", "Acme"),
        ])
        .await
    });
    join_all(posts).await;
}

#[tokio::test]
async fn two_hundred_leads_take_one_call() {
    let test = TestDaemon::start().await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    // A full batch needs no time to pass.
    burst(&test, 200).await;
    test.until_at_once("all arrive", async || test.sandbox.count("Lead") == 200)
        .await;
    assert_eq!(test.calls("collection_upsert"), 1);
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, 200);
}

#[tokio::test]
async fn a_thousand_leads_take_five_calls_and_a_token() {
    let test = TestDaemon::start().await;
    burst(&test, 1000).await;
    test.decided().await;
    test.drained().await;
    assert_eq!(test.sandbox.count("Lead"), 1000);
    let calls = test.sandbox.calls();
    assert_eq!(calls.count("collection_upsert"), 5, "{calls:?}");
    assert_eq!(calls.count("token"), 1, "{calls:?}");
    // What the org's objects are made of is read once a day, for any number of leads.
    assert!(calls.api - calls.count("describe") <= 6, "{calls:?}");
}

#[tokio::test]
async fn a_single_lead_waits_for_company_no_longer_than_the_linger() {
    let test = TestDaemon::start().await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    test.post(&[("email", "anna@acme.example")]).await;
    test.outbox_holds(1).await;
    assert_eq!(test.leads().len(), 0, "it waits for others");
    test.clock.advance(Duration::from_millis(200));
    test.until_at_once("it arrives", async || test.leads().len() == 1)
        .await;
}

#[tokio::test]
async fn a_backlog_drains_in_order_and_the_newest_lead_does_not_wait_behind_it() {
    let test = TestDaemon::with(Setup {
        salesforce: "batch_size = 8",
        ..Setup::default()
    })
    .await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    let post = async |number: u32| {
        let email = format!("person{number}@acme.example");
        test.post(&[("email", &email), ("last_name", "Berg")]).await;
    };
    // Each a second later than the last; nothing gets through.
    test.sandbox.set_daily_limit(0);
    for number in 0..24 {
        post(number).await;
        test.decided().await;
        test.clock.advance(Duration::from_secs(1));
    }
    test.sandbox.set_daily_limit(100_000);
    post(24).await;
    test.decided().await;
    test.until("the newest is there", async || {
        test.lead_of("person24@acme.example").is_some()
    })
    .await;
    assert!(
        test.leads().len() <= 16,
        "it waited behind {} others",
        test.leads().len()
    );
    test.drained().await;
    assert_eq!(test.leads().len(), 25);
}
