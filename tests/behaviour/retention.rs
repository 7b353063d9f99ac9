//! What is too old goes; the books still balance, and nobody is forgotten.

use std::time::Duration;

use leadstream::model::{End, EventId};

use crate::harness::{ANNA, TestDaemon, form_with};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn is_kept(test: &TestDaemon, receipt: &str) -> bool {
    let id: EventId = receipt.parse().unwrap();
    test.store().event(id).await.unwrap().is_some()
}

#[tokio::test]
async fn old_events_go_and_the_books_still_balance() {
    let test = TestDaemon::start().await;
    let synced = test.post_and_end(ANNA, End::Synced).await;
    let merged = test.post_and_end(ANNA, End::Merged).await;
    let dead = test
        .post_and_end(&[("first_name", "Nobody")], End::DeadLetter)
        .await;
    test.clock.advance(DAY * 100);
    let young = test
        .post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    let before = test.audit().await;

    test.clock.advance(DAY * 81);
    test.until("the old ones are gone", async || {
        !is_kept(&test, &synced).await && !is_kept(&test, &merged).await
    })
    .await;
    assert!(is_kept(&test, &dead).await, "it waits for a person");
    assert!(is_kept(&test, &young).await, "it is not old yet");
    assert_eq!(test.audit().await, before);
    let shown = test.command(&["audit"]).await;
    assert!(shown.status.success(), "{shown:?}");

    // The person is still known.
    test.post_and_end(ANNA, End::Merged).await;
    assert_eq!(test.leads().len(), 1);
}

#[tokio::test]
async fn the_lead_stays_when_its_timeline_and_deliveries_go() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let lead = test.store().audit().await.unwrap();
    test.clock.advance(DAY * 800);
    test.until("its deliveries are gone", async || {
        let (done, lines) = test.store().history_size().await.unwrap();
        done == 0 && lines == 0
    })
    .await;
    assert_eq!(test.store().audit().await.unwrap(), lead);
    let update = form_with(ANNA, &[("city", "Berlin")]);
    test.post_and_end(&update, End::Synced).await;
    assert_eq!(test.leads().len(), 1);
}
