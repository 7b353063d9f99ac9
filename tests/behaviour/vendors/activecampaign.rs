//! ActiveCampaign API v3: contacts with what is joined to them, and forms in the secret's address.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::stand_in_a::{
    Answer, Asked, START, Service, StandIn, accepted, leads, post, rfc3339, shuffled,
};
use crate::harness::TestDaemon;

const KEY: &str = "api-token-of-a-user";
const HOOK: &str = "/hooks/ac/u7d0q1Vt5x8s2Kc9f3Jz";

/// A contact: id, status on list 1, when it changed (seconds of Unix).
#[derive(Debug, Clone)]
struct Contact {
    id: u64,
    status: u8,
    changed: i64,
}

#[derive(Debug)]
struct ActiveCampaign {
    contacts: Vec<Contact>,
    url: String,
}

impl Contact {
    fn json(&self, url: &str, with: &[&str]) -> Value {
        let id = self.id;
        let at = rfc3339(self.changed - 6 * 3600, "-06:00");
        let mut contact = json!({
            "id": id.to_string(), "email": format!("A{id}@Tyrell.example"), "firstName": "Müge", "lastName": format!("Yılmaz{id}"), "phone": "+442079000008",
            "orgid": "0", "orgname": "", "segmentio_id": "", "bounced_hard": if self.status == 3 { "1" } else { "0" }, "bounced_soft": "0", "bounced_date": null, "ip": "3405803777", "ua": "",
            "hash": "9d1c", "cdate": at, "udate": at, "adate": at, "edate": null, "deleted": "0", "anonymized": "0", "deleted_at": "0000-00-00 00:00:00",
            "created_utc_timestamp": "2026-03-01 08:00:07", "updated_utc_timestamp": "2026-03-01 08:00:07", "organization": null,
            "links": {"contactLists": format!("{url}/api/3/contacts/{id}/contactLists")},
        });
        if with.contains(&"fieldValues") {
            contact["fieldValues"] = json!([format!("{}", id * 10), format!("{}", id * 10 + 1)]);
        }
        if with.contains(&"contactLists") {
            contact["contactLists"] = json!([(id * 10).to_string()]);
        }
        contact
    }
}

impl Service for ActiveCampaign {
    fn answer(&mut self, asked: &Asked) -> Answer {
        if asked.header("api-token") != KEY {
            return Answer::json(
                403,
                &json!({"message": "You are not authorized to make this request."}),
            );
        }
        let answer = match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/api/3/contacts") => self.contacts(asked),
            ("GET", "/api/3/fields") => {
                let offset = asked.number("offset").unwrap_or(0);
                let fields = json!([{"id": "1", "title": "Company", "perstag": "COMPANY", "type": "text"}, {"id": "2", "title": "Interests", "perstag": "INTERESTS", "type": "checkbox"}]);
                Answer::json(
                    200,
                    &json!({"fields": if offset == 0 { fields } else { json!([]) }, "fieldOptions": [], "meta": {"total": "2"}}),
                )
            }
            ("GET", "/api/3/tags") => {
                Answer::json(200, &json!({"tags": [], "meta": {"total": "0"}}))
            }
            _ => Answer::json(404, &json!({"message": "No Result found"})),
        };
        answer
            .with("ratelimit-limit", 5)
            .with("ratelimit-remaining", 4)
    }
}

impl ActiveCampaign {
    fn contacts(&self, asked: &Asked) -> Answer {
        let limit = asked.number("limit").unwrap_or(20).min(100) as usize;
        let offset = asked.number("offset").unwrap_or(0) as usize;
        let mut found = shuffled(&self.contacts);
        match asked.parameter("status") {
            None | Some("-1") => {}
            Some(status) => found.retain(|one| one.status.to_string() == status),
        }
        if let Some(id) = asked.number("id_greater") {
            found.retain(|one| one.id > id);
        }
        if let Some(text) = asked.parameter("filters[updated_after]") {
            // A date is the account's; a time without an offset as well, six hours behind.
            let zoned = text.parse::<jiff::Timestamp>().ok();
            let plain = text.parse::<jiff::civil::DateTime>().ok().or_else(|| {
                text.parse::<jiff::civil::Date>()
                    .ok()
                    .map(|date| date.at(0, 0, 0, 0))
            });
            let since = zoned.map(jiff::Timestamp::as_second).or_else(|| {
                plain.map(|time| {
                    jiff::tz::TimeZone::UTC
                        .to_timestamp(time)
                        .unwrap()
                        .as_second()
                        + 6 * 3600
                })
            });
            let Some(since) = since else {
                return Answer::json(400, &json!({}));
            };
            found.retain(|one| one.changed > since);
        }
        if asked
            .parameter("orders[id]")
            .is_some_and(|way| way.eq_ignore_ascii_case("asc"))
        {
            found.sort_by_key(|one| one.id);
        }
        let total = found.len();
        let found: Vec<Contact> = found.into_iter().skip(offset).take(limit).collect();
        let with: Vec<&str> = asked
            .parameter("include")
            .map_or(Vec::new(), |names| names.split(',').collect());
        let contacts: Vec<Value> = found.iter().map(|one| one.json(&self.url, &with)).collect();
        let mut page = json!({"contacts": contacts, "scoreValues": [], "meta": {"total": total.to_string(), "page_input": {"limit": limit, "offset": offset}}});
        if with.contains(&"fieldValues") {
            page["fieldValues"] = found.iter().flat_map(|one| [
                json!({"contact": one.id.to_string(), "field": "1", "value": "Tyrell Ltd", "id": (one.id * 10).to_string(), "owner": one.id.to_string()}),
                json!({"contact": one.id.to_string(), "field": "2", "value": "||Product||Events||", "id": (one.id * 10 + 1).to_string(), "owner": one.id.to_string()}),
            ]).collect();
        }
        if with.contains(&"contactLists") {
            page["contactLists"] = found.iter().map(|one| json!({"contact": one.id.to_string(), "list": "1", "form": null, "sdate": rfc3339(one.changed - 6 * 3600, "-06:00"), "udate": null, "status": one.status.to_string(), "id": (one.id * 10).to_string()})).collect();
        }
        Answer::json(200, &page)
    }
}

fn contact(id: u64, status: u8, ago: i64) -> Contact {
    Contact {
        id,
        status,
        changed: START.0 / 1000 - ago,
    }
}

async fn start(contacts: Vec<Contact>) -> (StandIn<ActiveCampaign>, TestDaemon) {
    let vendor = StandIn::start(|url| ActiveCampaign {
        contacts,
        url: url.to_owned(),
    })
    .await;
    let sections = format!(
        "[sources.ac]\nconnector = \"activecampaign\"\nbase_url = \"{}\"\napi_token = {}\nwebhook_secret = {}\n",
        vendor.url,
        vendor.secret("token", KEY),
        vendor.secret("hook", HOOK.rsplit('/').next().unwrap()),
    );
    let test = vendor.daemon("", &sections).await;
    (vendor, test)
}

async fn first(test: &TestDaemon, count: u64) {
    test.until("they are in", async || accepted(test, "ac").await >= count)
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
async fn contacts_come_once_though_others_are_deleted_and_edited_meanwhile() {
    let contacts = (1..=340)
        .map(|n| contact(n, 1, 90_000 + (n % 7) as i64))
        .collect();
    let (vendor, test) = start(contacts).await;
    vendor.after(5, |account| {
        account.contacts.retain(|one| one.id != 4);
        account.contacts[20].changed = START.0 / 1000 + 600;
        account.contacts.push(contact(9_000_000_000, 1, -600));
    });
    vendor.trouble(
        "/contacts",
        Answer::json(429, &json!({"message": "Too many requests"})).with("retry-after", 7),
    );
    vendor.trouble("/contacts", Answer::text(502, "<html>"));
    leads(&test, 341).await;
    let log = vendor.log();
    let at: Vec<i64> = log
        .iter()
        .filter(|asked| asked.path.ends_with("/contacts"))
        .map(|asked| asked.at.0)
        .collect();
    assert!(at[1] - at[0] >= 7_000, "{at:?}");
    // The edited one comes once more, and is the same lead.
    let before = accepted(&test, "ac").await;
    polled(&test, before + 1).await;
    assert_eq!(test.leads().len(), 341);
    let lead = test.lead_of("a17@tyrell.example").unwrap();
    assert_eq!(lead["FirstName"], "Müge");
    assert_eq!(lead["LastName"], "Yılmaz17");
    assert_eq!(lead["Company"], "Tyrell Ltd");
    assert_eq!(lead["Phone"], "+442079000008");
}

#[tokio::test]
async fn who_did_not_confirm_or_left_is_no_lead_and_who_leaves_is_an_opt_out() {
    let contacts = vec![
        contact(1, 1, 60),
        contact(2, 0, 60),
        contact(3, 2, 60),
        contact(4, 3, 60),
    ];
    let (vendor, test) = start(contacts).await;
    first(&test, 4).await;
    assert_eq!(test.lead()["Email"], "a1@tyrell.example");
    vendor.service(|account| account.contacts[0] = contact(1, 2, -120));
    polled(&test, 5).await;
    assert_eq!(test.lead()["HasOptedOutOfEmail"], true);
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    body.finish().into_bytes()
}

fn event<'a>(kind: &'a str, at: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("type", kind),
        ("date_time", at),
        ("initiated_from", "public"),
        ("initiated_by", "public"),
        ("list", "1"),
        ("form[id]", "3"),
        ("contact[id]", "108"),
        ("contact[email]", "A108@Tyrell.example"),
        ("contact[first_name]", "Müge"),
        ("contact[last_name]", "Yılmaz108"),
        ("contact[phone]", "+442079000008"),
        ("contact[tags]", "ebook, trade show 🎪"),
        ("contact[fields][company]", "Tyrell Ltd"),
        ("contact[fields][interests]", "Product, Events"),
    ]
}

#[tokio::test]
async fn a_webhook_is_a_lead_if_the_secret_is_right_and_one_with_the_poll() {
    let (vendor, test) = start(Vec::new()).await;
    test.until("the first poll", async || vendor.asked("/contacts") > 0)
        .await;
    let header = [("content-type", "application/x-www-form-urlencoded")];
    let body = form(&event("subscribe", "2026-03-01T03:59:07-06:00"));
    for path in ["/hooks/ac", "/hooks/ac/guessed"] {
        let status = post(&test, path, &header, &body).await.0;
        assert!(
            status.is_client_error() && status != StatusCode::GONE,
            "{status}"
        );
    }
    assert_eq!(accepted(&test, "ac").await, 0);
    for _ in 0..2 {
        assert_eq!(post(&test, HOOK, &header, &body).await.0, StatusCode::OK);
    }
    test.drained().await;
    assert_eq!(test.lead()["Email"], "a108@tyrell.example");
    assert_eq!(test.lead()["Company"], "Tyrell Ltd");
    vendor.service(|account| account.contacts.push(contact(108, 1, 53)));
    let calls = vendor.asked("/contacts");
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("it is polled", async || vendor.asked("/contacts") > calls)
        .await;
    test.drained().await;
    assert_eq!(test.leads().len(), 1);
    let mut gone = event("unsubscribe", "2026-03-01T04:14:07-06:00");
    gone.push(("unsubscribe[reason]", "too many"));
    assert_eq!(
        post(&test, HOOK, &header, &form(&gone)).await.0,
        StatusCode::OK
    );
    test.drained().await;
    assert_eq!(test.lead()["HasOptedOutOfEmail"], true);
    assert_eq!(
        post(
            &test,
            HOOK,
            &header,
            &form(&event("open", "2026-03-01T04:14:09-06:00"))
        )
        .await
        .0,
        StatusCode::OK
    );
    test.drained().await;
    assert_eq!(test.leads().len(), 1);
}
