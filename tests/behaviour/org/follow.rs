use std::collections::BTreeSet;

use leadstream::model::{End, ORG_CHANGES};
use serde_json::json;

use super::LATER;
use crate::harness::{ANNA, TestDaemon, form_with};

#[tokio::test]
async fn what_a_rep_changes_is_told_and_our_own_writes_are_not() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.clock.advance(LATER);
    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    let events = async || {
        let books = test.audit().await;
        let line = books.iter().find(|(source, _)| &***source == ORG_CHANGES);
        line.map_or(0, |(_, line)| line.accepted)
    };
    // The index has seen what we wrote.
    test.until("it is in the index", async || {
        test.daemon().store().org_size().await.unwrap()[0] > 0
    })
    .await;
    test.clock.advance(LATER);
    test.mirrored().await;
    assert_eq!(events().await, 0, "an echo is no change");

    test.edit(json!({ "Status": "Working - Contacted", "HasOptedOutOfEmail": true }));
    test.until("the change is told", async || events().await == 1)
        .await;
    test.drained().await;
    let told: BTreeSet<String> = test.told().await.into_iter().collect();
    assert!(told.contains("status_changed"), "{told:?}");
    assert!(told.contains("opted_out"), "{told:?}");

    let id = test.only("Lead")["Id"].as_str().unwrap().to_owned();
    test.sandbox.convert(&id).unwrap();
    test.until("the conversion is told", async || {
        test.told().await.iter().any(|kind| kind == "converted")
    })
    .await;
}
