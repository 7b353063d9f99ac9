use leadstream::model::End;
use serde_json::json;

use super::LATER;
use leadstream::sandbox::{DuplicateRule, SandboxOptions};

use crate::harness::{ANNA, Setup, TestDaemon, form_with};

#[tokio::test]
async fn a_lead_typed_in_by_hand_and_then_submitted_is_one_record() {
    let test = TestDaemon::start().await;
    test.mirrored().await;
    test.clock.advance(LATER);
    let id = test.makes(
        "Lead",
        &json!({ "LastName": "Berg", "Company": "Acme GmbH", "Email": "anna.berg@acme.example" }),
    );
    test.post_and_end(ANNA, End::Synced).await;
    let lead = test.only("Lead");
    assert_eq!(lead["Id"], id);
    assert_eq!(lead["Company"], "Acme GmbH", "what sales typed stays");
    assert_eq!(lead["Title"], "Head of Growth");
    assert!(lead["Leadstream_Id__c"].is_string());

    // And again: it is known now.
    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    assert_eq!(test.only("Lead")["City"], "Berlin");
}

#[tokio::test]
async fn a_lead_typed_in_by_hand_before_the_first_start_is_found_by_its_phone() {
    let test = TestDaemon::start().await;
    test.mirrored().await;
    let id = test.makes(
        "Lead",
        &json!({ "LastName": "Berg", "FirstName": "Anna", "Company": "Acme", "Phone": "+49 30 9018201" }),
    );
    test.clock.advance(LATER);
    test.post_and_end(ANNA, End::Synced).await;
    let lead = test.only("Lead");
    assert_eq!(lead["Id"], id);
    assert_eq!(lead["Email"], "anna.berg@acme.example");
}

#[tokio::test]
async fn a_colleague_at_the_same_number_stays_another_person() {
    let test = TestDaemon::start().await;
    test.mirrored().await;
    test.makes(
        "Lead",
        &json!({ "LastName": "Berg", "FirstName": "Tom", "Company": "Acme", "Phone": "+49 30 9018201" }),
    );
    test.clock.advance(LATER);
    test.post_and_end(ANNA, End::Synced).await;
    assert_eq!(test.all("Lead").len(), 2);
}

#[tokio::test]
async fn a_converted_lead_goes_on_as_its_contact() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let id = test.only("Lead")["Id"].as_str().unwrap().to_owned();
    let (_, contact) = test.sandbox.convert(&id).unwrap();
    test.clock.advance(LATER);

    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    assert_eq!(test.all("Lead").len(), 1);
    let record = test.only("Contact");
    assert_eq!(record["Id"], contact.to_string());
    assert_eq!(record["MailingCity"], "Berlin");
    assert_eq!(test.dead_letters().await, []);
}

#[tokio::test]
async fn a_customers_contact_gets_no_lead_beside_it() {
    let test = TestDaemon::with(Setup {
        salesforce: r#"existing = { contact_task = "Came back by {source}" }"#,
        ..Setup::default()
    })
    .await;
    test.mirrored().await;
    test.clock.advance(LATER);
    let account = test.makes("Account", &json!({ "Name": "Acme" }));
    let contact = test.makes(
        "Contact",
        &json!({ "LastName": "Berg", "Title": "CMO", "Email": "Anna.Berg@acme.example", "AccountId": account }),
    );
    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    assert_eq!(test.all("Lead").len(), 0);
    let record = test.only("Contact");
    assert_eq!(
        (&record["Title"], &record["MailingCity"]),
        (&json!("CMO"), &json!("Berlin"))
    );
    let task = test.only("Task");
    assert_eq!(
        (&task["WhoId"], &task["Subject"]),
        (&json!(contact), &json!("Came back by demo"))
    );
    assert_eq!(task["OwnerId"], record["OwnerId"]);

    // Nothing new but that they came: the owner is told.
    test.clock.advance(LATER);
    test.post_and_end(&[("email", "anna.berg@acme.example")], End::Synced)
        .await;
    assert_eq!(test.all("Task").len(), 2);
}

#[tokio::test]
async fn each_policy_of_existing_contacts_is_kept() {
    for (policy, leads, city) in [
        ("campaign_only", 0, None),
        ("create_lead", 1, None),
        ("update", 0, Some("Berlin")),
    ] {
        let test = TestDaemon::with(Setup {
            salesforce: &format!("existing = {{ contact = \"{policy}\" }}"),
            ..Setup::default()
        })
        .await;
        test.mirrored().await;
        test.clock.advance(LATER);
        test.makes(
            "Contact",
            &json!({ "LastName": "Berg", "Email": "anna.berg@acme.example" }),
        );
        test.post(&form_with(ANNA, &[("city", "Berlin")])).await;
        test.drained().await;
        assert_eq!(test.all("Lead").len(), leads, "{policy}");
        let record = test.only("Contact");
        assert_eq!(
            record.get("MailingCity").and_then(|city| city.as_str()),
            city,
            "{policy}"
        );
        assert_eq!(test.dead_letters().await, [], "{policy}");
    }
}

#[tokio::test]
async fn a_deleted_lead_may_be_made_again_where_that_is_wanted() {
    let test = TestDaemon::with(Setup {
        salesforce: r#"existing = { deleted = "recreate" }"#,
        ..Setup::default()
    })
    .await;
    test.post_and_end(ANNA, End::Synced).await;
    let id = test.only("Lead")["Id"].as_str().unwrap().to_owned();
    test.sandbox.delete("Lead", &id).unwrap();
    test.clock.advance(LATER);
    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    let lead = test.only("Lead");
    assert_ne!(lead["Id"], id);
    // All of it, not only what has changed.
    assert_eq!(
        (&lead["City"], &lead["Title"]),
        (&json!("Berlin"), &json!("Head of Growth"))
    );
}

#[tokio::test]
async fn an_opt_out_by_a_rep_stays_whatever_comes_after_it() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.edit(json!({ "HasOptedOutOfEmail": true }));
    test.clock.advance(LATER);
    test.post(&form_with(
        ANNA,
        &[("city", "Berlin"), ("email_opt_out", "false")],
    ))
    .await;
    test.drained().await;
    let lead = test.only("Lead");
    assert_eq!(lead["HasOptedOutOfEmail"], true);
    assert_eq!(lead["City"], "Berlin");
}

#[tokio::test]
async fn what_the_orgs_duplicate_rule_finds_is_updated_and_no_second_is_made() {
    for rule in [DuplicateRule::Block, DuplicateRule::Alert] {
        // Without the index nobody would be found.
        let test = TestDaemon::with(Setup {
            salesforce: "mirror = { enabled = false }",
            sandbox: SandboxOptions {
                duplicate_rule: Some(rule),
                ..SandboxOptions::default()
            },
            ..Setup::default()
        })
        .await;
        let id = test.makes(
            "Lead",
            &json!({ "LastName": "Berg", "Company": "Acme GmbH", "Email": "anna.berg@acme.example" }),
        );
        test.post_and_end(ANNA, End::Synced).await;
        let lead = test.only("Lead");
        assert_eq!(
            (&lead["Id"], &lead["Company"]),
            (&json!(id), &json!("Acme GmbH"))
        );
        assert_eq!(lead["Title"], "Head of Growth");
        assert_eq!(test.dead_letters().await, [], "{rule:?}");
    }
}

#[tokio::test]
async fn a_lead_that_was_merged_goes_on_as_the_one_that_stayed() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let loser = test.only("Lead")["Id"].as_str().unwrap().to_owned();
    let winner = test.makes(
        "Lead",
        &json!({ "LastName": "Berg", "Company": "Acme GmbH", "Email": "a.berg@home.example" }),
    );
    let rita = test.sandbox.person("Rita Rep").unwrap();
    rita.merge("Lead", &winner, &loser, &serde_json::Map::new())
        .unwrap();
    test.clock.advance(LATER);
    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    let lead = test.only("Lead");
    assert_eq!(
        (&lead["Id"], &lead["City"]),
        (&json!(winner), &json!("Berlin"))
    );
    assert_eq!(lead["Company"], "Acme GmbH");
    assert_eq!(test.dead_letters().await, []);
}
