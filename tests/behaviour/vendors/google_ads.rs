//! Google Ads: the webhook of lead forms, and `googleAds:search`.

use serde_json::{Map, Value, json};

use super::stand_in_b::{
    Answer, Person, Request, START, Source, Stage, Tokens, Vendor, answer, time,
};

const CUSTOMER: &str = "4000000002";
/// The account is in New York, which is five hours behind in March's first week.
const ZONE_HOURS: i64 = 5;

struct GoogleAds {
    tokens: Tokens,
    rows: Vec<(i64, Value)>,
    /// 10,000 at the vendor.
    page: usize,
    page_tokens: Vec<(String, usize)>,
    /// Shows up once the second page was asked for.
    late: Option<(i64, Value)>,
}

fn failure(status: u16, name: &str, kind: &str, code: &str) -> Answer {
    let details = json!([{
        "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
        "errors": [{ "errorCode": { kind: code }, "message": code }], "requestId": "r",
    }]);
    answer(
        status,
        json!({ "error": { "code": status, "message": code, "status": name, "details": details } }),
    )
}

impl Vendor for GoogleAds {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.path == "/token" {
            return self.tokens.answer(request);
        }
        let invalid = |kind: &str, code: &str| failure(400, "INVALID_ARGUMENT", kind, code);
        if request.path != format!("/v26/customers/{CUSTOMER}/googleAds:search")
            || request.method != "POST"
        {
            return invalid("requestError", "UNSUPPORTED_VERSION");
        }
        if !self.tokens.good(request) {
            return failure(
                401,
                "UNAUTHENTICATED",
                "authenticationError",
                "OAUTH_TOKEN_EXPIRED",
            );
        }
        if request.header("developer-token") != "the-developer-token" {
            return invalid("headerError", "DEVELOPER_TOKEN_PARAMETER_MISSING");
        }
        if request.header("login-customer-id") != "9000000001" {
            return failure(
                403,
                "PERMISSION_DENIED",
                "authorizationError",
                "USER_PERMISSION_DENIED",
            );
        }
        let body: Map<String, Value> = serde_json::from_slice(&request.body).unwrap();
        if body.contains_key("pageSize") {
            return invalid("requestError", "PAGE_SIZE_NOT_SUPPORTED");
        }
        assert!(
            body.keys()
                .all(|key| ["query", "pageToken"].contains(&key.as_str())),
            "{body:?}"
        );
        let query = body["query"].as_str().unwrap();
        let Some(selection) = Selection::of(query) else {
            return invalid("queryError", "UNEXPECTED_INPUT");
        };
        let from = match body.get("pageToken").and_then(Value::as_str) {
            None | Some("") => 0,
            Some(token) => {
                let known = token
                    .parse::<usize>()
                    .ok()
                    .and_then(|n| self.page_tokens.get(n));
                match known {
                    Some((same, from)) if same == query => *from,
                    _ => return invalid("requestError", "INVALID_PAGE_TOKEN"),
                }
            }
        };
        if from > 0 {
            self.rows.extend(self.late.take());
        }
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|(at, _)| *at > request.now - 60 * 86400)
            .filter(|(at, _)| local(*at) >= selection.from)
            .collect();
        if selection.ordered {
            rows.sort_by_key(|(at, _)| *at);
        }
        let page: Vec<_> = rows
            .iter()
            .skip(from)
            .take(self.page)
            .map(|(_, row)| selection.apply(row))
            .collect();
        let mut body = json!({ "fieldMask": "…", "requestId": "r" });
        if !page.is_empty() {
            body["results"] = page.into();
        }
        if rows.len() > from + self.page {
            body["nextPageToken"] = self.page_tokens.len().to_string().into();
            self.page_tokens.push((query.to_owned(), from + self.page));
        }
        answer(200, body)
    }
}

/// As filters are read: in the account's zone, without an offset.
fn local(at: i64) -> String {
    time(at - ZONE_HOURS * 3600, "%Y-%m-%d %H:%M:%S")
}

struct Selection {
    fields: Vec<String>,
    from: String,
    ordered: bool,
}

impl Selection {
    fn of(query: &str) -> Option<Self> {
        let (fields, rest) = query.strip_prefix("SELECT ")?.split_once(" FROM ")?;
        let rest = rest.strip_prefix("lead_form_submission_data WHERE ")?;
        let (condition, order) = rest.split_once(" ORDER BY ").unwrap_or((rest, ""));
        let from = condition
            .strip_prefix("lead_form_submission_data.submission_date_time >= '")?
            .strip_suffix('\'')?;
        let shape: String = from
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        (shape == "0000-00-00 00:00:00").then(|| Self {
            fields: fields
                .split(',')
                .map(|field| field.trim().to_owned())
                .collect(),
            from: from.to_owned(),
            ordered: order.starts_with("lead_form_submission_data.submission_date_time"),
        })
    }

    /// Only what was selected, and names of resources, are given.
    fn apply(&self, row: &Value) -> Value {
        let mut given = json!({});
        for field in &self.fields {
            let (resource, name) = field.split_once('.').unwrap();
            let (resource, name) = (camel(resource), camel(name));
            let value = &row[&resource][&name];
            given[&resource]["resourceName"] = row[&resource]["resourceName"].clone();
            if !value.is_null() {
                given[&resource][&name] = value.clone();
            }
        }
        given
    }
}

fn camel(name: &str) -> String {
    let mut up = false;
    name.chars()
        .filter_map(|c| {
            let shown = if up { c.to_ascii_uppercase() } else { c };
            up = c == '_';
            (!up).then_some(shown)
        })
        .collect()
}

fn row(i: usize, at: i64) -> (i64, Value) {
    let person = Person::nth(i);
    let id = (9_007_199_254_740_993 + i as u64).to_string();
    let fields = json!([
        { "fieldType": "FULL_NAME", "fieldValue": person.full() },
        { "fieldType": "EMAIL", "fieldValue": format!("private{i}@gmail.example") },
        { "fieldType": "WORK_EMAIL", "fieldValue": person.email },
        { "fieldType": "PHONE_NUMBER", "fieldValue": person.phone },
        { "fieldType": "COMPANY_NAME", "fieldValue": person.company },
        { "fieldType": "JOB_TITLE", "fieldValue": "CMO" },
    ]);
    let data = json!({
        "resourceName": format!("customers/{CUSTOMER}/leadFormSubmissionData/{id}"), "id": id,
        "asset": format!("customers/{CUSTOMER}/assets/61"),
        "campaign": format!("customers/{CUSTOMER}/campaigns/20512340001"),
        "gclid": format!("Cj0-{i}"), "submissionDateTime": format!("{}-05:00", local(at)),
        "leadFormSubmissionFields": fields,
        "customLeadFormSubmissionFields": [{ "questionText": "Which product? 🚀", "fieldValue": "größer" }],
    });
    let campaign = json!({
        "resourceName": format!("customers/{CUSTOMER}/campaigns/20512340001"),
        "id": "20512340001", "name": "Brand & Herbst",
    });
    (
        at,
        json!({ "leadFormSubmissionData": data, "campaign": campaign }),
    )
}

fn vendor(rows: Vec<(i64, Value)>) -> GoogleAds {
    GoogleAds {
        tokens: Tokens::new("the-refresh-token", 3599),
        rows,
        page: 60,
        page_tokens: Vec::new(),
        late: None,
    }
}

/// Leads of one second are as many as straddle the pages' borders.
fn rows(count: usize) -> Vec<(i64, Value)> {
    (0..count)
        .map(|i| row(i, START - 40 * 86400 + (i / 25) as i64 * 200))
        .collect()
}

async fn stage(vendor: GoogleAds) -> Stage<GoogleAds> {
    let source = Source {
        connector: "google-ads",
        base: "",
        token_url: true,
        secrets: &[
            ("google_key", "the-key-in-the-form"),
            ("webhook_secret", "url-secret-of-ours"),
            ("developer_token", "the-developer-token"),
            ("client_secret", "the-client-secret"),
            ("refresh_token", "the-refresh-token"),
        ],
        lines: r#"
            client_id = "the-client"
            customer_ids = ["4000000002"]
            login_customer_id = "9000000001"
            account_time_zone = "America/New_York"
        "#,
        fields: &[
            ("Gclid", "gclid"),
            ("Campaign", "utm_campaign"),
            ("Product", "which_product"),
        ],
    };
    Stage::with(vendor, source).await
}

#[tokio::test]
async fn all_pages_are_read_and_each_lead_once() {
    let mut google = vendor(rows(250));
    google.late = Some(row(250, START - 40 * 86400 + 3));
    let stage = stage(google).await;
    stage.leads(251).await;
    stage.assert_people(0..251);
    let lead = stage.lead("p7@firm7.example");
    assert_eq!(lead["Title"], "CMO");
    assert_eq!(lead["Gclid__c"], "Cj0-7");
    assert_eq!(lead["Campaign__c"], "Brand & Herbst");
    assert_eq!(lead["Product__c"], "größer");
    // Late by minutes, and two at one second as the last one known.
    let now = stage.now();
    stage
        .vendor
        .lock()
        .rows
        .extend([row(251, now - 1000), row(252, now), row(253, now)]);
    stage.poll().await;
    stage.leads(254).await;
    let accepted = stage.accepted().await;
    stage.poll().await;
    assert_eq!(stage.accepted().await, accepted);
}

#[tokio::test]
async fn tokens_are_renewed_and_throttling_and_faults_are_waited_for() {
    let stage = stage(vendor(rows(130))).await;
    stage.leads(130).await;
    let now = stage.now();
    stage.vendor.lock().tokens.revoke();
    stage.vendor.lock().rows.push(row(130, now));
    stage.poll().await;
    stage.leads(131).await;

    let mut throttled = failure(
        429,
        "RESOURCE_EXHAUSTED",
        "quotaError",
        "RESOURCE_TEMPORARILY_EXHAUSTED",
    );
    let mut body: Value = serde_json::from_str(&throttled.body).unwrap();
    body["error"]["details"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s" }));
    throttled.body = body.to_string();
    stage.trouble.lock().extend([
        throttled,
        failure(500, "INTERNAL", "internalError", "INTERNAL_ERROR"),
        failure(503, "UNAVAILABLE", "internalError", "TRANSIENT_ERROR"),
    ]);
    stage.vendor.lock().rows.push(row(131, now + 1));
    stage.poll().await;
    stage.leads(132).await;
    // The token ends by itself.
    stage
        .test
        .clock
        .advance(std::time::Duration::from_secs(3700));
    stage.vendor.lock().rows.push(row(132, now + 2));
    stage.leads(133).await;
}

fn delivery(i: usize, change: impl FnOnce(&mut Value)) -> String {
    let person = Person::nth(i);
    let mut body = json!({
        "lead_id": (9_007_199_254_740_993 + i as u64).to_string(), "api_version": "1.0",
        "form_id": 9_007_199_254_740_995_u64, "campaign_id": 20_512_340_001_u64, "adgroup_id": 0, "creative_id": 0,
        "google_key": "the-key-in-the-form", "gcl_id": format!("Cj0-{i}"), "is_test": false,
        "lead_stage": "NEW", "lead_submit_time": "2026-03-01T09:59:00Z", "added_since": [1],
        "user_column_data": [
            { "column_id": "FULL_NAME", "string_value": person.full() },
            { "column_id": "WORK_EMAIL", "string_value": person.email },
            { "column_id": "EMAIL", "string_value": format!("private{i}@gmail.example") },
            { "column_id": "PHONE_NUMBER", "string_value": person.phone },
            { "column_id": "COMPANY_NAME", "string_value": person.company },
            { "column_id": "which_product_🚀", "string_value": "größer & 速い" },
        ],
    });
    change(&mut body);
    body.to_string()
}

#[tokio::test]
async fn a_delivery_is_a_lead_if_both_secrets_are_right_and_the_poll_adds_nothing() {
    let stage = stage(vendor(Vec::new())).await;
    let json = [("content-type", "application/json")];
    let good = delivery(1, |_| {});
    for (after, body) in [
        ("", good.clone()),
        ("/another", good.clone()),
        (
            "/url-secret-of-ours",
            delivery(1, |body| body["google_key"] = "another".into()),
        ),
        (
            "/url-secret-of-ours",
            delivery(1, |body| {
                body.as_object_mut().unwrap().remove("google_key");
            }),
        ),
    ] {
        let (status, text) = stage.hook(after, &json, body).await;
        assert!([401, 403].contains(&status), "{status} {text}");
    }
    let (status, _) = stage
        .hook("/url-secret-of-ours", &json, "{\"lead_id\":")
        .await;
    assert!([400, 401, 403].contains(&status), "{status}");
    assert_eq!(stage.accepted().await, 0);

    let (status, text) = stage.hook("/url-secret-of-ours", &json, good.clone()).await;
    assert_eq!((status, text.as_str()), (200, "{}"));
    let (status, _) = stage.hook("/url-secret-of-ours", &json, good).await;
    assert_eq!(status, 200);
    stage.leads(1).await;
    stage.assert_people(1..2);
    let test_lead = delivery(2, |body| body["is_test"] = true.into());
    let (status, text) = stage.hook("/url-secret-of-ours", &json, test_lead).await;
    assert_eq!((status, text.as_str()), (200, "{}"));

    stage.vendor.lock().rows.push(row(1, START - 60));
    stage.poll().await;
    stage.leads(1).await;
    let books = stage.test.audit().await;
    assert_eq!(
        books
            .values()
            .map(|line| line.ends.get(&leadstream::model::End::Synced))
            .max(),
        Some(Some(&1)),
        "{books:?}"
    );
}
