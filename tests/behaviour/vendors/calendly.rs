//! Calendly: invitees of meetings, routing forms, and webhooks signed with a key of our own.

use std::time::Duration;

use http::StatusCode;
use leadstream::edge::clock::Clock as _;
use serde_json::{Value, json};

use super::stand_in_a::{
    Answer, Asked, START, Service, StandIn, Tokens, accepted, hex, hmac_sha256, leads, post, stop,
};
use crate::harness::TestDaemon;

const TOKEN: &str = "personal-token";
const KEY: &str = "signing-key-of-our-own";
const ORGANIZATION: &str = "https://api.calendly.com/organizations/ORG01";
const FORM: &str = "https://api.calendly.com/routing_forms/RTF1";

#[derive(Debug)]
struct Calendly {
    url: String,
    events: Vec<Value>,
    /// Event id, and its invitees.
    invitees: Vec<(String, Value)>,
    submissions: Vec<Value>,
    tokens: Tokens,
}

fn error(status: u16, title: &str) -> Answer {
    Answer::json(
        status,
        &json!({"title": title, "message": title, "details": []}),
    )
}

impl Calendly {
    fn page(&self, asked: &Asked, list: Vec<Value>) -> Answer {
        let count = asked
            .parameter("count")
            .map_or(Some(20), |text| text.parse().ok());
        let Some(count @ 1..=100) = count else {
            return error(400, "Invalid Argument");
        };
        // The token pins the record that comes next.
        let start = match asked.parameter("page_token") {
            None => 0,
            Some(token) => match list
                .iter()
                .position(|one| one["uri"].as_str().unwrap().ends_with(&format!("/{token}")))
            {
                Some(at) => at,
                None => return error(400, "Invalid Argument"),
            },
        };
        let next = list.get(start + count).map(|one| {
            one["uri"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        });
        let records: Vec<&Value> = list.iter().skip(start).take(count).collect();
        let url = next.as_ref().map(|token| {
            format!(
                "{}{}?page_token={token}&{}",
                self.url, asked.path, asked.raw_query
            )
        });
        Answer::json(
            200,
            &json!({"collection": records, "pagination": {"count": records.len(), "next_page": url, "next_page_token": next, "previous_page": null, "previous_page_token": null}}),
        )
    }
}

impl Service for Calendly {
    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.path == "/oauth/token" {
            return self.tokens.refresh(asked);
        }
        if asked.bearer() != Some(TOKEN) && !self.tokens.is_good(asked) {
            return error(401, "Unauthenticated");
        }
        let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
        let answer = match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["scheduled_events"]) => {
                if asked.parameter("organization") != Some(ORGANIZATION) {
                    return error(400, "Invalid Argument");
                }
                let mut list = self.events.clone();
                if let Some(status) = asked.parameter("status") {
                    list.retain(|one| one["status"] == status);
                }
                // Later than, and later than or at, are the same for whole seconds here.
                let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
                for (name, sign) in [("min_start_time", 1), ("max_start_time", -1)] {
                    if let Some(text) = asked.parameter(name) {
                        let Some(bound) = time(text) else {
                            return error(400, "Invalid Argument");
                        };
                        list.retain(|one| {
                            let at = time(one["start_time"].as_str().unwrap()).unwrap();
                            if sign > 0 { at >= bound } else { at <= bound }
                        });
                    }
                }
                match asked.parameter("sort") {
                    None | Some("start_time:asc") => {
                        list.sort_by_key(|one| one["start_time"].to_string());
                    }
                    Some("start_time:desc") => {
                        list.sort_by_key(|one| std::cmp::Reverse(one["start_time"].to_string()));
                    }
                    Some(_) => return error(400, "Invalid Argument"),
                }
                self.page(asked, list)
            }
            ("GET", ["scheduled_events", id, "invitees"]) => {
                if !self
                    .events
                    .iter()
                    .any(|one| one["uri"].as_str().unwrap().ends_with(&format!("/{id}")))
                {
                    return error(404, "Resource Not Found");
                }
                let mut list: Vec<Value> = self
                    .invitees
                    .iter()
                    .filter(|(event, _)| event == id)
                    .map(|(_, one)| one.clone())
                    .collect();
                if let Some(status) = asked.parameter("status") {
                    list.retain(|one| one["status"] == status);
                }
                self.page(asked, list)
            }
            ("GET", ["routing_form_submissions"]) if asked.parameter("form").is_none() => {
                if asked.parameter("routing_form") != Some(FORM) {
                    return error(400, "Invalid Argument");
                }
                let mut list = self.submissions.clone();
                list.reverse();
                if asked.parameter("sort") == Some("created_at:asc") {
                    list.reverse();
                }
                self.page(asked, list)
            }
            _ => error(404, "Resource Not Found"),
        };
        answer
            .with("x-ratelimit-limit", 500)
            .with("x-ratelimit-remaining", 499)
            .with("x-ratelimit-reset", 60)
    }
}

fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .unwrap()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}

fn event(id: &str, start: i64, invitees: u64, updated: i64) -> Value {
    json!({
        "uri": format!("https://api.calendly.com/scheduled_events/{id}"), "name": "Demo call", "status": "active", "start_time": time(start), "end_time": time(start + 1_800_000),
        "event_type": "https://api.calendly.com/event_types/ET1", "location": {"type": "zoom"}, "invitees_counter": {"total": invitees, "active": invitees, "limit": 100},
        "created_at": time(updated), "updated_at": time(updated),
        "event_memberships": [{"user": "https://api.calendly.com/users/USR01", "user_email": "rep@acme.example", "user_name": "Rita Rep"}],
        "event_guests": [{"email": "guest@aperture.example", "created_at": time(updated), "updated_at": time(updated)}],
    })
}

fn invitee(event: &str, id: &str, email: &str, at: i64) -> Value {
    json!({
        "uri": format!("https://api.calendly.com/scheduled_events/{event}/invitees/{id}"), "email": email, "name": if id == "INV77" || event == "EVT17" { "Priya Patel".to_owned() } else { format!("Priya {}", email.split('@').next().unwrap()) }, "first_name": null, "last_name": null,
        "status": "active", "timezone": "Asia/Kolkata", "event": format!("https://api.calendly.com/scheduled_events/{event}"), "text_reminder_number": "+91 80 2200 0077",
        "rescheduled": false, "old_invitee": null, "new_invitee": null, "no_show": null, "payment": null, "cancel_url": "https://calendly.com/c", "reschedule_url": "https://calendly.com/r",
        "questions_and_answers": [{"question": "Company", "answer": "Aperture \"Labs\" 🚀", "position": 0}],
        "tracking": {"utm_campaign": "spring-2026", "utm_source": "linkedin", "utm_medium": "cpc", "utm_content": null, "utm_term": null, "salesforce_uuid": null},
        "created_at": time(at), "updated_at": time(at),
    })
}

async fn vendor() -> StandIn<Calendly> {
    StandIn::start(|url| Calendly {
        url: url.to_owned(),
        events: Vec::new(),
        invitees: Vec::new(),
        submissions: Vec::new(),
        tokens: Tokens::new("client-1", "client-secret", true, 7200),
    })
    .await
}

async fn start(vendor: &StandIn<Calendly>, more: &str) -> TestDaemon {
    let sections = format!(
        "[sources.meet]\nconnector = \"calendly\"\nbase_url = \"{0}\"\ntoken_url = \"{0}/oauth/token\"\norganization = \"{ORGANIZATION}\"\nsigning_key = {1}\n{more}\n",
        vendor.url,
        vendor.secret("key", KEY),
    );
    vendor.daemon("", &sections).await
}

fn personal(vendor: &StandIn<Calendly>) -> String {
    format!("personal_token = {}\n", vendor.secret("token", TOKEN))
}

async fn first(test: &TestDaemon, count: u64) {
    test.until("they are in", async || {
        accepted(test, "meet").await >= count
    })
    .await;
    test.drained().await;
    assert!(
        test.dead_letters().await.is_empty(),
        "{:?}",
        test.dead_letters().await
    );
}

async fn polled(test: &TestDaemon, count: u64) {
    test.clock.advance(Duration::from_secs(15 * 60));
    first(test, count).await;
}

const DAY: i64 = 86_400_000;

#[tokio::test]
async fn all_people_of_all_meetings_come_once_also_who_books_an_earlier_slot_later() {
    let vendor = vendor().await;
    vendor.service(|calendly| {
        // A group of 130, and 110 meetings of one each, four at a time.
        calendly
            .events
            .push(event("GROUP", START.0 + DAY, 130, START.0 - DAY));
        for n in 0..130 {
            calendly.invitees.push((
                "GROUP".to_owned(),
                invitee(
                    "GROUP",
                    &format!("G{n}"),
                    &format!("g{n}@aperture.example"),
                    START.0 - DAY,
                ),
            ));
        }
        for n in 0..110 {
            let id = format!("EVT{n}");
            calendly.events.push(event(
                &id,
                START.0 + 20 * DAY + n / 4 * 3_600_000,
                1,
                START.0 - DAY,
            ));
            calendly.invitees.push((
                id.clone(),
                invitee(&id, "INV", &format!("p{n}@aperture.example"), START.0 - DAY),
            ));
        }
    });
    vendor.trouble(
        "/scheduled_events",
        error(429, "Too Many Requests")
            .with("x-ratelimit-reset", 37)
            .with("x-ratelimit-remaining", 0),
    );
    let test = start(&vendor, &personal(&vendor)).await;
    leads(&test, 240).await;
    let lead = test.lead_of("p17@aperture.example").unwrap();
    assert_eq!(
        (&lead["FirstName"], &lead["LastName"]),
        (&json!("Priya"), &json!("Patel"))
    );
    assert!(
        lead.values().any(|value| value == "+918022000077"),
        "{lead:?}"
    );
    vendor.service(|calendly| {
        calendly
            .events
            .push(event("SOON", START.0 + DAY / 2, 1, START.0 + 60_000));
        calendly.invitees.push((
            "SOON".to_owned(),
            invitee("SOON", "INV", "soon@aperture.example", START.0 + 60_000),
        ));
        // One more in the group.
        calendly.events[0] = event("GROUP", START.0 + DAY, 131, START.0 - DAY);
        calendly.invitees.insert(
            0,
            (
                "GROUP".to_owned(),
                invitee("GROUP", "G999", "late@aperture.example", START.0 + 60_000),
            ),
        );
    });
    let before = vendor.asked("/invitees");
    test.clock.advance(Duration::from_secs(15 * 60));
    leads(&test, 242).await;
    let again = vendor.asked("/invitees") - before;
    assert!(again <= 6, "only what changed is read: {again}");
    assert!(test.lead_of("guest@aperture.example").is_none());
}

#[tokio::test]
async fn a_refresh_token_that_is_good_once_is_kept_over_a_restart() {
    let vendor = vendor().await;
    vendor.service(|calendly| {
        calendly
            .events
            .push(event("EVT1", START.0 + DAY, 1, START.0 - DAY));
        calendly.invitees.push((
            "EVT1".to_owned(),
            invitee("EVT1", "INV1", "one@aperture.example", START.0 - DAY),
        ));
    });
    let more = format!(
        "client_id = \"client-1\"\nclient_secret = {}\nrefresh_token = {}",
        vendor.secret("client", "client-secret"),
        vendor.secret("refresh", "refresh-0")
    );
    let mut test = start(&vendor, &more).await;
    first(&test, 1).await;
    stop(&mut test).await;
    test.clock.advance(Duration::from_secs(3 * 3600));
    vendor.service(|calendly| {
        calendly
            .events
            .push(event("EVT2", START.0 + DAY, 1, START.0));
        calendly.invitees.push((
            "EVT2".to_owned(),
            invitee("EVT2", "INV1", "two@aperture.example", START.0),
        ));
    });
    test.run().await;
    first(&test, 2).await;
    // Withdrawn before its time: 401, and a new one.
    vendor.service(|calendly| {
        calendly.tokens.withdraw();
        calendly
            .events
            .push(event("EVT3", START.0 + DAY, 1, START.0));
        calendly.invitees.push((
            "EVT3".to_owned(),
            invitee("EVT3", "INV1", "three@aperture.example", START.0),
        ));
    });
    polled(&test, 3).await;
    assert_eq!(vendor.service(|calendly| calendly.tokens.issued), 3);
    assert_eq!(test.leads().len(), 3);
}

#[tokio::test]
async fn routing_forms_are_read_by_the_answers_also_of_who_never_booked() {
    let vendor = vendor().await;
    vendor.service(|calendly| {
        calendly.submissions = (0..130).map(|n| json!({
            "uri": format!("https://api.calendly.com/routing_form_submissions/RFS{n}"), "routing_form": FORM,
            "questions_and_answers": [{"question_uuid": "q1", "question": "Work e-mail", "answer": format!("r{n}@globex.example")}, {"question_uuid": "q2", "question": "Team size", "answer": "1-10"}],
            "tracking": {"utm_campaign": "ebook", "utm_source": "google", "utm_medium": "cpc"}, "result": {"type": "external_url", "value": "https://acme.example"},
            "submitter": null, "submitter_type": null, "created_at": time(START.0 - DAY + n / 3 * 1000), "updated_at": time(START.0 - DAY + n / 3 * 1000)})).collect();
    });
    let test = start(
        &vendor,
        &format!("{}routing_forms = [\"{FORM}\"]", personal(&vendor)),
    )
    .await;
    leads(&test, 130).await;
}

fn hook(kind: &str, payload: &Value) -> Vec<u8> {
    json!({"event": kind, "created_at": time(START.0), "created_by": "https://api.calendly.com/users/USR01", "payload": payload}).to_string().into_bytes()
}

fn signed(at: i64, body: &[u8]) -> String {
    format!(
        "t={at},v1={}",
        hex(&hmac_sha256(KEY, &[at.to_string().as_bytes(), b".", body]))
    )
}

async fn deliver(test: &TestDaemon, signature: Option<&str>, body: &[u8]) -> StatusCode {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(signature.map(|signature| ("calendly-webhook-signature", signature)));
    post(test, "/hooks/meet", &headers, body).await.0
}

#[tokio::test]
async fn a_signed_webhook_is_one_lead_with_the_poll_and_a_moved_meeting_is_the_same_lead() {
    let vendor = vendor().await;
    let test = start(&vendor, &personal(&vendor)).await;
    test.until("the first poll", async || {
        vendor.asked("/scheduled_events") > 0
    })
    .await;
    let now = test.clock.now().0 / 1000;
    let mut payload = invitee("EVT42", "INV77", "Priya@aperture.example", START.0 - 1000);
    payload["scheduled_event"] = event("EVT42", START.0 + DAY, 1, START.0 - 1000);
    let body = hook("invitee.created", &payload);
    let wrong = format!("t={now},v1={}", hex(&[0; 32]));
    for signature in [
        None,
        Some(wrong),
        Some(signed(now - 400, &body)),
        Some(signed(now, b"{}")),
    ] {
        assert_eq!(
            deliver(&test, signature.as_deref(), &body).await,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(accepted(&test, "meet").await, 0);
    for _ in 0..2 {
        assert!(
            deliver(&test, Some(&signed(now, &body)), &body)
                .await
                .is_success()
        );
    }
    test.drained().await;
    assert_eq!(test.lead()["Email"], "priya@aperture.example");
    assert_eq!(test.lead()["Company"], "Aperture \"Labs\" 🚀");
    vendor.service(|calendly| {
        calendly
            .events
            .push(event("EVT42", START.0 + DAY, 1, START.0 - 1000));
        calendly.invitees.push((
            "EVT42".to_owned(),
            invitee("EVT42", "INV77", "Priya@aperture.example", START.0 - 1000),
        ));
    });
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("it is polled", async || vendor.asked("/invitees") > 0)
        .await;
    test.drained().await;
    assert_eq!(test.leads().len(), 1);
    // Moved: two events, the new one first.
    let now = test.clock.now().0 / 1000;
    let mut new = invitee("EVT43", "INV78", "priya@aperture.example", START.0 + 1000);
    new["old_invitee"] = payload["uri"].clone();
    new["scheduled_event"] = event("EVT43", START.0 + 2 * DAY, 1, START.0 + 1000);
    let mut old = payload.clone();
    old["status"] = "canceled".into();
    old["rescheduled"] = true.into();
    old["new_invitee"] = new["uri"].clone();
    old["updated_at"] = time(START.0 + 1000).into();
    old["cancellation"] = json!({"canceled_by": "Priya Patel", "reason": "", "canceler_type": "invitee", "created_at": time(START.0 + 1000)});
    for (kind, payload) in [("invitee.created", &new), ("invitee.canceled", &old)] {
        let body = hook(kind, payload);
        assert!(
            deliver(&test, Some(&signed(now, &body)), &body)
                .await
                .is_success()
        );
    }
    test.drained().await;
    assert_eq!(test.leads().len(), 1);
    assert_ne!(test.lead()["HasOptedOutOfEmail"], true);
    assert!(
        test.dead_letters().await.is_empty(),
        "{:?}",
        test.dead_letters().await
    );
}
