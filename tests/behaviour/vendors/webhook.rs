//! Generic webhooks: the well-known ways to sign, replays, probes, and what common senders send.

use leadstream::model::End;
use ring::hmac;
use serde_json::json;

use super::stand_in_b::{
    Answer, Person, Request, START, Source, Stage, Vendor, answer, base64, hex, hmac_sha256,
};

/// These vendors are never asked for anything.
struct Nobody;

impl Vendor for Nobody {
    fn answer(&mut self, _: &Request) -> Answer {
        answer(500, json!({}))
    }
}

const SECRET: &str = "a-shared-secret-of-ours";
/// `whsec_` and the base64 of `a-shared-secret-of-ours!`.
const STANDARD_SECRET: &str = "whsec_YS1zaGFyZWQtc2VjcmV0LW9mLW91cnMh";
const STANDARD_KEY: &str = "a-shared-secret-of-ours!";

async fn stage(secret: &str, lines: &str) -> Stage<Nobody> {
    let source = Source {
        connector: "webhook",
        secrets: &[("webhook_secret", secret)],
        lines,
        fields: &[("Campaign", "utm_campaign"), ("Gclid", "gclid")],
        ..Source::default()
    };
    Stage::with(Nobody, source).await
}

fn sha1(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    hex(hmac::sign(&key, body.as_bytes()).as_ref())
}

fn lead(i: usize) -> String {
    let person = Person::nth(i);
    json!({ "data": { "id": 9_007_199_254_740_993_u64 + i as u64, "email": person.email, "name": person.full(),
        "phone": person.phone, "company": person.company }, "type": "lead.created" })
    .to_string()
}

/// The headers that a sender's way of signing makes.
type Sign = fn(&str, i64) -> Vec<(&'static str, String)>;

fn standard(body: &str, now: i64) -> Vec<(&'static str, String)> {
    let signed = base64(&hmac_sha256(
        STANDARD_KEY,
        format!("msg_1.{now}.{body}").as_bytes(),
    ));
    vec![
        ("webhook-id", "msg_1".to_owned()),
        ("webhook-timestamp", now.to_string()),
        (
            "webhook-signature",
            format!("v1,bm90IHRoaXM= v1a,AAAA v1,{signed}"),
        ),
    ]
}

fn svix(body: &str, now: i64) -> Vec<(&'static str, String)> {
    let names = ["svix-id", "svix-timestamp", "svix-signature"];
    standard(body, now)
        .into_iter()
        .zip(names)
        .map(|((_, value), name)| (name, value))
        .collect()
}

fn stripe(body: &str, now: i64) -> Vec<(&'static str, String)> {
    let signed = hex(&hmac_sha256(SECRET, format!("{now}.{body}").as_bytes()));
    vec![(
        "stripe-signature",
        format!("t={now},v1=00,v1={signed},v0=11"),
    )]
}

fn github(body: &str, _: i64) -> Vec<(&'static str, String)> {
    let signed = hex(&hmac_sha256(SECRET, body.as_bytes()));
    vec![
        ("x-hub-signature-256", format!("sha256={signed}")),
        ("x-hub-signature", format!("sha1={}", sha1(body))),
    ]
}

fn segment(body: &str, _: i64) -> Vec<(&'static str, String)> {
    vec![("x-signature", sha1(body))]
}

fn tally(body: &str, _: i64) -> Vec<(&'static str, String)> {
    vec![(
        "tally-signature",
        base64(&hmac_sha256(SECRET, body.as_bytes())),
    )]
}

fn webflow(body: &str, now: i64) -> Vec<(&'static str, String)> {
    let millis = now * 1000;
    let signed = hex(&hmac_sha256(SECRET, format!("{millis}:{body}").as_bytes()));
    vec![
        ("x-webflow-signature", signed),
        ("x-webflow-timestamp", millis.to_string()),
    ]
}

fn bearer(_: &str, _: i64) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {SECRET}"))]
}

async fn assert_way(secret: &str, lines: &str, sign: Sign, signs_time: bool, signs_body: bool) {
    let lines = format!("{lines}\nid = \"data.id\"\n");
    let stage = stage(secret, &lines).await;
    let body = lead(1);
    let now = START;
    let send = async |body: &str, headers: Vec<(&'static str, String)>| {
        let mut all: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        all.push(("content-type", "application/json"));
        stage.hook("", &all, body).await.0
    };
    assert_eq!(send(&body, Vec::new()).await, 401, "{lines}");
    let mut wrong = sign(&body, now);
    for (_, value) in &mut wrong {
        *value = value.replace(['a', 'b', 'c', '1'], "2");
    }
    assert_eq!(send(&body, wrong).await, 401, "{lines}");
    if signs_body {
        assert_eq!(
            send(&body.replace("p1@", "p2@"), sign(&body, now)).await,
            401,
            "{lines}"
        );
    }
    if signs_time {
        for at in [now - 400, now + 400] {
            assert_eq!(send(&body, sign(&body, at)).await, 401, "{lines}");
        }
    }
    assert_eq!(stage.accepted().await, 0);
    // A retry is signed anew.
    for at in [now, now + 10] {
        assert!(
            (200..300).contains(&send(&body, sign(&body, at)).await),
            "{lines}"
        );
    }
    stage.leads(1).await;
    stage.assert_people(1..2);
    assert_eq!(stage.test.ends(End::Synced).await, 1, "{lines}");
}

#[tokio::test]
async fn signatures_with_a_time_are_checked_and_stale_ones_refused() {
    let scheme = "signature = \"standard_webhooks\"";
    assert_way(STANDARD_SECRET, scheme, standard, true, true).await;
    assert_way(STANDARD_SECRET, scheme, svix, true, true).await;
    let scheme = r#"
        signature = "hmac_sha256"
        header = "Stripe-Signature"
        format = "t={timestamp},v1={signature}"
        signed = "{timestamp}.{body}"
    "#;
    assert_way(SECRET, scheme, stripe, true, true).await;
    let scheme = r#"
        signature = "hmac_sha256"
        header = "x-webflow-signature"
        timestamp_header = "x-webflow-timestamp"
        signed = "{timestamp}:{body}"
    "#;
    assert_way(SECRET, scheme, webflow, true, true).await;
}

#[tokio::test]
async fn signatures_of_the_body_alone_and_plain_secrets_are_checked() {
    for (scheme, sign, signs_body) in [
        (
            "signature = \"hmac_sha256\"\nheader = \"X-Hub-Signature-256\"\nformat = \"sha256={signature}\"",
            github as Sign,
            true,
        ),
        (
            "signature = \"hmac_sha1\"\nheader = \"X-Signature\"",
            segment,
            true,
        ),
        (
            "signature = \"hmac_sha256\"\nheader = \"Tally-Signature\"",
            tally,
            true,
        ),
        (
            "signature = \"equals\"\nheader = \"Authorization\"\nformat = \"Bearer {signature}\"",
            bearer,
            false,
        ),
    ] {
        assert_way(SECRET, scheme, sign, false, signs_body).await;
    }
}

#[tokio::test]
async fn a_secret_in_the_address_lets_forms_and_json_in_and_probes_are_answered() {
    let stage = stage(SECRET, "signature = \"url\"\n").await;
    let person = Person::nth(1);
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("email", person.email.as_str()),
            ("name", &person.full()),
            ("phone", &person.phone),
            ("company", &person.company),
            ("utm_campaign", ""),
            ("gclid", "Cj0-1"),
        ])
        .finish();
    let urlencoded = [("content-type", "application/x-www-form-urlencoded")];
    let json = [("content-type", "application/json")];
    for after in ["", "/another"] {
        let (status, _) = stage.hook(after, &urlencoded, form.clone()).await;
        assert!([401, 403].contains(&status), "{status}");
    }
    assert_eq!(stage.accepted().await, 0);
    let secret = format!("/{SECRET}");
    let (status, _) = stage.hook(&secret, &urlencoded, form).await;
    assert_eq!(status, 200);
    stage.leads(1).await;
    stage.assert_people(1..2);
    assert_eq!(stage.lead("p1@firm1.example")["Gclid__c"], "Cj0-1");

    // A list, as from a batch, with a test in it; a ping; a challenge; a probe.
    let (two, three) = (Person::nth(2), Person::nth(3));
    let batch = json!([
        { "email": two.email, "full_name": two.full(), "phone": two.phone, "company": two.company },
        { "email": three.email, "full_name": three.full(), "is_test": true },
    ]);
    let (status, _) = stage.hook(&secret, &json, batch.to_string()).await;
    assert_eq!(status, 200);
    stage.leads(2).await;
    stage.assert_people(1..3);
    let taken = stage.accepted().await;
    let ping = [
        ("content-type", "application/json"),
        ("x-github-event", "ping"),
    ];
    let (status, _) = stage
        .hook(&secret, &ping, "{\"zen\":\"…\",\"type\":\"ping\"}")
        .await;
    assert_eq!(status, 200);
    let (status, _) = stage.test.get(&format!("/hooks/v{secret}")).await;
    assert_eq!(status, 200);
    assert_eq!(stage.accepted().await, taken);
}

#[tokio::test]
async fn segment_and_intercom_tell_of_people() {
    let stage_of_segment = stage(
        SECRET,
        "signature = \"hmac_sha1\"\nheader = \"X-Signature\"\nevent = \"identify\"\n",
    )
    .await;
    let person = Person::nth(1);
    let identify = json!({
        "type": "identify", "messageId": "ajs-9f2c-example", "anonymousId": "a-771", "userId": "u-42",
        "timestamp": "2026-03-01T09:14:07.120Z",
        "traits": { "email": person.email, "firstName": person.first, "lastName": person.last,
            "phone": person.phone, "company": { "name": person.company } },
        "context": { "page": { "url": "https://www.example.com/pricing?gclid=x" },
            "campaign": { "source": "google", "medium": "cpc", "name": "spring-2026" } },
    })
    .to_string();
    let track =
        json!({ "type": "track", "event": "Opened", "messageId": "ajs-2", "userId": "u-42" })
            .to_string();
    for body in [&identify, &track, &identify] {
        let (status, _) = stage_of_segment
            .hook(
                "",
                &[
                    ("content-type", "application/json"),
                    ("x-signature", &sha1(body)),
                ],
                body.as_str(),
            )
            .await;
        assert_eq!(status, 200);
    }
    stage_of_segment.leads(1).await;
    stage_of_segment.assert_people(1..2);
    assert_eq!(
        stage_of_segment.lead("p1@firm1.example")["Campaign__c"],
        "spring-2026"
    );

    let intercom = r#"
        signature = "hmac_sha1"
        header = "X-Hub-Signature"
        format = "sha1={signature}"
        records = "data.item"
        id = "id"
        event_path = "topic"
        event = "contact.lead.created"
    "#;
    let stage = stage(SECRET, intercom).await;
    let contact = |topic: &str, i: usize| {
        let person = Person::nth(i);
        json!({ "type": "notification_event", "id": format!("notif_{i}"), "topic": topic, "data": {
            "type": "notification_event_data", "item": { "type": "contact", "id": format!("63a0{i}"),
                "role": "lead", "email": person.email, "name": person.full(), "phone": person.phone,
                "created_at": START } } })
        .to_string()
    };
    for body in [
        contact("contact.lead.created", 1),
        contact("contact.email.updated", 2),
        contact("ping", 3),
    ] {
        let signature = format!("sha1={}", sha1(&body));
        let (status, _) = stage
            .hook(
                "",
                &[
                    ("content-type", "application/json"),
                    ("x-hub-signature", &signature),
                ],
                body,
            )
            .await;
        assert_eq!(status, 200);
    }
    stage.leads(1).await;
    assert_eq!(stage.lead("p1@firm1.example")["FirstName"], "Søren");
}
