//! LinkedIn: notices with a signature over a prefix, leads read by id, and offset paging, newest
//! first, in the Rest.li query language.

use leadstream::model::End;
use serde_json::{Value, json};

use super::stand_in_b::{
    Answer, Person, Request, START, Source, Stage, Tokens, Vendor, answer, hex, hmac_sha256,
};

const SECRET: &str = "the-client-secret";

struct LinkedIn {
    tokens: Tokens,
    /// Milliseconds of submission and the lead.
    leads: Vec<(i64, Value)>,
    /// Comes in while the first page was read.
    late: Option<(i64, Value)>,
    /// A lead is not readable the first so many times.
    hidden_for: u32,
}

fn error(status: u16, code: &str, service: u32) -> Answer {
    answer(
        status,
        json!({ "status": status, "code": code, "message": code, "serviceErrorCode": service }),
    )
}

const FIELDS: &[&str] = &[
    "ownerInfo",
    "associatedEntityInfo",
    "leadMetadataInfo",
    "owner",
    "associatedEntity",
    "leadMetadata",
    "submitter",
    "leadType",
    "versionedLeadGenFormUrn",
    "id",
    "submittedAt",
    "testLead",
    "formResponse",
    "form",
];

/// The names before parentheses: `id,form:(name,id)` asks for `id` and `form`.
fn top_names(fields: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![String::new()];
    for c in fields.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            ':' => {}
            c if depth == 0 => names.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    names
}

fn pick(lead: &Value, fields: Option<&str>) -> Value {
    let plain =
        "owner,submitter,leadType,versionedLeadGenFormUrn,id,submittedAt,testLead,formResponse";
    let names = top_names(fields.unwrap_or(plain));
    let members = lead.as_object().unwrap().iter();
    members
        .filter(|(name, _)| names.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Vendor for LinkedIn {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.path == "/token" {
            return self.tokens.answer(request);
        }
        if !self.tokens.good(request) {
            return error(401, "EXPIRED_ACCESS_TOKEN", 65602);
        }
        let version = request.header("linkedin-version");
        if version.is_empty() {
            return error(400, "VERSION_MISSING", 0);
        }
        if !("202512".."202613").contains(&version) || version.len() != 6 {
            return error(426, "NONEXISTENT_VERSION", 0);
        }
        if request.header("x-restli-protocol-version") != "2.0.0" || request.method != "GET" {
            return error(400, "ILLEGAL_ARGUMENT", 0);
        }
        let pairs: Vec<(&str, &str)> = request
            .raw_query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        let get = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1);
        // Structure stays bare: a client that encodes the whole query is refused.
        for (name, value) in &pairs {
            if *name != "owner" && value.contains('%') {
                return error(400, "ILLEGAL_ARGUMENT", 0);
            }
        }
        if let Some(names) = get("fields") {
            let names = top_names(names);
            assert!(
                names.iter().all(|name| FIELDS.contains(&name.as_str())),
                "{names:?}"
            );
        }
        if let Some(id) = request.path.strip_prefix("/rest/leadFormResponses/") {
            let lead = self.leads.iter().find(|(_, lead)| lead["id"] == id);
            return match lead {
                Some((_, lead)) if self.hidden_for == 0 => answer(200, pick(lead, get("fields"))),
                _ => {
                    self.hidden_for = self.hidden_for.saturating_sub(1);
                    error(404, "NOT_FOUND", 0)
                }
            };
        }
        if request.path != "/rest/leadFormResponses" {
            return error(404, "RESOURCE_NOT_FOUND", 0);
        }
        let known = [
            "q",
            "owner",
            "leadType",
            "limitedToTestLeads",
            "submittedAtTimeRange",
            "fields",
            "count",
            "start",
            "versionedLeadGenFormUrn",
            "associatedEntity",
        ];
        if pairs.iter().any(|(name, _)| !known.contains(name)) {
            return error(400, "QUERY_PARAM_NOT_ALLOWED", 0);
        }
        let owner = "(sponsoredAccount:urn%3Ali%3AsponsoredAccount%3A512300077)";
        if (get("q"), get("owner"), get("leadType"))
            != (Some("owner"), Some(owner), Some("(leadType:SPONSORED)"))
        {
            return error(400, "ILLEGAL_ARGUMENT", 0);
        }
        let range = get("submittedAtTimeRange").unwrap_or("(start:0)");
        let inner = range
            .strip_prefix('(')
            .and_then(|range| range.strip_suffix(')'));
        let Some(inner) = inner else {
            return error(400, "ILLEGAL_ARGUMENT", 0);
        };
        let (mut from, mut until) = (0, i64::MAX);
        for part in inner.split(',') {
            match part
                .split_once(':')
                .map(|(name, at)| (name, at.parse::<i64>()))
            {
                Some(("start", Ok(at))) => from = at,
                Some(("end", Ok(at))) => until = at,
                _ => return error(400, "ILLEGAL_ARGUMENT", 0),
            }
        }
        let number = |name: &str, unset| get(name).map_or(unset, |text| text.parse().unwrap());
        let (start, count) = (number("start", 0_usize), number("count", 10_usize));
        if start > 0 {
            self.leads.extend(self.late.take());
        }
        let mut found: Vec<_> = self
            .leads
            .iter()
            .filter(|(at, _)| (from..=until).contains(at))
            .filter(|(_, lead)| {
                get("limitedToTestLeads") != Some("true") || lead["testLead"] == true
            })
            .collect();
        found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let total = found.len();
        let elements: Vec<_> = found
            .iter()
            .skip(start)
            .take(count.min(100))
            .map(|(_, lead)| pick(lead, get("fields")))
            .collect();
        let links = if start + elements.len() < total {
            json!([{ "rel": "next", "href": "/rest/leadFormResponses?…" }])
        } else {
            json!([])
        };
        let paging = json!({ "start": start, "count": count, "links": links, "total": total });
        answer(200, json!({ "paging": paging, "elements": elements }))
    }
}

fn lead(i: usize, at: i64) -> (i64, Value) {
    let person = Person::nth(i);
    let questions = [
        ("FIRST_NAME", "Fornavn"),
        ("LAST_NAME", "Efternavn"),
        ("EMAIL", "E-mail"),
        ("WORK_EMAIL", "Arbejds-e-mail"),
        ("PHONE_NUMBER", "Telefon"),
        ("COMPANY_NAME", "Firma"),
        ("JOB_TITLE", "Titel"),
    ];
    let values = [
        person.first.to_owned(),
        person.last,
        format!("private{i}@gmail.example"),
        person.email,
        person.phone,
        person.company,
        "Direktør".to_owned(),
    ];
    let mut asked: Vec<_> = questions
        .iter()
        .enumerate()
        .map(|(n, (field, label))| {
            json!({ "questionId": 40 + n, "predefinedField": field, "name": label,
                "question": { "localized": { "da_DK": label } } })
        })
        .collect();
    asked.push(json!({ "questionId": 99, "name": "interest", "question": { "localized": { "da_DK": "Hvad?" } },
        "questionDetails": { "multipleChoiceQuestionDetails": { "options": [
            { "id": 1, "text": { "localized": { "da_DK": "API" } } },
            { "id": 2, "text": { "localized": { "da_DK": "Større" } } } ] } } }));
    let mut answers: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(n, value)| {
            json!({ "questionId": 40 + n, "answerDetails": { "textQuestionAnswer": { "answer": value } } })
        })
        .collect();
    answers.push(json!({ "questionId": 99, "answerDetails": { "multipleChoiceAnswer": { "options": [2] } } }));
    // Order is not promised.
    answers.rotate_left(i % 7);
    let form = json!({
        "id": 8_120_447, "versionId": 2, "name": "Demo — Norden",
        "creationLocale": { "country": "DK", "language": "da" },
        "hiddenFields": [{ "name": "utm_campaign", "value": "q1" }, { "name": "utm_source", "value": "linkedin" }],
        "content": { "questions": asked, "legalInfo": { "consents": [
            { "id": 0, "checkRequired": false, "consent": { "localized": { "da_DK": "Må vi skrive?" } } } ] } },
    });
    let lead = json!({
        "id": id(i), "submittedAt": at, "testLead": false, "leadType": "SPONSORED",
        "owner": { "sponsoredAccount": "urn:li:sponsoredAccount:512300077" },
        "versionedLeadGenFormUrn": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:8120447,2)",
        "leadMetadataInfo": { "sponsoredLeadMetadataInfo": { "campaign": { "id": "urn:li:sponsoredCampaign:77", "name": "Herbst & Winter", "type": "SPONSORED_UPDATES" } } },
        "associatedEntityInfo": { "associatedCreative": { "id": "urn:li:sponsoredCreative:300100200" } },
        "formResponse": { "answers": answers, "consentResponses": [{ "consentId": 0, "accepted": true }] },
        "form": form,
    });
    (at, lead)
}

fn id(i: usize) -> String {
    format!("7c2d9a10-55e0-4b7c-9f0e-{i:012}-3")
}

fn vendor(leads: Vec<(i64, Value)>) -> LinkedIn {
    LinkedIn {
        tokens: Tokens::new("the-refresh-token", 5_184_000),
        leads,
        late: None,
        hidden_for: 0,
    }
}

async fn stage(vendor: LinkedIn) -> Stage<LinkedIn> {
    let source = Source {
        connector: "linkedin",
        base: "",
        token_url: true,
        secrets: &[
            ("client_secret", SECRET),
            ("refresh_token", "the-refresh-token"),
        ],
        lines: r#"
            client_id = "the-client"
            ad_account_ids = ["512300077"]
            [sources.v.fields]
            consent = "consents.0"
        "#,
        fields: &[
            ("Campaign", "utm_campaign"),
            ("Interest", "interest"),
            ("LinkedIn", "linkedin_lead_id"),
        ],
    };
    Stage::with(vendor, source).await
}

/// Many at one millisecond, across the borders of pages.
fn leads(count: usize) -> Vec<(i64, Value)> {
    (0..count)
        .map(|i| lead(i, (START - 30 * 86400) * 1000 + (i / 40) as i64 * 1500))
        .collect()
}

#[tokio::test]
async fn all_pages_are_read_while_new_leads_push_them_down() {
    let mut linkedin = vendor(leads(250));
    linkedin.late = Some(lead(250, START * 1000 - 5));
    let (_, test_lead) = lead(900, START * 1000 - 900_000);
    let mut test_lead = test_lead;
    test_lead["testLead"] = true.into();
    linkedin.leads.push((START * 1000 - 900_000, test_lead));
    let stage = stage(linkedin).await;
    stage
        .test
        .until("most leads", async || stage.test.leads().len() >= 250)
        .await;
    stage.poll().await;
    stage.leads(251).await;
    stage.assert_people(0..251);
    let lead = stage.lead("p7@firm7.example");
    assert_eq!(lead["Title"], "Direktør");
    assert_eq!(lead["Campaign__c"], "q1");
    assert_eq!(lead["Interest__c"], "Større");
    assert_eq!(lead["LinkedIn__c"], id(7));
    stage.poll().await;
    stage.leads(251).await;
    assert!(stage.test.ends(End::Filtered).await > 0);
}

#[tokio::test]
async fn tokens_are_renewed_and_quotas_are_waited_for() {
    let stage = stage(vendor(leads(30))).await;
    stage.leads(30).await;
    stage.vendor.lock().tokens.revoke();
    let now = stage.now();
    stage.vendor.lock().leads.push(lead(30, now * 1000));
    stage.poll().await;
    stage.leads(31).await;
    assert_eq!(stage.vendor.lock().tokens.given.len(), 2);
    stage.trouble.lock().extend([
        error(500, "INTERNAL_SERVER_ERROR", 0),
        error(504, "GATEWAY_TIMEOUT", 0),
        error(429, "TOO_MANY_REQUESTS", 101),
    ]);
    stage.vendor.lock().leads.push(lead(31, now * 1000 + 1));
    stage.poll().await;
    stage.leads(32).await;
}

fn notice(id: &str, action: &str) -> String {
    json!({
        "type": "LEAD_ACTION", "leadGenFormResponse": format!("urn:li:leadGenFormResponse:{id}"),
        "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:8120447,2)",
        "owner": { "sponsoredAccount": "urn:li:sponsoredAccount:512300077" },
        "associatedEntity": { "associatedCreative": "urn:li:sponsoredCreative:300100200" },
        "leadType": "SPONSORED", "leadAction": action, "occurredAt": START * 1000 + 288,
    })
    .to_string()
}

fn signed(body: &str) -> String {
    hex(&hmac_sha256(
        SECRET,
        format!("hmacsha256={body}").as_bytes(),
    ))
}

#[tokio::test]
async fn a_signed_notice_is_fetched_and_the_poll_adds_nothing() {
    assert_eq!(
        hex(&hmac_sha256(
            "a-client-secret",
            b"hmacsha256={\"type\":\"LEAD_ACTION\"}"
        )),
        "82ea2bc2ed2d93025ebc02a3577d48a62e7449fca0aae08e41d0525173479a3a"
    );
    let mut linkedin = vendor(Vec::new());
    linkedin.hidden_for = 2;
    let stage = stage(linkedin).await;
    stage.quiet().await;
    let body = notice(&id(1), "CREATED");
    let without_prefix = hex(&hmac_sha256(SECRET, body.as_bytes()));
    for signature in [None, Some(without_prefix), Some(signed("{}"))] {
        let headers: Vec<_> = signature
            .iter()
            .map(|s| ("x-li-signature", s.as_str()))
            .collect();
        let (status, text) = stage.hook("", &headers, body.clone()).await;
        assert_eq!(status, 401, "{text}");
    }
    assert_eq!(stage.accepted().await, 0);

    stage.vendor.lock().leads.push(lead(1, START * 1000));
    for body in [&body, &body] {
        let (status, _) = stage
            .hook("", &[("x-li-signature", &signed(body))], body.as_str())
            .await;
        assert!((200..300).contains(&status), "{status}");
    }
    stage.leads(1).await;
    stage.assert_people(1..2);
    stage.poll().await;
    stage.leads(1).await;
    assert_eq!(stage.test.ends(End::Synced).await, 1);

    let other = "{\"type\":\"ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS\",\"notifications\":[]}";
    let gone = notice(&id(1), "DELETED");
    for body in [other, &gone] {
        let (status, _) = stage
            .hook("", &[("x-li-signature", &signed(body))], body)
            .await;
        assert!((200..300).contains(&status), "{status}");
    }
    stage.quiet().await;
    stage.leads(1).await;
    assert!(stage.test.dead_letters().await.is_empty());
}

#[tokio::test]
async fn the_challenge_is_answered_and_nothing_else_is_signed() {
    let stage = stage(vendor(Vec::new())).await;
    let challenge = "890e4665-4dfe-4ab1-b689-ed553bceeed0";
    let (status, body) = stage
        .test
        .get(&format!("/hooks/v?challengeCode={challenge}"))
        .await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let response = hex(&hmac_sha256(SECRET, challenge.as_bytes()));
    assert_eq!(
        body,
        json!({ "challengeCode": challenge, "challengeResponse": response })
    );
    let (status, _) = stage
        .test
        .get("/hooks/v?challengeCode=hmacsha256%3D%7B%22type%22%3A%22LEAD_ACTION%22%7D")
        .await;
    assert!(status.is_client_error(), "{status}");
}
