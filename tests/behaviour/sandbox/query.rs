use std::time::Duration;

use serde_json::{Value as Json, json};

use super::org::{TestOrg, row};

/// Five leads, made a minute apart.
async fn filled() -> TestOrg {
    let org = TestOrg::start().await;
    for fields in [
        json!({ "LastName": "Adams", "Email": "adams@example.com", "NumberOfEmployees": 10 }),
        json!({ "LastName": "Brown", "Email": "Brown@Example.com", "NumberOfEmployees": 200, "DoNotCall": true }),
        json!({ "LastName": "O'Neil", "Company": "100% \\ Co", "Leadstream_Id__c": "k3" }),
        json!({ "LastName": "Élan", "LeadSource": "Web" }),
        json!({ "LastName": "brownie", "Industry": "Banking" }),
    ] {
        org.lead(fields).await;
        org.clock.advance(Duration::from_secs(60));
    }
    org
}

async fn names(org: &TestOrg, rest: &str) -> Vec<String> {
    let reply = org
        .query(&format!("SELECT LastName FROM Lead {rest}"))
        .await;
    assert_eq!(reply.status, 200, "{rest}: {}", reply.text);
    let body = reply.json();
    let records = body["records"].as_array().unwrap();
    assert_eq!(body["totalSize"], records.len());
    records
        .iter()
        .map(|record| record["LastName"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn conditions_mean_what_they_mean_in_salesforce() {
    let org = filled().await;
    let first = org.sandbox.records("Lead")[0]["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let all = ["Adams", "Brown", "O'Neil", "Élan", "brownie"];
    let cases: [(&str, &[&str]); 33] = [
        ("", &all),
        ("WHERE LastName = 'brown'", &["Brown"]),
        ("where lastname = 'BROWN' limit 5", &["Brown"]),
        ("WHERE LastName = 'élan'", &["Élan"]),
        (r"WHERE LastName = 'O\'Neil'", &["O'Neil"]),
        (r"WHERE LastName = 'O\u0027Neil'", &["O'Neil"]),
        (r"WHERE Company = '100% \\ Co'", &["O'Neil"]),
        (r"WHERE Company LIKE '100\%%'", &["O'Neil"]),
        ("WHERE LastName LIKE 'brown%'", &["Brown", "brownie"]),
        ("WHERE LastName LIKE '_dams'", &["Adams"]),
        ("WHERE NOT LastName LIKE '%n%'", &["Adams"]),
        ("WHERE Email = 'brown@example.com'", &["Brown"]),
        (
            "WHERE Email IN ('BROWN@example.com', 'adams@example.com', 'x@y.zz')",
            &["Adams", "Brown"],
        ),
        (
            "WHERE Email NOT IN ('brown@example.com')",
            &["Adams", "O'Neil", "Élan", "brownie"],
        ),
        ("WHERE Email = null", &["O'Neil", "Élan", "brownie"]),
        ("WHERE Email = ''", &["O'Neil", "Élan", "brownie"]),
        ("WHERE Email != null", &["Adams", "Brown"]),
        (
            "WHERE Email <> 'adams@example.com'",
            &["Brown", "O'Neil", "Élan", "brownie"],
        ),
        (
            "WHERE Email IN ('adams@example.com', null)",
            &["Adams", "O'Neil", "Élan", "brownie"],
        ),
        ("WHERE NumberOfEmployees > 10", &["Brown"]),
        (
            "WHERE NumberOfEmployees >= 10 AND DoNotCall = false",
            &["Adams"],
        ),
        ("WHERE NumberOfEmployees < 10.5", &["Adams"]),
        ("WHERE NumberOfEmployees <= 9", &[]),
        (
            "WHERE CreatedDate > 2026-03-01T10:02:00Z",
            &["Élan", "brownie"],
        ),
        (
            "WHERE CreatedDate >= 2026-03-01T12:02:00+02:00",
            &["O'Neil", "Élan", "brownie"],
        ),
        (
            "WHERE (LeadSource = 'Web' OR Industry = 'Banking') AND IsConverted = false",
            &["Élan", "brownie"],
        ),
        ("WHERE Leadstream_Id__c = 'K3'", &["O'Neil"]),
        (
            "WHERE Owner.Name = 'Integration User' LIMIT 2",
            &["Adams", "Brown"],
        ),
        ("WHERE Lead.LastName = 'Adams'", &["Adams"]),
        (
            "ORDER BY LastName DESC",
            &["Élan", "O'Neil", "brownie", "Brown", "Adams"],
        ),
        (
            "ORDER BY NumberOfEmployees NULLS LAST, LastName LIMIT 3",
            &["Adams", "Brown", "brownie"],
        ),
        (
            "ORDER BY Email, LastName LIMIT 2 OFFSET 1",
            &["O'Neil", "Élan"],
        ),
        ("ORDER BY CreatedDate DESC LIMIT 1", &["brownie"]),
    ];
    for (rest, expected) in cases {
        assert_eq!(names(&org, rest).await, expected, "{rest}");
    }
    for id in [&first[..15], &first] {
        assert_eq!(names(&org, &format!("WHERE Id = '{id}'")).await, ["Adams"]);
        assert_eq!(
            names(&org, &format!("WHERE Id IN ('{id}') AND LastName != 'x'")).await,
            ["Adams"]
        );
    }
}

#[tokio::test]
async fn records_have_their_attributes_and_parents() {
    let org = filled().await;
    let reply = org
        .query("SELECT id, Owner.Name, Owner.Email, ConvertedAccount.Name FROM lead LIMIT 1")
        .await;
    let record = reply.json()["records"][0].clone();
    let id = record["Id"].as_str().unwrap();
    assert_eq!(
        record["attributes"],
        json!({ "type": "Lead", "url": format!("/services/data/v62.0/sobjects/Lead/{id}") })
    );
    assert_eq!(record["Owner"]["attributes"]["type"], "User");
    assert_eq!(record["Owner"]["Name"], "Integration User");
    assert_eq!(record["Owner"]["Email"], "integration@example.com");
    assert_eq!(record["ConvertedAccount"], Json::Null);

    let count = org
        .query("SELECT COUNT() FROM Lead WHERE DoNotCall = true")
        .await
        .json();
    assert_eq!(
        count,
        json!({ "totalSize": 1, "done": true, "records": [] })
    );
    let fields = org
        .query("SELECT FIELDS(ALL) FROM Lead LIMIT 200")
        .await
        .json();
    assert_eq!(fields["records"][0]["Status"], "Open - Not Contacted");
    let statuses = org
        .query("SELECT MasterLabel, ApiName FROM LeadStatus WHERE IsConverted = true")
        .await
        .json();
    assert_eq!(statuses["records"][0]["MasterLabel"], "Closed - Converted");
}

#[tokio::test]
async fn a_query_that_is_none_is_refused_with_its_place() {
    let org = filled().await;
    let cases = [
        (
            "SELECT Nope FROM Lead",
            "INVALID_FIELD",
            "\nSELECT Nope FROM Lead\n       ^\nERROR at Row:1:Column:8\nNo such column 'Nope' on entity 'Lead'.",
        ),
        (
            "SELECT Id FROM Leed",
            "INVALID_TYPE",
            "ERROR at Row:1:Column:16\nsObject type 'Leed' is not supported.",
        ),
        (
            "SELECT Id\nFROM Lead\nWHERE Nope = 1",
            "INVALID_FIELD",
            "ERROR at Row:3:Column:7\n",
        ),
        (
            "SELECT FROM Lead",
            "MALFORMED_QUERY",
            "unexpected token: 'FROM'",
        ),
        (
            "SELECT Id FROM Lead WHERE",
            "MALFORMED_QUERY",
            "unexpected token: '<EOF>'",
        ),
        (
            "SELECT Id FROM Lead WHERE LastName",
            "MALFORMED_QUERY",
            "unexpected token: '<EOF>'",
        ),
        (
            "SELECT Id FROM Lead WHERE LastName = 'x' OR Id = null AND Email = null",
            "MALFORMED_QUERY",
            "unexpected token: 'AND'",
        ),
        (
            "SELECT Id FROM Lead WHERE (LastName = 'x'",
            "MALFORMED_QUERY",
            "<EOF>",
        ),
        (
            "SELECT Id FROM Lead WHERE LastName = 'x",
            "MALFORMED_QUERY",
            "",
        ),
        (
            r"SELECT Id FROM Lead WHERE LastName = 'a\x'",
            "MALFORMED_QUERY",
            "Illegal character sequence",
        ),
        (
            r"SELECT Id FROM Lead WHERE LastName = 'a\%'",
            "MALFORMED_QUERY",
            "Illegal character sequence",
        ),
        (
            "SELECT Id FROM Lead WHERE LastName = \"x\"",
            "MALFORMED_QUERY",
            "unexpected token: '\"'",
        ),
        (
            "SELECT Id FROM Lead; DROP",
            "MALFORMED_QUERY",
            "unexpected token: ';'",
        ),
        (
            "SELECT Id FROM Lead LIMIT x",
            "MALFORMED_QUERY",
            "unexpected token: 'x'",
        ),
        (
            "SELECT Id FROM Lead GROUP BY Id",
            "MALFORMED_QUERY",
            "the sandbox does not know GROUP",
        ),
        ("SELECT FIELDS(ALL) FROM Lead", "MALFORMED_QUERY", "LIMIT"),
        (
            "SELECT Id, Id FROM Lead",
            "INVALID_FIELD",
            "duplicate field selected: Id",
        ),
        (
            "SELECT Id FROM Lead WHERE CreatedDate > '2026-01-01T00:00:00Z'",
            "INVALID_FIELD",
            "value of filter criterion for field 'CreatedDate' must be of type dateTime and should not be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Lead WHERE CreatedDate > 2026-01-01",
            "INVALID_FIELD",
            "must be of type dateTime",
        ),
        (
            "SELECT Id FROM Lead WHERE LastName = 5",
            "INVALID_FIELD",
            "must be of type string and should be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Lead WHERE IsConverted = 'true'",
            "INVALID_FIELD",
            "must be of type boolean and should not be",
        ),
        (
            "SELECT Id FROM Lead WHERE Id = 'nope'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid ID field: nope",
        ),
        (
            "SELECT Id FROM Lead WHERE NumberOfEmployees LIKE '1%'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "",
        ),
        (
            "SELECT Id FROM Lead WHERE Description = 'x'",
            "INVALID_FIELD",
            "can not be filtered",
        ),
        (
            "SELECT Owener.Name FROM Lead",
            "INVALID_FIELD",
            "Didn't understand relationship 'Owener'",
        ),
        (
            "SELECT Id FROM Lead OFFSET 2001",
            "NUMBER_OUTSIDE_VALID_RANGE",
            "2000",
        ),
    ];
    for (soql, code, says) in cases {
        org.query(soql).await.assert_refused(400, code, says);
    }
    org.get("query")
        .await
        .assert_refused(400, "MALFORMED_QUERY", "");
    let deep = format!(
        "SELECT Id FROM Lead WHERE {}Id = null{}",
        "(".repeat(1_000),
        ")".repeat(1_000)
    );
    org.query(&deep)
        .await
        .assert_refused(400, "QUERY_TOO_COMPLICATED", "");
}

#[tokio::test]
async fn pages_follow_one_another_until_done() {
    let org = TestOrg::start().await;
    for start in [0, 200] {
        let rows: Vec<Json> = (start..start + 200)
            .map(|n| row(json!({ "Title": format!("{n:03}") })))
            .collect();
        org.send("POST", "composite/sobjects", json!({ "records": rows }))
            .await;
    }
    org.lead(json!({})).await;
    let soql: String =
        form_urlencoded::byte_serialize(b"SELECT Title FROM Lead ORDER BY Title NULLS LAST")
            .collect();
    let options = ("Sforce-Query-Options", "batchSize=200");
    let first = org
        .request("GET", &format!("query?q={soql}"), None)
        .header(options.0, options.1);
    let first = super::org::reply(first.send().await.unwrap()).await.json();
    assert_eq!(
        (&first["totalSize"], &first["done"]),
        (&json!(401), &json!(false))
    );
    let next = first["nextRecordsUrl"].as_str().unwrap().to_owned();
    assert!(
        next.starts_with("/services/data/v62.0/query/01g") && next.ends_with("-200"),
        "{next}"
    );
    let second = org.get(&next).await.json();
    assert_eq!(second["records"][0]["Title"], "200");
    let third = org
        .get(second["nextRecordsUrl"].as_str().unwrap())
        .await
        .json();
    assert_eq!(
        (&third["done"], third["records"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    assert!(third.get("nextRecordsUrl").is_none());

    // A page whose answer was lost can be had again, until the cursor has been idle too long.
    assert_eq!(org.get(&next).await.json(), second);
    org.clock.advance(Duration::from_secs(15 * 60));
    org.get(&next)
        .await
        .assert_refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    org.get("query/01gxx-0")
        .await
        .assert_refused(400, "INVALID_QUERY_LOCATOR", "");
    assert_eq!(org.sandbox.calls().count("query_more"), 5);
}

#[tokio::test]
async fn only_query_all_sees_the_recycle_bin() {
    let org = filled().await;
    let id = org.sandbox.records("Lead")[1]["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    org.sandbox.delete("Lead", &id).unwrap();
    assert_eq!(
        names(&org, "WHERE Email = 'brown@example.com'").await,
        [""; 0]
    );
    let all = org
        .get("queryAll?q=SELECT+Id,IsDeleted+FROM+Lead+WHERE+Email='brown@example.com'")
        .await
        .json();
    assert_eq!(
        (&all["totalSize"], &all["records"][0]["IsDeleted"]),
        (&json!(1), &json!(true))
    );
}

#[tokio::test]
async fn subqueries_join_both_ways() {
    let org = TestOrg::start().await;
    let (jane, max) = (
        org.lead(json!({ "LastName": "Doe" })).await,
        org.lead(json!({ "LastName": "Roe" })).await,
    );
    let campaign = org
        .send("POST", "sobjects/Campaign", json!({ "Name": "Webinar" }))
        .await
        .id();
    let member = json!({ "CampaignId": campaign, "LeadId": jane, "Status": "Responded" });
    org.send("POST", "sobjects/CampaignMember", member)
        .await
        .id();

    let ids = |soql: String| {
        let org = &org;
        async move {
            let answer = org.query(&soql).await.json();
            let rows = answer["records"].as_array().expect("records").clone();
            rows.into_iter()
                .map(|row| row["Id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    let joined = "(SELECT LeadId FROM CampaignMember WHERE HasResponded = true)";
    let with = format!("SELECT Id FROM Lead WHERE Id IN {joined} AND IsConverted = false");
    assert_eq!(ids(with).await, [jane.as_str()]);
    let without = format!("SELECT Id FROM Lead WHERE Id NOT IN {joined}");
    assert_eq!(ids(without).await, [max.as_str()]);

    let answer = org
        .query("SELECT Id, (SELECT Status, Campaign.Name FROM CampaignMembers ORDER BY Id LIMIT 5) FROM Lead ORDER BY LastName")
        .await
        .json();
    let members = &answer["records"][0]["CampaignMembers"];
    assert_eq!(
        (&members["totalSize"], &members["done"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(
        (
            &members["records"][0]["Status"],
            &members["records"][0]["Campaign"]["Name"]
        ),
        (&json!("Responded"), &json!("Webinar"))
    );
    assert_eq!(answer["records"][1]["CampaignMembers"], json!(null));

    for (soql, code, says) in [
        (
            "SELECT Id FROM Lead WHERE LastName IN (SELECT LeadId FROM CampaignMember)",
            "MALFORMED_QUERY",
            "must be an id or a reference",
        ),
        (
            "SELECT Id FROM Lead WHERE Id IN (SELECT Id, LeadId FROM CampaignMember)",
            "MALFORMED_QUERY",
            "selects one field",
        ),
        (
            "SELECT Id, (SELECT Id FROM Nopes) FROM Lead",
            "INVALID_TYPE",
            "Didn't understand relationship 'Nopes'",
        ),
        (
            "SELECT Id FROM Lead WHERE Id IN (SELECT LeadId FROM CampaignMember WHERE Id IN (SELECT Id FROM CampaignMember))",
            "MALFORMED_QUERY",
            "a subquery cannot hold a subquery",
        ),
    ] {
        org.query(soql).await.assert_refused(400, code, says);
    }
}

#[tokio::test]
async fn a_poll_by_stamp_and_id_reads_every_row_once() {
    let org = TestOrg::start().await;
    let mut expect = Vec::new();
    for batch in 0..3 {
        for number in 0..3 {
            expect.push(
                org.lead(json!({ "LastName": format!("{batch}{number}") }))
                    .await,
            );
        }
        org.clock.advance(std::time::Duration::from_secs(60));
    }
    let mut seen: Vec<String> = Vec::new();
    let mut from = "SystemModstamp >= 2026-03-01T10:00:00Z".to_owned();
    loop {
        let soql = format!(
            "SELECT Id, SystemModstamp FROM Lead WHERE {from} ORDER BY SystemModstamp, Id LIMIT 2"
        );
        let answer = org.query(&soql).await.json();
        let rows = answer["records"].as_array().unwrap().clone();
        let Some(last) = rows.last() else { break };
        let text = |name: &str| last[name].as_str().unwrap().to_owned();
        let stamp = text("SystemModstamp").replace("+0000", "Z");
        from = format!(
            "(SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > '{}'))",
            text("Id")
        );
        seen.extend(
            rows.iter()
                .map(|row| row["Id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(seen, expect);

    // As many addresses as an IN of a poll holds.
    let emails: Vec<String> = (0..500).map(|at| format!("'a{at}@example.com'")).collect();
    org.lead(json!({ "Email": "a499@example.com" })).await;
    let soql = format!(
        "SELECT Id FROM Lead WHERE Email IN ({}) AND IsDeleted = false",
        emails.join(",")
    );
    let encoded: String = form_urlencoded::byte_serialize(soql.as_bytes()).collect();
    let body = json!({ "compositeRequest": [{ "method": "GET", "url": format!("/services/data/v62.0/query?q={encoded}"), "referenceId": "q" }] });
    let answer = org.send("POST", "composite", body).await.json();
    assert_eq!(answer["compositeResponse"][0]["body"]["totalSize"], 1);
}
