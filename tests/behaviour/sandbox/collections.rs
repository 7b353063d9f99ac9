use serde_json::{Value as Json, json};

use super::org::{Reply, TestOrg, lead, row};

const UPSERT: &str = "composite/sobjects/Lead/Leadstream_Id__c";

fn keyed(key: &str, fields: Json) -> Json {
    let mut row = row(fields);
    row["Leadstream_Id__c"] = json!(key);
    row
}

async fn upsert(org: &TestOrg, records: Json) -> Vec<Json> {
    let reply = org
        .send(
            "PATCH",
            UPSERT,
            json!({ "allOrNone": false, "records": records }),
        )
        .await;
    results(&reply)
}

#[track_caller]
fn results(reply: &Reply) -> Vec<Json> {
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json().as_array().expect("a list").clone()
}

/// The status code of each row's first error, or how it went well.
fn ends(results: &[Json]) -> Vec<&str> {
    let end = |row: &'_ Json| match (row["success"] == true, row.get("created")) {
        (true, Some(Json::Bool(true))) => "created",
        (true, Some(_)) => "updated",
        (true, None) => "done",
        (false, _) => "",
    };
    results
        .iter()
        .map(|row| match end(row) {
            "" => row["errors"][0]["statusCode"].as_str().expect("a code"),
            end => end,
        })
        .collect()
}

#[tokio::test]
async fn an_upsert_answers_each_row_in_its_place_and_counts_as_one_call() {
    let org = TestOrg::start().await;
    upsert(&org, json!([keyed("old", json!({}))])).await;
    let reply = org
        .send(
            "PATCH",
            UPSERT,
            json!({ "records": [
        keyed("new", json!({})),
        keyed("OLD", json!({ "Title": "CTO" })),
        keyed("bad", json!({ "Email": "x", "FirstName": "y".repeat(41) })),
        keyed("New", json!({})),
    ] }),
        )
        .await;
    let rows = results(&reply);
    assert_eq!(
        ends(&rows),
        [
            "created",
            "updated",
            "INVALID_EMAIL_ADDRESS",
            "DUPLICATE_VALUE"
        ]
    );
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "success", "errors", "created"]);
    assert_eq!(rows[2].get("id"), None);
    assert_eq!(rows[2]["errors"].as_array().unwrap().len(), 2);
    assert_eq!(
        rows[2]["errors"][0],
        json!({
            "statusCode": "INVALID_EMAIL_ADDRESS", "message": "Email: invalid email address: x", "fields": ["Email"],
        })
    );
    assert_eq!(
        rows[3]["errors"][0]["message"],
        "Duplicate external id specified: New"
    );
    assert_eq!(
        reply.header("sforce-limit-info"),
        Some("api-usage=2/100000")
    );
    assert_eq!(org.sandbox.calls().count("collection_upsert"), 2);
    assert_eq!(org.sandbox.count("Lead"), 2);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_by_itself() {
    let org = TestOrg::start().await;
    let rows = upsert(
        &org,
        json!([
            keyed("1", json!({ "Title": { "a": 1 } })),
            keyed("2", json!({ "Foo__c": "x" })),
            keyed("3", json!({ "OwnerId": "x" })),
            keyed("4", json!({ "CreatedDate": "2026-03-01T00:00:00Z" })),
            keyed("5", json!({ "Id": "00Q5g0000000001" })),
            row(json!({})),
            row(json!({ "Leadstream_Id__c": " " })),
            keyed("7", json!({})),
        ]),
    )
    .await;
    assert_eq!(
        ends(&rows),
        [
            "JSON_PARSER_ERROR",
            "INVALID_FIELD",
            "MALFORMED_ID",
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "INVALID_FIELD",
            "MISSING_ARGUMENT",
            "MISSING_ARGUMENT",
            "created",
        ]
    );
}

#[tokio::test]
async fn a_call_that_is_malformed_does_nothing() {
    let org = TestOrg::start().await;
    let many: Vec<Json> = (0..201).map(|n| keyed(&n.to_string(), json!({}))).collect();
    let too_many = org.send("PATCH", UPSERT, json!({ "records": many })).await;
    too_many.assert_refused(
        400,
        "EXCEEDED_ID_LIMIT",
        "cannot submit more than 200 records",
    );
    assert_eq!(upsert(&org, json!(many[..200])).await.len(), 200);

    let untyped =
        json!({ "records": [keyed("a", json!({})), lead(json!({ "Leadstream_Id__c": "b" }))] });
    org.send("PATCH", UPSERT, untyped)
        .await
        .assert_refused(400, "INVALID_INPUT", "attributes");
    org.send("PATCH", UPSERT, json!({}))
        .await
        .assert_refused(400, "MISSING_ARGUMENT", "records");
    org.send("PATCH", UPSERT, json!([]))
        .await
        .assert_refused(400, "JSON_PARSER_ERROR", "");
    let unknown = UPSERT.replace("Leadstream_Id__c", "Other__c");
    org.send("PATCH", &unknown, json!({ "records": [] }))
        .await
        .assert_refused(404, "NOT_FOUND", "Other__c");
    let old = format!("/services/data/v45.0/{UPSERT}");
    org.send("PATCH", &old, json!({ "records": [] }))
        .await
        .assert_refused(404, "NOT_FOUND", "");
    assert_eq!(org.sandbox.count("Lead"), 200);
}

#[tokio::test]
async fn all_or_none_takes_back_what_went_well() {
    let org = TestOrg::start().await;
    upsert(&org, json!([keyed("a", json!({ "Title": "before" }))])).await;
    let body = json!({ "allOrNone": true, "records": [
        keyed("a", json!({ "Title": "after" })),
        keyed("b", json!({})),
        keyed("c", json!({ "Email": "x" })),
    ] });
    let rows = results(&org.send("PATCH", UPSERT, body).await);
    let rolled_back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
    assert_eq!(
        ends(&rows),
        [rolled_back, rolled_back, "INVALID_EMAIL_ADDRESS"]
    );
    let leads = org.sandbox.records("Lead");
    assert_eq!((leads.len(), &leads[0]["Title"]), (1, &json!("before")));

    // What was taken back holds no key.
    let rows = upsert(&org, json!([keyed("b", json!({}))])).await;
    assert_eq!(ends(&rows), ["created"]);
}

#[tokio::test]
async fn create_and_update_may_mix_types_in_ten_runs() {
    let org = TestOrg::start().await;
    let account = json!({ "attributes": { "type": "Account" }, "Name": "Acme" });
    let unknown = json!({ "attributes": { "type": "Leed" }, "Name": "Acme" });
    let body = json!({ "records": [row(json!({})), account, unknown] });
    let rows = results(&org.send("POST", "composite/sobjects", body).await);
    assert_eq!(ends(&rows), ["done", "done", "INVALID_TYPE"]);
    let (lead, account_id) = (rows[0]["id"].clone(), rows[1]["id"].clone());

    let body = json!({ "records": [
        { "attributes": { "type": "Lead" }, "id": lead, "Title": "CTO" },
        { "attributes": { "type": "Account" }, "Id": account_id, "Phone": "1" },
        { "attributes": { "type": "Lead" }, "id": lead, "Title": "CEO" },
        { "attributes": { "type": "Lead" }, "Title": "CEO" },
        { "attributes": { "type": "Lead" }, "id": "0015g0000000zzz" },
        { "attributes": { "type": "Lead" }, "id": "x" },
        { "attributes": { "type": "Lead" }, "id": "00Q5g00000000zz" },
    ] });
    let rows = results(&org.send("PATCH", "composite/sobjects", body).await);
    assert_eq!(
        ends(&rows),
        [
            "done",
            "done",
            "DUPLICATE_VALUE",
            "MISSING_ARGUMENT",
            "MALFORMED_ID",
            "MALFORMED_ID",
            "INVALID_CROSS_REFERENCE_KEY",
        ]
    );
    assert_eq!(org.sandbox.records("Lead")[0]["Title"], "CTO");

    let alternating: Vec<Json> = (0..11)
        .map(|n| {
            if n % 2 == 0 {
                row(json!({}))
            } else {
                account.clone()
            }
        })
        .collect();
    let ten = org
        .send(
            "POST",
            "composite/sobjects",
            json!({ "records": alternating[..10] }),
        )
        .await;
    assert_eq!(ten.status, 200);
    let eleven = org
        .send(
            "POST",
            "composite/sobjects",
            json!({ "records": alternating }),
        )
        .await;
    eleven.assert_refused(400, "LIMIT_EXCEEDED", "10");
}

#[tokio::test]
async fn rows_are_read_by_id_with_null_for_what_is_not_there() {
    let org = TestOrg::start().await;
    let (first, second) = (org.lead(json!({})).await, org.lead(json!({})).await);
    org.sandbox.delete("Lead", &second).unwrap();
    let ids = [first.as_str(), second.as_str(), "00Q5g00000000zz"];
    let body = json!({ "ids": ids, "fields": ["LastName"] });
    let rows = org
        .send("POST", "composite/sobjects/Lead", body)
        .await
        .json();
    let attributes =
        json!({ "type": "Lead", "url": format!("/services/data/v62.0/sobjects/Lead/{first}") });
    assert_eq!(
        rows,
        json!([{ "attributes": attributes, "LastName": "Lee" }, null, null])
    );
    let path = format!(
        "composite/sobjects/Lead?ids={}&fields=LastName",
        ids.join(",")
    );
    assert_eq!(org.get(&path).await.json(), rows);

    let many = vec![first.as_str(); 2_001];
    let body = json!({ "ids": many, "fields": ["Id"] });
    org.send("POST", "composite/sobjects/Lead", body)
        .await
        .assert_refused(400, "EXCEEDED_ID_LIMIT", "2000");
    let body = json!({ "ids": many[..2_000], "fields": ["Id"] });
    assert_eq!(
        org.send("POST", "composite/sobjects/Lead", body)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2_000
    );
    for (body, code) in [
        (json!({ "ids": ids, "fields": ["Nope"] }), "INVALID_FIELD"),
        (json!({ "ids": ids }), "MISSING_ARGUMENT"),
        (json!({ "ids": ["x"], "fields": ["Id"] }), "MALFORMED_ID"),
        (json!({ "ids": [1], "fields": ["Id"] }), "JSON_PARSER_ERROR"),
    ] {
        org.send("POST", "composite/sobjects/Lead", body)
            .await
            .assert_refused(400, code, "");
    }
}

#[tokio::test]
async fn rows_are_deleted_by_id() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    let reply = org
        .delete(&format!("composite/sobjects?ids={id},{id},zzz"))
        .await;
    assert_eq!(
        ends(&results(&reply)),
        ["done", "ENTITY_IS_DELETED", "MALFORMED_ID"]
    );
    org.delete("composite/sobjects")
        .await
        .assert_refused(400, "MISSING_ARGUMENT", "ids");
}

fn subrequest(method: &str, path: &str, reference: &str, body: Json) -> Json {
    json!({ "method": method, "url": format!("/services/data/v62.0/{path}"), "referenceId": reference, "body": body })
}

async fn composite(org: &TestOrg, all_or_none: bool, requests: Json) -> Vec<Json> {
    let body = json!({ "allOrNone": all_or_none, "compositeRequest": requests });
    let reply = org.send("POST", "composite", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["compositeResponse"]
        .as_array()
        .expect("a list")
        .clone()
}

#[tokio::test]
async fn a_composite_fills_in_references_and_is_one_call() {
    let org = TestOrg::start().await;
    let before = org.sandbox.calls().api;
    let answers = composite(
        &org,
        true,
        json!([
            subrequest(
                "PATCH",
                "sobjects/Lead/Leadstream_Id__c/k",
                "lead",
                lead(json!({}))
            ),
            subrequest(
                "POST",
                "sobjects/Campaign",
                "campaign",
                json!({ "Name": "Demo" })
            ),
            subrequest(
                "POST",
                "sobjects/CampaignMember",
                "member",
                json!({ "CampaignId": "@{campaign.id}", "LeadId": "@{lead.id}" })
            ),
            subrequest("GET", "query?q=SELECT+Id+FROM+Lead", "q", Json::Null),
            subrequest(
                "GET",
                "sobjects/Lead/@{q.records[0].Id}?fields=LastName",
                "read",
                Json::Null
            ),
        ]),
    )
    .await;
    let codes: Vec<&Json> = answers
        .iter()
        .map(|answer| &answer["httpStatusCode"])
        .collect();
    assert_eq!(codes, [201, 201, 201, 200, 200]);
    assert_eq!(answers[0]["referenceId"], "lead");
    assert_eq!(answers[0]["body"]["created"], true);
    assert!(
        answers[0]["httpHeaders"]["Location"]
            .as_str()
            .unwrap()
            .contains("/sobjects/Lead/00Q")
    );
    assert_eq!(answers[4]["body"]["LastName"], "Lee");
    assert_eq!(org.sandbox.calls().api, before + 1);
}

#[tokio::test]
async fn a_failed_subrequest_halts_those_that_need_it() {
    let org = TestOrg::start().await;
    let requests = json!([
        subrequest(
            "POST",
            "sobjects/Lead",
            "lead",
            json!({ "LastName": "Lee" })
        ),
        subrequest(
            "POST",
            "sobjects/CampaignMember",
            "member",
            json!({ "CampaignId": "x", "LeadId": "@{lead.id}" })
        ),
        subrequest(
            "POST",
            "sobjects/Account",
            "account",
            json!({ "Name": "Acme" })
        ),
    ]);
    let answers = composite(&org, false, requests.clone()).await;
    assert_eq!(answers[0]["body"][0]["errorCode"], "REQUIRED_FIELD_MISSING");
    assert_eq!(
        (
            &answers[1]["httpStatusCode"],
            &answers[1]["body"][0]["errorCode"]
        ),
        (&json!(400), &json!("PROCESSING_HALTED"))
    );
    assert_eq!(answers[2]["httpStatusCode"], 201);

    let mut reversed = requests.as_array().unwrap().clone();
    reversed.reverse();
    let answers = composite(&org, true, json!([reversed[0], requests[0]])).await;
    assert_eq!(answers[0]["body"][0]["errorCode"], "PROCESSING_HALTED");
    assert_eq!(
        answers[0]["body"][0]["message"],
        "The transaction was rolled back since another operation in the same transaction failed."
    );
    assert_eq!(answers[1]["body"][0]["errorCode"], "REQUIRED_FIELD_MISSING");
    assert_eq!(org.sandbox.count("Account"), 1);
}

#[tokio::test]
async fn a_composite_has_its_limits() {
    let org = TestOrg::start().await;
    let request = |n: usize, path: &str| subrequest("GET", path, &format!("r{n}"), Json::Null);
    let many = |count: usize, path: &str| (0..count).map(|n| request(n, path)).collect::<Vec<_>>();
    assert_eq!(
        composite(&org, false, json!(many(25, "limits")))
            .await
            .len(),
        25
    );
    let refused = |requests: Json| {
        let body = json!({ "compositeRequest": requests });
        let org = &org;
        async move { org.send("POST", "composite", body).await }
    };
    refused(json!(many(26, "limits")))
        .await
        .assert_refused(400, "LIMIT_EXCEEDED", "25");
    refused(json!(many(6, "query?q=SELECT+Id+FROM+Lead")))
        .await
        .assert_refused(400, "LIMIT_EXCEEDED", "5");
    let twice = json!([request(1, "limits"), request(1, "limits")]);
    refused(twice)
        .await
        .assert_refused(400, "INVALID_INPUT", "Duplicate referenceId: r1");
    let foreign = json!([{ "method": "GET", "url": "https://evil.example/", "referenceId": "r" }]);
    refused(foreign)
        .await
        .assert_refused(400, "INVALID_INPUT", "/services/data/");
    let odd = json!([subrequest("GET", "limits", "a-b", Json::Null)]);
    refused(odd)
        .await
        .assert_refused(400, "INVALID_INPUT", "referenceId");
    let nested = composite(
        &org,
        false,
        json!([subrequest("POST", "composite", "r", json!({}))]),
    )
    .await;
    assert_eq!(nested[0]["httpStatusCode"], 400);
}
