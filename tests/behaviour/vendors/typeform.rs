//! Typeform: signed responses, and a list that is walked by `since` and `before`.

use std::time::Duration;

use leadstream::model::End;
use serde_json::{Value, json};

use super::stand_in_b::{
    Answer, Person, Request, START, Source, Stage, Tokens, Vendor, answer, base64, hex,
    hmac_sha256, time,
};

const SECRET: &str = "a-secret-of-twenty-letters";

struct Typeform {
    /// In the order of processing, oldest first.
    items: Vec<(i64, Value)>,
    /// Shows up once a second page was asked for.
    late: Option<(i64, Value)>,
    /// 1,000 at the vendor.
    most: usize,
    personal: &'static str,
    tokens: Tokens,
    /// When the latest requests came, in seconds.
    recent: Vec<i64>,
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, json!({ "code": code, "description": code }))
}

fn since(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let at: jiff::Timestamp = format!("{}Z", text.trim_end_matches('Z')).parse().ok()?;
        Some(at.as_second())
    })
}

impl Vendor for Typeform {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.path == "/token" {
            return self.tokens.answer(request);
        }
        if request.bearer() != self.personal && !self.tokens.good(request) {
            // The body can be empty.
            return Answer {
                status: 401,
                headers: Vec::new(),
                body: String::new(),
            };
        }
        self.recent.retain(|at| *at == request.now);
        self.recent.push(request.now);
        if self.recent.len() > 2 {
            return error(429, "TOO_MANY_REQUESTS").with("retry-after", "1");
        }
        if request.path == "/forms/aB3dE5" {
            let mut form = definition();
            form["hidden"] = json!(["utm_source", "gclid"]);
            return answer(200, form);
        }
        if request.path != "/forms/aB3dE5/responses" || request.method != "GET" {
            return error(404, "FORM_NOT_FOUND");
        }
        let query = request.query();
        let known = [
            "page_size",
            "since",
            "until",
            "after",
            "before",
            "sort",
            "response_type",
            "completed",
            "included_response_ids",
            "excluded_response_ids",
            "query",
            "fields",
            "answered_fields",
        ];
        assert!(
            query.keys().all(|name| known.contains(&name.as_str())),
            "{query:?}"
        );
        let page_size = query
            .get("page_size")
            .map_or(Ok(25), |size| size.parse::<usize>());
        let from = query.get("since").map_or(Some(0), |text| since(text));
        let (Ok(page_size @ 1..=1000), Some(from)) = (page_size, from) else {
            return error(400, "VALIDATION_ERROR");
        };
        if query.contains_key("sort")
            && (query.contains_key("before") || query.contains_key("after"))
        {
            return error(400, "VALIDATION_ERROR");
        }
        let kinds = query
            .get("response_type")
            .map_or("completed", String::as_str);
        let page_size = page_size.min(self.most);
        if query.contains_key("before") {
            self.items.extend(self.late.take());
        }
        let mut found: Vec<_> = self
            .items
            .iter()
            .rev()
            .filter(|(at, item)| {
                let partial = item["response_type"] == "partial";
                *at >= from
                    && kinds
                        .split(',')
                        .any(|kind| kind == if partial { "partial" } else { "completed" })
            })
            .collect();
        // A token that does not exist is not refused but ignored.
        let before = query.get("before");
        if let Some(position) =
            before.and_then(|token| found.iter().position(|(_, item)| item["token"] == **token))
        {
            found.drain(..=position);
        }
        let items: Vec<_> = found
            .iter()
            .take(page_size)
            .map(|(_, item)| item.clone())
            .collect();
        answer(
            200,
            json!({ "total_items": found.len(), "page_count": found.len().div_ceil(page_size), "items": items }),
        )
    }
}

const QUESTIONS: &[(&str, &str, &str, &str)] = &[
    ("f1Name", "full_name", "short_text", "Your name?"),
    (
        "f2Mail",
        "work_email",
        "email",
        "Work e-mail, {{field:full_name}}?",
    ),
    (
        "f3Tel",
        "7f0c8e70-aaaa-bbbb-cccc-000000000001",
        "phone_number",
        "How do we reach you?",
    ),
    ("f4Firm", "company", "short_text", "Where do you work?"),
    ("f5Use", "use_case", "multiple_choice", "What for?"),
    ("f6Ok", "consent", "legal", "May we write to you?"),
];

fn definition() -> Value {
    let fields: Vec<_> = QUESTIONS
        .iter()
        .map(|(id, reference, kind, title)| json!({ "id": id, "ref": reference, "type": kind, "title": title }))
        .collect();
    json!({ "id": "aB3dE5", "title": "Book a demo", "fields": fields })
}

fn token(i: usize) -> String {
    format!("k7m2example9q0token1x5y8{i:08}")
}

fn answers(i: usize) -> Value {
    let person = Person::nth(i);
    let values = [
        ("text", json!(person.full())),
        ("email", json!(person.email)),
        ("phone_number", json!(person.phone)),
        ("text", json!(person.company)),
        (
            "choices",
            json!({ "ids": ["c1"], "refs": ["crm"], "labels": ["CRM"], "other": "größer & 速い" }),
        ),
        ("boolean", json!(true)),
    ];
    let answers: Vec<_> = QUESTIONS
        .iter()
        .zip(values)
        .map(|((id, reference, field, _), (kind, value))| {
            json!({ "type": kind, kind: value, "field": { "id": id, "ref": reference, "type": field } })
        })
        .collect();
    answers.into()
}

fn item(i: usize, at: i64) -> (i64, Value) {
    let mut item = json!({
        "landing_id": token(i), "token": token(i), "response_id": token(i), "response_type": "completed",
        "landed_at": time(at - 60, "%Y-%m-%dT%H:%M:%SZ"), "submitted_at": time(at, "%Y-%m-%dT%H:%M:%SZ"),
        "metadata": { "user_agent": "x", "platform": "other", "network_id": "n", "browser": "default",
            "referer": format!("https://acme.typeform.com/to/aB3dE5?utm_campaign=spring-2026&gclid=Cj0-{i}") },
        "answers": answers(i), "tags": [],
    });
    if i.is_multiple_of(2) {
        item["hidden"] = json!({ "utm_source": "newsletter", "gclid": "" });
    }
    (at, item)
}

fn items(count: usize) -> Vec<(i64, Value)> {
    (0..count)
        .map(|i| item(i, START - 86400 + (i / 45) as i64))
        .collect()
}

fn vendor(items: Vec<(i64, Value)>) -> Typeform {
    let mut tokens = Tokens::new("the-first-refresh-token", 604_800);
    tokens.rotates = true;
    Typeform {
        items,
        late: None,
        most: 100,
        personal: "tfp_example",
        tokens,
        recent: Vec::new(),
    }
}

async fn stage(vendor: Typeform, secrets: &[(&str, &str)], lines: &str) -> Stage<Typeform> {
    let lines = format!(
        "form_id = \"aB3dE5\"\n{lines}\n[sources.v.fields]\nconsent = \"answer.consent\"\n"
    );
    let source = Source {
        connector: "typeform",
        token_url: true,
        secrets,
        lines: &lines,
        fields: &[
            ("Source", "utm_source"),
            ("Campaign", "utm_campaign"),
            ("Gclid", "gclid"),
            ("UseCase", "what_for"),
        ],
        ..Source::default()
    };
    Stage::with(vendor, source).await
}

const PERSONAL: &[(&str, &str)] = &[
    ("personal_token", "tfp_example"),
    ("webhook_secret", SECRET),
];

#[tokio::test]
async fn all_pages_are_read_and_what_shows_up_late_too() {
    let mut typeform = vendor(items(250));
    typeform.late = Some(item(250, START - 600));
    let (at, mut partial) = item(900, START - 900);
    partial["response_type"] = "partial".into();
    partial.as_object_mut().unwrap().remove("submitted_at");
    typeform.items.push((at, partial));
    let (at, mut silent) = item(901, START - 900);
    silent["answers"] = Value::Null;
    typeform.items.push((at, silent));
    let stage = stage(typeform, PERSONAL, "").await;
    stage
        .test
        .until("most leads", async || stage.test.leads().len() >= 250)
        .await;
    stage.poll().await;
    stage.leads(251).await;
    stage.assert_people(0..251);
    let lead = stage.lead("p8@firm8.example");
    // UTM parameters of two places are never mixed; a blank click id is none.
    assert_eq!(lead["Source__c"], "newsletter");
    assert!(lead.get("Campaign__c").is_none_or(Value::is_null));
    assert_eq!(lead["Gclid__c"], "Cj0-8");
    assert_eq!(stage.lead("p7@firm7.example")["Campaign__c"], "spring-2026");
    assert!(
        lead["UseCase__c"].as_str().unwrap().contains("größer"),
        "{lead:?}"
    );
    // About half an hour late, with its true time.
    let now = stage.now();
    stage
        .vendor
        .lock()
        .items
        .extend([item(251, now), item(252, now - 1800), item(253, now)]);
    stage.poll().await;
    stage.leads(254).await;
}

#[tokio::test]
async fn rotated_refresh_tokens_are_kept_over_a_restart() {
    let mut typeform = vendor(items(5));
    typeform.personal = "none";
    let mut stage = stage(
        typeform,
        &[
            ("client_secret", "the-client-secret"),
            ("refresh_token", "the-first-refresh-token"),
        ],
        "client_id = \"the-client\"",
    )
    .await;
    stage.leads(5).await;
    for round in 0..3 {
        stage.vendor.lock().tokens.revoke();
        if round == 1 {
            stage.test.stop().await;
            stage.test.run().await;
        }
        let now = stage.now();
        stage.vendor.lock().items.push(item(5 + round, now));
        stage.poll().await;
        stage.leads(6 + round).await;
    }
    assert_eq!(stage.vendor.lock().tokens.given.len(), 4);
}

#[tokio::test]
async fn throttling_and_faults_are_waited_for() {
    let stage = stage(vendor(items(5)), PERSONAL, "").await;
    stage.leads(5).await;
    stage.trouble.lock().extend([
        error(429, "TOO_MANY_REQUESTS").with("retry-after", "45"),
        error(500, "INTERNAL"),
        error(503, "UNAVAILABLE"),
    ]);
    let now = stage.now();
    let asked = stage.log.lock().len();
    stage.vendor.lock().items.push(item(5, now));
    stage.test.clock.advance(Duration::from_secs(60));
    stage.leads(6).await;
    let log = stage.log.lock();
    assert!(log[asked + 1].now - log[asked].now >= 45, "{log:?}");
}

fn delivery(i: usize, kind: &str) -> String {
    let mut response = json!({
        "form_id": "aB3dE5", "token": token(i), "landed_at": "2026-03-01T09:58:00Z",
        "submitted_at": "2026-03-01T09:59:00Z", "hidden": { "utm_source": "newsletter", "gclid": "xxxxx" },
        "definition": definition(), "answers": answers(i), "ending": { "id": "e", "ref": "e" },
    });
    if kind != "form_response" {
        response.as_object_mut().unwrap().remove("submitted_at");
    }
    json!({ "event_id": format!("01J9{i}"), "event_type": kind, "form_response": response })
        .to_string()
}

#[tokio::test]
async fn a_signed_response_is_a_lead_and_the_poll_adds_nothing() {
    let stage = stage(vendor(Vec::new()), PERSONAL, "").await;
    let sign = |body: &str| format!("sha256={}", base64(&hmac_sha256(SECRET, body.as_bytes())));
    let body = delivery(1, "form_response");
    let in_hex = format!("sha256={}", hex(&hmac_sha256("another", body.as_bytes())));
    for signature in [None, Some(sign("{}")), Some(in_hex)] {
        let headers: Vec<_> = signature
            .iter()
            .map(|s| ("typeform-signature", s.as_str()))
            .collect();
        let (status, _) = stage.hook("", &headers, body.clone()).await;
        assert_eq!(status, 401);
    }
    assert_eq!(stage.accepted().await, 0);
    let partial = delivery(1, "form_response_partial");
    for body in [&partial, &body, &body] {
        let (status, _) = stage
            .hook("", &[("typeform-signature", &sign(body))], body.as_str())
            .await;
        assert_eq!(status, 200);
    }
    stage.leads(1).await;
    stage.assert_people(1..2);
    let lead = stage.lead("p1@firm1.example");
    assert_eq!(lead["Source__c"], "newsletter");
    assert!(lead.get("Gclid__c").is_none_or(Value::is_null), "{lead:?}");
    stage.vendor.lock().items.push(item(1, START - 60));
    stage.poll().await;
    stage.leads(1).await;
    assert!(stage.test.dead_letters().await.is_empty());
    assert_eq!(
        stage.test.ends(End::Synced).await,
        1,
        "{:?}",
        stage.test.audit().await
    );
}
