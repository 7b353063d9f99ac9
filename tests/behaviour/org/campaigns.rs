use leadstream::model::End;
use serde_json::{Value, json};

use super::LATER;
use crate::harness::{ANNA, Setup, TestDaemon, form_with};

const CREATE: &str = "campaigns = { create = true }";

fn with(salesforce: &'static str) -> Setup<'static> {
    Setup {
        salesforce,
        ..Setup::default()
    }
}

/// Campaign's name and status of each member, sorted.
fn members(test: &TestDaemon) -> Vec<(String, String)> {
    let campaigns = test.all("Campaign");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut members: Vec<_> = test
        .all("CampaignMember")
        .iter()
        .map(|member| {
            let campaign = campaigns
                .iter()
                .find(|campaign| campaign["Id"] == member["CampaignId"])
                .unwrap();
            (text(&campaign["Name"]), text(&member["Status"]))
        })
        .collect();
    members.sort();
    members
}

fn pairs(expect: &[(&str, &str)]) -> Vec<(String, String)> {
    let expect = expect.iter();
    expect
        .map(|(campaign, status)| ((*campaign).to_owned(), (*status).to_owned()))
        .collect()
}

#[tokio::test]
async fn two_campaigns_are_two_members_once_each() {
    let test = TestDaemon::with(with(CREATE)).await;
    for campaign in ["Spring fair", "Demo request", "spring fair", "Demo request"] {
        test.post(&form_with(ANNA, &[("campaign", campaign)])).await;
        test.drained().await;
        test.clock.advance(LATER);
    }
    let expect = [("Demo request", "Responded"), ("Spring fair", "Responded")];
    assert_eq!(members(&test), pairs(&expect));
    assert_eq!(test.all("Lead").len(), 1);
    assert_eq!(test.dead_letters().await, []);
}

#[tokio::test]
async fn a_resubmission_that_changes_nothing_makes_no_call() {
    let test = TestDaemon::with(with(
        "campaigns = { create = true }\nmirror = { interval_seconds = 86400 }",
    ))
    .await;
    let form = form_with(ANNA, &[("campaign", "Spring fair")]);
    test.post_and_end(&form, End::Synced).await;
    let before = test.sandbox.calls().api;
    test.post_and_end(&form, End::Merged).await;
    assert_eq!(test.sandbox.calls().api, before);
}

#[tokio::test]
async fn a_status_follows_what_the_person_does_and_is_made_where_it_is_missing() {
    let test = TestDaemon::with(with(CREATE)).await;
    let webinar = |status| form_with(ANNA, &[("campaign", "Webinar"), ("member_status", status)]);
    for (status, expect) in [
        ("Registered", "Registered"),
        ("Attended", "Attended"),
        ("Registered", "Attended"),
    ] {
        test.post(&webinar(status)).await;
        test.drained().await;
        test.clock.advance(LATER);
        assert_eq!(members(&test), pairs(&[("Webinar", expect)]), "{status}");
    }
    // A person knows better.
    let member = test.only("CampaignMember")["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let edit = json!({ "Status": "Responded" });
    test.sandbox
        .edit("CampaignMember", &member, edit.as_object().unwrap())
        .unwrap();
    test.post(&webinar("No-show")).await;
    test.drained().await;
    assert_eq!(members(&test), pairs(&[("Webinar", "Responded")]));
}

#[tokio::test]
async fn a_campaign_is_found_by_its_id_and_by_its_name() {
    let test = TestDaemon::start().await;
    let id = test.makes("Campaign", &json!({ "Name": "Autumn", "IsActive": true }));
    for campaign in [&*id, "autumn"] {
        let email = format!("p{}@acme.example", campaign.len());
        test.post(&[
            ("email", &email),
            ("last_name", "Lee"),
            ("campaign", campaign),
        ])
        .await;
        test.drained().await;
    }
    let expect = [("Autumn", "Responded"), ("Autumn", "Responded")];
    assert_eq!(members(&test), pairs(&expect));
    assert_eq!(
        test.all("Campaign")
            .iter()
            .filter(|one| one["Name"] == "Autumn")
            .count(),
        1
    );
}

#[tokio::test]
async fn an_unknown_campaign_costs_no_lead_and_waits_where_that_is_wanted() {
    let test = TestDaemon::start().await;
    test.post_and_end(
        &form_with(ANNA, &[("campaign", "Nobody knows")]),
        End::Synced,
    )
    .await;
    assert_eq!(test.all("CampaignMember").len(), 0);

    let test = TestDaemon::with(with(r#"campaigns = { unknown = "hold" }"#)).await;
    let receipt = test
        .post_and_end(&form_with(ANNA, &[("campaign", "Winter")]), End::DeadLetter)
        .await;
    assert_eq!(test.all("Lead").len(), 1, "the lead itself is there");
    assert_eq!(test.dead_letter().await.code, "salesforce.campaign_unknown");
    test.makes("Campaign", &json!({ "Name": "Winter", "IsActive": true }));
    test.clock.advance(LATER);
    let replay = test.command(&["replay", &receipt]).await;
    assert_eq!(replay.status.code(), Some(0), "{replay:?}");
    test.drained().await;
    assert_eq!(members(&test), pairs(&[("Winter", "Responded")]));
    assert_eq!(test.all("Lead").len(), 1);
    assert_eq!(test.dead_letters().await, []);
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_member() {
    let test = TestDaemon::with(with(CREATE)).await;
    test.makes("Campaign", &json!({ "Name": "Spring", "IsActive": true }));
    test.mirrored().await;
    test.sandbox.set_faults(leadstream::sandbox::Faults {
        lost_answer_rate: 0.4,
        ..Default::default()
    });
    for number in 0..20 {
        let email = format!("person{number}@acme.example");
        test.post(&[
            ("email", &email),
            ("last_name", "Lee"),
            ("campaign", "Spring"),
        ])
        .await;
    }
    test.drained().await;
    assert_eq!(test.all("Lead").len(), 20);
    assert_eq!(test.all("CampaignMember").len(), 20);
    assert_eq!(test.dead_letters().await, []);
}
