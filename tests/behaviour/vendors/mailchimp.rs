//! Mailchimp's Marketing API 3.0: members of an audience and its webhooks.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use leadstream::edge::clock::Clock as _;
use leadstream::model::End;
use serde_json::{Value, json};

use super::stand_in_a::{
    Answer, Asked, START, Service, StandIn, accepted, hex, hmac_sha256, leads, post, rfc3339,
    shuffled,
};
use crate::harness::TestDaemon;

const KEY: &str = "0123456789abcdef0123456789abcdef-us21";
const HOOK: &str = "/hooks/news/u7d0q1Vt5x8s2Kc9f3Jz";
const LIST: &str = "a1b2c3d4e5";

#[derive(Debug, Default)]
struct Mailchimp {
    members: Vec<Value>,
    /// The key that is good now.
    key: String,
}

fn problem(status: u16, title: &str) -> Answer {
    let body = json!({
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": title, "status": status, "detail": title, "instance": "995c5cb0-3280-4a6e",
    });
    Answer::json(status, &body).with("content-type", "application/problem+json; charset=utf-8")
}

/// Seconds of Unix of a time as the vendor takes it; none for what it takes for no time at all.
fn time(text: &str) -> Option<i64> {
    if text.contains('.') || text.contains(' ') {
        return None;
    }
    Some(text.parse::<jiff::Timestamp>().ok()?.as_second())
}

impl Service for Mailchimp {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let basic = asked.header("authorization").strip_prefix("Basic ");
        let key = basic
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| Some(text.split_once(':')?.1.to_owned()));
        if key.as_deref() != Some(&self.key) {
            return problem(401, "API Key Invalid");
        }
        if asked.method != "GET" || asked.path != format!("/3.0/lists/{LIST}/members") {
            return problem(404, "Resource Not Found");
        }
        if asked.query.iter().any(|(_, value)| value.is_empty()) {
            return problem(400, "Invalid Resource");
        }
        let count = asked
            .parameter("count")
            .map_or(Some(10), |text| text.parse().ok());
        let offset = asked
            .parameter("offset")
            .map_or(Some(0), |text| text.parse().ok());
        let (Some(count @ 0..=1000), Some(offset)) = (count, offset) else {
            return problem(400, "Invalid Resource");
        };
        let mut found: Vec<Value> = self
            .members
            .iter()
            .filter(|member| match asked.parameter("status") {
                Some(status) => member["status"] == status,
                None => member["status"] != "archived",
            })
            .cloned()
            .collect();
        let changed = |member: &Value| time(member["last_changed"].as_str().unwrap()).unwrap();
        if let Some(since) = asked.parameter("since_last_changed").and_then(time) {
            found.retain(|member| changed(member) > since);
        }
        if let Some(before) = asked.parameter("before_last_changed").and_then(time) {
            found.retain(|member| changed(member) < before);
        }
        match asked.parameter("sort_field") {
            Some("last_changed") => found.sort_by_key(changed),
            Some("timestamp_opt" | "timestamp_signup") | None => found = shuffled(&found),
            Some(_) => return problem(400, "Invalid Resource"),
        }
        match asked.parameter("sort_dir") {
            Some("DESC") => found.reverse(),
            Some("ASC") | None => {}
            Some(_) => return problem(400, "Invalid Resource"),
        }
        let total = found.len();
        let mut members: Vec<Value> = found.into_iter().skip(offset).take(count).collect();
        let listed = |name: &str| {
            let list = asked.parameter(name)?;
            Some(list.split(',').map(str::to_owned).collect::<Vec<_>>())
        };
        let (fields, excluded) = (listed("fields"), listed("exclude_fields"));
        for member in &mut members {
            member.as_object_mut().unwrap().retain(|name, _| {
                let path = format!("members.{name}");
                let under = |list: &Vec<String>| {
                    list.iter().any(|field| {
                        *field == path
                            || field == "members"
                            || field.starts_with(&format!("{path}."))
                    })
                };
                fields.as_ref().is_none_or(under) && !excluded.as_ref().is_some_and(under)
            });
        }
        let mut page = json!({"members": members, "list_id": LIST, "total_items": total});
        if let Some(fields) = fields {
            page.as_object_mut().unwrap().retain(|name, _| {
                fields
                    .iter()
                    .any(|field| field.split('.').next() == Some(name))
            });
        }
        Answer::json(200, &page).with("content-type", "application/json; charset=utf-8")
    }
}

fn member(number: u64, status: &str, ago: i64) -> Value {
    let changed = rfc3339(START.0 / 1000 - ago, "+00:00");
    json!({
        "id": format!("{number:032x}"), "email_address": format!("P{number}@Crowd.example"),
        "unique_email_id": format!("{number:010x}"), "contact_id": format!("c{number:031x}"),
        "full_name": format!("Zoë 🚀 Person{number}"), "web_id": 9_007_199_254_740_000 + number,
        "email_type": "html", "status": status,
        "merge_fields": {
            "FNAME": "Zoë 🚀", "LNAME": format!("Person{number}"), "PHONE": "+49 30 9018201",
            "COMPANY": "株式会社テスト",
            "ADDRESS": if number.is_multiple_of(2) { json!("") } else {
                json!({"addr1": "Prosta 1", "addr2": "", "city": "Warszawa", "state": "", "zip": "00-001", "country": "PL"})
            },
        },
        "interests": {"9143cf3bd1": true}, "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
        "ip_signup": "", "timestamp_signup": "", "ip_opt": "203.0.113.9", "timestamp_opt": changed,
        "member_rating": 2, "last_changed": changed, "language": "", "vip": false, "email_client": "",
        "location": {"latitude": 0, "longitude": 0}, "source": "Popup Form",
        "tags_count": 1, "tags": [{"id": 7, "name": "trade show 🎪"}], "list_id": LIST,
        "_links": [{"rel": "self", "href": "https://us21.api.mailchimp.com/3.0/…", "method": "GET"}],
    })
}

async fn start(members: Vec<Value>, more: &str) -> (StandIn<Mailchimp>, TestDaemon) {
    let vendor = StandIn::start(|_| Mailchimp {
        members,
        key: KEY.to_owned(),
    })
    .await;
    let sections = format!(
        "[sources.news]\nconnector = \"mailchimp\"\nbase_url = \"{}/3.0\"\nlist_id = \"{LIST}\"\n\
         api_key = {}\nwebhook_secret = {}\ncampaign = \"Newsletter\"\ndefault_country = \"DE\"\n{more}\n",
        vendor.url,
        vendor.secret("key", KEY),
        vendor.secret("hook", HOOK.rsplit('/').next().unwrap()),
    );
    let test = vendor.daemon("", &sections).await;
    (vendor, test)
}

/// Waits for the next round, and that all it brought is at its end.
async fn polled(vendor: &StandIn<Mailchimp>, test: &TestDaemon, count: u64) {
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("the members are in", async || {
        accepted(test, "news").await >= count
    })
    .await;
    test.drained().await;
    assert!(vendor.asked("/members") > 0);
    assert!(
        test.dead_letters().await.is_empty(),
        "{:?}",
        test.dead_letters().await
    );
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    body.finish().into_bytes()
}

const FORM: (&str, &str) = (
    "content-type",
    "application/x-www-form-urlencoded; charset=utf-8",
);

fn subscribe<'a>(email: &'a str, id: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("type", "subscribe"),
        ("fired_at", "2026-03-01 09:59:33"),
        ("data[id]", id),
        ("data[list_id]", LIST),
        ("data[email]", email),
        ("data[email_type]", "html"),
        ("data[ip_opt]", "203.0.113.9"),
        ("data[web_id]", "9007199254740993"),
        ("data[merges][EMAIL]", email),
        ("data[merges][FNAME]", "Zoë 🚀"),
        ("data[merges][LNAME]", "Nowak"),
        ("data[merges][COMPANY]", "株式会社テスト"),
        ("data[merges][ADDRESS][city]", "Warszawa"),
        ("data[merges][INTERESTS]", "Product news, Events"),
        ("data[merges][GROUPINGS][0][name]", "Topics"),
        ("data[merges][GROUPINGS][0][groups]", "Product news, Events"),
    ]
}

#[tokio::test]
async fn all_members_come_once_over_pages_of_one_second_and_edits_meanwhile() {
    // A thousand and more of one second, an import, across the borders of the pages.
    let mut members: Vec<Value> = (0..300)
        .map(|n| member(n, "subscribed", 90_000 - n as i64))
        .collect();
    members.extend((700..1900).map(|n| {
        member(
            n,
            if n % 8 == 0 {
                "subscribed"
            } else {
                "transactional"
            },
            5_000,
        )
    }));
    members.extend((1900..2000).map(|n| member(n, "subscribed", 4_000 - n as i64 / 3)));
    let (vendor, test) = start(members, "").await;
    // After the first page one of it is edited: everybody behind moves up by one.
    vendor.after(1, |mailchimp| {
        mailchimp.members[3]["last_changed"] = json!("2026-03-01T10:14:00+00:00");
        mailchimp.members.push(member(9000, "subscribed", -850));
    });
    test.clock.advance(Duration::from_secs(15 * 60));
    leads(&test, 551).await;
    assert!(vendor.asked("/members") >= 3);
    let emails: std::collections::BTreeSet<String> = test
        .leads()
        .iter()
        .map(|lead| lead["Email"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(emails.len(), test.leads().len());
    assert_eq!(emails.len(), 300 + 150 + 100 + 1);
    for asked in vendor.log() {
        assert!(asked.number("count").unwrap() > 100, "{}", asked.raw_query);
    }
}

#[tokio::test]
async fn a_member_becomes_a_lead_with_all_that_is_known() {
    let (vendor, test) = start(vec![member(1, "subscribed", 60)], "").await;
    polled(&vendor, &test, 1).await;
    let lead = test.lead();
    assert_eq!(lead["Email"], "p1@crowd.example");
    assert_eq!(lead["FirstName"], "Zoë 🚀");
    assert_eq!(lead["LastName"], "Person1");
    assert_eq!(lead["Phone"], "+49309018201");
    assert_eq!(lead["Company"], "株式会社テスト");
    assert_eq!(lead["City"], "Warszawa");
    assert_ne!(lead.get("HasOptedOutOfEmail"), Some(&json!(true)));
    // Nothing new: nothing is done, and the cursor is asked from with an overlap.
    let calls = vendor.asked("/members");
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("the next round", async || vendor.asked("/members") > calls)
        .await;
    test.drained().await;
    assert_eq!(accepted(&test, "news").await, 1);
    let last = vendor.log().pop().unwrap();
    let since = time(last.parameter("since_last_changed").unwrap()).unwrap();
    assert!(since < START.0 / 1000 - 60, "{}", last.raw_query);
}

#[tokio::test]
async fn who_did_not_or_no_longer_subscribes_is_an_opt_out_and_no_lead() {
    let members = [
        "subscribed",
        "unsubscribed",
        "cleaned",
        "pending",
        "transactional",
        "archived",
    ];
    let members = members
        .iter()
        .zip(1..)
        .map(|(status, n)| member(n, status, 60))
        .collect();
    let (vendor, test) = start(members, "").await;
    polled(&vendor, &test, 5).await;
    assert_eq!(test.leads().len(), 1);
    // The same person goes.
    vendor.service(|mailchimp| {
        mailchimp.members[0] = member(1, "unsubscribed", -16 * 60);
    });
    test.clock.advance(Duration::from_secs(16 * 60));
    test.until("the opt-out is written", async || {
        test.leads()
            .iter()
            .any(|lead| lead["HasOptedOutOfEmail"] == true)
    })
    .await;
    assert_eq!(test.leads().len(), 1);
}

#[tokio::test]
async fn a_webhook_is_a_lead_if_the_secret_is_right_and_one_with_the_poll() {
    let (vendor, test) = start(Vec::new(), "").await;
    // The validator, as it is described, and as one collection of tips claims.
    assert_eq!(test.get(HOOK).await.0, StatusCode::OK);
    assert_eq!(post(&test, HOOK, &[], b"").await.0, StatusCode::OK);
    assert_eq!(accepted(&test, "news").await, 0);

    let body = form(&subscribe("P77@Crowd.example", "000000004d"));
    for path in [
        "/hooks/news",
        "/hooks/news/wrong",
        "/hooks/news/u7d0q1Vt5x8s2Kc9f3J",
    ] {
        let status = post(&test, path, &[FORM], &body).await.0;
        assert!(
            status.is_client_error() && status != StatusCode::GONE,
            "{path} {status}"
        );
    }
    assert_eq!(accepted(&test, "news").await, 0);

    assert_eq!(post(&test, HOOK, &[FORM], &body).await.0, StatusCode::OK);
    // At least once.
    assert_eq!(post(&test, HOOK, &[FORM], &body).await.0, StatusCode::OK);
    test.drained().await;
    let lead = test.lead();
    assert_eq!(lead["Email"], "p77@crowd.example");
    assert_eq!(lead["LastName"], "Nowak");
    assert_eq!(lead["Company"], "株式会社テスト");
    assert_eq!(lead["City"], "Warszawa");

    vendor.service(|mailchimp| mailchimp.members.push(member(77, "subscribed", 27)));
    let before = accepted(&test, "news").await;
    polled(&vendor, &test, before + 1).await;
    assert_eq!(test.leads().len(), 1, "{:?}", test.leads());

    let gone = [
        ("type", "unsubscribe"),
        ("fired_at", "2026-03-01 10:14:40"),
        ("data[action]", "unsub"),
        ("data[reason]", "manual"),
        ("data[id]", "000000004d"),
        ("data[list_id]", LIST),
        ("data[email]", "P77@Crowd.example"),
        ("data[email_type]", "html"),
        ("data[ip_opt]", "203.0.113.9"),
        ("data[web_id]", "9007199254740993"),
        ("data[campaign_id]", "cb398d21d2"),
        ("data[merges][EMAIL]", "P77@Crowd.example"),
        ("data[merges][FNAME]", "Zoë"),
    ];
    assert_eq!(
        post(&test, HOOK, &[FORM], &form(&gone)).await.0,
        StatusCode::OK
    );
    test.drained().await;
    assert_eq!(test.lead()["HasOptedOutOfEmail"], true);
    for fields in [
        vec![
            ("type", "cleaned"),
            ("fired_at", "2026-03-01 10:14:50"),
            ("data[list_id]", LIST),
            ("data[campaign_id]", "4fjk2ma9xd"),
            ("data[reason]", "hard"),
            ("data[email]", "nobody@crowd.example"),
        ],
        vec![
            ("type", "upemail"),
            ("fired_at", "2026-03-01 10:14:51"),
            ("data[list_id]", LIST),
            ("data[new_id]", "51da8c3259"),
            ("data[new_email]", "new@crowd.example"),
            ("data[old_email]", "P77@crowd.example"),
        ],
        vec![
            ("type", "campaign"),
            ("fired_at", "2026-03-01 10:14:52"),
            ("data[id]", "5aa2102003"),
            ("data[subject]", "News"),
            ("data[status]", "sent"),
            ("data[reason]", ""),
            ("data[list_id]", LIST),
        ],
    ] {
        assert_eq!(
            post(&test, HOOK, &[FORM], &form(&fields)).await.0,
            StatusCode::OK
        );
    }
    test.drained().await;
    assert_eq!(test.leads().len(), 1);
    assert!(
        test.dead_letters().await.is_empty(),
        "{:?}",
        test.dead_letters().await
    );
}

#[tokio::test]
async fn with_a_signing_secret_what_is_unsigned_stale_or_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("signing");
    std::fs::write(&file, "whsec-of-mailchimp").unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, owner_only).unwrap();
    let more = format!(
        "signing_secret = {{ file = {:?} }}",
        file.display().to_string()
    );
    let (_vendor, test) = start(Vec::new(), &more).await;
    let body = form(&subscribe("zoe@hooli.example", "77b087028d"));
    let now = test.clock.now().0 / 1000;
    let signed = |at: i64, body: &[u8]| {
        let mac = hmac_sha256(
            "whsec-of-mailchimp",
            &[at.to_string().as_bytes(), b".", body],
        );
        format!("t={at},v1={}", hex(&mac))
    };
    let header = "x-mailchimp-signature";
    let wrong = [
        String::new(),
        format!("t={now},v1={}", hex(&[0; 32])),
        signed(now - 301, &body),
        signed(now, b"other"),
    ];
    for signature in &wrong {
        let status = post(&test, HOOK, &[FORM, (header, signature)], &body)
            .await
            .0;
        assert!(
            status.is_client_error() && status != StatusCode::GONE,
            "{status}"
        );
    }
    let good = signed(now - 200, &body);
    let status = post(&test, "/hooks/news/wrong", &[FORM, (header, &good)], &body)
        .await
        .0;
    assert!(status.is_client_error(), "{status}");
    assert_eq!(
        post(&test, HOOK, &[FORM], &body).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(accepted(&test, "news").await, 0);
    let status = post(&test, HOOK, &[FORM, (header, &good)], &body).await.0;
    assert_eq!(status, StatusCode::OK);
    test.drained().await;
    assert_eq!(test.lead()["Email"], "zoe@hooli.example");
}

#[tokio::test]
async fn throttling_in_both_forms_and_broken_answers_are_waited_out() {
    let (vendor, test) = start(vec![member(1, "subscribed", 60)], "").await;
    vendor.trouble("/members", problem(429, "Too Many Requests"));
    vendor.trouble("/members", Answer::text(403, "<html>Forbidden</html>"));
    vendor.trouble("/members", Answer::text(500, "oops"));
    vendor.trouble("/members", Answer::text(503, "<html>busy</html>"));
    polled(&vendor, &test, 1).await;
    assert_eq!(vendor.troubles_left(), 0);
    assert_eq!(test.leads().len(), 1);
    let log = vendor.log();
    assert!(
        log[1].at > log[0].at && log[2].at > log[1].at,
        "throttling is waited for"
    );
}

#[tokio::test]
async fn a_disabled_key_stops_the_walk_until_a_person_has_replaced_it_and_nobody_is_lost() {
    let (vendor, test) = start(vec![member(1, "subscribed", 60)], "").await;
    vendor.service(|mailchimp| mailchimp.key = "another-us21".to_owned());
    test.clock.advance(Duration::from_secs(15 * 60));
    test.until("it is asked", async || vendor.asked("/members") > 0)
        .await;
    let sources = async || {
        let output = test.command(&["sources"]).await;
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), said)
    };
    test.until("people are told", async || {
        let (is_well, said) = sources().await;
        !is_well && said.contains("PAUSED") && said.contains("[vendor.signed_out]")
    })
    .await;
    // The secret's file is rotated; nobody restarts anything.
    vendor.secret("key", "another-us21");
    polled(&vendor, &test, 1).await;
    test.until("it is well again", async || {
        let (is_well, said) = sources().await;
        is_well && said.contains("read to the end") && said.contains("credential (api_key)")
    })
    .await;
    let json = test.command(&["sources", "--json"]).await.stdout;
    let json: Value = serde_json::from_slice(&json).unwrap();
    let mut listed = json.as_array().unwrap().iter();
    let news = listed.find(|source| source["source"] == "news").unwrap();
    assert_eq!(news["connector"], "mailchimp");
    assert!(news["last"]["read"].as_u64().unwrap() > 0);
    assert!(news["paused"].is_null());
    assert_eq!(test.leads().len(), 1);
    assert_ne!(test.ends(End::Synced).await, 0);
}
