use leadstream::sandbox::SandboxOptions;
use serde_json::{Value as Json, json};

use super::org::{TestOrg, lead};

#[tokio::test]
async fn a_row_is_created_read_changed_and_deleted() {
    let org = TestOrg::start().await;
    let made = org
        .send(
            "POST",
            "sobjects/Lead",
            lead(json!({ "Title": " CTO ", "City": "" })),
        )
        .await;
    assert_eq!(made.status, 201);
    let id = made.id();
    assert_eq!(
        made.json(),
        json!({ "id": id, "success": true, "errors": [] })
    );
    let path = format!("/services/data/v62.0/sobjects/Lead/{id}");
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert!(id.len() == 18 && id.starts_with("00Q"));

    let row = org.get(&path).await.json();
    assert_eq!(row["attributes"], json!({ "type": "Lead", "url": path }));
    assert_eq!(row["Title"], "CTO");
    assert_eq!((&row["City"], &row["Address"]), (&Json::Null, &Json::Null));
    assert_eq!(row["Status"], "Open - Not Contacted");
    assert_eq!(row["IsConverted"], false);
    assert_eq!(row["CreatedDate"], "2026-03-01T10:00:00.000+0000");
    assert_eq!(row["OwnerId"], row["CreatedById"]);

    org.clock.advance(std::time::Duration::from_millis(61_500));
    let change = json!({ "FirstName": "Ann", "Title": null, "Street": "1 Main St" });
    let changed = org.send("PATCH", &path, change).await;
    assert_eq!((changed.status.as_u16(), changed.text.as_str()), (204, ""));
    let row = org
        .get(&format!(
            "sobjects/Lead/{}?fields=Name,title,Address,LastModifiedDate",
            &id[..15]
        ))
        .await
        .json();
    assert_eq!(
        (&row["Name"], &row["Title"]),
        (&json!("Ann Lee"), &Json::Null)
    );
    assert_eq!(row["Address"]["street"], "1 Main St");
    assert_eq!(row["LastModifiedDate"], "2026-03-01T10:01:01.000+0000");
    assert!(row.get("Company").is_none());

    assert_eq!(org.delete(&path).await.status, 204);
    org.get(&path)
        .await
        .assert_refused(404, "NOT_FOUND", "The requested resource does not exist");
    org.send("PATCH", &path, json!({})).await.assert_refused(
        404,
        "ENTITY_IS_DELETED",
        "entity is deleted",
    );
    org.delete(&path)
        .await
        .assert_refused(404, "ENTITY_IS_DELETED", "entity is deleted");
    assert_eq!(org.sandbox.count("Lead"), 0);
}

#[tokio::test]
async fn a_row_that_does_not_fit_is_refused_with_its_fields() {
    let org = TestOrg::start().await;
    let cases = [
        (
            json!({ "LastName": null, "Company": " " }),
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [LastName, Company]",
            Some(json!(["LastName", "Company"])),
        ),
        (
            json!({ "FirstName": "é".repeat(41) }),
            "STRING_TOO_LONG",
            "First Name: data value too large: éé",
            Some(json!(["FirstName"])),
        ),
        (
            json!({ "Email": "jane@@x" }),
            "INVALID_EMAIL_ADDRESS",
            "Email: invalid email address: jane@@x",
            Some(json!(["Email"])),
        ),
        (
            json!({ "Industry": "Blockchain" }),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Industry: bad value for restricted picklist field: Blockchain",
            Some(json!(["Industry"])),
        ),
        (
            json!({ "CreatedDate": "2026-03-01T10:00:00Z" }),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Unable to create/update fields: CreatedDate.",
            Some(json!(["CreatedDate"])),
        ),
        (
            json!({ "Foo__c": "x" }),
            "INVALID_FIELD",
            "No such column 'Foo__c' on sobject of type Lead",
            None,
        ),
        (
            json!({ "Id": "00Q5g0000000001" }),
            "INVALID_FIELD",
            "The Id field should not be specified in the sobject data.",
            None,
        ),
        (
            json!({ "Title": { "a": 1 } }),
            "JSON_PARSER_ERROR",
            "Cannot deserialize instance of string from START_OBJECT value {",
            None,
        ),
        (
            json!({ "DoNotCall": "perhaps" }),
            "JSON_PARSER_ERROR",
            "instance of boolean from VALUE_STRING value perhaps",
            None,
        ),
        (
            json!({ "OwnerId": "nobody" }),
            "MALFORMED_ID",
            "Owner ID: id value of incorrect type: nobody",
            Some(json!(["OwnerId"])),
        ),
        (
            json!({ "OwnerId": "001D000000IqhSLIAZ" }),
            "MALFORMED_ID",
            "Owner ID: id value of incorrect type: 001D000000IqhSLIAZ",
            Some(json!(["OwnerId"])),
        ),
        (
            json!({ "OwnerId": "005900K0001pPuO" }),
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
            Some(json!([])),
        ),
        (
            json!({ "AnnualRevenue": 1e18 }),
            "NUMBER_OUTSIDE_VALID_RANGE",
            "Annual Revenue",
            Some(json!(["AnnualRevenue"])),
        ),
    ];
    for (fields, code, says, named) in cases {
        let reply = org.send("POST", "sobjects/Lead", lead(fields)).await;
        reply.assert_refused(400, code, says);
        assert_eq!(reply.json()[0].get("fields"), named.as_ref(), "{says}");
    }
    assert_eq!(org.sandbox.count("Lead"), 0);
}

#[tokio::test]
async fn an_unrestricted_picklist_takes_any_text_and_names_ignore_case() {
    let org = TestOrg::start().await;
    let id = org
        .lead(json!({ "leadsource": "Trade fair", "DESCRIPTION": "x".repeat(32_000) }))
        .await;
    assert_eq!(
        org.get(&format!("sobjects/lead/{id}")).await.json()["LeadSource"],
        "Trade fair"
    );
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let org = TestOrg::start().await;
    let gone = "The requested resource does not exist";
    org.get("sobjects/Lead/00Q5g0000000009")
        .await
        .assert_refused(404, "NOT_FOUND", gone);
    org.get("sobjects/Leed/00Q5g0000000009")
        .await
        .assert_refused(404, "NOT_FOUND", gone);
    org.send("POST", "sobjects/Leed", json!({}))
        .await
        .assert_refused(404, "NOT_FOUND", gone);
    org.get("sobjects/Lead/Leadstream_Id__c/none")
        .await
        .assert_refused(404, "NOT_FOUND", gone);
    org.get("nothing/here")
        .await
        .assert_refused(404, "NOT_FOUND", gone);
    org.get("sobjects/Lead/hello").await.assert_refused(
        404,
        "NOT_FOUND",
        "Provided external ID field does not exist",
    );
    let unknown = "Provided external ID field does not exist or is not accessible: Other_Id__c";
    org.send("PATCH", "sobjects/Lead/Other_Id__c/1", lead(json!({})))
        .await
        .assert_refused(404, "NOT_FOUND", unknown);
    // Company is a field, but none to find by.
    org.send("PATCH", "sobjects/Lead/Company/Acme", lead(json!({})))
        .await
        .assert_refused(404, "NOT_FOUND", "Company");
    org.get("sobjects/Lead/0035g0000000001")
        .await
        .assert_refused(400, "MALFORMED_ID", "id value of incorrect type");
}

#[tokio::test]
async fn an_upsert_creates_once_and_then_updates() {
    let org = TestOrg::start().await;
    let path = "sobjects/Lead/Leadstream_Id__c/01J%2Fa%20b%2B";
    let first = org.send("PATCH", path, lead(json!({}))).await;
    let id = first.id();
    assert_eq!(first.status, 201);
    assert_eq!(
        first.json(),
        json!({ "id": id, "success": true, "errors": [], "created": true })
    );
    assert_eq!(
        org.sandbox.records("Lead")[0]["Leadstream_Id__c"],
        "01J/a b+"
    );

    let second = org
        .send(
            "PATCH",
            &path.replace("01J", "01j"),
            json!({ "Title": "CTO" }),
        )
        .await;
    assert_eq!(second.status, 200);
    assert_eq!(
        second.json(),
        json!({ "id": id, "success": true, "errors": [], "created": false })
    );

    let old = path.replace("sobjects", "/services/data/v45.0/sobjects");
    let old = org.send("PATCH", &old, json!({ "Title": "CEO" })).await;
    assert_eq!((old.status.as_u16(), old.text.as_str()), (204, ""));
    assert_eq!(org.sandbox.count("Lead"), 1);
    assert_eq!(org.get(path).await.json()["Title"], "CEO");

    let absent = "sobjects/Lead/Leadstream_Id__c/absent?updateOnly=true";
    org.send("PATCH", absent, lead(json!({})))
        .await
        .assert_refused(404, "NOT_FOUND", "");
    assert_eq!(org.sandbox.count("Lead"), 1);
}

#[tokio::test]
async fn an_upsert_carries_neither_the_key_nor_an_id() {
    let org = TestOrg::start().await;
    let path = "sobjects/Lead/Leadstream_Id__c/k";
    let with_key = org
        .send("PATCH", path, lead(json!({ "Leadstream_Id__c": "k" })))
        .await;
    with_key.assert_refused(
        400,
        "INVALID_FIELD",
        "The Leadstream_Id__c field should not be specified in the sobject data.",
    );
    let with_id = org
        .send("PATCH", path, lead(json!({ "Id": "00Q5g0000000001" })))
        .await;
    with_id.assert_refused(
        400,
        "INVALID_FIELD",
        "The Id field should not be specified in the sobject data.",
    );
    assert_eq!(org.sandbox.count("Lead"), 0);
}

#[tokio::test]
async fn a_key_that_fits_several_rows_is_300_and_writes_nothing() {
    let org = TestOrg::start().await;
    let ids = [
        org.lead(json!({ "Email": "twin@example.com" })).await,
        org.lead(json!({ "Email": "Twin@Example.com" })).await,
    ];
    let urls = ids.map(|id| format!("/services/data/v62.0/sobjects/Lead/{id}"));
    let path = "sobjects/Lead/Email/twin@example.com";
    let reply = org.send("PATCH", path, json!({ "Title": "x" })).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (300, json!(urls)));
    assert_eq!(org.get(path).await.status, 300);
    assert!(
        org.sandbox
            .records("Lead")
            .iter()
            .all(|lead| !lead.contains_key("Title"))
    );
}

#[tokio::test]
async fn a_unique_value_is_held_until_its_row_is_deleted() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({ "Leadstream_Id__c": "Key" })).await;
    let twin = org
        .send(
            "POST",
            "sobjects/Lead",
            lead(json!({ "Leadstream_Id__c": "KEY" })),
        )
        .await;
    let says = format!(
        "duplicate value found: Leadstream_Id__c duplicates value on record with id: {}",
        &id[..15]
    );
    twin.assert_refused(400, "DUPLICATE_VALUE", &says);
    assert_eq!(twin.json()[0]["fields"], json!([]));

    org.delete(&format!("sobjects/Lead/{id}")).await;
    let again = org
        .send(
            "PATCH",
            "sobjects/Lead/Leadstream_Id__c/key",
            lead(json!({})),
        )
        .await;
    assert_eq!(again.status, 201);
    assert_ne!(again.id(), id);
}

#[tokio::test]
async fn a_required_field_cannot_be_cleared() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    for name in ["LastName", "Company", "Status"] {
        let reply = org
            .send(
                "PATCH",
                &format!("sobjects/Lead/{id}"),
                json!({ name: null }),
            )
            .await;
        reply.assert_refused(400, "REQUIRED_FIELD_MISSING", name);
    }
}

#[tokio::test]
async fn custom_fields_are_there_if_asked_for() {
    let options = SandboxOptions {
        custom_fields: vec![
            "Lead.Plan__c:picklist(Starter|Pro)".parse().unwrap(),
            "Lead.Score__c:number".parse().unwrap(),
        ],
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let id = org.lead(json!({ "Plan__c": "Pro", "Score__c": 7 })).await;
    let row = org.get(&format!("sobjects/Lead/{id}")).await.json();
    assert_eq!(
        (&row["Plan__c"], &row["Score__c"]),
        (&json!("Pro"), &json!(7))
    );
    let wrong = org
        .send("POST", "sobjects/Lead", lead(json!({ "Plan__c": "Gold" })))
        .await;
    wrong.assert_refused(
        400,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "Plan: bad value",
    );
}

#[tokio::test]
async fn conditions_on_time_are_kept() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    let path = format!("sobjects/Lead/{id}");
    let before = ("If-Unmodified-Since", "Sun, 01 Mar 2026 09:59:59 GMT");
    let after = ("If-Unmodified-Since", "Sun, 01 Mar 2026 10:00:00 GMT");
    assert_eq!(
        org.send_with(before, "PATCH", &path, json!({ "Title": "x" }))
            .await
            .status,
        412
    );
    assert_eq!(
        org.send_with(after, "PATCH", &path, json!({ "Title": "x" }))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn people_edit_and_delete_as_another_user() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    org.sandbox
        .edit(
            "Lead",
            &id,
            &super::org::fields(json!({ "Status": "Working - Contacted" })),
        )
        .unwrap();
    let row = org.get(&format!("sobjects/Lead/{id}")).await.json();
    assert_eq!(row["Status"], "Working - Contacted");
    assert_ne!(row["LastModifiedById"], row["CreatedById"]);
    org.sandbox.delete("Lead", &id).unwrap();
    assert_eq!(org.get(&format!("sobjects/Lead/{id}")).await.status, 404);
}
