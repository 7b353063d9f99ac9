//! Eventbrite: attendees by polling, and webhooks that only name an order.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::stand_in_a::{Answer, Asked, START, Service, StandIn, accepted, leads, post, rfc3339};
use crate::harness::TestDaemon;

const TOKEN: &str = "PRIVATE0TOKEN";
const EVENT: &str = "901234567890";
const HOOK: &str = "/hooks/summit/u7d0q1Vt5x8s2Kc9f3Jz";

#[derive(Debug)]
struct Eventbrite {
    attendees: Vec<Value>,
}

fn error(status: u16, name: &str) -> Answer {
    Answer::json(
        status,
        &json!({"status_code": status, "error": name, "error_description": name}),
    )
}

impl Service for Eventbrite {
    fn answer(&mut self, asked: &Asked) -> Answer {
        match asked.bearer() {
            None => return error(401, "NO_AUTH"),
            Some(TOKEN) => {}
            Some(_) => return error(400, "INVALID_AUTH"),
        }
        if !asked.path.ends_with('/') {
            return Answer::text(301, "").with("location", format!("{}/", asked.path));
        }
        let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            (
                "GET",
                ["v3", "events", EVENT, "attendees"]
                | ["v3", "organizations", "200000000001", "attendees"],
            ) => self.list(asked),
            ("GET", ["v3", "events", EVENT, "attendees", id]) => {
                match self.attendees.iter().find(|one| one["id"] == *id) {
                    Some(one) => Answer::json(200, one),
                    None => error(404, "NOT_FOUND"),
                }
            }
            ("GET", ["v3", "orders", id]) => {
                let mut order = json!({"id": id, "created": "2026-03-01T09:05:00Z", "changed": "2026-03-01T09:05:02Z", "name": "Chloé Dubois",
                    "first_name": "Chloé", "last_name": "Dubois", "email": "chloe@stark.example", "event_id": EVENT, "status": "placed"});
                let of: Vec<&Value> = self
                    .attendees
                    .iter()
                    .filter(|one| one["order_id"] == *id)
                    .collect();
                if of.is_empty() {
                    return error(404, "NOT_FOUND");
                }
                if asked
                    .parameter("expand")
                    .is_some_and(|names| names.split(',').any(|name| name == "attendees"))
                {
                    order["attendees"] = json!(of);
                }
                Answer::json(200, &order)
            }
            _ => error(404, "NOT_FOUND"),
        }
    }
}

impl Eventbrite {
    fn list(&self, asked: &Asked) -> Answer {
        let since = asked.parameter("changed_since");
        if since.is_some_and(|text| {
            text.len() != 20 || !text.ends_with('Z') || text.parse::<jiff::Timestamp>().is_err()
        }) {
            return error(400, "ARGUMENTS_ERROR");
        }
        let mut found: Vec<&Value> = self
            .attendees
            .iter()
            .filter(|one| since.is_none_or(|since| one["changed"].as_str().unwrap() >= since))
            .collect();
        found.sort_by_key(|one| one["id"].as_str().unwrap().len());
        let parameters: Vec<_> = asked
            .query
            .iter()
            .filter(|(name, _)| name != "continuation")
            .collect();
        let parameters = format!(
            "{:x}",
            parameters
                .iter()
                .flat_map(|(a, b)| a.bytes().chain(b.bytes()))
                .fold(7u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte))
        );
        let page = match asked.parameter("continuation") {
            None => 0,
            Some(token) => match token.split_once('.') {
                Some((for_, page)) if for_ == parameters => page.parse::<usize>().unwrap(),
                _ => return error(400, "BAD_CONTINUATION_TOKEN"),
            },
        };
        // The second page is empty, and others hold fewer than fifty: only the flag says the end.
        let sizes = |page: usize| match page {
            0 => (0, 50),
            1 => (50, 50),
            n => (50 + (n - 2) * 30, 50 + (n - 1) * 30),
        };
        let (from, to) = sizes(page);
        let records: Vec<&&Value> = found.iter().skip(from).take(to - from).collect();
        let more = to < found.len();
        let mut body = json!({"pagination": {"object_count": found.len(), "page_number": page + 1, "page_size": 50, "page_count": 9, "has_more_items": more}, "attendees": records});
        if more {
            body["pagination"]["continuation"] = format!("{parameters}.{}", page + 1).into();
        }
        Answer::json(200, &body)
    }
}

fn attendee(number: u64, order: &str, email: &str, ago: i64) -> Value {
    let at = rfc3339(START.0 / 1000 - ago, "Z");
    json!({
        "id": (8_000_000_000_u64 + number).to_string(), "created": at, "changed": at, "status": "Attending", "checked_in": false, "cancelled": false, "refunded": false,
        "profile": {"first_name": "Chloé", "last_name": format!("Dubois{number}"), "name": format!("Chloé Dubois{number}"), "email": email, "company": "Stark S.A.", "job_title": "CFO", "cell_phone": "+33 1 55 00 42 42", "addresses": {}},
        "answers": [{"question_id": "5501", "question": "May we send you news by e-mail?", "type": "multiple_choice", "answer": "Yes"}, {"question_id": "5502", "question": "What brings you here?", "type": "text"}],
        "affiliate": "newsletter", "ticket_class_name": "General Admission", "event_id": EVENT, "order_id": order,
    })
}

fn crowd(count: u64) -> Vec<Value> {
    // Ties: sixty of each second.
    (0..count)
        .map(|n| {
            attendee(
                n,
                &format!("{}", 7_000_000_000_u64 + n),
                &format!("e{n}@stark.example"),
                4000 - n as i64 / 60,
            )
        })
        .collect()
}

async fn start(attendees: Vec<Value>, more: &str) -> (StandIn<Eventbrite>, TestDaemon) {
    let vendor = StandIn::start(|_| Eventbrite { attendees }).await;
    let sections = format!(
        "[sources.summit]\nconnector = \"eventbrite\"\nbase_url = \"{}/v3\"\nprivate_token = {}\nwebhook_secret = {}\n{more}\n",
        vendor.url,
        vendor.secret("token", TOKEN),
        vendor.secret("hook", HOOK.rsplit('/').next().unwrap()),
    );
    let test = vendor.daemon("", &sections).await;
    (vendor, test)
}

async fn first(test: &TestDaemon, count: u64) {
    test.until("they are in", async || {
        accepted(test, "summit").await >= count
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

#[tokio::test]
async fn attendees_come_once_though_pages_are_short_or_empty() {
    for more in [
        format!("event_ids = [\"{EVENT}\"]"),
        "organization_id = \"200000000001\"".to_owned(),
    ] {
        let (vendor, test) = start(crowd(190), &more).await;
        vendor.after(2, |eventbrite| {
            eventbrite
                .attendees
                .push(attendee(900, "7000000900", "late@stark.example", -60));
        });
        vendor.trouble("/attendees/", error(429, "HIT_RATE_LIMIT"));
        vendor.trouble("/attendees/", error(500, "INTERNAL_ERROR"));
        leads(&test, 191).await;
        let lead = test.lead_of("e17@stark.example").unwrap();
        assert_eq!(lead["FirstName"], "Chloé");
        assert_eq!(lead["LastName"], "Dubois17");
        assert_eq!(lead["Company"], "Stark S.A.");
        assert_eq!(lead["Title"], "CFO");
        // Asked again from the last second on: nobody comes twice, a changed one does.
        vendor.service(|eventbrite| {
            eventbrite.attendees[3]["changed"] = "2026-03-01T10:10:00Z".into();
        });
        let before = accepted(&test, "summit").await;
        polled(&test, before + 1).await;
        assert_eq!(test.leads().len(), 191);
        assert!(
            vendor
                .log()
                .last()
                .unwrap()
                .parameter("changed_since")
                .is_some()
        );
    }
}

#[tokio::test]
async fn three_tickets_are_one_lead_and_tickets_without_names_or_withdrawn_are_none() {
    let mut list: Vec<Value> = (0..3)
        .map(|n| attendee(n, "7000000042", "chloe@stark.example", 60))
        .collect();
    for one in &mut list {
        one["profile"]["last_name"] = "Dubois".into();
    }
    let mut nameless = attendee(4, "7000000043", "Info Requested", 60);
    nameless["profile"]["first_name"] = "Info Requested".into();
    nameless["profile"]["last_name"] = "Info Requested".into();
    nameless["profile"]["name"] = "Info Requested".into();
    let mut cancelled = attendee(5, "7000000044", "gone@stark.example", 60);
    cancelled["cancelled"] = true.into();
    cancelled["status"] = "Not Attending".into();
    list.extend([nameless, cancelled]);
    let (_vendor, test) = start(list, &format!("event_ids = [\"{EVENT}\"]")).await;
    first(&test, 5).await;
    let lead = test.lead();
    assert_eq!(lead["Email"], "chloe@stark.example");
    assert_ne!(lead["HasOptedOutOfEmail"], true);
}

fn hook(action: &str, api_url: &str) -> Vec<u8> {
    json!({"api_url": api_url, "config": {"action": action, "user_id": "5001", "endpoint_url": "https://leads.acme.example/hooks/summit/…", "webhook_id": "31000"}}).to_string().into_bytes()
}

async fn deliver(test: &TestDaemon, path: &str, delivery: &str, body: &[u8]) -> StatusCode {
    let headers = [
        ("content-type", "application/json"),
        ("x-eventbrite-event", "order.placed"),
        ("x-eventbrite-delivery", delivery),
        ("user-agent", "Eventbrite Hookshot c80feb2"),
        ("accept", "text/plain"),
    ];
    post(test, path, &headers, body).await.0
}

#[tokio::test]
async fn a_webhook_is_fetched_from_the_api_itself_and_is_one_lead_with_the_poll() {
    let (vendor, test) = start(Vec::new(), &format!("event_ids = [\"{EVENT}\"]")).await;
    test.until("the first poll", async || vendor.asked("/attendees/") > 0)
        .await;
    let stranger = StandIn::start(|_| Eventbrite {
        attendees: crowd(3),
    })
    .await;
    vendor.service(|eventbrite| {
        eventbrite.attendees = vec![attendee(42, "7000000042", "Chloe@stark.example", 60)];
    });
    let good = hook(
        "order.placed",
        "https://www.eventbriteapi.com/v3/orders/7000000042/",
    );
    for path in ["/hooks/summit", "/hooks/summit/guessed"] {
        let status = deliver(&test, path, "1", &good).await;
        assert!(
            status.is_client_error() && status != StatusCode::GONE,
            "{status}"
        );
    }
    let probe = hook(
        "test",
        "https://www.eventbriteapi.com/v3/{api-endpoint-to-fetch-object-details}/",
    );
    assert_eq!(deliver(&test, HOOK, "2", &probe).await, StatusCode::OK);
    assert_eq!(accepted(&test, "summit").await, 0);
    assert_eq!(deliver(&test, HOOK, "3", &good).await, StatusCode::OK);
    assert_eq!(deliver(&test, HOOK, "3", &good).await, StatusCode::OK);
    // Somebody who learned the address.
    for url in [
        format!("{}/v3/orders/7000000001/", stranger.url),
        "https://www.eventbriteapi.com@evil.example/v3/orders/7000000001/".to_owned(),
        "https://www.eventbriteapi.com/v3/orders/../users/me/".to_owned(),
    ] {
        assert_ne!(
            deliver(&test, HOOK, &url, &hook("order.placed", &url)).await,
            StatusCode::GONE
        );
    }
    test.until("it is fetched", async || !test.leads().is_empty())
        .await;
    let lead = test.lead();
    assert_eq!(lead["Email"], "chloe@stark.example");
    assert_eq!(lead["Company"], "Stark S.A.");
    assert!(stranger.log().is_empty());
    assert_eq!(vendor.asked("/users/"), 0);
    let calls = vendor.asked("/attendees/");
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("it is polled", async || vendor.asked("/attendees/") > calls)
        .await;
    vendor.service(|eventbrite| {
        eventbrite.attendees[0]["checked_in"] = true.into();
        eventbrite.attendees[0]["status"] = "Checked In".into();
        eventbrite.attendees[0]["changed"] = "2026-03-01T10:20:00Z".into();
    });
    let came = hook(
        "barcode.checked_in",
        &format!("https://www.eventbriteapi.com/v3/events/{EVENT}/attendees/8000000042/"),
    );
    assert_eq!(deliver(&test, HOOK, "5", &came).await, StatusCode::OK);
    test.until("it is fetched", async || {
        vendor.asked("/attendees/8000000042/") > 0
    })
    .await;
    test.drained().await;
    assert_eq!(test.leads().len(), 1);
}

#[tokio::test]
async fn a_withdrawn_token_waits_for_a_person_and_nobody_is_lost() {
    let (vendor, test) = start(crowd(2), &format!("event_ids = [\"{EVENT}\"]")).await;
    vendor.trouble("/attendees/", error(400, "INVALID_AUTH"));
    test.until("it is asked", async || vendor.asked("/attendees/") > 0)
        .await;
    vendor.secret("token", &format!("{TOKEN}\n"));
    polled(&test, 2).await;
    assert_eq!(test.leads().len(), 2);
}
