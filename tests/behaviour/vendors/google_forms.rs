//! Google Forms: a service account, a filter by time, and notices that hold nothing.

use serde_json::{Value, json};

use super::stand_in_b::{
    Answer, Person, Request, START, Source, Stage, Tokens, Vendor, answer, base64,
    service_account_key, time,
};

const FORM: &str = "1FAexampleFormId";

struct GoogleForms {
    tokens: Tokens,
    /// Milliseconds, and the response.
    responses: Vec<(i64, Value)>,
    /// Shows up once a second page was asked for.
    late: Option<(i64, Value)>,
    /// At most 5,000 at the vendor.
    most: usize,
    page_tokens: Vec<(String, usize)>,
}

fn error(status: u16, name: &str) -> Answer {
    answer(
        status,
        json!({ "error": { "code": status, "message": name, "status": name, "details": [] } }),
    )
}

/// The least time in milliseconds, and whether itself is taken.
fn filter(text: &str) -> Option<(i64, bool)> {
    let rest = text.strip_prefix("timestamp >")?;
    let (at, inclusive) = rest
        .strip_prefix('=')
        .map_or((rest, false), |rest| (rest, true));
    let at = at.strip_prefix(' ')?;
    let at: jiff::Timestamp = at.ends_with('Z').then(|| at.parse().ok())??;
    Some((at.as_millisecond(), inclusive))
}

impl Vendor for GoogleForms {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.path == "/token" {
            return self.tokens.answer(request);
        }
        if !self.tokens.good(request) {
            return error(401, "UNAUTHENTICATED");
        }
        if request.path == format!("/v1/forms/{FORM}") {
            let question = |id: &str, title: &str| {
                json!({ "itemId": id, "title": title,
                "questionItem": { "question": { "questionId": id, "textQuestion": {} } } })
            };
            let items = [
                question("1a2b3c4d", "Name"),
                question("2a2b3c4d", "Telephone"),
                question("5e6f7a8b", "Company"),
                question("6e6f7a8b", "Topics"),
                question("7e6f7a8b", "I agree to be contacted"),
                json!({ "itemId": "g", "title": "How good?", "questionGroupItem": { "questions": [
                    { "questionId": "8e6f7a8b", "rowQuestion": { "title": "Price" } } ] } }),
            ];
            return answer(
                200,
                json!({ "formId": FORM, "info": { "title": "Demo" }, "revisionId": "1", "items": items }),
            );
        }
        if request.path != format!("/v1/forms/{FORM}/responses") || request.method != "GET" {
            return error(404, "NOT_FOUND");
        }
        let query = request.query();
        let known = ["filter", "pageSize", "pageToken"];
        let text = query.get("filter").cloned().unwrap_or_default();
        let filter = if text.is_empty() {
            Some((0, true))
        } else {
            filter(&text)
        };
        let size = query
            .get("pageSize")
            .map_or(Ok(0), |size| size.parse::<usize>());
        let (Some((from, inclusive)), Ok(size @ 0..=5000), true) = (
            filter,
            size,
            query.keys().all(|name| known.contains(&name.as_str())),
        ) else {
            return error(400, "INVALID_ARGUMENT");
        };
        let begin = match query.get("pageToken").map(|token| {
            token
                .parse::<usize>()
                .ok()
                .and_then(|n| self.page_tokens.get(n))
        }) {
            None => 0,
            Some(Some((same, begin))) if *same == text => *begin,
            Some(_) => return error(400, "INVALID_ARGUMENT"),
        };
        if begin > 0 {
            self.responses.extend(self.late.take());
        }
        let found: Vec<_> = self
            .responses
            .iter()
            .filter(|(at, _)| *at > from || inclusive && *at == from)
            .collect();
        let size = if size == 0 {
            self.most
        } else {
            size.min(self.most)
        };
        let page: Vec<_> = found
            .iter()
            .skip(begin)
            .take(size)
            .map(|(_, response)| response.clone())
            .collect();
        let mut body = json!({});
        if !page.is_empty() {
            body["responses"] = page.into();
        }
        if begin + size < found.len() {
            body["nextPageToken"] = self.page_tokens.len().to_string().into();
            self.page_tokens.push((text, begin + size));
        }
        answer(200, body)
    }
}

fn text(id: &str, values: &[&str]) -> Value {
    let answers: Vec<_> = values
        .iter()
        .map(|value| json!({ "value": value }))
        .collect();
    json!({ "questionId": id, "textAnswers": { "answers": answers } })
}

fn response(i: usize, at: i64, company: &str) -> (i64, Value) {
    let person = Person::nth(i);
    // Fractions of seconds are of any length.
    let at_text = match at % 1000 {
        0 => time(at / 1000, "%Y-%m-%dT%H:%M:%SZ"),
        fraction => format!("{}.{fraction:03}000Z", time(at / 1000, "%Y-%m-%dT%H:%M:%S")),
    };
    let response = json!({
        "responseId": format!("ACYDBNi{i:06}"), "createTime": time(at / 1000, "%Y-%m-%dT%H:%M:%SZ"),
        "lastSubmittedTime": at_text, "respondentEmail": person.email,
        "answers": {
            "1a2b3c4d": text("1a2b3c4d", &[&person.full()]), "2a2b3c4d": text("2a2b3c4d", &[&person.phone]),
            "5e6f7a8b": text("5e6f7a8b", &[company]), "6e6f7a8b": text("6e6f7a8b", &["CRM", "größer"]),
            "8e6f7a8b": text("8e6f7a8b", &["4"]),
        },
    });
    (at, response)
}

/// No order is promised: they come in a fixed disorder, with many at one instant.
fn responses(count: usize) -> Vec<(i64, Value)> {
    (0..count)
        .map(|n| (n * 7) % count)
        .map(|i| {
            let at = (START - 86400) * 1000 + (i / 40) as i64 * 1500;
            response(i, at, &Person::nth(i).company)
        })
        .collect()
}

async fn stage(responses: Vec<(i64, Value)>) -> Stage<GoogleForms> {
    let mut tokens = Tokens::new("none", 3599);
    tokens.scope = "https://www.googleapis.com/auth/forms.responses.readonly https://www.googleapis.com/auth/forms.body.readonly";
    let vendor = GoogleForms {
        tokens,
        responses,
        late: None,
        most: 60,
        page_tokens: Vec::new(),
    };
    let source = Source {
        connector: "google-forms",
        token_url: true,
        secrets: &[
            ("service_account_key", &service_account_key()),
            ("webhook_secret", "url-secret-of-ours"),
        ],
        lines: "form_ids = [\"1FAexampleFormId\"]\n",
        fields: &[("Topics", "topics")],
        ..Source::default()
    };
    Stage::with(vendor, source).await
}

#[tokio::test]
async fn responses_in_no_order_are_read_once_and_edited_ones_again() {
    let stage = stage(responses(250)).await;
    let (at, mut silent) = response(900, START * 1000 - 1, "");
    silent
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name != "answers" && name != "respondentEmail");
    stage.vendor.lock().late = Some(response(
        250,
        (START - 86400) * 1000 + 500,
        &Person::nth(250).company,
    ));
    stage.vendor.lock().responses.push((at, silent));
    stage.leads(251).await;
    stage.assert_people(0..251);
    let topics = stage.lead("p7@firm7.example")["Topics__c"].clone();
    assert!(topics.as_str().unwrap().contains("größer"), "{topics}");

    // One more at the very instant of the last one, and one that was edited.
    let now = stage.now() * 1000;
    stage
        .vendor
        .lock()
        .responses
        .push(response(251, now, &Person::nth(251).company));
    stage.poll().await;
    stage.leads(252).await;
    let accepted = stage.accepted().await;
    {
        let mut vendor = stage.vendor.lock();
        vendor
            .responses
            .retain(|(_, response)| response["responseId"] != "ACYDBNi000003");
        vendor.responses.insert(0, response(3, now, "Renamed"));
        vendor
            .responses
            .insert(0, response(252, now, &Person::nth(252).company));
    }
    stage.poll().await;
    stage.leads(253).await;
    assert_eq!(stage.accepted().await, accepted + 2);
    stage.poll().await;
    assert_eq!(stage.accepted().await, accepted + 2);
}

#[tokio::test]
async fn the_assertion_is_made_anew_and_quotas_are_waited_for() {
    let stage = stage(responses(20)).await;
    stage.leads(20).await;
    stage.vendor.lock().tokens.revoke();
    let now = stage.now() * 1000;
    stage
        .vendor
        .lock()
        .responses
        .push(response(20, now, &Person::nth(20).company));
    stage.poll().await;
    stage.leads(21).await;
    stage.trouble.lock().extend([
        error(429, "RESOURCE_EXHAUSTED"),
        error(429, "RESOURCE_EXHAUSTED"),
        error(503, "UNAVAILABLE"),
        error(500, "INTERNAL"),
    ]);
    stage
        .vendor
        .lock()
        .responses
        .push(response(21, now + 1, &Person::nth(21).company));
    stage.poll().await;
    stage.leads(22).await;
    stage.assert_people(0..22);
}

#[tokio::test]
async fn a_notice_polls_at_once_and_holds_nothing() {
    let stage = stage(responses(3)).await;
    stage.leads(3).await;
    let data = base64(b"{}");
    let notice = json!({
        "message": { "attributes": { "eventType": "RESPONSES", "formId": FORM, "watchId": "w" },
            "data": data, "messageId": "77", "publishTime": "2026-03-01T10:00:00Z" },
        "subscription": "projects/p/subscriptions/s",
    })
    .to_string();
    // Just after a poll, so that the next is most of a minute away.
    stage.poll().await;
    let now = stage.now() * 1000;
    stage
        .vendor
        .lock()
        .responses
        .push(response(3, now, &Person::nth(3).company));
    let headers = [("content-type", "application/json")];
    for after in ["", "/another"] {
        let (status, _) = stage.hook(after, &headers, notice.clone()).await;
        assert!([401, 403].contains(&status), "{status}");
    }
    let asked = stage.asked("/responses");
    let (status, _) = stage.hook("/url-secret-of-ours", &headers, notice).await;
    assert!([200, 201, 202, 204].contains(&status), "{status}");
    let before = stage.now();
    stage
        .test
        .until("the form is asked", async || {
            stage.asked("/responses") > asked
        })
        .await;
    assert!(stage.now() - before < 40);
    stage.leads(4).await;
    stage.assert_people(0..4);
}
