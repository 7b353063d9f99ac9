use serde_json::{Value, json};

use super::*;
use crate::salesforce::testing::{Org, answer, config, json_answer, token};

fn described(object: &str, fields: Value) -> crate::salesforce::testing::Answer {
    json_answer(200, json!({ "name": object, "fields": fields }))
}

fn key(name: &str, editable: bool) -> Value {
    json!({ "name": name, "type": "string", "length": 64, "externalId": true, "unique": true,
        "createable": editable, "updateable": editable })
}

fn rows(rows: Value) -> crate::salesforce::testing::Answer {
    json_answer(200, json!({ "done": true, "records": rows }))
}

fn made(id: &str) -> crate::salesforce::testing::Answer {
    json_answer(201, json!({ "id": id, "success": true, "errors": [] }))
}

fn signed_in(org: &Org) {
    let mut answer = token("one").unwrap();
    let mut body: Value = serde_json::from_slice(answer.body()).unwrap();
    body["id"] = "https://login.salesforce.com/id/00Dxx0000001gPL/005xx000001SwiUAAS".into();
    *answer.body_mut() = body.to_string().into();
    org.http.then(Ok(answer));
}

fn key_fields() -> Vec<crate::salesforce::TextField> {
    wanted(&config().external_id_field, false)
}

#[tokio::test]
async fn an_empty_org_gets_the_key_on_both_and_the_right_to_write_it() {
    let org = Org::new();
    signed_in(&org);
    org.http.then(described("Lead", json!([])));
    org.http.then(described("Contact", json!([])));
    org.http.then(rows(json!([]))); // custom fields
    org.http.then(rows(json!([]))); // assigned permission sets
    org.http.then(rows(json!([]))); // ours
    let plan = plan(&org.client, key_fields(), None).await.unwrap();
    assert!(plan.fields.iter().all(|field| field.make && field.grant));
    let own = PermissionSet::New {
        name: "Leadstream".to_owned(),
        user: "005xx000001SwiUAAS".to_owned(),
        id: None,
    };
    assert_eq!(plan.set, own);

    for id in ["00N1", "00N2", "0PS1", "0Pa1", "01k1", "01k2"] {
        org.http.then(made(id));
    }
    let before = org.http.sent().len();
    let mut told = 0;
    let applied = apply(&org.client, &plan, |_| told += 1).await;
    assert!(applied.iter().all(|step| step.outcome == Outcome::Done));
    assert_eq!((applied.len(), told), (6, 6));
    let sent = org.http.sent().split_off(before);
    let lines: Vec<_> = sent
        .iter()
        .map(|sent| sent.path.rsplit('/').next().unwrap())
        .collect();
    let expect = [
        "CustomField",
        "CustomField",
        "PermissionSet",
        "PermissionSetAssignment",
        "FieldPermissions",
        "FieldPermissions",
    ];
    assert_eq!(lines, expect);
    let rights = json!({ "ParentId": "0PS1", "SobjectType": "Contact", "Field": "Contact.Leadstream_Id__c",
        "PermissionsRead": true, "PermissionsEdit": true });
    assert_eq!(sent[5].json(), rights);
    assert_eq!(
        sent[3].json(),
        json!({ "AssigneeId": "005xx000001SwiUAAS", "PermissionSetId": "0PS1" })
    );
}

#[tokio::test]
async fn what_is_there_is_left_as_it_is() {
    let org = Org::new();
    signed_in(&org);
    org.http
        .then(described("Lead", json!([key("Leadstream_Id__c", true)])));
    let mut not_unique = key("leadstream_id__c", true);
    not_unique["unique"] = false.into();
    org.http.then(described("Contact", json!([not_unique])));
    org.http.then(rows(json!([])));
    let plan = plan(&org.client, key_fields(), None).await.unwrap();
    assert!(plan.is_done());
    assert_eq!(plan.set, PermissionSet::NotNeeded);
    assert_eq!(plan.problems.len(), 1);
    assert_eq!(plan.problems[0].code, "doctor.external_id_not_unique");
    assert!(plan.problems[0].message.contains("Contact"));
    let before = org.http.sent().len();
    let applied = apply(&org.client, &plan, |_| {}).await;
    assert!(applied.iter().all(|step| step.outcome == Outcome::There));
    assert_eq!(org.http.sent().len(), before, "nothing was written");
}

#[tokio::test]
async fn a_hidden_field_is_shown_by_the_named_permission_set() {
    let org = Org::new();
    signed_in(&org);
    org.http.then(described("Lead", json!([])));
    org.http.then(described(
        "Contact",
        json!([key("Leadstream_Id__c", false)]),
    ));
    org.http.then(rows(
        json!([{ "DeveloperName": "Leadstream_Id", "TableEnumOrId": "Lead" }]),
    ));
    org.http
        .then(rows(json!([{ "Id": "0PS9", "Name": "Integration" }])));
    let read_only =
        json!([{ "Id": "01kA", "Field": "Contact.Leadstream_Id__c", "PermissionsEdit": false }]);
    org.http.then(rows(read_only));
    let plan = plan(&org.client, key_fields(), Some("Integration"))
        .await
        .unwrap();
    assert!(plan.fields.iter().all(|field| !field.make && field.grant));

    org.http.then(made("01k1"));
    org.http.then(answer(204, ""));
    let applied = apply(&org.client, &plan, |_| {}).await;
    assert!(applied.iter().all(Applied::is_well), "{applied:?}");
    let last = org.last();
    assert_eq!(
        (&*last.method, &*last.path),
        (
            "PATCH",
            "/services/data/v62.0/sobjects/FieldPermissions/01kA"
        )
    );
}

#[tokio::test]
async fn a_user_who_may_not_make_fields_is_told_so_and_a_name_that_is_taken_is_no_failure() {
    let org = Org::new();
    signed_in(&org);
    org.http.then(described("Lead", json!([])));
    org.http.then(described("Contact", json!([])));
    let refused = || {
        json_answer(
            403,
            json!([{ "errorCode": "INSUFFICIENT_ACCESS", "message": "no" }]),
        )
    };
    org.http.then(refused());
    let sets = json!([{ "PermissionSetId": "0PS9", "PermissionSet": { "Name": "Integration" } }]);
    org.http.then(rows(sets));
    org.http.then(refused());
    let plan = plan(&org.client, key_fields(), None).await.unwrap();

    org.http.then(refused());
    let taken = json!([{ "errorCode": "DUPLICATE_DEVELOPER_NAME", "message": "There is already a field named Leadstream_Id on Contact." }]);
    org.http.then(json_answer(400, taken));
    org.http.then(made("01k1"));
    let applied = apply(&org.client, &plan, |_| {}).await;
    let outcomes: Vec<_> = applied
        .iter()
        .map(|step| match step.outcome {
            Outcome::Done => "done",
            Outcome::There => "there",
            Outcome::Refused(_) => "refused",
            Outcome::Skipped => "skipped",
        })
        .collect();
    assert_eq!(
        outcomes,
        ["refused", "there", "skipped", "done"],
        "{applied:?}"
    );
}

#[tokio::test]
async fn of_several_permission_sets_ours_is_taken_or_one_is_asked_for() {
    for (names, expect) in [
        (["Other", "Leadstream"], Some("Leadstream")),
        (["Other", "Another"], None),
    ] {
        let org = Org::new();
        signed_in(&org);
        org.http.then(described("Lead", json!([])));
        org.http.then(described("Contact", json!([])));
        org.http.then(rows(json!([])));
        let sets =
            names.map(|name| json!({ "PermissionSetId": name, "PermissionSet": { "Name": name } }));
        org.http.then(rows(json!(sets)));
        org.http.then(rows(json!([])));
        let plan = plan(&org.client, key_fields(), None).await.unwrap();
        match (plan.set, expect) {
            (PermissionSet::Existing { name, .. }, Some(expect)) => assert_eq!(name, expect),
            (PermissionSet::Unknown { reason }, None) => assert!(reason.contains("Other, Another")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_clicks_say_all_that_setup_does() {
    let fields = wanted("Web_Key__c", true);
    assert_eq!(fields.len(), 11);
    let clicks = clicks(&fields, Some("Integration"));
    assert!(clicks[0].contains("Lead > Fields & Relationships > New > Text"));
    assert!(
        clicks[0].contains("Field Label Web Key, Length 64, Field Name Web_Key, tick External ID")
    );
    assert!(
        clicks
            .iter()
            .any(|click| click.contains("GCLID") && click.contains("255"))
    );
    let rights: Vec<_> = clicks
        .iter()
        .filter(|click| click.contains("Permission Sets > Integration"))
        .collect();
    assert_eq!(rights.len(), 2);
    assert!(clicks.last().unwrap().contains(MAP_FIELDS));
    let lines = mapping_lines(|name| name == "GCLID__c");
    assert_eq!(lines.len(), 8);
    assert!(lines.contains(&"UTM_Source__c = { from = \"utm_source\" }".to_owned()));
}

#[tokio::test]
async fn our_permission_set_that_nobody_has_is_assigned_and_not_made_again() {
    let org = Org::new();
    signed_in(&org);
    let there = || json!([key("Leadstream_Id__c", false)]);
    org.http.then(described("Lead", there()));
    org.http.then(described("Contact", there()));
    org.http.then(rows(json!([])));
    org.http.then(rows(json!([])));
    org.http.then(rows(json!([{ "Id": "0PS7" }])));
    org.http.then(rows(json!([]))); // its field permissions
    let plan = plan(&org.client, key_fields(), None).await.unwrap();
    let before = org.http.sent().len();
    for id in ["0Pa1", "01k1", "01k2"] {
        org.http.then(made(id));
    }
    let applied = apply(&org.client, &plan, |_| {}).await;
    assert!(applied.iter().all(Applied::is_well), "{applied:?}");
    let sent = org.http.sent().split_off(before);
    assert_eq!(sent.len(), 3);
    let assigned = json!({ "AssigneeId": "005xx000001SwiUAAS", "PermissionSetId": "0PS7" });
    assert_eq!(sent[0].json(), assigned);
}
