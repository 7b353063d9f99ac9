use std::time::Duration;

use leadstream::sandbox::{Conversion, SandboxOptions};
use serde_json::{Value as Json, json};

use super::org::{TestOrg, fields};

const CONVERTED: &str = "cannot reference converted lead";

impl TestOrg {
    async fn campaign(&self, name: &str) -> String {
        let body = json!({ "Name": name });
        self.send("POST", "sobjects/Campaign", body).await.id()
    }

    async fn member(&self, campaign: &str, who: (&str, &str), status: Option<&str>) -> String {
        let mut body = json!({ "CampaignId": campaign, who.0: who.1 });
        if let Some(status) = status {
            body["Status"] = status.into();
        }
        self.send("POST", "sobjects/CampaignMember", body)
            .await
            .id()
    }

    async fn row(&self, object: &str, id: &str) -> Json {
        self.get(&format!("sobjects/{object}/{id}")).await.json()
    }

    async fn rows(&self, soql: &str) -> Vec<Json> {
        let answer = self.query(soql).await.json();
        answer["records"].as_array().expect("records").clone()
    }
}

#[tokio::test]
async fn a_new_campaign_has_two_statuses_and_can_have_more() {
    let org = TestOrg::start().await;
    let campaign = org.campaign("Webinar").await;
    let statuses = format!(
        "SELECT Label, IsDefault, HasResponded FROM CampaignMemberStatus WHERE CampaignId = '{campaign}' ORDER BY SortOrder"
    );
    let label = |rows: &[Json]| -> Vec<(String, bool, bool)> {
        let flag = |row: &Json, name: &str| row[name].as_bool().unwrap();
        rows.iter()
            .map(|row| {
                let label = row["Label"].as_str().unwrap().to_owned();
                (label, flag(row, "IsDefault"), flag(row, "HasResponded"))
            })
            .collect()
    };
    assert_eq!(
        label(&org.rows(&statuses).await),
        [
            ("Sent".to_owned(), true, false),
            ("Responded".to_owned(), false, true)
        ]
    );

    let attended = json!({ "CampaignId": campaign, "Label": "Attended", "HasResponded": true });
    let path = "sobjects/CampaignMemberStatus";
    assert_eq!(org.send("POST", path, attended.clone()).await.status, 201);
    org.send("POST", path, attended)
        .await
        .assert_refused(400, "DUPLICATE_VALUE", "Label");
    let registered = json!({ "CampaignId": campaign, "Label": "Registered", "IsDefault": true });
    assert_eq!(org.send("POST", path, registered).await.status, 201);
    assert_eq!(
        label(&org.rows(&statuses).await),
        [
            ("Sent".to_owned(), false, false),
            ("Responded".to_owned(), false, true),
            ("Attended".to_owned(), false, true),
            ("Registered".to_owned(), true, false),
        ]
    );

    // No status is the default; one that is not defined becomes it; the response follows.
    let jane = org.lead(json!({ "LastName": "Doe" })).await;
    let member = org.member(&campaign, ("LeadId", &jane), None).await;
    let row = org.row("CampaignMember", &member).await;
    assert_eq!(
        (&row["Status"], &row["HasResponded"]),
        (&json!("Registered"), &json!(false))
    );
    assert_eq!(
        (&row["Type"], &row["LeadOrContactId"]),
        (&json!("Lead"), &json!(jane))
    );
    let path = format!("sobjects/CampaignMember/{member}");
    org.send("PATCH", &path, json!({ "Status": "attended" }))
        .await;
    let row = org.row("CampaignMember", &member).await;
    assert_eq!(
        (&row["Status"], &row["HasResponded"]),
        (&json!("Attended"), &json!(true))
    );
    assert_eq!(row["FirstRespondedDate"], "2026-03-01");
    org.send("PATCH", &path, json!({ "Status": "No-show" }))
        .await;
    let row = org.row("CampaignMember", &member).await;
    assert_eq!(
        (&row["Status"], &row["HasResponded"]),
        (&json!("Registered"), &json!(false))
    );

    let default = org
        .rows("SELECT Id FROM CampaignMemberStatus WHERE IsDefault = true")
        .await;
    let default = format!(
        "sobjects/CampaignMemberStatus/{}",
        default[0]["Id"].as_str().unwrap()
    );
    org.delete(&default)
        .await
        .assert_refused(400, "FIELD_INTEGRITY_EXCEPTION", "default");
}

#[tokio::test]
async fn a_converted_leads_member_is_the_contacts_and_no_second_one_is_made() {
    let org = TestOrg::start().await;
    let (webinar, fair) = (org.campaign("Webinar").await, org.campaign("Fair").await);
    let lead = org.lead(json!({ "Leadstream_Id__c": "k" })).await;
    let member = org
        .member(&webinar, ("LeadId", &lead), Some("Responded"))
        .await;
    let (account, contact) = org.sandbox.convert(&lead).expect("a lead");
    let contact = contact.to_string();

    let row = org.row("CampaignMember", &member).await;
    assert_eq!(
        (&row["LeadId"], &row["ContactId"], &row["Status"]),
        (&json!(lead), &json!(contact), &json!("Responded"))
    );
    let again = json!({ "CampaignId": webinar, "ContactId": contact });
    org.send("POST", "sobjects/CampaignMember", again)
        .await
        .assert_refused(400, "DUPLICATE_VALUE", "Already a campaign member.");
    let by_lead = json!({ "CampaignId": fair, "LeadId": lead });
    org.send("POST", "sobjects/CampaignMember", by_lead)
        .await
        .assert_refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", CONVERTED);
    org.member(&fair, ("ContactId", &contact), None).await;
    // The member itself can still be changed.
    let path = format!("sobjects/CampaignMember/{member}");
    assert_eq!(
        org.send("PATCH", &path, json!({ "Status": "Sent" }))
            .await
            .status,
        204
    );

    // A second lead of the same person, member of both, is converted into the contact: one member
    // a campaign is left, the one that is further on.
    let twin = org.lead(json!({})).await;
    org.member(&webinar, ("LeadId", &twin), None).await;
    org.member(&fair, ("LeadId", &twin), Some("Responded"))
        .await;
    let how = Conversion {
        account: Some(account.to_string()),
        contact: Some(contact.clone()),
        ..Conversion::default()
    };
    let rita = org.sandbox.person("Rita Rep").expect("a user");
    let refused = rita.convert(&twin, &how).map(|made| made.contact);
    assert_eq!(refused.unwrap().to_string(), contact);
    let members = org
        .rows("SELECT CampaignId, ContactId, HasResponded FROM CampaignMember ORDER BY CampaignId")
        .await;
    let seen: Vec<_> = members
        .iter()
        .map(|row| (row["CampaignId"].clone(), row["HasResponded"].clone()))
        .collect();
    assert_eq!(
        seen,
        [(json!(webinar), json!(false)), (json!(fair), json!(true))]
    );
    assert!(members.iter().all(|row| row["ContactId"] == contact));
}

#[tokio::test]
async fn a_task_is_for_a_person_and_perhaps_about_something() {
    let org = TestOrg::start().await;
    let lead = org.lead(json!({})).await;
    let campaign = org.campaign("Webinar").await;
    let account = org
        .send("POST", "sobjects/Account", json!({ "Name": "Acme" }))
        .await
        .id();
    let contact = json!({ "LastName": "Doe", "AccountId": account });
    let contact = org.send("POST", "sobjects/Contact", contact).await.id();

    let both = json!({ "Subject": "Call", "WhoId": lead, "WhatId": campaign });
    org.send("POST", "sobjects/Task", both)
        .await
        .assert_refused(400, "FIELD_INTEGRITY_EXCEPTION", "WhatId");
    let task = json!({ "Subject": "Call", "WhoId": contact, "WhatId": campaign });
    let task = org.send("POST", "sobjects/Task", task).await.id();
    let row = org.row("Task", &task).await;
    for (name, value) in [
        ("Status", "Not Started"),
        ("Priority", "Normal"),
        ("AccountId", &account),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    assert_eq!(row["IsClosed"], false);
    org.send(
        "PATCH",
        &format!("sobjects/Task/{task}"),
        json!({ "Status": "Completed" }),
    )
    .await;
    assert_eq!(org.row("Task", &task).await["IsClosed"], true);
    let who = org
        .rows("SELECT Who.Name, Who.Type, Owner.Name FROM Task")
        .await;
    assert_eq!(
        (&who[0]["Who"]["Name"], &who[0]["Who"]["Type"]),
        (&json!("Doe"), &json!("Contact"))
    );

    let open = json!({ "Subject": "Call", "WhoId": lead });
    let open = org.send("POST", "sobjects/Task", open.clone()).await.id();
    let how = Conversion {
        with_opportunity: true,
        ..Conversion::default()
    };
    let rita = org.sandbox.person("rep@example.com").expect("a user");
    let made = rita.convert(&lead, &how).unwrap();
    let row = org.row("Task", &open).await;
    assert_eq!(row["WhoId"], made.contact.to_string());
    assert_eq!(row["WhatId"], made.opportunity.unwrap().to_string());
    let late = json!({ "Subject": "Call", "WhoId": lead });
    org.send("POST", "sobjects/Task", late)
        .await
        .assert_refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", CONVERTED);
    let person = json!({ "Subject": "Call", "WhoId": account });
    org.send("POST", "sobjects/Task", person)
        .await
        .assert_refused(400, "MALFORMED_ID", "Name ID");
}

#[tokio::test]
async fn an_opportunity_follows_its_stage() {
    let org = TestOrg::start().await;
    let body =
        json!({ "Name": "Widgets", "StageName": "Qualification", "CloseDate": "2026-03-31" });
    let id = org.send("POST", "sobjects/Opportunity", body).await.id();
    let row = org.row("Opportunity", &id).await;
    assert_eq!(
        (&row["Probability"], &row["IsClosed"], &row["IsWon"]),
        (&json!(10), &json!(false), &json!(false))
    );
    let path = format!("sobjects/Opportunity/{id}");
    org.send("PATCH", &path, json!({ "StageName": "Closed Won" }))
        .await;
    let row = org.row("Opportunity", &id).await;
    assert_eq!(
        (&row["Probability"], &row["IsClosed"], &row["IsWon"]),
        (&json!(100), &json!(true), &json!(true))
    );
    org.send("POST", "sobjects/Opportunity", json!({ "Name": "x" }))
        .await
        .assert_refused(400, "REQUIRED_FIELD_MISSING", "[StageName, CloseDate]");
    let stages = org
        .rows("SELECT MasterLabel FROM OpportunityStage WHERE IsClosed = true")
        .await;
    assert_eq!(stages.len(), 2);
}

#[tokio::test]
async fn what_belongs_to_a_record_goes_with_it_and_comes_back_with_it() {
    let options = SandboxOptions {
        campaigns: vec!["Spring fair".to_owned()],
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let campaign = org
        .rows("SELECT Id FROM Campaign WHERE Name = 'Spring fair' AND IsActive = true")
        .await[0]["Id"]
        .clone();
    let lead = org.lead(json!({ "Leadstream_Id__c": "k" })).await;
    let member = org
        .member(campaign.as_str().unwrap(), ("LeadId", &lead), None)
        .await;
    org.clock.advance(Duration::from_secs(60));
    assert_eq!(
        org.delete(&format!("sobjects/Lead/{lead}")).await.status,
        204
    );
    assert_eq!(org.sandbox.count("CampaignMember"), 0);
    // A deleted record holds its key no longer.
    let next = org.lead(json!({ "Leadstream_Id__c": "k" })).await;
    let rita = org.sandbox.person("Rita Rep").unwrap();
    let taken = rita.undelete("Lead", &lead).unwrap_err();
    assert_eq!(taken[0].code, "DUPLICATE_VALUE");
    rita.delete("Lead", &next).unwrap();
    rita.undelete("Lead", &lead).unwrap();
    let row = org.row("Lead", &lead).await;
    assert_eq!(row["LastModifiedById"], rita.id().to_string());
    assert_eq!(org.row("CampaignMember", &member).await["LeadId"], lead);
    let twice = rita.create(
        "CampaignMember",
        &fields(json!({ "CampaignId": campaign, "LeadId": lead })),
    );
    assert_eq!(twice.unwrap_err()[0].message, "Already a campaign member.");
}
