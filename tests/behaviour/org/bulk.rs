//! A big backlog goes by bulk jobs, by itself; what is urgent does not wait for it.

use leadstream::model::End;

use crate::harness::{Setup, TestDaemon};

#[tokio::test]
async fn a_big_backlog_goes_by_jobs_and_an_urgent_lead_passes_it() {
    let test = TestDaemon::with(Setup {
        salesforce: "bulk_threshold = 60\ncampaigns = { create = true }\n\
             mirror = { interval_seconds = 86400 }\nlinger_ms = 60000",
        more: "[sources.urgent]\nconnector = \"web-form\"\npriority = \"high\"",
        ..Setup::default()
    })
    .await;
    test.at_home().await;
    for number in 0..150 {
        let email = format!("person{number}@acme{number}.example");
        let name = format!("Lee{number}");
        test.post(&[
            ("email", &email),
            ("last_name", &name),
            ("campaign", "Fair"),
        ])
        .await;
    }
    test.decided().await;
    let urgent = [("email", "urgent@acme.example"), ("last_name", "Now")];
    test.post_to("urgent", &urgent).await;
    test.until("the urgent lead is there", async || {
        test.lead_of("urgent@acme.example").is_some()
    })
    .await;
    test.drained().await;
    assert_eq!(test.all("Lead").len(), 151);
    assert_eq!(test.all("CampaignMember").len(), 150);
    assert_eq!(test.ends(End::Synced).await, 151);
    let calls = test.sandbox.calls();
    assert!(calls.count("bulk_create") >= 1, "{calls:?}");
    assert_eq!(
        calls.count("collection_upsert"),
        1,
        "the urgent one alone: {calls:?}"
    );
    assert_eq!(test.dead_letters().await, []);
}

#[tokio::test]
async fn a_job_that_a_stop_left_behind_loses_and_doubles_nobody() {
    let mut test = TestDaemon::with(Setup {
        salesforce: "bulk_threshold = 40\nmirror = { interval_seconds = 86400 }",
        ..Setup::default()
    })
    .await;
    test.at_home().await;
    for number in 0..80 {
        let email = format!("person{number}@acme{number}.example");
        let name = format!("Lee{number}");
        test.post(&[("email", &email), ("last_name", &name)]).await;
    }
    test.until("a job is begun", async || test.calls("bulk_create") == 1)
        .await;
    test.stop().await;
    test.run().await;
    test.drained().await;
    assert_eq!(test.all("Lead").len(), 80);
    assert_eq!(test.dead_letters().await, []);
}
