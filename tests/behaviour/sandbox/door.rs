use std::io::{Read as _, Write as _};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::Request;
use leadstream::sandbox::SandboxOptions;
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use super::org::{TestOrg, lead, reply};

#[tokio::test]
async fn versions_need_no_token_and_are_not_counted() {
    let org = TestOrg::signed_out(SandboxOptions::default()).await;
    let reply = org.get("/services/data").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("sforce-limit-info")),
        (200, None)
    );
    let versions = reply.json();
    assert_eq!(
        versions[31],
        json!({ "label": "Winter '25", "url": "/services/data/v62.0", "version": "62.0" })
    );
    assert_eq!(org.sandbox.calls().api, 0);
}

#[tokio::test]
async fn only_versions_that_live_are_served() {
    let org = TestOrg::start().await;
    for version in ["v31.0", "v62.0", "v68.0"] {
        assert_eq!(
            org.get(&format!("/services/data/{version}")).await.status,
            200,
            "{version}"
        );
    }
    for version in ["v69.0", "v62", "62.0", "v1.0"] {
        let reply = org.get(&format!("/services/data/{version}/limits")).await;
        reply.assert_refused(404, "NOT_FOUND", "The requested resource does not exist");
    }
    org.get("/services/data/v29.0/limits").await.assert_refused(
        410,
        "UNSUPPORTED_API_VERSION",
        "29.0",
    );
    let resources = org.get("").await.json();
    assert_eq!(resources["query"], "/services/data/v62.0/query");
}

#[tokio::test]
async fn every_answer_tells_the_daily_use_and_the_end_of_it_is_403() {
    let options = SandboxOptions {
        daily_limit: 3,
        ..SandboxOptions::default()
    };
    let mut org = TestOrg::with(options).await;
    let first = org.get("limits").await;
    assert_eq!(first.header("sforce-limit-info"), Some("api-usage=1/3"));
    assert_eq!(
        first.header("content-type"),
        Some("application/json;charset=UTF-8")
    );
    assert_eq!(
        first.json()["DailyApiRequests"],
        json!({ "Max": 3, "Remaining": 2 })
    );
    let missing = org.get("sobjects/Nope").await;
    assert_eq!(missing.header("sforce-limit-info"), Some("api-usage=2/3"));
    let refused = org.send("POST", "sobjects/Lead", json!({})).await;
    assert_eq!(refused.header("sforce-limit-info"), Some("api-usage=3/3"));

    let over = org.send("POST", "sobjects/Lead", lead(json!({}))).await;
    over.assert_refused(
        403,
        "REQUEST_LIMIT_EXCEEDED",
        "TotalRequests Limit exceeded.",
    );
    assert!(over.json()[0].get("fields").is_none());
    assert_eq!(org.sandbox.count("Lead"), 0);
    org.clock.advance(Duration::from_secs(24 * 3_600));
    org.sign_in().await;
    assert_eq!(
        org.send("POST", "sobjects/Lead", lead(json!({})))
            .await
            .status,
        201
    );
    org.sandbox.set_daily_limit(0);
    assert_eq!(org.get("limits").await.status, 403);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let org = TestOrg::start().await;
    let post = |content_type: &str, body: &str| {
        let request = org.request("POST", "sobjects/Lead", None);
        let request = request
            .header("content-type", content_type)
            .body(body.to_owned());
        async move { reply(request.send().await.unwrap()).await }
    };
    let good = lead(json!({})).to_string();
    assert_eq!(
        post("application/json; charset=UTF-8", &good).await.status,
        201
    );
    post("text/plain", &good)
        .await
        .assert_refused(415, "UNSUPPORTED_MEDIA_TYPE", "text/plain");
    let broken = post("application/json", "{\"LastName\": }").await;
    broken.assert_refused(400, "JSON_PARSER_ERROR", "[line:1, column:14]");
    assert!(broken.json()[0].get("fields").is_none());
    post("application/json", "[1]")
        .await
        .assert_refused(400, "JSON_PARSER_ERROR", "");
    post("application/json", "")
        .await
        .assert_refused(400, "JSON_PARSER_ERROR", "no entity body");
    let encoded = org
        .request("POST", "sobjects/Lead", Some(&json!({})))
        .header("content-encoding", "br");
    reply(encoded.send().await.unwrap()).await.assert_refused(
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "gzip",
    );
    let not_gzip = org
        .request("POST", "sobjects/Lead", Some(&json!({})))
        .header("content-encoding", "gzip");
    reply(not_gzip.send().await.unwrap())
        .await
        .assert_refused(400, "JSON_PARSER_ERROR", "");

    let put = org.send("PUT", "sobjects/Lead", json!({})).await;
    put.assert_refused(
        405,
        "METHOD_NOT_ALLOWED",
        "HTTP Method 'PUT' not allowed. Allowed are GET,HEAD,POST",
    );
    assert_eq!(put.header("allow"), Some("GET,HEAD,POST"));
    org.send("POST", "query", json!({}))
        .await
        .assert_refused(405, "METHOD_NOT_ALLOWED", "POST");
    let long = format!("query?q={}", "x".repeat(16_384));
    org.get(&long).await.assert_refused(414, "URI_TOO_LONG", "");
    let wide = org
        .request("GET", "limits", None)
        .header("x-wide", "x".repeat(16_384));
    reply(wide.send().await.unwrap())
        .await
        .assert_refused(431, "HEADERS_TOO_LARGE", "");
}

#[tokio::test]
async fn patch_can_be_sent_as_post() {
    let org = TestOrg::start().await;
    let id = org.lead(json!({})).await;
    let path = format!("sobjects/Lead/{id}?_HttpMethod=PATCH");
    assert_eq!(
        org.send("POST", &path, json!({ "Title": "CTO" }))
            .await
            .status,
        204
    );
    assert_eq!(org.sandbox.records("Lead")[0]["Title"], "CTO");
}

#[tokio::test]
async fn bodies_are_compressed_both_ways_in_process_as_well() {
    let org = TestOrg::start().await;
    let body = lead(json!({ "Description": "long ".repeat(1_000) })).to_string();
    let gzip = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        ("gzip", encoder.finish().unwrap())
    };
    let deflate = {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        ("deflate", encoder.finish().unwrap())
    };
    for (encoding, bytes) in [gzip, deflate] {
        let request = Request::post("/services/data/v62.0/sobjects/Lead")
            .header("authorization", format!("Bearer {}", org.token))
            .header("content-type", "application/json")
            .header("content-encoding", encoding)
            .body(Body::from(bytes))
            .unwrap();
        let answer = org.sandbox.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 201, "{encoding}");
        assert!(
            !answer.headers().contains_key("content-encoding"),
            "too small to be worth it"
        );
    }
    let request = Request::get("/services/data/v62.0/query?q=SELECT+Description+FROM+Lead")
        .header("authorization", format!("Bearer {}", org.token))
        .header("accept-encoding", "br, gzip;q=0.9")
        .body(Body::empty())
        .unwrap();
    let answer = org.sandbox.router().oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let mut text = String::new();
    GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    let answer: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["totalSize"], 2);
}

#[tokio::test]
async fn describe_says_what_may_be_written() {
    let org = TestOrg::start().await;
    let objects = org.get("sobjects").await.json();
    assert!(
        objects["sobjects"]
            .as_array()
            .unwrap()
            .iter()
            .any(|object| object["name"] == "Lead" && object["keyPrefix"] == "00Q")
    );
    assert_eq!(
        org.get("sobjects/Lead/").await.json()["objectDescribe"]["name"],
        "Lead"
    );

    let reply = org.get("sobjects/Lead/describe").await;
    let body = reply.json();
    let field = |name: &str| {
        body["fields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["name"] == name)
            .unwrap()
            .clone()
    };
    let key = field("Leadstream_Id__c");
    for (name, value) in [
        ("externalId", true),
        ("unique", true),
        ("caseSensitive", false),
        ("idLookup", true),
        ("createable", true),
        ("custom", true),
    ] {
        assert_eq!(key[name], value, "{name}");
    }
    assert_eq!(
        (
            &field("FirstName")["length"],
            &field("FirstName")["compoundFieldName"]
        ),
        (&json!(40), &json!("Name"))
    );
    assert_eq!(
        (
            &field("Company")["nillable"],
            &field("Company")["defaultedOnCreate"]
        ),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        field("Industry")["picklistValues"]
            .as_array()
            .unwrap()
            .len(),
        32
    );
    assert_eq!(
        (
            &field("Industry")["restrictedPicklist"],
            &field("LeadSource")["restrictedPicklist"]
        ),
        (&json!(true), &json!(false))
    );
    assert_eq!(field("OwnerId")["referenceTo"], json!(["User", "Group"]));
    assert_eq!(
        (
            &field("CreatedDate")["createable"],
            &field("Name")["updateable"]
        ),
        (&json!(false), &json!(false))
    );
    assert_eq!(field("Status")["defaultValue"], "Open - Not Contacted");
    assert_eq!(
        body["recordTypeInfos"][0]["recordTypeId"],
        "012000000000000AAA"
    );

    let since = reply.header("last-modified").expect("a date").to_owned();
    assert_eq!(since, "Sun, 01 Mar 2026 10:00:00 GMT");
    let again = org
        .request("GET", "sobjects/Lead/describe", None)
        .header("if-modified-since", &since);
    let again = super::org::reply(again.send().await.unwrap()).await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    org.clock.advance(Duration::from_secs(1));
    org.sandbox.add_field(&"Lead.Plan__c".parse().unwrap());
    let again = org
        .request("GET", "sobjects/Lead/describe", None)
        .header("if-modified-since", &since);
    assert_eq!(again.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn changes_are_told_by_time() {
    let org = TestOrg::start().await;
    let (kept, gone) = (org.lead(json!({})).await, org.lead(json!({})).await);
    org.clock.advance(Duration::from_secs(600));
    org.sandbox.delete("Lead", &gone).unwrap();
    let span = |from: &str, to: &str| format!("?start={from}%2B00:00&end={to}%2B00:00");
    let hour = span("2026-03-01T09:30:00", "2026-03-01T10:30:00");
    let updated = org
        .get(&format!("sobjects/Lead/updated{hour}"))
        .await
        .json();
    assert_eq!(
        updated,
        json!({ "ids": [kept], "latestDateCovered": "2026-03-01T10:10:00.000+0000" })
    );
    let deleted = org
        .get(&format!("sobjects/Lead/deleted/{hour}"))
        .await
        .json();
    assert_eq!(
        deleted["deletedRecords"],
        json!([{ "id": gone, "deletedDate": "2026-03-01T10:10:00.000+0000" }])
    );
    for bad in [
        span("2026-03-01T10:00:00", "2026-03-01T10:00:59"),
        span("2026-01-01T10:00:00", "2026-03-01T10:00:00"),
        span("yesterday", "2026-03-01T10:00:00"),
        String::new(),
    ] {
        org.get(&format!("sobjects/Lead/updated{bad}"))
            .await
            .assert_refused(400, "INVALID_REPLICATION_DATE", "");
    }
}

#[tokio::test]
async fn the_pages_for_people_show_records_and_run_nothing() {
    let org = TestOrg::start().await;
    org.lead(json!({ "LastName": "<script>alert(1)</script>", "Email": "jane@example.com" }))
        .await;
    let page = org.get("/").await;
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert!(page.text.contains("&lt;script&gt;") && !page.text.contains("<script"));
    assert!(page.text.contains("jane@example.com") && page.text.contains("row_create"));

    let records = org.get("/sandbox/records").await.json();
    assert_eq!(
        (&records["count"], &records["records"][0]["Email"]),
        (&json!(1), &json!("jane@example.com"))
    );
    assert_eq!(
        org.get("/sandbox/records?object=Account").await.json()["count"],
        0
    );
    assert_eq!(org.get("/sandbox/records?object=Nope").await.status, 404);
    let stats = org.get("/sandbox/stats").await.json();
    assert_eq!(
        stats["calls"]["by_kind"],
        json!({ "row_create": 1, "token": 1 })
    );
    assert_eq!(
        (&stats["calls"]["api"], &stats["records"]["Lead"]),
        (&json!(1), &json!(1))
    );
}
