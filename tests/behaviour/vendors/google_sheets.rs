//! Google Sheets: ranges without a cursor, in a sheet that people sort, insert into and delete from.

use serde_json::{Value, json};

use super::stand_in_b::{
    Answer, Person, Request, Source, Stage, Tokens, Vendor, answer, service_account_key,
};

const SHEET: &str = "1AbCdExampleSpreadsheet";

struct GoogleSheets {
    tokens: Tokens,
    rows: Vec<Value>,
}

fn error(status: u16, name: &str, message: &str) -> Answer {
    answer(
        status,
        json!({ "error": { "code": status, "message": message, "status": name } }),
    )
}

impl Vendor for GoogleSheets {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.path == "/token" {
            return self.tokens.answer(request);
        }
        if !self.tokens.good(request) {
            return error(401, "UNAUTHENTICATED", "…");
        }
        let Some(range) = request
            .path
            .strip_prefix(&format!("/v4/spreadsheets/{SHEET}/values/"))
        else {
            return error(404, "NOT_FOUND", "Requested entity was not found.");
        };
        if range.split('!').next() != Some("'Leads 2026'") || request.method != "GET" {
            return error(400, "INVALID_ARGUMENT", "Unable to parse range: …");
        }
        let query = request.query();
        let known = [
            "majorDimension",
            "valueRenderOption",
            "dateTimeRenderOption",
        ];
        if query.keys().any(|name| !known.contains(&name.as_str()))
            || query
                .get("majorDimension")
                .is_some_and(|dimension| dimension != "ROWS")
        {
            return error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.");
        }
        let is_raw = query
            .get("valueRenderOption")
            .is_some_and(|option| option == "UNFORMATTED_VALUE");
        let shown = |cell: &Value| match cell {
            Value::String(_) => cell.clone(),
            cell if is_raw => cell.clone(),
            Value::Bool(yes) => json!(if *yes { "TRUE" } else { "FALSE" }),
            Value::Number(number) if number.is_f64() => json!("3/2/2026 9:14:07"),
            cell => json!(cell.to_string()),
        };
        let mut rows: Vec<Vec<Value>> = self
            .rows
            .iter()
            .map(|row| {
                let mut row: Vec<_> = row.as_array().unwrap().iter().map(shown).collect();
                while row.last().is_some_and(|cell| cell == "") {
                    row.pop();
                }
                row
            })
            .collect();
        while rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        let mut body = json!({ "range": "'Leads 2026'!A1:Z1000", "majorDimension": "ROWS" });
        if !rows.is_empty() {
            body["values"] = rows.into();
        }
        answer(200, body)
    }
}

fn header() -> Value {
    json!([
        "Zeitstempel",
        " Full  Name ",
        "E-Mail",
        "Phone",
        "Company",
        "Email",
        "Topic",
        "utm_source"
    ])
}

fn row(i: usize) -> Value {
    let person = Person::nth(i);
    // The day of the poll's start is 46082; many share a time.
    let at = 46_050.25 + (i / 30) as f64 / 10.0;
    let topic = ["#N/A", "größer & 速い", ""][i % 3];
    let source = if i.is_multiple_of(4) { "" } else { "linkedin" };
    json!([
        at,
        person.full(),
        person.email,
        person.phone,
        person.company,
        "",
        topic,
        source
    ])
}

async fn stage(count: usize) -> Stage<GoogleSheets> {
    let mut rows = vec![header()];
    rows.extend((0..count).map(row));
    rows.insert(3, json!([]));
    let mut tokens = Tokens::new("none", 3599);
    tokens.scope = "https://www.googleapis.com/auth/spreadsheets.readonly";
    let source = Source {
        connector: "google-sheets",
        token_url: true,
        secrets: &[
            ("service_account_key", &service_account_key()),
            ("webhook_secret", "channel-token-of-ours"),
        ],
        lines: r#"
            spreadsheet_id = "1AbCdExampleSpreadsheet"
            range = "'Leads 2026'"
            time_zone = "Europe/Berlin"
            timestamp_column = "Zeitstempel"
        "#,
        fields: &[("Topic", "Topic"), ("Source", "utm_source")],
        ..Source::default()
    };
    Stage::with(GoogleSheets { tokens, rows }, source).await
}

#[tokio::test]
async fn rows_are_read_once_however_they_are_moved() {
    let stage = stage(220).await;
    stage.leads(220).await;
    stage.assert_people(0..220);
    let lead = stage.lead("p7@firm7.example");
    assert_eq!(lead["Topic__c"], "größer & 速い");
    assert_eq!(lead["Source__c"], "linkedin");
    // An error is no value.
    assert!(
        stage
            .lead("p6@firm6.example")
            .get("Topic__c")
            .is_none_or(Value::is_null)
    );

    let accepted = stage.accepted().await;
    // Sorted the other way, with a row on top, one taken out, and one at the end.
    {
        let mut vendor = stage.vendor.lock();
        vendor.rows.remove(50);
        vendor.rows[1..].reverse();
        vendor.rows.insert(1, row(220));
        vendor.rows.extend([json!([]), row(221)]);
    }
    stage.poll().await;
    stage.leads(222).await;
    assert_eq!(stage.accepted().await, accepted + 2);

    // A column in the middle moves all others; nobody is new.
    {
        let mut vendor = stage.vendor.lock();
        for (i, row) in vendor.rows.iter_mut().enumerate() {
            let cells = row.as_array_mut().unwrap();
            if !cells.is_empty() {
                cells.insert(2, if i == 0 { json!("Notes") } else { json!("") });
            }
        }
        vendor.rows.push(json!([
            46_082.5,
            "Zoë Fox",
            "",
            "zoe@fox.example",
            "",
            "Fox & Söhne"
        ]));
    }
    stage.poll().await;
    stage.leads(223).await;
    // Momentarily empty, as with IMPORTRANGE.
    let rows = std::mem::take(&mut stage.vendor.lock().rows);
    stage.poll().await;
    stage.vendor.lock().rows = rows;
    stage.poll().await;
    stage.leads(223).await;
}

#[tokio::test]
async fn quotas_faults_and_tokens_that_end_are_waited_for() {
    let stage = stage(10).await;
    stage.leads(10).await;
    stage.vendor.lock().tokens.revoke();
    stage.trouble.lock().extend([
        error(429, "RESOURCE_EXHAUSTED", "Quota exceeded"),
        error(429, "RESOURCE_EXHAUSTED", "Quota exceeded"),
        error(503, "UNAVAILABLE", "…"),
    ]);
    stage.vendor.lock().rows.push(row(10));
    stage.poll().await;
    stage.leads(11).await;
}

#[tokio::test]
async fn a_notice_polls_at_once_if_it_brings_the_token() {
    let stage = stage(3).await;
    stage.leads(3).await;
    stage.poll().await;
    stage.vendor.lock().rows.push(row(3));
    let state = ("x-goog-resource-state", "update");
    for headers in [
        vec![state],
        vec![state, ("x-goog-channel-token", "another")],
    ] {
        let (status, _) = stage.hook("", &headers, "").await;
        assert!([401, 403].contains(&status), "{status}");
    }
    let asked = stage.asked("/values/");
    let (status, _) = stage
        .hook(
            "",
            &[state, ("x-goog-channel-token", "channel-token-of-ours")],
            "",
        )
        .await;
    assert!((200..300).contains(&status), "{status}");
    let before = stage.now();
    stage
        .test
        .until("the sheet is asked", async || {
            stage.asked("/values/") > asked
        })
        .await;
    assert!(stage.now() - before < 40);
    stage.leads(4).await;
}
