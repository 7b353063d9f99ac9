//! Zoom: registrants, attendance and its signed webhooks.

use std::time::Duration;

use http::StatusCode;
use leadstream::edge::clock::Clock as _;
use serde_json::{Value, json};

use super::stand_in_a::{
    Answer, Asked, START, Service, StandIn, Tokens, accepted, hex, hmac_sha256, leads, post,
    rfc3339, shuffled, stop,
};
use crate::harness::TestDaemon;

const SECRET: &str = "secret-token-of-the-app";
const WEBINAR: u64 = 95_203_310_002;
/// Begins with `/` and holds `//`.
const UUID: &str = "/nAbC//x1Y2z3Qe0vJtKw==";

#[derive(Debug)]
struct Zoom {
    approved: Vec<Value>,
    pending: Vec<Value>,
    participants: Vec<Value>,
    absentees: Vec<Value>,
    /// The webinar is over.
    over: bool,
    tokens: Tokens,
    /// Page tokens that were given: the parameters, the place, and when.
    pages: Vec<(String, usize, i64)>,
    /// Refresh tokens of a user, instead of the account's own credentials.
    user: bool,
}

fn error(status: u16, code: u32, message: &str) -> Answer {
    Answer::json(status, &json!({"code": code, "message": message}))
}

impl Zoom {
    fn token(&mut self, asked: &Asked) -> Answer {
        if self.user {
            return self.tokens.refresh(asked);
        }
        let field = |name: &str| {
            asked
                .form_field(name)
                .or(asked.parameter(name).map(str::to_owned))
        };
        let basic = asked.header("authorization").starts_with("Basic ");
        if !basic || !self.tokens.knows_client(asked) {
            return Answer::json(
                401,
                &json!({"reason": "Invalid client_id or client_secret", "error": "invalid_client"}),
            );
        }
        if asked.method != "POST" || field("grant_type").as_deref() != Some("account_credentials") {
            return Answer::json(
                400,
                &json!({"reason": "unsupported grant type", "error": "unsupported_grant_type"}),
            );
        }
        if field("account_id").as_deref() != Some("AAAAAABBBB") {
            return Answer::json(
                400,
                &json!({"reason": "Bad Request", "error": "invalid_request"}),
            );
        }
        let mut token = self.tokens.issue(asked.at);
        token.as_object_mut().unwrap().remove("refresh_token");
        token["api_url"] = "https://api.zoom.us".into();
        token["scope"] = "webinar:read:admin report:read:admin".into();
        Answer::json(200, &token)
    }

    /// A page of a list that goes on by tokens of 15 minutes, good with the same parameters only.
    fn page(&mut self, asked: &Asked, name: &str, list: Vec<Value>) -> Answer {
        let size = asked
            .parameter("page_size")
            .map_or(Some(30), |text| text.parse().ok());
        let Some(size @ 1..=300) = size else {
            return error(300, 300, "Invalid page_size");
        };
        let parameters = format!(
            "{} {:?}",
            asked.path,
            asked
                .query
                .iter()
                .filter(|(name, _)| name != "next_page_token")
                .collect::<Vec<_>>()
        );
        let start = match asked.parameter("next_page_token") {
            None | Some("") => 0,
            Some(token) => {
                let given = token
                    .strip_prefix("tok")
                    .and_then(|n| n.parse::<usize>().ok())
                    .and_then(|n| self.pages.get(n));
                match given {
                    Some((for_, at, when))
                        if *for_ == parameters && asked.at.0 - when < 900_000 =>
                    {
                        *at
                    }
                    _ => return error(400, 300, "The next page token is invalid or expired."),
                }
            }
        };
        let total = list.len();
        let records: Vec<Value> = list.into_iter().skip(start).take(size).collect();
        let mut token = String::new();
        if start + size < total {
            token = format!("tok{}", self.pages.len());
            self.pages.push((parameters, start + size, asked.at.0));
        }
        Answer::json(
            200,
            &json!({"page_size": size, "total_records": total, "next_page_token": token, name: records}),
        )
    }
}

impl Service for Zoom {
    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.path == "/oauth/token" {
            return self.token(asked);
        }
        if !self.tokens.is_good(asked) {
            return error(401, 124, "Invalid access token.");
        }
        let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
        let webinar = WEBINAR.to_string();
        let is_it = |id: &str| id == webinar;
        // Encoded twice: it begins with a slash.
        let uuid = "%252FnAbC%252F%252Fx1Y2z3Qe0vJtKw%253D%253D";
        let is_uuid = |id: &str| id.replace("==", "%253D%253D") == uuid;
        let answer = match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["v2", "users", "me", "webinars"]) => {
                let webinar = json!({"uuid": UUID, "id": WEBINAR, "host_id": "z8dCfp8uQ", "topic": "Year in review", "type": 5, "start_time": "2026-03-01T09:00:00Z", "duration": 60, "timezone": "Europe/Berlin", "created_at": "2026-01-01T00:00:00Z", "join_url": "https://acme.zoom.us/j/1"});
                let other = json!({"uuid": "other", "id": 1, "host_id": "z8dCfp8uQ", "topic": "Empty", "type": 5, "start_time": "2026-09-01T09:00:00Z", "duration": 60, "timezone": "UTC", "created_at": "2026-01-01T00:00:00Z", "join_url": ""});
                self.page(asked, "webinars", vec![webinar, other])
            }
            ("GET", ["v2", "webinars", id]) if is_it(id) => Answer::json(
                200,
                &json!({"uuid": UUID, "id": WEBINAR, "topic": "Year in review", "start_time": "2026-03-01T09:00:00Z"}),
            ),
            ("GET", ["v2", "webinars", "1", "registrants"]) => {
                self.page(asked, "registrants", Vec::new())
            }
            ("GET", ["v2", "webinars", id, "registrants"]) if is_it(id) => {
                let list = match asked.parameter("status") {
                    None | Some("approved") => &self.approved,
                    Some("pending") => &self.pending,
                    Some("denied") => return self.page(asked, "registrants", Vec::new()),
                    Some(_) => return error(400, 300, "Invalid status"),
                };
                let list = shuffled(list);
                self.page(asked, "registrants", list)
            }
            ("GET", ["v2", "past_webinars", id, "instances"]) if is_it(id) && self.over => {
                Answer::json(
                    200,
                    &json!({"webinars": [{"uuid": UUID, "start_time": "2026-03-01T09:00:00Z"}]}),
                )
            }
            ("GET", ["v2", "past_webinars", "1", "instances"]) => {
                Answer::json(200, &json!({"webinars": []}))
            }
            ("GET", ["v2", "report", "webinars", id, "participants"])
                if self.over && (is_it(id) || is_uuid(id)) =>
            {
                let mut list = self.participants.clone();
                if asked.parameter("include_fields") != Some("registrant_id") {
                    for one in &mut list {
                        one.as_object_mut().unwrap().remove("registrant_id");
                    }
                }
                self.page(asked, "participants", list)
            }
            ("GET", ["v2", "past_webinars", id, "absentees"]) if self.over && is_uuid(id) => {
                let list = self.absentees.clone();
                self.page(asked, "registrants", list)
            }
            _ => error(404, 3001, "Webinar does not exist or is not over."),
        };
        answer
            .with("x-ratelimit-category", "Medium")
            .with("x-ratelimit-type", "QPS")
            .with("x-ratelimit-limit", 20)
            .with("x-ratelimit-remaining", 19)
    }
}

fn registrant(number: usize) -> Value {
    json!({
        "id": format!("5pT0kQ3mRk6b{number:04}"), "first_name": "Søren", "last_name": format!("Østergaard{number}"),
        "email": format!("R{number}@wonka.example"), "address": "", "city": "Århus", "country": "DK", "zip": "8000", "state": "",
        "phone": "+4533221100", "industry": "", "org": "Wonka A/S", "job_title": "Head of Sales 🚀",
        "purchasing_time_frame": "", "role_in_purchase_process": "", "no_of_employees": "51-100", "comments": "",
        "custom_questions": [{"title": "Budget", "value": "10k"}], "status": "approved",
        // Ties: ten of each second.
        "create_time": rfc3339(START.0 / 1000 - (number as i64 / 10) - 7200, "Z"),
        "join_url": "https://acme.zoom.us/w/95203310002?tk=x",
    })
}

fn participant(number: usize, join: i64, registered: bool) -> Value {
    json!({
        "id": "", "user_id": format!("{}", 16_778_240 + number), "name": format!("Søren Østergaard{number}"),
        "user_email": format!("r{number}@wonka.example"), "join_time": rfc3339(START.0 / 1000 + join, "Z"),
        "leave_time": rfc3339(START.0 / 1000 + join + 60, "Z"), "duration": 60, "failover": false, "status": "in_meeting",
        "registrant_id": if registered { format!("5pT0kQ3mRk6b{number:04}") } else { String::new() }, "internal_user": false,
    })
}

async fn vendor() -> StandIn<Zoom> {
    StandIn::start(|_| Zoom {
        approved: Vec::new(),
        pending: Vec::new(),
        participants: Vec::new(),
        absentees: Vec::new(),
        over: false,
        tokens: Tokens::new("client-1", "client-secret", false, 3599),
        pages: Vec::new(),
        user: false,
    })
    .await
}

async fn start(vendor: &StandIn<Zoom>, more: &str) -> TestDaemon {
    let sections = format!(
        "[sources.talks]\nconnector = \"zoom\"\nbase_url = \"{0}/v2\"\ntoken_url = \"{0}/oauth/token\"\n\
         client_id = \"client-1\"\nclient_secret = {1}\nsecret_token = {2}\n{more}\n",
        vendor.url,
        vendor.secret("client", "client-secret"),
        vendor.secret("token", SECRET),
    );
    vendor.daemon("", &sections).await
}

const SERVER: &str = "account_id = \"AAAAAABBBB\"";

async fn polled(test: &TestDaemon, count: u64) {
    test.clock.advance(Duration::from_secs(15 * 60));
    first(test, count).await;
}

/// The poll that comes with the start.
async fn first(test: &TestDaemon, count: u64) {
    test.until("they are in", async || {
        accepted(test, "talks").await >= count
    })
    .await;
    test.drained().await;
    assert!(
        test.dead_letters().await.is_empty(),
        "{:?}",
        test.dead_letters().await
    );
}

#[tokio::test]
async fn all_registrants_come_once_and_late_ones_with_the_next_round() {
    let vendor = vendor().await;
    vendor.service(|zoom| {
        zoom.approved = (0..620).map(registrant).collect();
        zoom.pending = vec![registrant(700)];
        zoom.pending[0]["status"] = "pending".into();
    });
    let test = start(&vendor, SERVER).await;
    leads(&test, 621).await;
    let lead = test.lead_of("r17@wonka.example").unwrap();
    assert_eq!(lead["FirstName"], "Søren");
    assert_eq!(lead["LastName"], "Østergaard17");
    assert_eq!(lead["Company"], "Wonka A/S");
    assert_eq!(lead["Title"], "Head of Sales 🚀");
    assert_eq!(lead["Phone"], "+4533221100");
    vendor.service(|zoom| {
        let mut late = registrant(800);
        late["create_time"] = "2025-12-01T00:00:00Z".into();
        zoom.approved.insert(5, late);
        // The one who waited is let in.
        let mut approved = zoom.pending.remove(0);
        approved["status"] = "approved".into();
        zoom.approved.push(approved);
    });
    test.clock.advance(Duration::from_secs(15 * 60));
    leads(&test, 622).await;
}

#[tokio::test]
async fn who_came_and_who_did_not_are_told_of_those_who_registered() {
    let vendor = vendor().await;
    vendor.service(|zoom| {
        zoom.over = true;
        zoom.approved = (0..3).map(registrant).collect();
        let mut host = participant(90, 0, false);
        host["internal_user"] = true.into();
        let mut unknown = participant(91, 0, false);
        unknown["user_email"] = "".into();
        // Once for each time that they joined.
        zoom.participants = vec![
            participant(0, 0, true),
            participant(0, 100, true),
            host,
            unknown,
            participant(5, 0, false),
        ];
        zoom.absentees = vec![registrant(1), registrant(2)];
    });
    let test = start(&vendor, SERVER).await;
    polled(&test, 3).await;
    test.clock.advance(Duration::from_secs(40 * 60));
    test.until("the report is read", async || {
        vendor.asked("/participants") > 0 && vendor.asked("/absentees") > 0
    })
    .await;
    polled(&test, 3 + 1 + 1 + 2).await;
    let mut emails: Vec<String> = test
        .leads()
        .iter()
        .map(|lead| lead["Email"].as_str().unwrap().to_owned())
        .collect();
    emails.sort();
    assert_eq!(
        emails,
        [
            "r0@wonka.example",
            "r1@wonka.example",
            "r2@wonka.example",
            "r5@wonka.example"
        ]
    );
    let asked = vendor.log();
    let absentees = asked
        .iter()
        .find(|asked| asked.path.contains("/absentees"))
        .unwrap();
    assert!(
        absentees
            .path
            .starts_with("/v2/past_webinars/%252FnAbC%252F%252F"),
        "{}",
        absentees.path
    );
}

#[tokio::test]
async fn an_old_page_token_begins_anew_tokens_are_renewed_and_limits_are_waited_for() {
    let vendor = vendor().await;
    vendor.service(|zoom| zoom.approved = (0..310).map(registrant).collect());
    // The second page is refused by a limit for longer than its token lives.
    vendor.after(2, |zoom| zoom.tokens.withdraw());
    let until = rfc3339(START.0 / 1000 + 3600, "Z");
    let limit = error(429, 429, "You have reached the maximum daily rate limit.");
    let limit = limit
        .with("retry-after", until)
        .with("x-ratelimit-type", "Daily-limit");
    vendor.trouble("next_page_token=tok", limit);
    vendor.trouble("/registrants", Answer::text(500, ""));
    let test = start(&vendor, &format!("{SERVER}\nwebinar_ids = [\"{WEBINAR}\"]")).await;
    test.clock.advance(Duration::from_secs(1));
    leads(&test, 310).await;
    assert!(vendor.service(|zoom| zoom.tokens.issued) >= 2);
    assert_eq!(vendor.troubles_left(), 0);
    let log = vendor.log();
    let paged = log
        .iter()
        .filter(|asked| asked.raw_query.contains("next_page_token=tok"));
    let paged: Vec<i64> = paged.map(|asked| asked.at.0).collect();
    assert!(
        paged[1] >= START.0 + 3_600_000,
        "the date is heeded: {paged:?}"
    );
    let tokens = log
        .iter()
        .filter(|asked| asked.path == "/oauth/token")
        .count();
    assert!(tokens <= 4, "{tokens}");
}

#[tokio::test]
async fn a_users_refresh_token_that_rotates_is_kept_over_a_restart() {
    let vendor = vendor().await;
    vendor.service(|zoom| {
        zoom.user = true;
        zoom.tokens.rotates = true;
        zoom.approved = vec![registrant(1)];
    });
    let more = format!("refresh_token = {}", vendor.secret("refresh", "refresh-0"));
    let mut test = start(&vendor, &more).await;
    first(&test, 1).await;
    assert_eq!(vendor.service(|zoom| zoom.tokens.issued), 1);
    stop(&mut test).await;
    test.clock.advance(Duration::from_secs(2 * 3600));
    vendor.service(|zoom| zoom.approved.push(registrant(2)));
    test.run().await;
    polled(&test, 2).await;
    assert!(vendor.service(|zoom| zoom.tokens.issued) >= 2);
    assert_eq!(test.leads().len(), 2);
}

fn signed(at: i64, body: &[u8]) -> [(&'static str, String); 3] {
    let mac = hmac_sha256(SECRET, &[b"v0:", at.to_string().as_bytes(), b":", body]);
    [
        ("content-type", "application/json".to_owned()),
        ("x-zm-request-timestamp", at.to_string()),
        ("x-zm-signature", format!("v0={}", hex(&mac))),
    ]
}

async fn deliver(
    test: &TestDaemon,
    headers: &[(&str, String)],
    body: &[u8],
) -> (StatusCode, String) {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    post(test, "/hooks/talks", &headers, body).await
}

fn registration(event: &str, registrant: Value) -> Vec<u8> {
    let body = json!({"event": event, "event_ts": START.0, "payload": {"account_id": "AAAAAABBBB", "object": {
        "uuid": UUID, "id": WEBINAR, "host_id": "z8dCfp8uQ", "topic": "Year in review", "type": 5,
        "start_time": "2026-03-01T09:00:00Z", "duration": 60, "timezone": "Europe/Berlin", "registrant": registrant}}});
    // As it comes: with escapes, so that only the raw bytes can be what was signed.
    body.to_string()
        .replace('/', "\\/")
        .replace('ø', "\\u00f8")
        .into_bytes()
}

#[tokio::test]
async fn a_signed_webhook_is_one_lead_with_the_poll_and_all_others_are_refused() {
    let vendor = vendor().await;
    let test = start(&vendor, SERVER).await;
    let now = test.clock.now().0 / 1000;
    let mut person = registrant(7);
    person.as_object_mut().unwrap().remove("create_time");
    person["tracking_source"] = json!({"id": "5516482804110", "source_name": "Newsletter", "tracking_url": "https://acme.zoom.us/webinar/register/1/WN_x"});
    let body = registration("webinar.registration_created", person);
    let good = signed(now, &body);
    let mut other = good.clone();
    other[2].1 = format!("v0={}", hex(&[0; 32]));
    for headers in [
        good[..1].to_vec(),
        good[..2].to_vec(),
        other.to_vec(),
        signed(now - 301, &body).to_vec(),
        signed(now, b"{}").to_vec(),
    ] {
        let (status, _) = deliver(&test, &headers, &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    assert_eq!(accepted(&test, "talks").await, 0);
    for _ in 0..2 {
        let (status, _) = deliver(&test, &good, &body).await;
        assert!(
            status == StatusCode::OK || status == StatusCode::NO_CONTENT,
            "{status}"
        );
    }
    test.drained().await;
    let lead = test.lead();
    assert_eq!(lead["Email"], "r7@wonka.example");
    assert_eq!(lead["LastName"], "Østergaard7");
    assert_eq!(lead["Title"], "Head of Sales 🚀");
    // Approved later: names and e-mail only, which blank nothing; then joined, with a text as id.
    let short = json!({"id": "5pT0kQ3mRk6b0007", "first_name": "Søren", "last_name": "Østergaard7", "email": "R7@wonka.example"});
    let body = registration("webinar.registration_approved", short.clone());
    assert!(
        deliver(&test, &signed(now, &body), &body)
            .await
            .0
            .is_success()
    );
    let joined = json!({"event": "webinar.participant_joined", "event_ts": START.0, "payload": {"account_id": "AAAAAABBBB", "object": {
        "uuid": UUID, "id": WEBINAR.to_string(), "host_id": "z8dCfp8uQ", "topic": "Year in review", "type": 5, "start_time": "2026-03-01T09:00:00Z", "duration": 60, "timezone": "UTC",
        "participant": {"user_id": "16778240", "user_name": "Søren", "id": "", "join_time": "2026-03-01T10:00:00Z", "email": "r7@wonka.example", "registrant_id": "5pT0kQ3mRk6b0007", "participant_uuid": "x"}}}});
    let body = joined.to_string().into_bytes();
    assert!(
        deliver(&test, &signed(now, &body), &body)
            .await
            .0
            .is_success()
    );
    let hidden = body_with(&joined, "", "");
    assert!(
        deliver(&test, &signed(now, &hidden), &hidden)
            .await
            .0
            .is_success()
    );
    vendor.service(|zoom| zoom.approved = vec![registrant(7)]);
    let before = accepted(&test, "talks").await;
    test.drained().await;
    let calls = vendor.asked("/registrants");
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("it is polled", async || {
        vendor.asked("/registrants") > calls + 2
    })
    .await;
    test.drained().await;
    assert!(accepted(&test, "talks").await >= before);
    let lead = test.lead();
    assert_eq!(lead["Company"], "Wonka A/S");
    // Cancelled: no opt-out, nobody new.
    let body = registration("webinar.registration_cancelled", short);
    let now = test.clock.now().0 / 1000;
    assert!(
        deliver(&test, &signed(now, &body), &body)
            .await
            .0
            .is_success()
    );
    test.drained().await;
    assert_ne!(test.lead()["HasOptedOutOfEmail"], true);
    assert!(
        test.dead_letters().await.is_empty(),
        "{:?}",
        test.dead_letters().await
    );
}

fn body_with(event: &Value, email: &str, registrant: &str) -> Vec<u8> {
    let mut event = event.clone();
    event["payload"]["object"]["participant"]["email"] = email.into();
    event["payload"]["object"]["participant"]["registrant_id"] = registrant.into();
    event.to_string().into_bytes()
}

#[tokio::test]
async fn the_handshake_is_answered_exactly_and_only_if_it_is_signed() {
    let vendor = vendor().await;
    let test = start(&vendor, SERVER).await;
    let now = test.clock.now().0 / 1000;
    let body = |token: &str| {
        json!({"event": "endpoint.url_validation", "payload": {"plainToken": token}, "event_ts": START.0}).to_string().into_bytes()
    };
    let plain = "qgg8vlvZRS6UYooatFL8Aw";
    let challenge = body(plain);
    let (status, text) = deliver(&test, &signed(now, &challenge), &challenge).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({"plainToken": plain, "encryptedToken": hex(&hmac_sha256(SECRET, &[plain.as_bytes()]))});
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    for headers in [
        signed(now, &challenge)[..1].to_vec(),
        signed(now, b"x").to_vec(),
    ] {
        let (status, text) = deliver(&test, &headers, &challenge).await;
        assert!(status.is_client_error(), "{status}");
        assert!(!text.contains("encryptedToken"));
    }
    let forged = body(&format!("v0:{now}:{{}}"));
    let (_, text) = deliver(&test, &signed(now, &forged), &forged).await;
    assert!(!text.contains("encryptedToken"), "{text}");
    assert_eq!(accepted(&test, "talks").await, 0);
}
