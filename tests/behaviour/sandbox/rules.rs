use leadstream::sandbox::{DuplicateRule, SandboxOptions};
use serde_json::{Value as Json, json};

use super::org::{TestOrg, fields, lead, row};

fn with_duplicate_rule(rule: DuplicateRule) -> SandboxOptions {
    SandboxOptions {
        duplicate_rule: Some(rule),
        ..SandboxOptions::default()
    }
}

const ALLOW: (&str, &str) = (
    "Sforce-Duplicate-Rule-Header",
    "allowSave=true; includeRecordDetails=true",
);

#[tokio::test]
async fn an_alerting_duplicate_rule_stops_a_create_unless_it_is_allowed() {
    let org = TestOrg::with(with_duplicate_rule(DuplicateRule::Alert)).await;
    let person = json!({ "Email": "jane@example.com" });
    let id = org.lead(person.clone()).await;
    let twin = org
        .send(
            "POST",
            "sobjects/Lead",
            lead(json!({ "Email": "Jane@Example.com" })),
        )
        .await;
    twin.assert_refused(
        400,
        "DUPLICATES_DETECTED",
        "You're creating a duplicate record.",
    );
    let found = &twin.json()[0]["duplicateResut"];
    assert_eq!(found["allowSave"], true);
    assert_eq!(found["duplicateRule"], "Standard_Lead_Duplicate_Rule");
    assert_eq!(found["matchResults"][0]["size"], 1);
    assert_eq!(
        found["matchResults"][0]["matchRecords"][0]["record"]["Id"],
        id
    );

    // In a collection only the code comes back, and rows are not compared with each other.
    let rows = json!({ "records": [
        row(person.clone()), row(json!({ "Email": "new@example.com" })), row(json!({ "Email": "new@example.com" })),
    ] });
    let results = org.send("POST", "composite/sobjects", rows).await.json();
    let error = json!({ "statusCode": "DUPLICATES_DETECTED", "message": "Use one of these records?", "fields": [] });
    assert_eq!(results[0], json!({ "success": false, "errors": [error] }));
    assert_eq!(
        (&results[1]["success"], &results[2]["success"]),
        (&json!(true), &json!(true))
    );

    let allowed = org
        .send_with(ALLOW, "POST", "sobjects/Lead", lead(person))
        .await;
    assert_eq!(allowed.status, 201);
    // The standard rules only report edits.
    let edit = org
        .send(
            "PATCH",
            &format!("sobjects/Lead/{id}"),
            json!({ "Email": "new@example.com" }),
        )
        .await;
    assert_eq!(edit.status, 204);
}

#[tokio::test]
async fn a_blocking_duplicate_rule_stops_whatever_the_header_says() {
    let org = TestOrg::with(with_duplicate_rule(DuplicateRule::Block)).await;
    org.sandbox
        .create(
            "Contact",
            &fields(json!({ "LastName": "Doe", "Email": "jane@example.com" })),
        )
        .unwrap();
    let twin = lead(json!({ "Email": "jane@example.com" }));
    let refused = org.send_with(ALLOW, "POST", "sobjects/Lead", twin).await;
    refused.assert_refused(400, "DUPLICATES_DETECTED", "");
    let found = &refused.json()[0]["duplicateResut"];
    assert_eq!(found["allowSave"], false);
    assert_eq!(found["matchResults"][0]["entityType"], "Contact");
    assert_eq!(
        found["matchResults"][0]["matchRecords"][0]["record"]["Name"],
        "Doe"
    );

    let id = org.lead(json!({})).await;
    let path = format!("sobjects/Lead/{id}");
    let edit = org
        .send("PATCH", &path, json!({ "Email": "jane@example.com" }))
        .await;
    edit.assert_refused(400, "DUPLICATES_DETECTED", "");
    assert_eq!(
        org.send("PATCH", &path, json!({ "Title": "x" }))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn the_assignment_rule_takes_leads_away_unless_the_header_says_false() {
    let options = SandboxOptions {
        assignment_queue: Some("Inbound".to_owned()),
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let queue = org.sandbox.records("Group")[0]["Id"].clone();
    let off = ("Sforce-Auto-Assign", "FALSE");
    let owner = |id: &str| {
        let leads = org.sandbox.records("Lead");
        leads.iter().find(|lead| lead["Id"] == id).unwrap()["OwnerId"].clone()
    };

    let assigned = org.lead(json!({})).await;
    assert_eq!(owner(&assigned), queue);
    let kept = org
        .send_with(off, "POST", "sobjects/Lead", lead(json!({})))
        .await
        .id();
    let user = owner(&kept);
    assert_ne!(user, queue);

    let path = format!("sobjects/Lead/{kept}");
    org.send_with(off, "PATCH", &path, json!({ "Title": "x" }))
        .await;
    assert_eq!(owner(&kept), user);
    // An id works on create only; no header means that the rule runs, on updates too.
    let rule = ("Sforce-Auto-Assign", "01Q5g0000000001");
    org.send_with(rule, "PATCH", &path, json!({ "Title": "x" }))
        .await;
    assert_eq!(owner(&kept), user);
    let by_rule = org
        .send_with(rule, "POST", "sobjects/Lead", lead(json!({})))
        .await
        .id();
    assert_eq!(owner(&by_rule), queue);
    org.send("PATCH", &path, json!({ "Title": "x" })).await;
    assert_eq!(owner(&kept), queue);

    // A subrequest does not take over the header of its composite.
    let body = json!({ "compositeRequest": [{
        "method": "POST", "url": "/services/data/v62.0/sobjects/Lead", "referenceId": "a", "body": lead(json!({})),
    }] });
    let answer = org.send_with(off, "POST", "composite", body).await.json();
    assert_eq!(
        owner(
            answer["compositeResponse"][0]["body"]["id"]
                .as_str()
                .unwrap()
        ),
        queue
    );

    for wrong in ["01Q5g0000000009", "perhaps"] {
        let header = ("Sforce-Auto-Assign", wrong);
        let reply = org
            .send_with(header, "POST", "sobjects/Lead", lead(json!({})))
            .await;
        reply.assert_refused(400, "INVALID_ASSIGNMENT_RULE", wrong);
    }
}

#[tokio::test]
async fn a_converted_lead_is_read_only_and_keeps_its_key() {
    let org = TestOrg::start().await;
    let id = org
        .lead(json!({ "Leadstream_Id__c": "k", "Email": "jane@example.com" }))
        .await;
    let (account, contact) = org.sandbox.convert(&id).expect("a lead");
    let row = org.get(&format!("sobjects/Lead/{id}")).await.json();
    assert_eq!(row["IsConverted"], true);
    assert_eq!(row["Status"], "Closed - Converted");
    assert_eq!(row["ConvertedAccountId"], account.to_string());
    assert_eq!(row["ConvertedContactId"], contact.to_string());
    assert_eq!(row["ConvertedDate"], "2026-03-01");
    let person = org.get("sobjects/Contact/Leadstream_Id__c/k").await.json();
    assert_eq!(
        (&person["Id"], &person["Email"]),
        (&row["ConvertedContactId"], &json!("jane@example.com"))
    );

    let says = "cannot reference converted lead";
    let update = org
        .send(
            "PATCH",
            &format!("sobjects/Lead/{id}"),
            json!({ "Title": "x" }),
        )
        .await;
    update.assert_refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", says);
    let upsert = org
        .send(
            "PATCH",
            "sobjects/Lead/Leadstream_Id__c/k",
            json!({ "Title": "x" }),
        )
        .await;
    upsert.assert_refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", says);
    let twin = org
        .send(
            "POST",
            "sobjects/Lead",
            lead(json!({ "Leadstream_Id__c": "k" })),
        )
        .await;
    twin.assert_refused(400, "DUPLICATE_VALUE", &id[..15]);
    let campaign = org
        .send("POST", "sobjects/Campaign", json!({ "Name": "Demo" }))
        .await
        .id();
    let member = json!({ "CampaignId": campaign, "LeadId": id });
    org.send("POST", "sobjects/CampaignMember", member)
        .await
        .assert_refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", says);
    let member = json!({ "CampaignId": campaign, "ContactId": contact.to_string() });
    assert_eq!(
        org.send("POST", "sobjects/CampaignMember", member)
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_person_is_in_a_campaign_once() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    let campaign = org
        .send("POST", "sobjects/Campaign", json!({ "Name": "Demo" }))
        .await
        .id();
    let member = json!({ "CampaignId": campaign, "LeadId": id, "Status": "Whatever" });
    let made = org
        .send("POST", "sobjects/CampaignMember", member.clone())
        .await
        .id();
    let path = format!("sobjects/CampaignMember/{made}");
    let row = org.get(&path).await.json();
    assert_eq!(
        (&row["Status"], &row["HasResponded"]),
        (&json!("Sent"), &json!(false))
    );
    assert!(row.get("CampaignAndPerson").is_none());

    let twice = org.send("POST", "sobjects/CampaignMember", member).await;
    twice.assert_refused(400, "DUPLICATE_VALUE", "Already a campaign member.");
    org.send("PATCH", &path, json!({ "Status": "Responded" }))
        .await;
    let row = org.get(&path).await.json();
    assert_eq!(
        (&row["HasResponded"], &row["FirstRespondedDate"]),
        (&json!(true), &json!("2026-03-01"))
    );
    let moved = org.send("PATCH", &path, json!({ "LeadId": id })).await;
    moved.assert_refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "LeadId");
    let nobody = org
        .send(
            "POST",
            "sobjects/CampaignMember",
            json!({ "CampaignId": campaign }),
        )
        .await;
    nobody.assert_refused(400, "REQUIRED_FIELD_MISSING", "LeadId");
}

#[tokio::test]
async fn owners_must_be_users_who_are_still_there() {
    let org = TestOrg::with(SandboxOptions {
        assignment_queue: Some("Inbound".to_owned()),
        ..SandboxOptions::default()
    })
    .await;
    let users = org.sandbox.records("User");
    let id_of = |name: &str| users.iter().find(|user| user["Name"] == name).unwrap()["Id"].clone();
    let former = lead(json!({ "OwnerId": id_of("Former Employee") }));
    org.send("POST", "sobjects/Lead", former)
        .await
        .assert_refused(400, "INACTIVE_OWNER_OR_USER", "inactive user");
    let queue = &org.sandbox.records("Group")[0]["Id"];
    let contact = json!({ "LastName": "Doe", "OwnerId": queue });
    let code = "OP_WITH_INVALID_USER_TYPE_EXCEPTION";
    org.send("POST", "sobjects/Contact", contact)
        .await
        .assert_refused(400, code, "");
    let user = json!({ "Username": "x", "Name": "x", "Email": "x@example.com" });
    org.send("POST", "sobjects/User", user)
        .await
        .assert_refused(400, "INVALID_TYPE_FOR_OPERATION", "User");
}

#[tokio::test]
async fn a_parent_can_be_named_by_its_external_id() {
    let options = SandboxOptions {
        custom_fields: vec![
            "Account.Erp__c:text(18):unique:external_id"
                .parse()
                .unwrap(),
        ],
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let account = org
        .send(
            "POST",
            "sobjects/Account",
            json!({ "Name": "Acme", "Erp__c": "A42" }),
        )
        .await
        .id();
    let contact = json!({ "LastName": "Doe", "Account": { "Erp__c": "a42" } });
    let id = org.send("POST", "sobjects/Contact", contact).await.id();
    assert_eq!(
        org.get(&format!("sobjects/Contact/{id}")).await.json()["AccountId"],
        account
    );
    let unknown = json!({ "LastName": "Doe", "Account": { "Erp__c": "43" } });
    let says = "Foreign key external ID: 43 not found for field Erp__c in entity Account";
    org.send("POST", "sobjects/Contact", unknown)
        .await
        .assert_refused(400, "INVALID_FIELD", says);
    let two: Json = json!({ "LastName": "Doe", "Account": { "Erp__c": "43", "Name": "x" } });
    org.send("POST", "sobjects/Contact", two)
        .await
        .assert_refused(400, "INVALID_FIELD", "external id");
}
