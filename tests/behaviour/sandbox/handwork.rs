//! What people do in the org by hand, as a client sees it afterwards.

use std::time::Duration;

use leadstream::sandbox::{Conversion, Faults, SandboxOptions};
use serde_json::{Map, Value as Json, json};

use super::org::{TestOrg, fields, lead};

impl TestOrg {
    async fn all(&self, soql: &str) -> Vec<Json> {
        let encoded: String = form_urlencoded::byte_serialize(soql.as_bytes()).collect();
        let answer = self.get(&format!("queryAll?q={encoded}")).await.json();
        answer["records"].as_array().expect("records").clone()
    }

    /// The sandbox's own door.
    async fn by_hand(&self, body: Json) -> (u16, Json) {
        let reply = self.send("POST", "/sandbox/person", body).await;
        (reply.status.as_u16(), reply.json())
    }
}

#[tokio::test]
async fn a_write_by_hand_bears_the_name_of_who_did_it_and_moves_the_stamp() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    let rita = org.sandbox.person("rep@example.com").expect("a user");
    assert!(org.sandbox.person("nobody@example.com").is_none());
    let row = || async { org.get(&format!("sobjects/Lead/{id}")).await.json() };
    let made = row().await;
    assert_ne!(made["LastModifiedById"], rita.id().to_string());

    org.clock.advance(Duration::from_millis(90_400));
    rita.edit("Lead", &id, &fields(json!({ "Rating": "Hot" })))
        .unwrap();
    let edited = row().await;
    assert_eq!(edited["LastModifiedById"], rita.id().to_string());
    assert_eq!(edited["CreatedById"], made["CreatedById"]);
    assert_eq!(edited["SystemModstamp"], "2026-03-01T10:01:30.000+0000");

    let (status, made) = org
        .by_hand(json!({ "as": "Rita Rep", "do": { "create": { "object": "Contact", "fields": { "LastName": "Roe" } } } }))
        .await;
    assert_eq!(status, 200);
    let contact = made["id"].as_str().unwrap().to_owned();
    let row = org.get(&format!("sobjects/Contact/{contact}")).await.json();
    assert_eq!(
        (&row["CreatedById"], &row["OwnerId"]),
        (&json!(rita.id().to_string()), &json!(rita.id().to_string()))
    );
    let (status, refused) = org
        .by_hand(json!({ "do": { "edit": { "object": "Contact", "id": contact, "fields": { "Email": "x" } } } }))
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        refused["error"],
        "INVALID_EMAIL_ADDRESS: Email: invalid email address: x"
    );
}

#[tokio::test]
async fn a_late_commit_comes_up_behind_the_poll_that_passed_it() {
    let org = TestOrg::start().await;
    let early = org.lead(json!({})).await;
    org.clock.advance(Duration::from_secs(300));
    let polled = org
        .query("SELECT Id FROM Lead WHERE SystemModstamp >= 2026-03-01T10:00:00Z")
        .await
        .json();
    assert_eq!(polled["totalSize"], 1);
    org.sandbox.set_faults(Faults {
        late_commit_rate: 1.0,
        late_commit_ms: 120_000,
        ..Faults::default()
    });
    let late = org.lead(json!({})).await;
    let row = org.get(&format!("sobjects/Lead/{late}")).await.json();
    assert_eq!(row["SystemModstamp"], "2026-03-01T10:03:00.000+0000");
    // The stamp of a record that was there never goes back.
    org.clock.advance(Duration::from_secs(1));
    org.send(
        "PATCH",
        &format!("sobjects/Lead/{late}"),
        json!({ "Title": "CTO" }),
    )
    .await;
    let row = org.get(&format!("sobjects/Lead/{late}")).await.json();
    assert_eq!(row["SystemModstamp"], "2026-03-01T10:03:01.000+0000");
    assert_eq!(org.sandbox.fault_counts().late_commits, 2);
    assert_ne!(early, late);
}

#[tokio::test]
async fn a_conversion_fills_blanks_and_overwrites_nothing() {
    let options = SandboxOptions {
        custom_fields: ["Lead.Plan__c", "Contact.Plan__c", "Lead.Only__c"]
            .map(|field| field.parse().unwrap())
            .to_vec(),
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let rita = org.sandbox.person("Rita Rep").unwrap();
    let account = org
        .send(
            "POST",
            "sobjects/Account",
            json!({ "Name": "Acme Ltd", "Phone": "1" }),
        )
        .await
        .id();
    let contact = json!({ "LastName": "Lee", "AccountId": account, "Title": "Chief", "LeadSource": "Other", "Leadstream_Id__c": "old" });
    let contact = org.send("POST", "sobjects/Contact", contact).await.id();
    let person = json!({
        "LastName": "Leigh", "Title": "Boss", "Phone": "2", "LeadSource": "Web", "City": "Bonn",
        "Website": "acme.example", "Plan__c": "Pro", "Only__c": "x", "Leadstream_Id__c": "new",
        "HasOptedOutOfEmail": true,
    });
    let id = org.lead(person).await;
    let how = |change: Json| -> Conversion {
        let mut how = json!({ "account": account, "contact": contact });
        for (name, value) in change.as_object().unwrap() {
            how[name] = value.clone();
        }
        serde_json::from_value(how).unwrap()
    };
    let code = |how: &Conversion| rita.convert(&id, how).unwrap_err()[0].code;
    assert_eq!(
        code(&how(json!({ "account": null }))),
        "REQUIRED_FIELD_MISSING"
    );
    assert_eq!(
        code(&how(json!({ "status": "Working - Contacted" }))),
        "INVALID_STATUS"
    );
    let former = org.sandbox.person("Former Employee").unwrap().id();
    assert_eq!(
        code(&how(json!({ "owner": former.to_string() }))),
        "INACTIVE_OWNER_OR_USER"
    );
    assert_eq!(code(&how(json!({ "account": contact }))), "MALFORMED_ID");
    assert_eq!(org.sandbox.count("Account"), 1);

    let made = rita
        .convert(&id, &how(json!({ "with_opportunity": true })))
        .unwrap();
    assert_eq!(
        (made.account.to_string(), made.contact.to_string()),
        (account.clone(), contact.clone())
    );
    let row = org.get(&format!("sobjects/Contact/{contact}")).await.json();
    for (name, value) in [
        ("LastName", json!("Lee")),
        ("Title", json!("Chief")),
        ("Phone", json!("2")),
        ("LeadSource", json!("Other")),
        ("MailingCity", json!("Bonn")),
        ("Plan__c", json!("Pro")),
        ("Leadstream_Id__c", json!("old")),
        ("HasOptedOutOfEmail", json!(true)),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    let row = org.get(&format!("sobjects/Account/{account}")).await.json();
    assert_eq!(
        (&row["Name"], &row["Phone"], &row["Website"]),
        (&json!("Acme Ltd"), &json!("1"), &json!("acme.example"))
    );
    let opportunity = made.opportunity.unwrap();
    let row = org
        .get(&format!("sobjects/Opportunity/{opportunity}"))
        .await
        .json();
    assert_eq!(
        (&row["Name"], &row["StageName"], &row["CloseDate"]),
        (&json!("Acme-"), &json!("Prospecting"), &json!("2026-03-31"))
    );
    let row = org.get(&format!("sobjects/Lead/{id}")).await.json();
    assert_eq!(row["ConvertedOpportunityId"], opportunity.to_string());
    assert_eq!(row["LastModifiedById"], rita.id().to_string());
    assert_eq!(code(&Conversion::default()), "CANNOT_UPDATE_CONVERTED_LEAD");
}

#[tokio::test]
async fn a_queues_lead_needs_a_user_to_own_what_it_becomes() {
    let org = TestOrg::start().await;
    let queues = org
        .query("SELECT Id, DeveloperName FROM Group WHERE Type = 'Queue' AND Name = 'EMEA Queue'")
        .await
        .json();
    let queue = queues["records"][0]["Id"].clone();
    assert_eq!(queues["records"][0]["DeveloperName"], "EMEA_Queue");
    let id = org.lead(json!({ "OwnerId": queue })).await;
    let row = org
        .query("SELECT Owner.Name, Owner.Type FROM Lead")
        .await
        .json();
    assert_eq!(
        (
            &row["records"][0]["Owner"]["Name"],
            &row["records"][0]["Owner"]["Type"]
        ),
        (&json!("EMEA Queue"), &json!("Queue"))
    );
    let rita = org.sandbox.person("Rita Rep").unwrap();
    let refused = rita.convert(&id, &Conversion::default()).unwrap_err();
    assert!(
        refused[0].message.contains("can only be owned by users"),
        "{refused:?}"
    );
    // A click in the org names the one who clicks.
    assert!(org.sandbox.convert(&id).is_some());
}

#[tokio::test]
async fn a_merged_record_names_its_master() {
    let org = TestOrg::start().await;
    let rita = org.sandbox.person("Rita Rep").unwrap();
    let winner = org.lead(json!({ "Leadstream_Id__c": "a" })).await;
    let loser = org
        .lead(json!({ "Leadstream_Id__c": "b", "Phone": "+49 30 1" }))
        .await;
    let mut members = Vec::new();
    for (name, people) in [("Both", vec![&winner, &loser]), ("One", vec![&loser])] {
        let campaign = org
            .send("POST", "sobjects/Campaign", json!({ "Name": name }))
            .await
            .id();
        for person in people {
            let member = json!({ "CampaignId": campaign, "LeadId": person });
            members.push(
                org.send("POST", "sobjects/CampaignMember", member)
                    .await
                    .id(),
            );
        }
    }
    org.clock.advance(Duration::from_secs(120));
    let chosen = fields(json!({ "Phone": "+49 30 1", "Leadstream_Id__c": "b" }));
    rita.merge("Lead", &winner, &loser, &chosen).unwrap();

    let seen = org
        .all("SELECT Id, IsDeleted, MasterRecordId, SystemModstamp, LastModifiedById FROM Lead WHERE MasterRecordId != null")
        .await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (
            &seen[0]["Id"],
            &seen[0]["IsDeleted"],
            &seen[0]["MasterRecordId"]
        ),
        (&json!(loser), &json!(true), &json!(winner))
    );
    assert_eq!(seen[0]["SystemModstamp"], "2026-03-01T10:02:00.000+0000");
    org.get(&format!("sobjects/Lead/{loser}"))
        .await
        .assert_refused(404, "NOT_FOUND", "");
    let row = org.get("sobjects/Lead/Leadstream_Id__c/b").await.json();
    assert_eq!(
        (&row["Id"], &row["Phone"]),
        (&json!(winner), &json!("+49 30 1"))
    );
    let left = org.sandbox.records("CampaignMember");
    let left: Vec<_> = left.iter().map(|member| &member["LeadId"]).collect();
    assert_eq!(left, [&json!(winner), &json!(winner)]);
    let span = "?start=2026-03-01T10:00:00Z&end=2026-03-01T10:03:00Z";
    let deleted = org
        .get(&format!("sobjects/Lead/deleted/{span}"))
        .await
        .json();
    assert_eq!(deleted["deletedRecords"][0]["id"], loser);

    let (status, refused) = org
        .by_hand(
            json!({ "do": { "merge": { "object": "Lead", "winner": loser, "loser": winner } } }),
        )
        .await;
    assert_eq!(status, 400, "{refused}");
    assert_eq!(refused["error"], "ENTITY_IS_DELETED: entity is deleted");
    let third = org.lead(json!({})).await;
    assert!(rita.merge("Lead", &winner, &winner, &Map::new()).is_err());
    org.sandbox.convert(&third).expect("a lead");
    let code = rita
        .merge("Lead", &winner, &third, &Map::new())
        .unwrap_err()[0]
        .code;
    assert_eq!(code, "CANNOT_UPDATE_CONVERTED_LEAD");
}

#[tokio::test]
async fn history_tells_who_changed_what_if_it_is_kept() {
    let options = SandboxOptions {
        lead_history: true,
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let id = org
        .send("POST", "sobjects/Lead", lead(json!({})))
        .await
        .id();
    let rita = org.sandbox.person("Rita Rep").unwrap();
    let change = json!({ "Status": "Working - Contacted", "OwnerId": rita.id().to_string() });
    rita.edit("Lead", &id, &fields(change)).unwrap();
    rita.convert(&id, &Conversion::default()).unwrap();
    let rows = org
        .query("SELECT Field, OldValue, NewValue, CreatedById FROM LeadHistory ORDER BY Id")
        .await
        .json();
    let seen: Vec<_> = rows["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (text("Field"), text("NewValue"))
        })
        .collect();
    let expect = [
        ("created", String::new()),
        ("Status", "Working - Contacted".to_owned()),
        ("Owner", "Rita Rep".to_owned()),
        ("Owner", rita.id().to_string()),
        ("leadConverted", String::new()),
    ];
    let expect: Vec<_> = expect
        .into_iter()
        .map(|(field, new)| (field.to_owned(), new))
        .collect();
    assert_eq!(seen, expect);
    assert_eq!(rows["records"][1]["CreatedById"], rita.id().to_string());
}

#[tokio::test]
async fn contacts_and_accounts_are_merged_with_what_belongs_to_them() {
    let org = TestOrg::start().await;
    let rita = org.sandbox.person("Rita Rep").unwrap();
    let make = |object: &'static str, body: Json| {
        let org = &org;
        async move {
            let path = format!("sobjects/{object}");
            org.send("POST", &path, body).await.id()
        }
    };
    let (kept, gone) = (
        make("Account", json!({ "Name": "Acme" })).await,
        make("Account", json!({ "Name": "Acme Ltd" })).await,
    );
    let person = |account: &str| json!({ "LastName": "Doe", "AccountId": account });
    let (jane, twin) = (
        make("Contact", person(&kept)).await,
        make("Contact", person(&gone)).await,
    );
    let campaign = make("Campaign", json!({ "Name": "Fair" })).await;
    let member = json!({ "CampaignId": campaign, "ContactId": twin });
    let member = make("CampaignMember", member).await;
    let task = make("Task", json!({ "Subject": "Call", "WhoId": twin })).await;

    rita.merge("Account", &kept, &gone, &Map::new()).unwrap();
    let accounts = org.sandbox.records("Contact");
    assert!(accounts.iter().all(|contact| contact["AccountId"] == kept));
    rita.merge("Contact", &jane, &twin, &Map::new()).unwrap();
    let row = org
        .get(&format!("sobjects/CampaignMember/{member}"))
        .await
        .json();
    assert_eq!(
        (&row["ContactId"], &row["LeadOrContactId"]),
        (&json!(jane), &json!(jane))
    );
    let row = org.get(&format!("sobjects/Task/{task}")).await.json();
    assert_eq!(row["WhoId"], jane);
    let again = json!({ "CampaignId": campaign, "ContactId": jane });
    org.send("POST", "sobjects/CampaignMember", again)
        .await
        .assert_refused(400, "DUPLICATE_VALUE", "Already a campaign member.");
    let masters = org
        .all("SELECT MasterRecordId FROM Contact WHERE IsDeleted = true")
        .await;
    assert_eq!(masters[0]["MasterRecordId"], jane);
}

#[tokio::test]
async fn a_rule_of_contacts_stops_a_conversion_whole() {
    let org = TestOrg::start().await;
    let rule = json!({ "add_validation_rule": {
        "object": "Contact", "name": "Mail", "message": "An address, please",
        "when": [{ "field": "Email", "is": "blank" }],
    } });
    assert_eq!(org.send("POST", "/sandbox/setup", rule).await.status, 200);
    let id = org.lead(json!({})).await;
    let convert = || json!({ "as": "Rita Rep", "do": { "convert": { "lead": id } } });
    let (status, refused) = org.by_hand(convert()).await;
    assert_eq!(
        (status, &refused["error"]),
        (
            400,
            &json!("FIELD_CUSTOM_VALIDATION_EXCEPTION: An address, please")
        )
    );
    assert_eq!(
        (org.sandbox.count("Account"), org.sandbox.count("Contact")),
        (0, 0)
    );
    let change = fields(json!({ "Email": "jane@example.com" }));
    org.sandbox.edit("Lead", &id, &change).unwrap();
    let (status, made) = org.by_hand(convert()).await;
    assert_eq!(status, 200, "{made}");
    assert!(made["contact"].as_str().unwrap().starts_with("003"));
    assert_eq!(made["opportunity"], json!(null));
}
