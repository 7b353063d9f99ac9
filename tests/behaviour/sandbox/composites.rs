use leadstream::sandbox::SandboxOptions;
use serde_json::{Value as Json, json};

use super::org::{TestOrg, lead};

const DATA: &str = "/services/data/v62.0";

fn sub(method: &str, path: &str, reference: &str, body: Json) -> Json {
    json!({ "method": method, "url": format!("{DATA}/{path}"), "referenceId": reference, "body": body })
}

#[tokio::test]
async fn a_composite_can_query_and_join_in_one_call() {
    let options = SandboxOptions {
        campaigns: vec!["Webinar".to_owned()],
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let query = "query?q=SELECT+Id+FROM+Campaign+WHERE+Name+=+'Webinar'";
    let member = json!({ "CampaignId": "@{campaign.records[0].Id}", "LeadId": "@{lead.id}", "Status": "Responded" });
    let requests = [
        sub("GET", query, "campaign", Json::Null),
        sub(
            "PATCH",
            "sobjects/Lead/Leadstream_Id__c/k",
            "lead",
            lead(json!({})),
        ),
        sub("POST", "sobjects/CampaignMember", "member", member),
    ];
    let body =
        json!({ "allOrNone": true, "collateSubrequests": false, "compositeRequest": requests });
    let before = org.sandbox.calls().api;
    let answer = org.send("POST", "composite", body.clone()).await.json();
    let status = |at: usize| answer["compositeResponse"][at]["httpStatusCode"].clone();
    assert_eq!([status(0), status(1), status(2)], [200, 201, 201]);
    assert_eq!(org.sandbox.calls().api, before + 1);
    assert_eq!(
        org.sandbox.records("CampaignMember")[0]["HasResponded"],
        true
    );
    let again = org.send("POST", "composite", body).await.json();
    let last = &again["compositeResponse"][2];
    assert_eq!(
        (&last["httpStatusCode"], &last["body"][0]["errorCode"]),
        (&json!(400), &json!("DUPLICATE_VALUE"))
    );
    let other = &again["compositeResponse"][1]["body"][0];
    assert_eq!(other["errorCode"], "PROCESSING_HALTED");
}

#[tokio::test]
async fn each_graph_is_all_or_none_by_itself() {
    let org = TestOrg::start().await;
    let graph = |id: &str, key: &str, subject: Json| {
        let task = json!({ "Subject": "Call", "WhoId": "@{lead.id}", "Priority": subject });
        json!({ "graphId": id, "compositeRequest": [
            sub("PATCH", &format!("sobjects/Lead/Leadstream_Id__c/{key}"), "lead", lead(json!({}))),
            sub("POST", "sobjects/Task", "task", task),
        ] })
    };
    let body = json!({ "graphs": [graph("1", "a", json!("High")), graph("2", "b", json!({})), graph("3", "c", json!("Low"))] });
    let answer = org.send("POST", "composite/graph", body).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    let successful: Vec<&Json> = answer["graphs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|graph| &graph["isSuccessful"])
        .collect();
    assert_eq!(successful, [true, false, true]);
    let failed = &answer["graphs"][1]["graphResponse"]["compositeResponse"];
    assert_eq!(failed[0]["body"][0]["errorCode"], "PROCESSING_HALTED");
    assert_eq!(failed[1]["body"][0]["errorCode"], "JSON_PARSER_ERROR");
    assert_eq!(
        (org.sandbox.count("Lead"), org.sandbox.count("Task")),
        (2, 2)
    );

    let query = json!({ "graphs": [{ "graphId": "1", "compositeRequest": [sub("GET", "query?q=x", "q", Json::Null)] }] });
    org.send("POST", "composite/graph", query)
        .await
        .assert_refused(400, "INVALID_INPUT", "not supported in a graph");
    let many: Vec<Json> = (0..76)
        .map(|id| json!({ "graphId": id.to_string(), "compositeRequest": [] }))
        .collect();
    org.send("POST", "composite/graph", json!({ "graphs": many }))
        .await
        .assert_refused(400, "LIMIT_EXCEEDED", "75 graphs");
    let nodes: Vec<Json> = (0..501)
        .map(|at| sub("GET", "sobjects/Lead/x", &format!("r{at}"), Json::Null))
        .collect();
    let nodes = json!({ "graphs": [{ "graphId": "1", "compositeRequest": nodes }] });
    org.send("POST", "composite/graph", nodes)
        .await
        .assert_refused(400, "LIMIT_EXCEEDED", "500 nodes");
}

#[tokio::test]
async fn a_batch_counts_each_of_its_requests() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    let used = org.sandbox.calls().api;
    let batch = |halts: bool| {
        json!({ "haltOnError": halts, "batchRequests": [
            { "method": "PATCH", "url": format!("v62.0/sobjects/Lead/{id}"), "richInput": { "Title": "CTO" } },
            { "method": "GET", "url": "v62.0/sobjects/Nope" },
            { "method": "GET", "url": "v62.0/limits" },
        ] })
    };
    let answer = org
        .send("POST", "composite/batch", batch(false))
        .await
        .json();
    let status = |at: usize| answer["results"][at]["statusCode"].clone();
    assert_eq!([status(0), status(1), status(2)], [204, 404, 200]);
    assert_eq!(answer["hasErrors"], true);
    assert_eq!(org.sandbox.calls().api, used + 4);
    assert_eq!(org.sandbox.records("Lead")[0]["Title"], "CTO");
    let answer = org
        .send("POST", "composite/batch", batch(true))
        .await
        .json();
    assert_eq!(answer["results"][2]["statusCode"], 412);
    let nested = json!({ "batchRequests": [{ "method": "POST", "url": "v62.0/composite/batch", "richInput": {} }] });
    let answer = org.send("POST", "composite/batch", nested).await.json();
    assert_eq!(answer["results"][0]["statusCode"], 400);
}

#[tokio::test]
async fn a_tree_is_created_whole_or_not_at_all() {
    let org = TestOrg::start().await;
    let record = |kind: &str, reference: &str, fields: Json| {
        let mut record = json!({ "attributes": { "type": kind, "referenceId": reference } });
        for (name, value) in fields.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    };
    let tree = |last_name: &str| {
        let people = json!([
            record("Contact", "c1", json!({ "LastName": "Doe" })),
            record("Contact", "c2", json!({ "LastName": last_name }))
        ]);
        let account = json!({ "Name": "Acme", "Contacts": { "records": people } });
        json!({ "records": [record("Account", "a", account)] })
    };
    let made = org
        .send("POST", "composite/tree/Account", tree("Roe"))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let results = made.json()["results"].clone();
    assert_eq!(
        (&results[0]["referenceId"], &results[2]["referenceId"]),
        (&json!("a"), &json!("c2"))
    );
    let contacts = org.sandbox.records("Contact");
    assert!(
        contacts
            .iter()
            .all(|contact| contact["AccountId"] == results[0]["id"])
    );

    let refused = org.send("POST", "composite/tree/Account", tree("")).await;
    assert_eq!(refused.status, 400);
    let refused = refused.json();
    assert_eq!(
        (
            &refused["hasErrors"],
            &refused["results"][0]["referenceId"],
            &refused["results"][0]["errors"][0]["statusCode"]
        ),
        (&json!(true), &json!("c2"), &json!("REQUIRED_FIELD_MISSING"))
    );
    assert_eq!(org.sandbox.count("Account"), 1);
    let twice = json!({ "records": [record("Account", "a", json!({ "Name": "x" })), record("Account", "a", json!({ "Name": "y" }))] });
    org.send("POST", "composite/tree/Account", twice)
        .await
        .assert_refused(400, "INVALID_INPUT", "Duplicate ReferenceId: a");
}
