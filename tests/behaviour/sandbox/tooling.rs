use leadstream::sandbox::SandboxOptions;
use serde_json::{Value as Json, json};

use super::org::{Reply, TestOrg, lead};

async fn make(org: &TestOrg, full_name: &str, metadata: Json) -> Reply {
    let body = json!({ "FullName": full_name, "Metadata": metadata });
    org.send("POST", "tooling/sobjects/CustomField", body).await
}

fn key() -> Json {
    json!({ "type": "Text", "label": "Made", "length": 64, "externalId": true, "unique": true })
}

async fn tooling_query(org: &TestOrg, soql: &str) -> Reply {
    let encoded: String = form_urlencoded::byte_serialize(soql.as_bytes()).collect();
    org.get(&format!("tooling/query?q={encoded}")).await
}

async fn permission_set(org: &TestOrg) -> Json {
    let sets = org.query("SELECT PermissionSetId FROM PermissionSetAssignment WHERE Assignee.Name = 'Integration User'");
    sets.await.json()["records"][0]["PermissionSetId"].clone()
}

#[tokio::test]
async fn a_field_is_visible_to_nobody_until_a_permission_set_says_so() {
    let org = TestOrg::start().await;
    let made = make(&org, "Lead.Made__c", key()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.id();
    assert!(id.starts_with("00N"));

    let has_field = async || {
        let described = org.get("sobjects/Lead/describe").await.json();
        let fields = described["fields"].as_array().unwrap().clone();
        fields.iter().any(|field| field["name"] == "Made__c")
    };
    assert!(!has_field().await);
    let body = lead(json!({ "Made__c": "x" }));
    org.send("POST", "sobjects/Lead", body.clone())
        .await
        .assert_refused(400, "INVALID_FIELD", "No such column 'Made__c'");
    let upsert = org
        .send("PATCH", "sobjects/Lead/Made__c/x", lead(json!({})))
        .await;
    upsert.assert_refused(404, "NOT_FOUND", "Made__c");

    let permission = json!({
        "ParentId": permission_set(&org).await, "SobjectType": "Lead", "Field": "Lead.Made__c",
        "PermissionsRead": true, "PermissionsEdit": true,
    });
    assert_eq!(
        org.send("POST", "sobjects/FieldPermissions", permission)
            .await
            .status,
        201
    );
    assert!(has_field().await);
    assert_eq!(org.send("POST", "sobjects/Lead", body).await.status, 201);
    let upsert = org
        .send(
            "PATCH",
            "sobjects/Lead/Made__c/x",
            json!({ "Title": "CEO" }),
        )
        .await;
    assert_eq!(
        (upsert.status.as_u16(), &upsert.json()["created"]),
        (200, &json!(false))
    );

    let read = org
        .get(&format!("tooling/sobjects/CustomField/{id}"))
        .await
        .json();
    assert_eq!(read["FullName"], "Lead.Made__c");
    assert_eq!(read["Metadata"]["length"], 64);
}

#[tokio::test]
async fn a_field_that_cannot_be_is_not_made() {
    let org = TestOrg::start().await;
    assert_eq!(make(&org, "Lead.Made__c", key()).await.status, 201);
    for (name, metadata, code, says) in [
        (
            "Lead.made__c",
            key(),
            "DUPLICATE_DEVELOPER_NAME",
            "There is already a field named made on Lead.",
        ),
        ("Lead.Plain", key(), "INVALID_FIELD", "alphanumeric"),
        (
            "Nope.Made__c",
            key(),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Nope",
        ),
        (
            "Lead.Other__c",
            json!({ "type": "Text", "label": "Other" }),
            "FIELD_INTEGRITY_EXCEPTION",
            "'length'",
        ),
        (
            "Lead.Other__c",
            json!({ "type": "Nope", "label": "Other" }),
            "FIELD_INTEGRITY_EXCEPTION",
            "Nope",
        ),
    ] {
        make(&org, name, metadata)
            .await
            .assert_refused(400, code, says);
    }
    let sets = org.query("SELECT Id FROM PermissionSet").await.json();
    let set = sets["records"][0]["Id"].as_str().unwrap().to_owned();
    let body = json!({ "PermissionsCustomizeApplication": false });
    let changed = org
        .send("PATCH", &format!("sobjects/PermissionSet/{set}"), body)
        .await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    make(&org, "Lead.Late__c", key()).await.assert_refused(
        403,
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "CustomField",
    );
}

#[tokio::test]
async fn the_set_up_is_queried() {
    let org = TestOrg::with(SandboxOptions {
        custom_fields: vec!["Lead.Plan__c".parse().unwrap()],
        ..SandboxOptions::default()
    })
    .await;
    make(&org, "Contact.Made__c", key()).await;
    let soql = "SELECT Id, DeveloperName, EntityDefinition.QualifiedApiName FROM CustomField \
                WHERE TableEnumOrId = 'Contact' ORDER BY DeveloperName";
    let found = tooling_query(&org, soql).await.json();
    assert_eq!(found["totalSize"], 2, "{found}");
    assert_eq!(found["entityTypeName"], "CustomField");
    let made = &found["records"][1];
    assert_eq!(made["DeveloperName"], "Made");
    assert_eq!(made["EntityDefinition"]["QualifiedApiName"], "Contact");
    let url = made["attributes"]["url"].as_str().unwrap();
    assert_eq!(org.get(url).await.json()["FullName"], "Contact.Made__c");

    let soql = "SELECT DeveloperName FROM CustomField WHERE EntityDefinition.QualifiedApiName = 'Lead' \
                AND DeveloperName = 'Plan'";
    assert_eq!(tooling_query(&org, soql).await.json()["totalSize"], 1);
    let soql =
        "SELECT QualifiedApiName, KeyPrefix FROM EntityDefinition WHERE QualifiedApiName = 'Lead'";
    let entity = tooling_query(&org, soql).await.json();
    assert_eq!(entity["records"][0]["KeyPrefix"], "00Q");
    let soql = "SELECT ValidationName FROM ValidationRule WHERE Active = true";
    assert_eq!(tooling_query(&org, soql).await.json()["records"], json!([]));
    let soql = "SELECT FullName FROM CustomField";
    tooling_query(&org, soql)
        .await
        .assert_refused(400, "MALFORMED_QUERY", "no more than one row");
}

#[tokio::test]
async fn picklist_values_are_read_by_record_type() {
    let org = TestOrg::start().await;
    let path = "ui-api/object-info/Lead/picklist-values/012000000000000AAA";
    let status = org.get(path).await.json()["picklistFieldValues"]["Status"].clone();
    assert_eq!(status["defaultValue"]["value"], "Open - Not Contacted");
    assert_eq!(status["values"].as_array().unwrap().len(), 4);
    assert_eq!(status["controllerValues"], json!({}));
    let path = "ui-api/object-info/Lead/picklist-values/012000000000001AAA";
    org.get(path).await.assert_refused(404, "NOT_FOUND", "");
}
