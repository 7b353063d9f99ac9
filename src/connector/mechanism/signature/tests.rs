use std::io::Write as _;

use http::HeaderName;
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use tempfile::NamedTempFile;

use super::*;
use crate::connector::manifest::Manifest;

/// 2026-03-02T09:14:07Z, when the requests here were signed.
const SIGNED_AT: i64 = 1_772_442_847_000;

/// A secret in a file, which can be replaced.
struct Kept(NamedTempFile);

impl Kept {
    fn new(secret: &str) -> Self {
        let kept = Self(NamedTempFile::new().unwrap());
        kept.replace(secret);
        kept
    }

    fn replace(&self, secret: &str) {
        let mut file = std::fs::File::create(self.0.path()).unwrap();
        file.write_all(secret.as_bytes()).unwrap();
    }

    fn reference(&self) -> serde_json::Value {
        json!({ "file": self.0.path() })
    }
}

/// What stands in a manifest's `[webhook]`; `secret` and `other` are secrets of its options, `text`
/// and `pattern` texts.
fn webhook(toml: &str) -> Manifest {
    let head = r#"
        name = "acme"
        title = "Acme"
        help = "Leads of Acme."
        [options]
        secret = { type = "secret", help = "-" }
        other = { type = "secret", help = "-" }
        text = { type = "text", help = "-" }
        pattern = { type = "text", help = "-" }
        [webhook]
    "#;
    Manifest::parse(&format!("{head}{toml}")).unwrap()
}

fn verifier(
    toml: &str,
    options: serde_json::Value,
    public_url: Option<&str>,
) -> Result<Verifier, VerifierError> {
    let manifest = webhook(toml);
    let options = Options::of(&manifest, options.as_object().unwrap());
    let public_url = public_url.map(|url| Url::parse(url).unwrap());
    Verifier::new(
        manifest.webhook.as_ref().unwrap(),
        &options,
        public_url.as_ref(),
    )
}

/// A request that can be changed.
#[derive(Clone)]
struct Sent {
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
    now: Millis,
}

impl Sent {
    fn new(headers: &[(&str, &str)], body: &str) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::try_from(*name).unwrap(),
                http::HeaderValue::from_str(value).unwrap(),
            );
        }
        Self {
            path: "/hooks/acme".to_owned(),
            query: None,
            headers: map,
            body: body.as_bytes().to_vec(),
            now: Millis(SIGNED_AT),
        }
    }

    fn at(&self, target: &str) -> Self {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(p, q)| (p, Some(q)));
        Self {
            path: path.to_owned(),
            query: query.map(str::to_owned),
            ..self.clone()
        }
    }

    fn later(&self, seconds: i64) -> Self {
        Self {
            now: Millis(self.now.0 + 1_000 * seconds),
            ..self.clone()
        }
    }

    fn verify(&self, verifier: &Verifier) -> Result<(), Denied> {
        let request = Request {
            method: "POST",
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            body: &self.body,
        };
        verifier.verify(&request, self.now)
    }
}

/// One scheme with a request that it takes, and how it takes everything that is wrong with it.
struct Case {
    name: &'static str,
    toml: &'static str,
    secret: &'static str,
    header: Option<&'static str>,
    sent: Sent,
    has_time: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, toml, secret, headers: &[(&'static str, &str)], body, has_time| Case {
        name,
        toml,
        secret,
        header: headers.first().map(|(name, _)| *name),
        sent: Sent::new(headers, body),
        has_time,
    };
    vec![
        case(
            "LinkedIn",
            r#"signature = { scheme = "hmac_sha256", key = "secret", header = "X-LI-Signature", signed = "hmacsha256={body}" }"#,
            "a-client-secret",
            &[(
                "x-li-signature",
                "82ea2bc2ed2d93025ebc02a3577d48a62e7449fca0aae08e41d0525173479a3a",
            )],
            r#"{"type":"LEAD_ACTION"}"#,
            false,
        ),
        case(
            "LinkedIn, with the prefix in the header",
            r#"signature = { scheme = "hmac_sha256", key = "secret", header = "X-LI-Signature", signed = "hmacsha256={body}" }"#,
            "a-client-secret",
            &[(
                "x-li-signature",
                "hmacsha256=82EA2BC2ED2D93025EBC02A3577D48A62E7449FCA0AAE08E41D0525173479A3A",
            )],
            r#"{"type":"LEAD_ACTION"}"#,
            false,
        ),
        case(
            "Meta",
            r#"signature = { scheme = "hmac_sha256", key = "secret", header = "X-Hub-Signature-256", format = "sha256={signature}" }"#,
            "an-app-secret",
            &[(
                "x-hub-signature-256",
                "sha256=448234b0d216986ebf4488df5daef97f75e7c133e33d4a77fdd567f7023a1c5e",
            )],
            r#"{"object":"page","entry":[{"id":"1","time":1,"changes":[]}]}"#,
            false,
        ),
        case(
            "Zoom",
            r#"signature = { scheme = "hmac_sha256", key = "secret", header = "x-zm-signature", format = "v0={signature}", signed = "v0:{timestamp}:{body}", timestamp = { header = "x-zm-request-timestamp" } }"#,
            "zoom-secret-token",
            &[
                (
                    "x-zm-signature",
                    "v0=812ef2276e4a64af705e85ad6fd3f07572d67c65f72e6027a36367cae5abd5b1",
                ),
                ("x-zm-request-timestamp", "1772442847"),
            ],
            r#"{"event":"webinar.registration_created","payload":{"object":{"topic":"Zoë"}}}"#,
            true,
        ),
        case(
            "Typeform",
            r#"signature = { scheme = "hmac_sha256", key = "secret", header = "Typeform-Signature", format = "sha256={signature}", encoding = "base64" }"#,
            "typeform-secret",
            &[(
                "typeform-signature",
                "sha256=qYuulkclhJqFx8hCH9uE149VN4VPDJy8m5Ad04s5M8E=",
            )],
            r#"{"event_id":"01J9"}"#,
            false,
        ),
        case(
            "HubSpot v1",
            r#"signature = { scheme = "sha256", key = "secret", header = "X-HubSpot-Signature", signed = "{key}{body}" }"#,
            "hubspot-client-secret",
            &[(
                "x-hubspot-signature",
                "48faf3ab59358e54cf942b5da1731f176de51128d5a82d340f408e2112d8bfdf",
            )],
            r#"[{"eventId":1}]"#,
            false,
        ),
        case(
            "Intercom",
            r#"signature = { scheme = "hmac_sha1", key = "secret", header = "X-Hub-Signature", format = "sha1={signature}" }"#,
            "intercom",
            &[(
                "x-hub-signature",
                "sha1=c8492d3ec38dcd211aabcc925e0cc690db59ca47",
            )],
            r#"{"a":1}"#,
            false,
        ),
        case(
            "SHA-512",
            r#"signature = { scheme = "hmac_sha512", key = "secret", header = "X-Signature", encoding = "base64" }"#,
            "k5",
            &[(
                "x-signature",
                "wBSdGVV2VbTbL3QGeK94hrdH9SsB33c5eIa2BvZSrNW/OjhI/PIEBOCAnWWRgHeAHjncreYDANvC1oWYoMv4yQ==",
            )],
            r#"{"a":1}"#,
            false,
        ),
        case(
            "Calendly",
            r#"signature = { scheme = "hmac_sha256", key = "secret", header = "Calendly-Webhook-Signature", format = "t={timestamp},v1={signature}", signed = "{timestamp}.{body}", timestamp = { tolerance_seconds = 180 } }"#,
            "cal-key",
            &[(
                "calendly-webhook-signature",
                "t=1772442847,v1=00,v1=8a8750e8e1a75d3c981a4bef8b99c027cc60060b62685cae3b2c8ee0572aa8ca",
            )],
            r#"{"event":"invitee.created"}"#,
            true,
        ),
        case(
            "Webflow, whose time has milliseconds",
            r#"signature = { scheme = "hmac_sha256", key = "secret", header = "x-webflow-signature", signed = "{timestamp}:{body}", timestamp = { header = "x-webflow-timestamp", unit = "milliseconds" } }"#,
            "wf",
            &[
                (
                    "x-webflow-signature",
                    "b17642cf21c952ab3a384d9308f325128464c3b74a7de73e789fe4fb08af97b8",
                ),
                ("x-webflow-timestamp", "1772442847000"),
            ],
            r#"{"a":1}"#,
            true,
        ),
        case(
            "a token in a header",
            r#"signature = { scheme = "equals", key = "secret", header = "Authorization", format = "Bearer {signature}" }"#,
            "a,token; of ours",
            &[("authorization", "Bearer a,token; of ours")],
            r#"{"a":1}"#,
            false,
        ),
        case(
            "user and password",
            r#"signature = { scheme = "equals", key = "secret", header = "Authorization", format = "Basic {signature}", encoding = "base64" }"#,
            "ada:s3cret",
            &[("authorization", "Basic YWRhOnMzY3JldA==")],
            r#"{"a":1}"#,
            false,
        ),
        case(
            "Google Ads",
            r#"signature = { scheme = "equals", key = "secret", body_path = "google_key" }"#,
            "the-google-key",
            &[],
            r#"{"lead_id":"1","google_key":"the-google-key"}"#,
            false,
        ),
    ]
}

fn options(secret: &Kept) -> serde_json::Value {
    json!({ "secret": secret.reference() })
}

#[test]
fn what_the_vendor_signed_is_proved_and_nothing_else() {
    for case in cases() {
        let Case {
            name,
            toml,
            secret,
            header,
            sent,
            has_time,
        } = case;
        let kept = Kept::new(&format!("{secret}\n"));
        let verifier = verifier(toml, options(&kept), None).unwrap();
        assert_eq!(sent.verify(&verifier), Ok(()), "{name}: good");
        assert_eq!(sent.verify(&verifier), Ok(()), "{name}: the same again");

        if name != "a token in a header" && name != "user and password" {
            let mut changed = sent.clone();
            changed.body = b"{\"a\":2,\"google_key\":\"the-google-kez\"}".to_vec();
            assert_eq!(
                changed.verify(&verifier),
                Err(Denied::Wrong),
                "{name}: changed"
            );
        }
        if let Some(header) = header {
            let mut without = sent.clone();
            without.headers.remove(header);
            assert_eq!(
                without.verify(&verifier),
                Err(Denied::Missing {
                    header: header.to_owned()
                }),
                "{name}: without the header"
            );
            for value in ["", "nonsense", "=", ",", "t=,v1=", "sha256=é"] {
                let mut bad = sent.clone();
                let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                bad.headers.insert(header, value);
                assert_eq!(
                    bad.verify(&verifier),
                    Err(Denied::Wrong),
                    "{name}: {header}"
                );
            }
        }
        let week = 7 * 24 * 3600;
        let expect = |seconds: i64| {
            if has_time {
                Err(Denied::Stale { seconds })
            } else {
                Ok(())
            }
        };
        let old = sent.later(week).verify(&verifier);
        assert_eq!(old, expect(-week), "{name}: replayed a week later");
        let early = sent.later(-week).verify(&verifier);
        assert_eq!(early, expect(week), "{name}: from the future");
        for seconds in [-170, 170] {
            let near = sent.later(seconds).verify(&verifier);
            assert_eq!(near, Ok(()), "{name}: {seconds} seconds");
        }

        let other = Kept::new("another secret");
        let both = verifier_of_two(toml, &other, &kept);
        assert_eq!(
            sent.verify(&both),
            Ok(()),
            "{name}: the older of two secrets"
        );
        let wrong = self::verifier(toml, options(&other), None).unwrap();
        assert_eq!(
            sent.verify(&wrong),
            Err(Denied::Wrong),
            "{name}: not our secret"
        );

        let closed = self::verifier(toml, json!({}), None).unwrap();
        let denied = Denied::NoSecret {
            options: vec!["secret".to_owned()],
        };
        assert_eq!(sent.verify(&closed), Err(denied), "{name}: no secret");
        let blank = Kept::new("");
        let blank = self::verifier(toml, options(&blank), None).unwrap();
        let denied = Denied::Unreadable {
            option: "secret".to_owned(),
        };
        assert_eq!(sent.verify(&blank), Err(denied), "{name}: a blank secret");
    }
}

fn verifier_of_two(toml: &str, first: &Kept, second: &Kept) -> Verifier {
    let options = json!({ "secret": [first.reference(), second.reference()] });
    verifier(toml, options, None).unwrap()
}

const META: &str = r#"signature = { scheme = "hmac_sha256", key = "secret", header = "X-Hub-Signature-256", format = "sha256={signature}" }"#;

fn meta() -> Sent {
    cases()
        .into_iter()
        .find(|case| case.name == "Meta")
        .unwrap()
        .sent
}

#[test]
fn a_secret_that_is_replaced_counts_within_a_second_and_the_old_one_no_more_after_ten() {
    let kept = Kept::new("an older secret");
    let verifier = verifier(META, options(&kept), None).unwrap();
    let sent = meta();
    assert_eq!(sent.verify(&verifier), Err(Denied::Wrong));
    kept.replace("an-app-secret");
    assert_eq!(sent.verify(&verifier), Err(Denied::Wrong), "read just now");
    assert_eq!(sent.later(1).verify(&verifier), Ok(()));
    kept.replace("a newer secret");
    assert_eq!(sent.later(10).verify(&verifier), Ok(()), "still stands");
    assert_eq!(sent.later(11).verify(&verifier), Err(Denied::Wrong));
    kept.replace("an-app-secret");
    assert_eq!(
        sent.later(-3600).verify(&verifier),
        Ok(()),
        "a clock set back"
    );
}

#[test]
fn one_of_two_secrets_may_be_gone() {
    let kept = Kept::new("an-app-secret");
    let options = json!({ "secret": [{ "file": "/nonexistent/secret" }, kept.reference()] });
    let verifier = verifier(META, options, None).unwrap();
    assert_eq!(meta().verify(&verifier), Ok(()));
}

#[test]
fn hubspot_signs_the_address_as_the_outside_sees_it() {
    let toml = r#"signature = { scheme = "hmac_sha256", key = "secret", header = "X-HubSpot-Signature-v3", signed = "{method}{url}{body}{timestamp}", encoding = "base64", timestamp = { header = "X-HubSpot-Request-Timestamp", unit = "milliseconds" } }"#;
    let kept = Kept::new("hubspot-client-secret");
    let outside = "https://leads.acme.example/ls/";
    let verifier = verifier(toml, options(&kept), Some(outside)).unwrap();
    let headers = [
        (
            "x-hubspot-signature-v3",
            "2hJ+k8LXC6PuN9rbplMatDuCapqRhzKW7plvgNm68L0=",
        ),
        ("x-hubspot-request-timestamp", "1772442847000"),
    ];
    let sent = Sent::new(&headers, r#"[{"eventId":1}]"#).at("/hooks/hub?x=a%40b%2cc%20d");
    assert_eq!(sent.verify(&verifier), Ok(()));
    let elsewhere = sent.at("/hooks/other?x=a%40b%2cc%20d");
    assert_eq!(elsewhere.verify(&verifier), Err(Denied::Wrong));
    let stale = sent.later(301).verify(&verifier);
    assert_eq!(stale, Err(Denied::Stale { seconds: -301 }));
    let inside = self::verifier(toml, options(&kept), None).unwrap_err();
    assert_eq!(inside, VerifierError::NoPublicUrl);
}

const STANDARD: &str = r#"signature = { scheme = "standard_webhooks", key = "secret" }"#;

/// The vector of the specification's libraries.
fn standard(family: &str, signatures: &str) -> Sent {
    let names = ["id", "timestamp", "signature"].map(|name| format!("{family}-{name}"));
    let headers = [
        (names[0].as_str(), "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (names[1].as_str(), "1614265330"),
        (names[2].as_str(), signatures),
    ];
    let mut sent = Sent::new(&headers, r#"{"test": 2432232314}"#);
    sent.now = Millis(1_614_265_330_000);
    sent
}

#[test]
fn standard_webhooks_and_svix_are_proved() {
    const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let secret = Kept::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let bare = Kept::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    for kept in [&secret, &bare] {
        let verifier = verifier(STANDARD, options(kept), None).unwrap();
        for family in ["webhook", "svix"] {
            let list = format!("v1,AAAA v1a,AAAA {GOOD}");
            assert_eq!(standard(family, GOOD).verify(&verifier), Ok(()));
            assert_eq!(standard(family, &list).verify(&verifier), Ok(()));
            for bad in ["v1,AAAA", "", &GOOD[3..], &format!("v2,{}", &GOOD[3..])] {
                let denied = standard(family, bad).verify(&verifier);
                assert_eq!(denied, Err(Denied::Wrong), "{bad}");
            }
            let mut without = standard(family, GOOD);
            without.headers.remove(format!("{family}-id"));
            assert!(matches!(
                without.verify(&verifier),
                Err(Denied::Missing { .. })
            ));
            for seconds in [-301, 301] {
                let stale = standard(family, GOOD).later(seconds).verify(&verifier);
                assert_eq!(stale, Err(Denied::Stale { seconds: -seconds }));
            }
        }
    }
    let no_base64 = Kept::new("whsec_not base 64!");
    let verifier = verifier(STANDARD, options(&no_base64), None).unwrap();
    let denied = standard("webhook", GOOD).verify(&verifier);
    assert!(matches!(denied, Err(Denied::Unreadable { .. })));
}

#[test]
fn standard_webhooks_with_a_public_key_are_proved() {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let signed = br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
    let signature = base64.encode(pair.sign(signed));
    let public = base64.encode(pair.public_key());
    let kept = Kept::new(&format!("whpk_{public}"));
    let verifier = verifier(STANDARD, options(&kept), None).unwrap();
    let verify = |signatures: &str| standard("webhook", signatures).verify(&verifier);
    assert_eq!(verify(&format!("v1,AAAA v1a,{signature}")), Ok(()));
    assert_eq!(verify(&format!("v1,{signature}")), Err(Denied::Wrong));
    // Who knows the public key must not be able to sign with it.
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, pair.public_key().as_ref());
    let forged = base64.encode(ring::hmac::sign(&key, signed));
    assert_eq!(
        verify(&format!("v1,{forged} v1a,{forged}")),
        Err(Denied::Wrong)
    );
}

#[test]
fn a_secret_in_the_address_is_proved_wherever_it_stands() {
    let toml = r#"signature = { scheme = "url", key = "secret" }"#;
    let kept = Kept::new("s3cret/ü");
    let verifier = verifier(toml, options(&kept), None).unwrap();
    let verify = |target: &str| Sent::new(&[], "{}").at(target).verify(&verifier);
    for target in [
        "/hooks/acme/s3cret%2F%C3%BC",
        "/hooks/acme/s3cret%2F%C3%BC/",
        "/hooks/acme?secret=s3cret/%C3%BC",
        "/hooks/acme?a=b&token=s3cret/%C3%BC",
        "/hooks/acme/?key=wrong&key=s3cret/%C3%BC",
    ] {
        assert_eq!(verify(target), Ok(()), "{target}");
    }
    for target in [
        "/hooks/acme",
        "/hooks/acme/",
        "/hooks/acme/s3cret",
        "/hooks/acme?other=s3cret/%C3%BC",
        "/hooks/acme?secret=",
    ] {
        assert_eq!(verify(target), Err(Denied::Wrong), "{target}");
    }
}

#[test]
fn all_that_is_configured_must_prove_it_and_optional_may_be_left_out() {
    let toml = r#"
        [[webhook.signature]]
        scheme = "url"
        key = "other"
        [[webhook.signature]]
        scheme = "hmac_sha256"
        key = "secret"
        optional = true
        header = "X-Hub-Signature-256"
        format = "sha256={signature}"
    "#;
    let (secret, other) = (Kept::new("an-app-secret"), Kept::new("in-the-address"));
    let verify = |options: serde_json::Value, sent: &Sent| {
        sent.verify(&verifier(toml, options, None).unwrap())
    };
    let both = json!({ "secret": secret.reference(), "other": other.reference() });
    let one = json!({ "other": other.reference() });
    let good = meta().at("/hooks/acme/in-the-address");
    let unsigned = Sent::new(&[], "{}").at("/hooks/acme/in-the-address");
    assert_eq!(verify(both.clone(), &good), Ok(()));
    assert_eq!(verify(both.clone(), &meta()), Err(Denied::Wrong));
    assert!(matches!(
        verify(both, &unsigned),
        Err(Denied::Missing { .. })
    ));
    assert_eq!(verify(one, &unsigned), Ok(()));
    let no_url_secret = verify(options(&secret), &good);
    let denied = Denied::NoSecret {
        options: vec!["other".to_owned()],
    };
    assert_eq!(no_url_secret, Err(denied));
}

#[test]
fn with_nothing_configured_the_door_is_closed() {
    let sent = Sent::new(&[], "{}");
    let none = verifier("", json!({}), None).unwrap();
    assert!(matches!(sent.verify(&none), Err(Denied::NoSecret { .. })));
    let optional = r#"signature = { scheme = "url", key = "secret", optional = true }"#;
    let optional = verifier(optional, json!({}), None).unwrap();
    let denied = Denied::NoSecret {
        options: vec!["secret".to_owned()],
    };
    assert_eq!(sent.verify(&optional), Err(denied));
}

#[test]
fn options_say_how_a_generic_source_is_signed() {
    let toml = r#"
        [webhook.signature]
        scheme = "{text}"
        key = "secret"
        header = "X-Signature"
        format = "{pattern}"
        signed = "{body}"
    "#;
    let kept = Kept::new("intercom");
    let with = |scheme: &str| {
        let options = json!({
            "secret": kept.reference(), "text": scheme, "pattern": "sha1={signature}"
        });
        verifier(toml, options, None)
    };
    let sent = cases()
        .into_iter()
        .find(|case| case.name == "Intercom")
        .unwrap()
        .sent;
    let value = sent.headers["x-hub-signature"].to_str().unwrap();
    let sent = Sent::new(&[("x-signature", value)], r#"{"a":1}"#);
    assert_eq!(sent.verify(&with("hmac_sha1").unwrap()), Ok(()));
    assert!(matches!(with("md5"), Err(VerifierError::Scheme(_))));
}

#[test]
fn what_would_prove_nothing_is_refused_when_it_is_made() {
    let kept = Kept::new("s");
    let made = |rest: &str| {
        let toml = format!(r#"signature = {{ key = "secret", {rest} }}"#);
        verifier(&toml, options(&kept), None).unwrap_err()
    };
    for (rest, error) in [
        (r#"scheme = "hmac_sha256""#, VerifierError::NoHeader),
        (
            r#"scheme = "sha256", header = "x", signed = "{body}""#,
            VerifierError::Signed,
        ),
        (
            r#"scheme = "hmac_sha256", header = "x", signed = "{method}""#,
            VerifierError::Signed,
        ),
        (
            r#"scheme = "hmac_sha256", header = "x", signed = "{key}{body}""#,
            VerifierError::Signed,
        ),
        (
            r#"scheme = "hmac_sha256", header = "x", signed = "{timestamp}{body}""#,
            VerifierError::NoTimestamp,
        ),
        (
            r#"scheme = "hmac_sha256", header = "x", signed = "{secret}{body}""#,
            VerifierError::Name("secret".to_owned()),
        ),
        (
            r#"scheme = "hmac_sha256", header = "x", format = "v1=""#,
            VerifierError::Format,
        ),
        (
            r#"scheme = "hmac_sha256", header = "a b""#,
            VerifierError::Header("a b".to_owned()),
        ),
    ] {
        assert_eq!(made(rest), error, "{rest}");
    }
}

#[test]
fn headers_can_be_signed_and_repeated() {
    let toml = r#"signature = { scheme = "hmac_sha256", key = "secret", header = "x-sig", signed = "{header:x-topic}|{body}" }"#;
    let kept = Kept::new("k");
    let verifier = verifier(toml, options(&kept), None).unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"k");
    let signature = to_hex(ring::hmac::sign(&key, b"lead|{}").as_ref());
    let headers = [("x-sig", "00"), ("x-sig", &signature), ("x-topic", "lead")];
    assert_eq!(Sent::new(&headers, "{}").verify(&verifier), Ok(()));
    let other = [("x-sig", signature.as_str()), ("x-topic", "test")];
    assert_eq!(
        Sent::new(&other, "{}").verify(&verifier),
        Err(Denied::Wrong)
    );
}

#[test]
fn nothing_that_is_told_shows_a_secret() {
    let kept = Kept::new("an-app-secret");
    let verifier = verifier(META, options(&kept), None).unwrap();
    assert_eq!(meta().verify(&verifier), Ok(()));
    assert!(!format!("{verifier:?}").contains("an-app-secret"));
    // The bytes of the key, as a list of numbers would show them.
    assert!(!format!("{verifier:?}").contains("97, 110, 45"));
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic(
        value in proptest::collection::vec(prop_oneof![Just(b'='), Just(b','), Just(b'v'), Just(b't'), 32_u8..=126, 128_u8..=255], 0..60),
        time in "[0-9-]{0,25}|[0-9:TZ. -]{0,30}",
        body in proptest::collection::vec(any::<u8>(), 0..60),
        target in "/hooks/acme[/a-z%0-9]{0,20}(\\?[a-z=&%0-9]{0,20})?",
    ) {
        let kept = Kept::new("whsec_AAAA");
        let value = http::HeaderValue::from_bytes(&value).unwrap();
        let time = http::HeaderValue::from_str(&time).unwrap();
        let hubspot = Case {
            name: "HubSpot",
            toml: r#"signature = { scheme = "hmac_sha256", key = "secret", header = "x-sig", signed = "{method}{url}{body}{timestamp}", timestamp = { header = "x-zm-request-timestamp" } }"#,
            secret: "",
            header: Some("x-sig"),
            sent: Sent::new(&[], ""),
            has_time: true,
        };
        let standard = Case {
            name: "Standard",
            toml: STANDARD,
            header: Some("webhook-signature"),
            sent: Sent::new(&[("webhook-id", "1")], ""),
            ..cases().swap_remove(0)
        };
        for case in cases().into_iter().chain([hubspot, standard]) {
            let verifier = verifier(case.toml, options(&kept), Some("https://x.example")).unwrap();
            let mut sent = case.sent.at(&target);
            sent.body.clone_from(&body);
            if let Some(header) = case.header {
                sent.headers.insert(header, value.clone());
            }
            for header in ["x-zm-request-timestamp", "webhook-timestamp", "x-webflow-timestamp"] {
                sent.headers.insert(header, time.clone());
            }
            prop_assert!(sent.verify(&verifier).is_err(), "{}", case.name);
        }
    }
}
