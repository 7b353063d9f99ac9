//! What an admin changes in the setup, as a client meets it.

use std::time::Duration;

use leadstream::sandbox::{DuplicateMatch, DuplicateRule, SandboxOptions, Setup};
use serde_json::{Value as Json, json};

use super::org::{TestOrg, fields, lead, reply};

impl TestOrg {
    async fn set_up(&self, change: Json) {
        let reply = self.send("POST", "/sandbox/setup", change).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    async fn field(&self, name: &str) -> Option<Json> {
        let describe = self.get("sobjects/Lead/describe").await.json();
        let fields = describe["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).cloned()
    }

    async fn create(&self, fields: Json) -> super::org::Reply {
        self.send("POST", "sobjects/Lead", lead(fields)).await
    }
}

#[tokio::test]
async fn a_renamed_picklist_value_is_refused_by_its_old_name() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({ "Industry": "Media" })).await;
    let stamp = org.get("sobjects/Lead/describe").await;
    let stamp = stamp.header("last-modified").unwrap().to_owned();
    org.sandbox
        .set_up(Setup::RenamePicklistValue {
            object: "Lead".to_owned(),
            field: "Industry".to_owned(),
            from: "Media".to_owned(),
            to: "Press".to_owned(),
        })
        .unwrap();
    let restricted = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";
    org.create(json!({ "Industry": "Media" }))
        .await
        .assert_refused(400, restricted, "Industry: bad value");
    assert_eq!(org.create(json!({ "Industry": "Press" })).await.status, 201);
    let row = org.get(&format!("sobjects/Lead/{id}")).await.json();
    assert_eq!(row["Industry"], "Press");
    let again = org
        .request("GET", "sobjects/Lead/describe", None)
        .header("if-modified-since", stamp);
    assert_eq!(reply(again.send().await.unwrap()).await.status, 200);

    org.set_up(json!({ "deactivate_picklist_value": { "object": "Lead", "field": "Industry", "value": "Retail" } }))
        .await;
    org.create(json!({ "Industry": "Retail" }))
        .await
        .assert_refused(400, restricted, "Retail");
    let values = org.field("Industry").await.unwrap()["picklistValues"].clone();
    let active = |name: &str| {
        let values = values.as_array().unwrap();
        let found = values.iter().find(|value| value["value"] == name);
        found.unwrap()["active"].clone()
    };
    assert_eq!(
        (active("Retail"), active("Press")),
        (json!(false), json!(true))
    );
    org.set_up(json!({ "add_picklist_value": { "object": "Lead", "field": "Industry", "value": "Retail" } }))
        .await;
    assert_eq!(
        org.create(json!({ "Industry": "Retail" })).await.status,
        201
    );

    // Another default and another status to convert to.
    for (from, to) in [
        ("Open - Not Contacted", "New"),
        ("Closed - Converted", "Won"),
    ] {
        org.set_up(json!({ "rename_picklist_value": { "object": "Lead", "field": "Status", "from": from, "to": to } }))
            .await;
    }
    let fresh = org.lead(json!({})).await;
    let row = org.get(&format!("sobjects/Lead/{fresh}")).await.json();
    assert_eq!(row["Status"], "New");
    org.sandbox.convert(&fresh).expect("a lead");
    let row = org.get(&format!("sobjects/Lead/{fresh}")).await.json();
    assert_eq!(row["Status"], "Won");

    org.set_up(json!({ "restrict_picklist": { "object": "Lead", "field": "Industry", "restricted": false } }))
        .await;
    assert_eq!(org.create(json!({ "Industry": "Any" })).await.status, 201);
    let bad = json!({ "rename_picklist_value": { "object": "Lead", "field": "Title", "from": "a", "to": "b" } });
    let bad = org.send("POST", "/sandbox/setup", bad).await;
    assert_eq!(
        (bad.status.as_u16(), bad.json()["error"].clone()),
        (400, json!("Title is no picklist"))
    );
}

#[tokio::test]
async fn a_hidden_field_is_like_one_that_does_not_exist() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({ "Title": "CTO" })).await;
    let access = |field: &str, access: &str| json!({ "set_field_access": { "object": "Lead", "field": field, "access": access } });
    org.set_up(access("Title", "none")).await;
    org.set_up(access("HasOptedOutOfEmail", "read")).await;
    assert_eq!(org.field("Title").await, None);
    let field = org.field("HasOptedOutOfEmail").await.unwrap();
    assert_eq!(
        (&field["createable"], &field["updateable"]),
        (&json!(false), &json!(false))
    );
    let says = "No such column 'Title' on sobject of type Lead";
    org.create(json!({ "Title": "x" }))
        .await
        .assert_refused(400, "INVALID_FIELD", says);
    org.query("SELECT Title FROM Lead").await.assert_refused(
        400,
        "INVALID_FIELD",
        "No such column 'Title' on entity 'Lead'",
    );
    let path = format!("sobjects/Lead/{id}");
    assert!(org.get(&path).await.json().get("Title").is_none());
    org.get(&format!("{path}?fields=Title"))
        .await
        .assert_refused(400, "INVALID_FIELD", says);
    org.create(json!({ "HasOptedOutOfEmail": true }))
        .await
        .assert_refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "HasOptedOutOfEmail");

    // A person still sees both.
    let change = json!({ "Title": "CEO", "HasOptedOutOfEmail": true });
    org.sandbox.edit("Lead", &id, &fields(change)).unwrap();
    assert_eq!(org.sandbox.records("Lead")[0]["Title"], "CEO");
    org.set_up(access("Title", "edit")).await;
    assert_eq!(org.get(&path).await.json()["Title"], "CEO");
}

#[tokio::test]
async fn a_lost_permission_on_an_object_stops_writes_or_hides_it() {
    let org = TestOrg::start().await;
    let access =
        |access: &str| json!({ "set_object_access": { "object": "Campaign", "access": access } });
    org.set_up(access("read")).await;
    let describe = org.get("sobjects/Campaign/describe").await.json();
    assert_eq!(
        (&describe["createable"], &describe["queryable"]),
        (&json!(false), &json!(true))
    );
    let campaign = json!({ "Name": "Fair" });
    org.send("POST", "sobjects/Campaign", campaign.clone())
        .await
        .assert_refused(
            403,
            "INSUFFICIENT_ACCESS_OR_READONLY",
            "insufficient access rights on object id",
        );
    // A person's permissions are others.
    org.sandbox
        .create("Campaign", &fields(campaign.clone()))
        .unwrap();
    let query = "SELECT Id FROM Campaign";
    assert_eq!(org.query(query).await.json()["totalSize"], 1);

    org.set_up(access("none")).await;
    org.query(query)
        .await
        .assert_refused(400, "INVALID_TYPE", "sObject type 'Campaign'");
    org.get("sobjects/Campaign/describe")
        .await
        .assert_refused(404, "NOT_FOUND", "");
    let listed = org.get("sobjects").await;
    assert!(!listed.text.contains("\"name\":\"Campaign\""));
    org.set_up(access("edit")).await;
    assert_eq!(
        org.send("POST", "sobjects/Campaign", campaign).await.status,
        201
    );
}

#[tokio::test]
async fn a_permission_set_shows_a_field() {
    let org = TestOrg::start().await;
    let set = org
        .query("SELECT Id FROM PermissionSet WHERE Name = 'Leadstream'")
        .await
        .json()["records"][0]["Id"]
        .clone();
    let grant = |field: &str, edit: bool| json!({ "ParentId": set, "SobjectType": "Lead", "Field": field, "PermissionsRead": true, "PermissionsEdit": edit });
    org.set_up(json!({ "add_field": "Lead.Plan__c" })).await;
    org.set_up(
        json!({ "set_field_access": { "object": "Lead", "field": "Plan__c", "access": "none" } }),
    )
    .await;
    assert_eq!(org.field("Plan__c").await, None);
    org.send(
        "POST",
        "sobjects/FieldPermissions",
        grant("Lead.Nope__c", true),
    )
    .await
    .assert_refused(
        400,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "Lead.Nope__c",
    );
    let id = org
        .send(
            "POST",
            "sobjects/FieldPermissions",
            grant("Lead.Plan__c", false),
        )
        .await
        .id();
    assert_eq!(org.field("Plan__c").await.unwrap()["createable"], false);
    let path = format!("sobjects/FieldPermissions/{id}");
    org.send("PATCH", &path, json!({ "PermissionsEdit": true }))
        .await;
    assert_eq!(org.create(json!({ "Plan__c": "Pro" })).await.status, 201);
    org.delete(&path).await;
    assert_eq!(org.field("Plan__c").await, None);
}

#[tokio::test]
async fn a_field_can_be_renamed_resized_and_required() {
    let options = SandboxOptions {
        custom_fields: vec!["Lead.Plan__c".parse().unwrap()],
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let id = org.lead(json!({ "Plan__c": "Pro" })).await;
    let bare = org.lead(json!({})).await;
    org.set_up(json!({ "rename_field": { "object": "Lead", "from": "Plan__c", "to": "Tier__c" } }))
        .await;
    org.create(json!({ "Plan__c": "Pro" }))
        .await
        .assert_refused(400, "INVALID_FIELD", "No such column 'Plan__c'");
    let row = org.get(&format!("sobjects/Lead/{id}")).await.json();
    assert_eq!(row["Tier__c"], "Pro");

    org.set_up(json!({ "resize_field": { "object": "Lead", "field": "Tier__c", "length": 3 } }))
        .await;
    org.create(json!({ "Tier__c": "Free" }))
        .await
        .assert_refused(400, "STRING_TOO_LONG", "(max length=3)");

    org.set_up(
        json!({ "require_field": { "object": "Lead", "field": "Tier__c", "required": true } }),
    )
    .await;
    let says = "Required fields are missing: [Tier__c]";
    org.create(json!({}))
        .await
        .assert_refused(400, "REQUIRED_FIELD_MISSING", says);
    // An old record without it cannot be saved, either.
    let path = format!("sobjects/Lead/{bare}");
    org.send("PATCH", &path, json!({ "Title": "x" }))
        .await
        .assert_refused(400, "REQUIRED_FIELD_MISSING", says);
    let whole = json!({ "Title": "x", "Tier__c": "Pro" });
    assert_eq!(org.send("PATCH", &path, whole).await.status, 204);
    assert_eq!(org.field("Tier__c").await.unwrap()["nillable"], false);
}

#[tokio::test]
async fn a_validation_rule_speaks_in_the_admins_words() {
    let org = TestOrg::start().await;
    let rule = |name: &str, message: &str| {
        json!({ "add_validation_rule": {
            "object": "Lead", "name": name, "message": message,
            "when": [{ "field": "Country", "is": { "equal": "germany" } }, { "field": "Phone", "is": "blank" }],
        } })
    };
    org.set_up(rule(
        "Phone_DE",
        "We call Germans back: a phone number, please!",
    ))
    .await;
    let german = json!({ "Country": "Germany" });
    let refused = org.create(german.clone()).await;
    refused.assert_refused(
        400,
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "We call Germans back: a phone number, please!",
    );
    assert_eq!(refused.json()[0]["fields"], json!([]));
    assert_eq!(
        org.create(json!({ "Country": "Germany", "Phone": "1" }))
            .await
            .status,
        201
    );
    org.set_up(rule("Second", "Again")).await;
    let both = org.create(german.clone()).await.json();
    assert_eq!(both.as_array().map(Vec::len), Some(2), "{both}");
    // People are bound, too.
    let by_hand = org.sandbox.create("Lead", &fields(lead(german.clone())));
    assert_eq!(
        by_hand.unwrap_err()[0].code,
        "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    );
    for name in ["Phone_DE", "Second"] {
        org.set_up(json!({ "remove_validation_rule": { "name": name } }))
            .await;
    }
    assert_eq!(org.create(german).await.status, 201);
}

#[tokio::test]
async fn a_trigger_can_fail_some_rows_for_a_while() {
    let org = TestOrg::start().await;
    let text = "LeadTrigger: execution of BeforeInsert caused by: System.NullPointerException";
    org.set_up(json!({ "fail_writes": {
        "object": "Lead", "code": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "message": text,
        "when": [{ "field": "Country", "is": "blank" }], "at_most": 2,
    } }))
    .await;
    let row = super::org::row;
    let rows = json!({ "records": [row(json!({})), row(json!({ "Country": "DE" })), row(json!({})), row(json!({}))] });
    let results = org.send("POST", "composite/sobjects", rows).await.json();
    let success: Vec<bool> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["success"].as_bool().unwrap())
        .collect();
    assert_eq!(success, [false, true, false, true]);
    assert_eq!(results[0]["errors"][0]["message"], text);

    let full = json!({ "fail_writes": { "object": "Lead", "code": "STORAGE_LIMIT_EXCEEDED", "message": "storage limit exceeded" } });
    org.set_up(full).await;
    org.create(json!({}))
        .await
        .assert_refused(403, "STORAGE_LIMIT_EXCEEDED", "storage");
    org.sandbox.set_up(Setup::ClearFailures).unwrap();
    assert_eq!(org.create(json!({})).await.status, 201);
    let unknown = json!({ "fail_writes": { "object": "Lead", "code": "NOPE", "message": "x" } });
    let unknown = org.send("POST", "/sandbox/setup", unknown).await;
    assert_eq!(
        unknown.json()["error"],
        "NOPE is no code that a row is refused with"
    );
}

#[tokio::test]
async fn owners_queues_and_record_types_come_and_go() {
    let org = TestOrg::start().await;
    let rita = org.sandbox.person("Rita Rep").unwrap().id().to_string();
    assert_eq!(org.create(json!({ "OwnerId": rita })).await.status, 201);
    org.set_up(json!({ "set_user_active": { "user": "Rita Rep", "active": false } }))
        .await;
    org.create(json!({ "OwnerId": rita })).await.assert_refused(
        400,
        "INACTIVE_OWNER_OR_USER",
        &rita[..15],
    );
    let active = org
        .query("SELECT Id FROM User WHERE IsActive = true AND Name = 'Rita Rep'")
        .await
        .json();
    assert_eq!(active["totalSize"], 0);

    org.set_up(json!({ "add_queue": { "name": "Nordics" } }))
        .await;
    org.set_up(json!({ "set_assignment_queue": { "queue": "Nordics" } }))
        .await;
    let id = org.lead(json!({})).await;
    let rows = org
        .query(&format!("SELECT Owner.Name FROM Lead WHERE Id = '{id}'"))
        .await
        .json();
    assert_eq!(rows["records"][0]["Owner"]["Name"], "Nordics");
    let rules = "SELECT Id FROM AssignmentRule WHERE SobjectType = 'Lead' AND Active = true";
    assert_eq!(org.query(rules).await.json()["totalSize"], 1);
    org.set_up(json!({ "set_assignment_queue": { "queue": null } }))
        .await;
    assert_eq!(org.query(rules).await.json()["totalSize"], 0);

    let types = org
        .query("SELECT Id, DeveloperName, IsActive FROM RecordType WHERE SobjectType = 'Lead' ORDER BY DeveloperName")
        .await
        .json();
    let id = |at: usize| types["records"][at]["Id"].clone();
    assert_eq!(types["records"][1]["DeveloperName"], "Legacy");
    assert_eq!(
        org.create(json!({ "RecordTypeId": id(0) })).await.status,
        201
    );
    let says = "this ID value isn't valid for the user";
    org.create(json!({ "RecordTypeId": id(1) }))
        .await
        .assert_refused(400, "INVALID_CROSS_REFERENCE_KEY", says);
    let describe = org.get("sobjects/Lead/describe").await.json();
    let infos = describe["recordTypeInfos"].as_array().unwrap();
    assert!(
        infos
            .iter()
            .any(|info| info["developerName"] == "Partner" && info["active"] == true)
    );
}

#[tokio::test]
async fn the_standard_rule_matches_people_as_salesforce_does() {
    let org = TestOrg::with(SandboxOptions {
        duplicate_rule: Some(DuplicateRule::Alert),
        duplicate_match: DuplicateMatch::Standard,
        ..SandboxOptions::default()
    })
    .await;
    let jane = json!({ "FirstName": "Jane", "LastName": "Doe", "Company": "Acme", "Phone": "+1 415 555 1234", "Title": "CTO", "Email": "jane.doe@us.acme.com" });
    org.lead(jane).await;
    org.clock.advance(Duration::from_secs(1));
    let check = |change: Json, is_duplicate: bool| {
        let mut person = json!({ "FirstName": "jane", "LastName": "Doe", "Company": "Other" });
        for (name, value) in change.as_object().unwrap() {
            person[name] = value.clone();
        }
        let org = &org;
        async move {
            let reply = org.send("POST", "sobjects/Lead", person.clone()).await;
            if is_duplicate {
                reply.assert_refused(400, "DUPLICATES_DETECTED", "");
            } else {
                assert_eq!(reply.status, 201, "{person}: {}", reply.text);
                org.delete(&format!("sobjects/Lead/{}", reply.id())).await;
            }
        }
    };
    check(json!({}), false).await;
    check(json!({ "Company": "ACME Inc." }), false).await;
    check(json!({ "Company": "ACME Inc.", "Title": "cto" }), true).await;
    // The last four digits make no difference.
    check(json!({ "Phone": "415-555-9999" }), true).await;
    check(json!({ "Email": "janedoe@acme.com" }), true).await;
    check(
        json!({ "Email": "janedoe@acme.com", "LastName": "Roe" }),
        false,
    )
    .await;

    // A contact is found by its account's name, and the rule can be switched off.
    let account = org
        .send("POST", "sobjects/Account", json!({ "Name": "Widgets" }))
        .await
        .id();
    let contact =
        json!({ "FirstName": "Max", "LastName": "Roe", "Title": "CFO", "AccountId": account });
    org.send("POST", "sobjects/Contact", contact).await.id();
    let max =
        json!({ "FirstName": "Max", "LastName": "Roe", "Title": "CFO", "Company": "Widgets" });
    let refused = org.send("POST", "sobjects/Lead", max.clone()).await;
    refused.assert_refused(400, "DUPLICATES_DETECTED", "");
    let found = refused.json()[0]["duplicateResut"]["matchResults"].clone();
    assert_eq!(found[0]["entityType"], "Contact");
    let active = "SELECT Id FROM DuplicateRule WHERE SobjectType = 'Lead' AND IsActive = true";
    assert_eq!(org.query(active).await.json()["totalSize"], 1);
    org.set_up(json!({ "set_duplicate_rule": { "action": null } }))
        .await;
    assert_eq!(org.query(active).await.json()["totalSize"], 0);
    assert_eq!(org.send("POST", "sobjects/Lead", max).await.status, 201);
}
