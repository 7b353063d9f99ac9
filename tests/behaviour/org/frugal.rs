//! What a thousand leads cost in calls.

use leadstream::model::End;

use crate::harness::{Setup, TestDaemon};

const PEOPLE: usize = 1000;

/// A burst of new leads of one campaign, with the clock standing still until all are decided.
async fn burst(test: &TestDaemon, people: usize, campaign: &str) {
    for number in 0..people {
        let email = format!("person{number}@acme{number}.example");
        let name = format!("Lee{number}");
        test.post(&[
            ("email", &email),
            ("last_name", &name),
            ("campaign", campaign),
        ])
        .await;
    }
    test.decided().await;
    test.drained().await;
}

#[tokio::test]
async fn a_thousand_new_leads_with_their_campaign_take_twelve_calls_and_again_none() {
    let test = TestDaemon::with(Setup {
        // Nothing is asked by the clock here, only by what is to be sent.
        salesforce: "linger_ms = 60000\nmirror = { interval_seconds = 86400 }",
        ..Setup::default()
    })
    .await;
    let spring = serde_json::json!({ "Name": "Spring", "IsActive": true });
    test.makes("Campaign", &spring);
    test.at_home().await;
    let before = test.sandbox.calls();
    burst(&test, PEOPLE, "Spring").await;
    assert_eq!(test.ends(End::Synced).await, PEOPLE as u64);
    assert_eq!(test.all("CampaignMember").len(), PEOPLE);
    let after = test.sandbox.calls();
    assert_eq!(after.count("collection_upsert"), 5, "{after:?}");
    assert!(after.api - before.api <= 12, "{before:?} {after:?}");

    burst(&test, 100, "Spring").await;
    assert_eq!(
        test.sandbox.calls(),
        after,
        "what says nothing new costs nothing"
    );
}
