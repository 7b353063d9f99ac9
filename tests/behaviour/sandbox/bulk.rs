use std::time::Duration;

use leadstream::sandbox::{DuplicateRule, Faults, SandboxOptions};
use serde_json::{Value as Json, json};

use super::org::{Reply, TestOrg, reply};

/// An upsert of leads by the external id.
fn upsert() -> Json {
    json!({ "object": "Lead", "operation": "upsert", "externalIdFieldName": "Leadstream_Id__c" })
}

async fn open(org: &TestOrg, job: Json) -> String {
    org.send("POST", "jobs/ingest", job).await.id()
}

async fn put(org: &TestOrg, job: &str, csv: &str) -> reqwest::Result<reqwest::Response> {
    org.request("PUT", &format!("jobs/ingest/{job}/batches"), None)
        .header("content-type", "text/csv; charset=UTF-8")
        .body(csv.to_owned())
        .send()
        .await
}

async fn set_state(org: &TestOrg, job: &str, state: &str) -> Reply {
    let body = json!({ "state": state });
    org.send("PATCH", &format!("jobs/ingest/{job}"), body).await
}

/// Opens a job, uploads, closes; returns its id.
async fn submit(org: &TestOrg, job: Json, csv: &str) -> String {
    let id = open(org, job).await;
    let uploaded = reply(put(org, &id, csv).await.unwrap()).await;
    assert_eq!((uploaded.status.as_u16(), &*uploaded.text), (201, ""));
    let closed = set_state(org, &id, "UploadComplete").await;
    assert_eq!(closed.json()["state"], "UploadComplete");
    id
}

async fn poll(org: &TestOrg, job: &str) -> Json {
    org.get(&format!("jobs/ingest/{job}")).await.json()
}

/// Polls until the job is in a final state.
async fn finish(org: &TestOrg, job: &str) -> Json {
    for _ in 0..10 {
        let seen = poll(org, job).await;
        if ["JobComplete", "Failed", "Aborted"].contains(&seen["state"].as_str().unwrap()) {
            return seen;
        }
    }
    panic!("not finished after ten polls");
}

async fn results(org: &TestOrg, job: &str, which: &str) -> Vec<String> {
    let reply = org.get(&format!("jobs/ingest/{job}/{which}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("text/csv"));
    reply.text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_job_goes_from_open_to_complete_and_tells_of_each_row() {
    let org = TestOrg::start().await;
    let job = open(&org, upsert()).await;
    let opened = poll(&org, &job).await;
    assert_eq!(opened["state"], "Open");
    assert_eq!(opened["apiVersion"], json!(62.0));
    assert_eq!(opened["contentType"], "CSV");
    assert_eq!(opened["lineEnding"], "LF");
    assert_eq!(opened["columnDelimiter"], "COMMA");
    let content_url = format!("services/data/v62.0/jobs/ingest/{job}/batches");
    assert_eq!(opened["contentUrl"], content_url);
    assert!(job.starts_with("750"));

    let csv = "Leadstream_Id__c,LastName,Company\n\
        a,Lee,Acme\n\
        b,,Acme\n\
        c,\"Ng, \"\"Jo\"\"\",Acme\n";
    let job = submit(&org, upsert(), csv).await;
    let states: Vec<Json> = [
        poll(&org, &job).await,
        poll(&org, &job).await,
        poll(&org, &job).await,
    ]
    .map(|seen| json!([seen["state"], seen["numberRecordsProcessed"]]))
    .to_vec();
    let expected = json!([["InProgress", 1], ["InProgress", 2], ["JobComplete", 3]]);
    assert_eq!(Json::from(states), expected);
    let done = poll(&org, &job).await;
    assert_eq!(done["numberRecordsFailed"], 1);

    let good = results(&org, &job, "successfulResults").await;
    assert_eq!(
        good[0],
        "\"sf__Id\",\"sf__Created\",\"Leadstream_Id__c\",\"LastName\",\"Company\""
    );
    assert!(
        good[1].ends_with(",\"true\",\"c\",\"Ng, \"\"Jo\"\"\",\"Acme\""),
        "{}",
        good[1]
    );
    assert!(good[2].starts_with("\"00Q") && good[2].ends_with("\"a\",\"Lee\",\"Acme\""));
    let bad = results(&org, &job, "failedResults").await;
    assert_eq!(
        bad[1],
        "\"\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --\",\"b\",\"\",\"Acme\""
    );
    for spelling in ["unprocessedrecords", "unprocessedRecords"] {
        assert_eq!(results(&org, &job, spelling).await.len(), 1);
    }
    assert_eq!(org.sandbox.count("Lead"), 2);
    let calls = org.sandbox.calls();
    assert_eq!(calls.count("bulk_poll"), 5);
    assert_eq!(calls.count("bulk_upload"), 1);
}

#[tokio::test]
async fn an_empty_cell_changes_nothing_and_na_clears() {
    let org = TestOrg::start().await;
    let fields = json!({ "Title": "CEO", "City": "Bonn", "Leadstream_Id__c": "a" });
    let id = org.lead(fields).await;
    let csv = "Id;Title;City;DoNotCall\r\n{id};;#N/A;TRUE\r\n".replace("{id}", &id);
    let update = json!({
        "object": "Lead", "operation": "update", "lineEnding": "CRLF",
        "columnDelimiter": "SEMICOLON",
    });
    let job = submit(&org, update, &csv).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 0);
    let row = org
        .get(&format!("sobjects/Lead/{id}?fields=Title,City,DoNotCall"))
        .await
        .json();
    assert_eq!(
        json!([row["Title"], row["City"], row["DoNotCall"]]),
        json!(["CEO", null, true])
    );

    let delete = json!({ "object": "Lead", "operation": "delete" });
    let job = submit(&org, delete, &format!("Id\n{id}\n{id}\n")).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 1);
    assert_eq!(org.sandbox.count("Lead"), 0);
}

#[tokio::test]
async fn what_is_wrong_with_the_upload_fails_the_whole_job() {
    let org = TestOrg::start().await;
    for (csv, says) in [
        (
            "LastName,Foo\nLee,1\n",
            "InvalidBatch : Field name not found : Foo",
        ),
        (
            "LastName;Company\nLee;Acme\n",
            "Field name not found : LastName;Company",
        ),
        (
            "\u{feff}LastName,Company\nLee,Acme\n",
            "Field name not found : \u{feff}LastName",
        ),
        (
            "LastName,Address\nLee,x\n",
            "Field name not found : Address",
        ),
        (
            "LastName,Company\r\nLee,Acme\r\n",
            "LineEnding is invalid on user data",
        ),
        ("LastName,Company\nLee\n", "The number of fields"),
        ("", "Records not found"),
    ] {
        let job = submit(
            &org,
            json!({ "object": "Lead", "operation": "insert" }),
            csv,
        )
        .await;
        let failed = finish(&org, &job).await;
        assert_eq!(failed["state"], "Failed", "{csv:?}");
        let error = failed["errorMessage"].as_str().unwrap();
        assert!(error.contains(says), "{csv:?}: {error}");
    }
    assert_eq!(org.sandbox.count("Lead"), 0);
}

#[tokio::test]
async fn a_row_is_refused_in_one_text() {
    let options = SandboxOptions {
        duplicate_rule: Some(DuplicateRule::Alert),
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    org.lead(json!({ "Email": "jane@example.com" })).await;
    let csv = "LastName,Company,Email,NumberOfEmployees,Leadstream_Id__c,Id\n\
        Lee,Acme,jane@example.com,,a,\n\
        Lee,Acme,,many,b,\n\
        Lee,Acme,,,c,\n\
        Lee,Acme,,,c,\n\
        Lee,Acme,,,,\n\
        Lee,Acme,,,d,00Q5g000000000BEAQ\n";
    let job = submit(&org, upsert(), csv).await;
    assert_eq!(finish(&org, &job).await["numberRecordsFailed"], 5);
    let errors = results(&org, &job, "failedResults").await.join("\n");
    for says in [
        // The job cannot say allowSave, and is not told which record it is.
        "DUPLICATES_DETECTED:Use one of these records?:--",
        "INVALID_TYPE_ON_FIELD_IN_RECORD:No. of Employees: value not of required type: many:NumberOfEmployees --",
        "DUPLICATE_VALUE:Duplicate external id specified: c:Leadstream_Id__c --",
        "MISSING_ARGUMENT:Leadstream_Id__c not specified:Leadstream_Id__c --",
        "INVALID_FIELD:cannot specify both",
    ] {
        assert!(errors.contains(says), "{says}: {errors}");
    }
}

#[tokio::test]
async fn no_assignment_rule_runs_unless_the_job_names_one() {
    let options = SandboxOptions {
        assignment_queue: Some("Inbound".to_owned()),
        ..SandboxOptions::default()
    };
    let org = TestOrg::with(options).await;
    let csv = "Leadstream_Id__c,LastName,Company\na,Lee,Acme\n";
    let owner = async |key: &str| {
        let lead = org
            .get(&format!("sobjects/Lead/Leadstream_Id__c/{key}"))
            .await;
        lead.json()["OwnerId"].as_str().unwrap()[..3].to_owned()
    };
    let job = submit(&org, upsert(), csv).await;
    finish(&org, &job).await;
    assert_eq!(owner("a").await, "005");
    let mut named = upsert();
    named["assignmentRuleId"] = json!("01Q5g0000000001");
    let job = submit(&org, named, &csv.replace("a,", "b,")).await;
    finish(&org, &job).await;
    assert_eq!(owner("b").await, "00G");
}

#[tokio::test]
async fn one_upload_a_job_and_only_while_it_is_open() {
    let org = TestOrg::start().await;
    let csv = "Leadstream_Id__c,LastName,Company\na,Lee,Acme\n";
    let job = open(&org, upsert()).await;
    put(&org, &job, csv).await.unwrap();
    let second = reply(put(&org, &job, csv).await.unwrap()).await;
    second.assert_refused(400, "CLIENTINPUTERROR", "Found multiple contents for job");
    let early = org
        .get(&format!("jobs/ingest/{job}/successfulResults"))
        .await;
    early.assert_refused(
        400,
        "INVALIDJOBSTATE",
        "not available while the job is Open",
    );
    let open_job = org.delete(&format!("jobs/ingest/{job}")).await;
    open_job.assert_refused(400, "INVALIDJOBSTATE", "Deleting Open Job not allowed");

    let aborted = set_state(&org, &job, "Aborted").await;
    assert_eq!(aborted.json()["state"], "Aborted");
    let late = reply(put(&org, &job, csv).await.unwrap()).await;
    late.assert_refused(400, "INVALIDJOBSTATE", "not Open, but Aborted");
    let closed = set_state(&org, &job, "UploadComplete").await;
    closed.assert_refused(
        400,
        "INVALIDJOBSTATE",
        "Closing already Aborted Job not allowed",
    );
    let unprocessed = results(&org, &job, "unprocessedrecords").await;
    assert_eq!(unprocessed[1], "\"a\",\"Lee\",\"Acme\"");

    let listed = org.get("jobs/ingest?jobType=V2Ingest").await.json();
    assert_eq!(listed["records"][0]["id"], json!(job));
    assert_eq!(org.delete(&format!("jobs/ingest/{job}")).await.status, 204);
    org.get(&format!("jobs/ingest/{job}"))
        .await
        .assert_refused(404, "NOT_FOUND", "");
    assert_eq!(org.sandbox.count("Lead"), 0);
}

#[tokio::test]
async fn a_job_that_cannot_be_is_not_opened() {
    let org = TestOrg::start().await;
    for (job, code) in [
        (json!({ "operation": "insert" }), "INVALIDJOB"),
        (
            json!({ "object": "Nope", "operation": "insert" }),
            "INVALIDENTITY",
        ),
        (
            json!({ "object": "User", "operation": "insert" }),
            "INVALIDENTITY",
        ),
        (
            json!({ "object": "Lead", "operation": "merge" }),
            "INVALIDJOB",
        ),
        (
            json!({ "object": "Lead", "operation": "upsert" }),
            "INVALIDJOB",
        ),
        (
            json!({ "object": "Lead", "operation": "upsert", "externalIdFieldName": "City" }),
            "INVALIDJOB",
        ),
        (
            json!({ "object": "Lead", "operation": "hardDelete" }),
            "FEATURENOTENABLED",
        ),
        (
            json!({ "object": "Lead", "operation": "insert", "columnDelimiter": "SPACE" }),
            "INVALIDJOB",
        ),
    ] {
        let refused = org.send("POST", "jobs/ingest", job.clone()).await;
        refused.assert_refused(400, code, "");
    }
}

#[tokio::test]
async fn a_job_that_nobody_asks_for_is_done_within_a_minute() {
    let org = TestOrg::start().await;
    submit(
        &org,
        upsert(),
        "Leadstream_Id__c,LastName,Company\na,Lee,Acme\n",
    )
    .await;
    org.get("limits").await;
    assert_eq!(org.sandbox.count("Lead"), 0);
    org.clock.advance(Duration::from_secs(60));
    let limits = org.get("limits").await.json();
    assert_eq!(org.sandbox.count("Lead"), 1);
    assert_eq!(limits["DailyBulkApiBatches"]["Remaining"], 14_999);
}

#[tokio::test]
async fn faults_lose_the_answer_of_an_upload_and_fail_jobs_half_way() {
    let org = TestOrg::start().await;
    org.sandbox.set_faults(Faults {
        lost_upload_rate: 1.0,
        at_most: Some(1),
        ..Faults::default()
    });
    let rows: Vec<String> = (0..500).map(|n| format!("{n},Lee,Acme\n")).collect();
    let rows = rows.concat();
    let csv = format!("Leadstream_Id__c,LastName,Company\n{rows}");
    let job = open(&org, upsert()).await;
    assert!(put(&org, &job, &csv).await.is_err(), "the answer is lost");
    let again = reply(put(&org, &job, &csv).await.unwrap()).await;
    again.assert_refused(400, "CLIENTINPUTERROR", "Found multiple contents");

    org.sandbox.set_faults(Faults {
        job_failure_rate: 1.0,
        ..Faults::default()
    });
    set_state(&org, &job, "UploadComplete").await;
    let failed = finish(&org, &job).await;
    assert_eq!(failed["state"], "Failed");
    let done = failed["numberRecordsProcessed"].as_u64().unwrap() as usize;
    assert!((1..500).contains(&done), "half way: {done}");
    let good = results(&org, &job, "successfulResults").await.len() - 1;
    let unprocessed = results(&org, &job, "unprocessedrecords").await.len() - 1;
    assert_eq!((good, unprocessed), (done, 500 - done));
    assert_eq!(org.sandbox.count("Lead"), done);
}

#[tokio::test]
async fn a_query_job_gives_its_rows_page_by_page() {
    let org = TestOrg::start().await;
    for number in 0..5 {
        org.lead(json!({ "FirstName": format!("L{number}"), "City": "a,\"b\"" }))
            .await;
    }
    let soql = "SELECT Id, FirstName, City, Title, Owner.Name, CreatedDate, IsConverted FROM Lead ORDER BY FirstName";
    let body = json!({ "operation": "query", "query": soql });
    let job = org.send("POST", "jobs/query", body).await;
    assert_eq!(job.json()["state"], "UploadComplete");
    assert_eq!(job.json()["object"], "Lead");
    let job = job.id();
    org.get(&format!("jobs/query/{job}/results"))
        .await
        .assert_refused(400, "INVALIDJOBSTATE", "");
    let mut last = Json::Null;
    for _ in 0..3 {
        last = org.get(&format!("jobs/query/{job}")).await.json();
    }
    assert_eq!(last["state"], "JobComplete");
    assert_eq!(last["numberRecordsProcessed"], 5);

    let mut names = Vec::new();
    let mut locator = String::new();
    loop {
        let path = format!("jobs/query/{job}/results?maxRecords=2{locator}");
        let page = org.get(&path).await;
        let mut lines = page.text.lines();
        assert_eq!(
            lines.next(),
            Some(
                "\"Id\",\"FirstName\",\"City\",\"Title\",\"Owner.Name\",\"CreatedDate\",\"IsConverted\""
            )
        );
        let rows: Vec<&str> = lines.collect();
        let count = page.header("sforce-numberofrecords").unwrap();
        assert_eq!(count, rows.len().to_string());
        assert!(rows[0].ends_with(
            ",\"a,\"\"b\"\"\",\"\",\"Integration User\",\"2026-03-01T10:00:00.000Z\",\"false\""
        ));
        names.extend(
            rows.iter()
                .map(|row| row.split('"').nth(3).unwrap().to_owned()),
        );
        match page.header("sforce-locator").unwrap() {
            "null" => break,
            next => locator = format!("&locator={next}"),
        }
    }
    assert_eq!(names, ["L0", "L1", "L2", "L3", "L4"]);
}

#[tokio::test]
async fn bulk_queries_refuse_what_a_csv_cannot_hold() {
    let org = TestOrg::start().await;
    for (soql, code, says) in [
        ("SELECT COUNT() FROM Lead", "API_ERROR", "Aggregate"),
        ("SELECT Id, Address FROM Lead", "API_ERROR", "compound data"),
        (
            "SELECT FIELDS(ALL) FROM Lead LIMIT 9",
            "API_ERROR",
            "FIELDS",
        ),
        ("SELECT Id FROM Lead OFFSET 9", "API_ERROR", "Offset"),
        ("SELECT Nope FROM Lead", "INVALID_FIELD", "No such column"),
        ("SELECT", "MALFORMED_QUERY", ""),
    ] {
        let body = json!({ "operation": "query", "query": soql });
        let refused = org.send("POST", "jobs/query", body).await;
        refused.assert_refused(400, code, says);
    }
}
