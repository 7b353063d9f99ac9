//! HubSpot: submissions of forms, contacts by search and by webhook.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use leadstream::edge::clock::Clock as _;
use serde_json::{Value, json};

use super::stand_in_a::{
    Answer, Asked, START, Service, StandIn, Tokens, accepted, hmac_sha256, leads, post, stop,
};
use crate::harness::TestDaemon;

const TOKEN: &str = "pat-eu1-0000";
const SECRET: &str = "client-secret-of-the-app";
const FORM: &str = "4f1b2c3d-0000-4000-8000-000000000001";
const PUBLIC: &str = "https://leads.acme.example";

#[derive(Debug)]
struct HubSpot {
    /// Form id, its type, and its submissions, newest first.
    forms: Vec<(String, &'static str, Vec<Value>)>,
    contacts: Vec<Value>,
    tokens: Tokens,
    /// Results that one query of the search gives.
    most_results: usize,
    /// Contacts that the search does not find yet: its index lags.
    index_lags: bool,
}

fn error(status: u16, category: &str) -> Answer {
    let body = json!({"status": "error", "message": category, "correlationId": "6f1c", "category": category});
    Answer::json(status, &body)
}

fn bad() -> Answer {
    error(400, "VALIDATION_ERROR")
}

/// Milliseconds of a time in a property, or in a filter's value.
fn millis(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or("");
    text.parse().unwrap_or_else(|_| {
        text.parse::<jiff::Timestamp>()
            .map_or(0, jiff::Timestamp::as_millisecond)
    })
}

impl HubSpot {
    fn submissions(&self, asked: &Asked, id: &str) -> Answer {
        let Some((_, _, all)) = self.forms.iter().find(|(form, ..)| form == id) else {
            return error(404, "OBJECT_NOT_FOUND");
        };
        let limit = asked
            .parameter("limit")
            .map_or(Some(20), |text| text.parse().ok());
        let Some(limit @ 1..=50) = limit else {
            return bad();
        };
        // The token pins the last record that was given, not a number of records.
        let start = match asked.parameter("after") {
            None => 0,
            Some(token) => {
                let last = STANDARD
                    .decode(token)
                    .ok()
                    .and_then(|id| String::from_utf8(id).ok());
                let at = all
                    .iter()
                    .position(|one| one["conversionId"].as_str() == last.as_deref());
                let Some(at) = at else { return bad() };
                at + 1
            }
        };
        let results: Vec<&Value> = all.iter().skip(start).take(limit).collect();
        let mut page = json!({"results": results});
        if start + limit < all.len() {
            let last = results.last().unwrap()["conversionId"].as_str().unwrap();
            page["paging"] = json!({"next": {"after": STANDARD.encode(last), "link": format!("https://api.hubapi.com{}?after=…", asked.path)}});
        }
        Answer::json(200, &page)
    }

    fn list_forms(&self, asked: &Asked) -> Answer {
        let types: Vec<&str> = asked
            .query
            .iter()
            .filter(|(name, _)| name == "formTypes")
            .map(|(_, value)| value.as_str())
            .collect();
        let known = ["hubspot", "captured", "flow", "blog_comment", "all"];
        if types.iter().any(|name| !known.contains(name)) {
            return bad();
        }
        let found: Vec<Value> = self
            .forms
            .iter()
            .filter(|(_, kind, _)| if types.is_empty() { *kind == "hubspot" } else { types.contains(kind) })
            .map(|(id, kind, _)| json!({"id": id, "name": format!("Form {kind}"), "formType": kind, "archived": false}))
            .collect();
        let start = asked.number("after").unwrap_or(0) as usize;
        // Pages of two, so that there are several.
        let mut page = json!({"results": found.iter().skip(start).take(2).collect::<Vec<_>>()});
        if start + 2 < found.len() {
            page["paging"] = json!({"next": {"after": (start + 2).to_string()}});
        }
        Answer::json(200, &page)
    }

    fn search(&self, asked: &Asked) -> Answer {
        let Ok(query) = serde_json::from_slice::<Value>(&asked.body) else {
            return bad();
        };
        let limit = query["limit"].as_u64().unwrap_or(10) as usize;
        let after = match &query["after"] {
            Value::Null => Some(0),
            Value::String(text) => text.parse::<usize>().ok(),
            Value::Number(number) => number.as_u64().map(|number| number as usize),
            _ => None,
        };
        let sorts = query["sorts"].as_array().cloned().unwrap_or_default();
        let (Some(after), 0..=200, 0..=1) = (after, limit, sorts.len()) else {
            return bad();
        };
        if after + limit > self.most_results {
            return bad();
        }
        let mut found: Vec<&Value> = self
            .contacts
            .iter()
            .filter(|one| one["archived"] != true && !self.index_lags)
            .collect();
        for filter in query["filterGroups"][0]["filters"]
            .as_array()
            .cloned()
            .unwrap_or_default()
        {
            let name = filter["propertyName"].as_str().unwrap_or("").to_owned();
            // On contacts the other one filters nothing, silently.
            if name == "hs_lastmodifieddate" {
                continue;
            }
            let value = millis(&filter["value"]);
            let keep: fn(i64, i64) -> bool = match filter["operator"].as_str() {
                Some("GTE") => |a, b| a >= b,
                Some("GT") => |a, b| a > b,
                Some("LTE") => |a, b| a <= b,
                Some("LT") => |a, b| a < b,
                _ => return bad(),
            };
            found.retain(|one| keep(millis(&one["properties"][&name]), value));
        }
        if let Some(sort) = sorts.first() {
            let name = sort["propertyName"].as_str().unwrap_or("").to_owned();
            found.sort_by_key(|one| millis(&one["properties"][&name]));
            if sort["direction"] == "DESCENDING" {
                found.reverse();
            }
        }
        let asked_for: Vec<&str> = query["properties"].as_array().map_or(Vec::new(), |list| {
            list.iter().filter_map(Value::as_str).collect()
        });
        let results: Vec<Value> = found
            .iter()
            .skip(after)
            .take(limit)
            .map(|one| only(one, &asked_for))
            .collect();
        let mut page = json!({"total": found.len(), "results": results});
        if after + limit < found.len() {
            page["paging"] = json!({"next": {"after": (after + limit).to_string()}});
        }
        Answer::json(200, &page)
    }

    fn contact(&self, asked: &Asked, id: &str) -> Answer {
        let properties: Vec<&str> = asked
            .query
            .iter()
            .filter(|(name, _)| name == "properties")
            .flat_map(|(_, value)| value.split(','))
            .collect();
        match self.contacts.iter().find(|one| one["id"] == id) {
            Some(contact) => Answer::json(200, &only(contact, &properties)),
            None => error(404, "OBJECT_NOT_FOUND"),
        }
    }
}

/// Only the properties that were asked for, and those that always come.
fn only(contact: &Value, names: &[&str]) -> Value {
    const ALWAYS: [&str; 6] = [
        "createdate",
        "email",
        "firstname",
        "hs_object_id",
        "lastmodifieddate",
        "lastname",
    ];
    let mut contact = contact.clone();
    let properties = contact["properties"].as_object_mut().unwrap();
    properties.retain(|name, _| {
        names.contains(&name.as_str()) || (names.is_empty() && ALWAYS.contains(&name.as_str()))
    });
    for name in names {
        properties.entry((*name).to_owned()).or_insert(Value::Null);
    }
    contact
}

impl Service for HubSpot {
    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.path == "/oauth/v1/token" {
            return self.tokens.refresh(asked);
        }
        if asked.bearer() != Some(TOKEN) && !self.tokens.is_good(asked) {
            return error(401, "EXPIRED_AUTHENTICATION");
        }
        let parts: Vec<&str> = asked.path.split('/').skip(1).collect();
        let answer = match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["form-integrations", "v1", "submissions", "forms", id]) => {
                self.submissions(asked, id)
            }
            ("GET", ["marketing", "v3", "forms"]) => self.list_forms(asked),
            ("POST", ["crm", "v3", "objects", "contacts", "search"]) => return self.search(asked),
            ("GET", ["crm", "v3", "objects", "contacts", id]) => self.contact(asked, id),
            _ => error(404, "OBJECT_NOT_FOUND"),
        };
        answer
            .with("x-hubspot-ratelimit-max", 100)
            .with("x-hubspot-ratelimit-remaining", 99)
            .with("x-hubspot-ratelimit-interval-milliseconds", 10_000)
    }
}

fn submission(number: u64, at: i64) -> Value {
    json!({
        "conversionId": format!("3b0f5a10-7c55-4e0e-9b8e-{number:012x}"), "submittedAt": at,
        "values": [
            {"name": "email", "value": format!("s{number}@monarch.example"), "objectTypeId": "0-1"},
            {"name": "firstname", "value": "Aïcha", "objectTypeId": "0-1"},
            {"name": "lastname", "value": format!("Ben {number}"), "objectTypeId": "0-1"},
            {"name": "phone", "value": "+49 30 9018201", "objectTypeId": "0-1"},
            {"name": "jobtitle", "value": "CFO", "objectTypeId": "0-1"},
            {"name": "interests", "value": "crm", "objectTypeId": "0-1"},
            {"name": "interests", "value": "events", "objectTypeId": "0-1"},
            {"name": "company", "value": "Monarch 株式会社", "objectTypeId": "0-1"},
            {"name": "LEGAL_CONSENT.subscription_type_7", "value": "Checked", "objectTypeId": "0-1"},
        ],
        "pageUrl": "https://www.example.com/demo?utm_source=google&utm_campaign=spring&gclid=TeSter-123",
    })
}

/// `count` submissions, newest first, three of each millisecond.
fn submissions(first: u64, count: u64, newest: i64) -> Vec<Value> {
    (0..count)
        .map(|n| submission(first + n, newest - (n as i64 / 3) * 1000))
        .collect()
}

fn contact(id: u64, at: i64) -> Value {
    let time = jiff::Timestamp::from_millisecond(at)
        .unwrap()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string();
    json!({
        "id": id.to_string(), "createdAt": time, "updatedAt": time, "archived": false,
        "properties": {
            "hs_object_id": id.to_string(), "email": format!("c{id}@monarch.example"), "firstname": "Aïcha",
            "lastname": format!("Ben {id}"), "phone": "+493090182020", "company": "Monarch", "jobtitle": "CFO",
            "createdate": time, "lastmodifieddate": time, "hs_lastmodifieddate": null,
        },
    })
}

async fn vendor() -> StandIn<HubSpot> {
    StandIn::start(|_| HubSpot {
        forms: Vec::new(),
        contacts: Vec::new(),
        tokens: Tokens::new("client-1", SECRET, false, 1800),
        most_results: 10_000,
        index_lags: false,
    })
    .await
}

async fn start(vendor: &StandIn<HubSpot>, more: &str) -> TestDaemon {
    let sections = format!(
        "[sources.hub]\nconnector = \"hubspot\"\nbase_url = \"{}\"\nclient_secret = {}\n\
         default_country = \"DE\"\n{more}\n",
        vendor.url,
        vendor.secret("client", SECRET),
    );
    let server = format!("public_url = \"{PUBLIC}\"");
    vendor.daemon(&server, &sections).await
}

fn private_app(vendor: &StandIn<HubSpot>) -> String {
    format!("access_token = {}\n", vendor.secret("token", TOKEN))
}

async fn polled(test: &TestDaemon, count: u64) {
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("they are in", async || accepted(test, "hub").await >= count)
        .await;
    test.drained().await;
    assert!(
        test.dead_letters().await.is_empty(),
        "{:?}",
        test.dead_letters().await
    );
}

#[tokio::test]
async fn submissions_come_once_with_their_fields_while_others_come_in() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        hub.forms
            .push((FORM.to_owned(), "hubspot", submissions(0, 240, START.0)));
    });
    let test = start(
        &vendor,
        &format!("{}form_ids = [\"{FORM}\"]", private_app(&vendor)),
    )
    .await;
    vendor.after(2, |hub| {
        let new = submissions(1000, 5, START.0 + 600_000);
        hub.forms[0].2.splice(0..0, new);
    });
    test.clock.advance(Duration::from_secs(15 * 60));
    leads(&test, 245).await;
    let lead = test.lead_of("s17@monarch.example").unwrap();
    assert_eq!(lead["FirstName"], "Aïcha");
    assert_eq!(lead["LastName"], "Ben 17");
    assert_eq!(lead["Company"], "Monarch 株式会社");
    assert_eq!(lead["Title"], "CFO");
    assert_eq!(lead["Phone"], "+49309018201");
    // Once all is known a round is one page.
    let before = vendor.asked("/submissions/");
    test.clock.advance(Duration::from_secs(10 * 60));
    test.until("the next round", async || {
        vendor.asked("/submissions/") > before
    })
    .await;
    assert!(vendor.asked("/submissions/") <= before + 2);
}

#[tokio::test]
async fn a_stop_between_two_pages_loses_nobody_though_more_than_a_page_came_in() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        hub.forms
            .push((FORM.to_owned(), "hubspot", submissions(0, 240, START.0)));
    });
    let mut test = start(
        &vendor,
        &format!("{}form_ids = [\"{FORM}\"]", private_app(&vendor)),
    )
    .await;
    test.clock.advance(Duration::from_secs(10 * 60));
    test.until("two pages are in", async || {
        accepted(&test, "hub").await >= 100
    })
    .await;
    stop(&mut test).await;
    vendor.service(|hub| {
        let new = submissions(1000, 120, START.0 + 600_000);
        hub.forms[0].2.splice(0..0, new);
    });
    test.run().await;
    test.clock.advance(Duration::from_secs(15 * 60));
    leads(&test, 360).await;
}

#[tokio::test]
async fn all_forms_are_those_of_other_makers_and_pop_ups_as_well() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        for (n, kind) in ["hubspot", "captured", "flow", "blog_comment", "hubspot"]
            .into_iter()
            .enumerate()
        {
            let id = format!("4f1b2c3d-0000-4000-8000-00000000010{n}");
            hub.forms
                .push((id, kind, submissions(n as u64 * 100, 3, START.0 - 1000)));
        }
        hub.forms.push((
            "4f1b2c3d-0000-4000-8000-000000000200".to_owned(),
            "captured",
            Vec::new(),
        ));
    });
    let test = start(
        &vendor,
        &format!("{}all_forms = true", private_app(&vendor)),
    )
    .await;
    polled(&test, 12).await;
    // Of comments on a blog nobody says that they are leads; of all others they are.
    let leads = test.leads().len();
    assert!(leads == 12 || leads == 15, "{leads}");
}

#[tokio::test]
async fn contacts_are_walked_by_time_past_the_most_that_one_query_gives() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        hub.most_results = 600;
        // A bulk update: 450 of one millisecond, then singles.
        hub.contacts = (0..450)
            .map(|n| contact(90_210_000_001 + n, START.0 - 86_400_000))
            .collect();
        hub.contacts.extend(
            (450..850).map(|n| contact(90_210_000_001 + n, START.0 - 3_600_000 + n as i64)),
        );
    });
    vendor.after(2, |hub| {
        // Edited meanwhile: it goes to the end, those behind it move up.
        hub.contacts[5] = contact(90_210_000_006, START.0 + 850_000);
        hub.contacts[6]["archived"] = true.into();
    });
    let test = start(&vendor, &format!("{}contacts = true", private_app(&vendor))).await;
    test.clock.advance(Duration::from_secs(15 * 60));
    leads(&test, 850).await;
    let lead = test.lead_of("c90210000700@monarch.example").unwrap();
    assert_eq!(
        (&lead["Title"], &lead["Company"]),
        (&json!("CFO"), &json!("Monarch"))
    );
}

/// What HubSpot sends beside the body.
fn sign(path: &str, at: i64, body: &[u8]) -> [(&'static str, String); 2] {
    let url = format!("{PUBLIC}{path}");
    let at = at.to_string();
    let mac = hmac_sha256(SECRET, &[b"POST", url.as_bytes(), body, at.as_bytes()]);
    [
        ("x-hubspot-signature-v3", STANDARD.encode(mac)),
        ("x-hubspot-request-timestamp", at),
    ]
}

async fn deliver(test: &TestDaemon, headers: &[(&str, String)], body: &[u8]) -> StatusCode {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
    post(test, "/hooks/hub", &all, body).await.0
}

fn event(number: u64, kind: &str, object: u64, source: &str, at: i64) -> Value {
    json!({
        "eventId": number, "subscriptionId": 55021, "portalId": 4_400_551, "appId": 99001, "occurredAt": at,
        "subscriptionType": kind, "attemptNumber": 0, "objectId": object, "changeSource": source, "changeFlag": "CREATED",
    })
}

#[tokio::test]
async fn a_webhook_names_contacts_that_are_fetched_and_is_one_lead_with_the_poll() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        hub.index_lags = true;
        hub.contacts = (1..=9).map(|n| contact(n, START.0 - 5000)).collect();
    });
    let test = start(&vendor, &format!("{}contacts = true", private_app(&vendor))).await;
    let now = test.clock.now().0;
    let batch = json!([
        event(1, "contact.creation", 1, "FORM", now),
        event(2, "contact.creation", 2, "CRM_UI", now),
        event(3, "contact.creation", 3, "IMPORT", now),
        event(4, "contact.creation", 4, "SALESFORCE", now),
        event(6, "contact.deletion", 999, "CRM_UI", now),
    ]);
    let body = batch.to_string().replace("FORM", "\\u0046ORM").into_bytes();
    let good = sign("/hooks/hub", now, &body);
    let mut other = good.clone();
    other[0].1 = STANDARD.encode([0; 32]);
    let refused = [
        Vec::new(),
        other.to_vec(),
        good[..1].to_vec(),
        sign("/hooks/hub", now - 301_000, &body).to_vec(),
        sign("/hooks/another", now, &body).to_vec(),
        sign("/hooks/hub", now, b"[]").to_vec(),
    ];
    for headers in refused {
        let status = deliver(&test, &headers, &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    assert_eq!(accepted(&test, "hub").await, 0);
    assert_eq!(deliver(&test, &good, &body).await, StatusCode::OK);
    assert_eq!(deliver(&test, &good, &body).await, StatusCode::OK);
    test.drained().await;
    let mut emails: Vec<String> = test
        .leads()
        .iter()
        .map(|lead| lead["Email"].to_string())
        .collect();
    emails.sort();
    assert_eq!(
        emails,
        ["\"c1@monarch.example\"", "\"c2@monarch.example\""],
        "{:?}",
        test.audit().await
    );
    vendor.service(|hub| hub.index_lags = false);
    let before = accepted(&test, "hub").await;
    polled(&test, before + 7).await;
    assert_eq!(test.leads().len(), 9);
    // One that is gone before it is fetched ends by itself.
    let now = test.clock.now().0;
    let body = json!([event(5, "contact.creation", 404, "FORM", now)]).to_string();
    let good = sign("/hooks/hub", now, body.as_bytes());
    assert_eq!(deliver(&test, &good, body.as_bytes()).await, StatusCode::OK);
    test.drained().await;
    assert_eq!(test.leads().len(), 9);
}

#[tokio::test]
async fn a_contact_that_opted_out_is_no_lead_and_a_company_is_not_the_persons_name() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        let mut out = contact(1, START.0 - 9000);
        out["properties"]["hs_email_optout"] = "true".into();
        hub.contacts = vec![out, contact(2, START.0 - 9000)];
        let mut with_company = submission(7, START.0 - 9000);
        with_company["values"] = json!([
            {"name": "email", "value": "s7@monarch.example", "objectTypeId": "0-1"},
            {"name": "lastname", "value": "Ben", "objectTypeId": "0-1"},
            {"name": "name", "value": "Monarch Ltd", "objectTypeId": "0-2"},
            {"name": "city", "value": "London", "objectTypeId": "0-2"},
        ]);
        let mut prefixed = submission(8, START.0 - 9000);
        prefixed["values"] = json!([
            {"name": "email", "value": "s8@monarch.example", "objectTypeId": "0-1"},
            {"name": "lastname", "value": "Ben", "objectTypeId": "0-1"},
            {"name": "0-2/name", "value": "Monarch Ltd", "objectTypeId": "0-2"},
        ]);
        hub.forms
            .push((FORM.to_owned(), "hubspot", vec![with_company, prefixed]));
    });
    let more = format!(
        "{}contacts = true\nform_ids = [\"{FORM}\"]",
        private_app(&vendor)
    );
    let test = start(&vendor, &more).await;
    polled(&test, 4).await;
    assert_eq!(test.leads().len(), 3, "{:?}", test.leads());
    for email in ["s7@monarch.example", "s8@monarch.example"] {
        let lead = test.lead_of(email).unwrap();
        assert_eq!(lead["LastName"], "Ben");
        assert_eq!(lead["Company"], "Monarch Ltd", "{lead:?}");
    }
    // Who opts out later is told so.
    vendor.service(|hub| {
        hub.contacts[1] = contact(2, START.0 + 1_000_000);
        hub.contacts[1]["properties"]["hs_email_optout"] = "true".into();
    });
    polled(&test, 5).await;
    assert_eq!(
        test.lead_of("c2@monarch.example").unwrap()["HasOptedOutOfEmail"],
        true
    );
}

#[tokio::test]
async fn tokens_are_renewed_before_and_when_they_are_refused_and_limits_are_waited_for() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        hub.forms
            .push((FORM.to_owned(), "hubspot", submissions(0, 120, START.0)));
    });
    let more = format!(
        "client_id = \"client-1\"\nrefresh_token = {}\ntoken_url = \"{}/oauth/v1/token\"\nform_ids = [\"{FORM}\"]",
        vendor.secret("refresh", "refresh-0"),
        vendor.url
    );
    let test = start(&vendor, &more).await;
    let limited = |policy: &str| {
        Answer::json(429, &json!({"status": "error", "message": "You have reached your limit.", "errorType": "RATE_LIMIT", "policyName": policy, "correlationId": "c"}))
            .with("x-hubspot-ratelimit-remaining", 0)
            .with("x-hubspot-ratelimit-interval-milliseconds", 10_000)
    };
    vendor.trouble("/submissions/", limited("TEN_SECONDLY_ROLLING"));
    vendor.trouble("/submissions/", error(423, "LOCKED"));
    vendor.trouble(
        "/submissions/",
        Answer::text(477, "").with("retry-after", 120),
    );
    vendor.trouble("/submissions/", Answer::text(502, "<html>"));
    vendor.after(6, |hub| hub.tokens.withdraw());
    test.clock.advance(Duration::from_secs(15 * 60));
    leads(&test, 120).await;
    assert_eq!(vendor.troubles_left(), 0);
    let log = vendor.log();
    let at: Vec<i64> = log
        .iter()
        .filter(|asked| asked.path.contains("/submissions/"))
        .map(|asked| asked.at.0)
        .collect();
    assert!(at[3] - at[2] >= 120_000, "477 says how long: {at:?}");
    assert!(at[1] - at[0] >= 1_000, "{at:?}");
    let renewed = vendor.service(|hub| hub.tokens.issued);
    assert!(renewed >= 2, "{renewed}");
    // An hour later the token is over by the clock: it is not tried.
    vendor.service(|hub| {
        hub.forms[0]
            .2
            .insert(0, submission(500, START.0 + 3_000_000));
    });
    test.clock.advance(Duration::from_secs(3600));
    leads(&test, 121).await;
    assert!(vendor.service(|hub| hub.tokens.issued) > renewed);
}

#[tokio::test]
async fn a_submission_and_the_contact_that_it_made_are_one_lead() {
    let vendor = vendor().await;
    vendor.service(|hub| {
        hub.forms.push((
            FORM.to_owned(),
            "hubspot",
            vec![submission(7, START.0 - 9000)],
        ));
        let mut contact = contact(7, START.0 - 8000);
        contact["properties"]["email"] = "S7@monarch.example".into();
        hub.contacts.push(contact);
    });
    let more = format!(
        "{}contacts = true\nform_ids = [\"{FORM}\"]",
        private_app(&vendor)
    );
    let test = start(&vendor, &more).await;
    polled(&test, 2).await;
    assert_eq!(test.leads().len(), 1, "{:?}", test.leads());
}
