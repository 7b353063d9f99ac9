//! Captchas: what the vendor is asked, and what is kept of its answer.

use std::io::Write;

use leadstream::ingest::captcha_endpoint;
use leadstream::model::CaptchaVerdict;

use super::door::{Door, SCRIPT, open};

const PASSED: &str = r#"{"success":true,"hostname":"www.example.com","action":"demo"}"#;

/// A door whose source asks this vendor. The secret is `s3cret`.
async fn open_for(provider: &str, more: &str) -> (Door, tempfile::NamedTempFile) {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"s3cret\n").unwrap();
    let toml = format!(
        "{}\n[captcha]\nprovider = \"{provider}\"\nsecret = {{ file = '{}' }}\n{more}",
        "base_url = \"http://127.0.0.1:9101/ignored\"",
        secret.path().display()
    );
    (open(&toml).await, secret)
}

async fn verdict(
    door: &Door,
    body: &str,
    answers: &[Result<&'static str, &'static str>],
) -> CaptchaVerdict {
    door.vendor.answers.lock().extend(answers);
    door.post(SCRIPT, body).await.receipt();
    assert!(door.vendor.answers.lock().is_empty(), "{body}");
    let events = door.inbox.events.lock();
    events.last().unwrap().meta.captcha.clone().unwrap()
}

#[tokio::test]
async fn each_vendor_is_asked_in_its_own_way() {
    for (provider, field, path, has_key) in [
        (
            "turnstile",
            "cf-turnstile-response",
            "/turnstile/v0/siteverify",
            true,
        ),
        (
            "recaptcha",
            "g-recaptcha-response",
            "/recaptcha/api/siteverify",
            false,
        ),
        ("hcaptcha", "h-captcha-response", "/siteverify", false),
        ("hcaptcha", "g-recaptcha-response", "/siteverify", false),
    ] {
        let (door, _secret) = open_for(provider, "").await;
        let body = format!("email=a%40b.example&{field}=to%2Bken");
        assert_eq!(
            verdict(&door, &body, &[Ok(PASSED)]).await,
            CaptchaVerdict::Passed
        );
        let questions = door.vendor.questions.lock();
        let (url, form) = &questions[0];
        assert_eq!(*url, format!("http://127.0.0.1:9101{path}"));
        assert_eq!(form["secret"], "s3cret");
        assert_eq!(form["response"], "to+ken");
        assert_eq!(form.contains_key("idempotency_key"), has_key);
        assert!(
            !form.contains_key("remoteip"),
            "the address is personal data"
        );
    }
}

#[tokio::test]
async fn a_missing_or_refused_token_is_answered_as_success_and_kept_as_failed() {
    let (door, _secret) = open_for("turnstile", "hostname = \"www.example.com\"").await;
    let failed = |code: &str| CaptchaVerdict::Failed(vec![code.to_owned()]);
    assert_eq!(
        verdict(&door, "a=1", &[]).await,
        failed("missing-input-response")
    );
    let long = format!("a=1&cf-turnstile-response={}", "x".repeat(10_000));
    assert_eq!(
        verdict(&door, &long, &[]).await,
        failed("invalid-input-response")
    );
    let body = "a=1&cf-turnstile-response=t";
    let refused = Ok(r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#);
    assert_eq!(
        verdict(&door, body, &[refused]).await,
        failed("timeout-or-duplicate")
    );
    let elsewhere = Ok(r#"{"success":true,"hostname":"evil.example"}"#);
    assert_eq!(
        verdict(&door, body, &[elsewhere]).await,
        failed("hostname-mismatch")
    );
}

#[tokio::test]
async fn a_vendor_that_cannot_be_asked_costs_no_lead() {
    let (door, _secret) = open_for("recaptcha", "").await;
    let body = "a=1&g-recaptcha-response=t";
    for (answer, why) in [
        (Err("127.0.0.1"), "127.0.0.1 did not answer in time"),
        (
            Ok("<html>"),
            "the vendor answered 200 with something else than its JSON",
        ),
        (
            Ok("{}"),
            "the vendor answered 200 with something else than its JSON",
        ),
        (
            Ok(r#"{"success":false,"error-codes":["invalid-input-secret"]}"#),
            "invalid-input-secret",
        ),
    ] {
        let unknown = CaptchaVerdict::Unknown(why.to_owned());
        assert_eq!(verdict(&door, body, &[answer]).await, unknown);
    }
}

#[tokio::test]
async fn turnstile_is_asked_again_with_the_same_key() {
    let (door, _secret) = open_for("turnstile", "").await;
    let internal = Ok(r#"{"success":false,"error-codes":["internal-error"]}"#);
    let body = "a=1&cf-turnstile-response=t";
    assert_eq!(
        verdict(&door, body, &[internal, Ok(PASSED)]).await,
        CaptchaVerdict::Passed
    );
    assert_eq!(
        verdict(&door, body, &[Err("h"), Err("h")]).await,
        CaptchaVerdict::Unknown("h did not answer in time".to_owned())
    );
    let questions = door.vendor.questions.lock();
    let key = |index: usize| questions[index].1["idempotency_key"].clone();
    assert_eq!(key(0), key(1));
    assert_eq!(key(2), key(3));
    assert_ne!(key(0), key(2));
    assert_eq!(key(0).len(), 36);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_costs_no_lead() {
    let (door, secret) = open_for("turnstile", "").await;
    drop(secret);
    let CaptchaVerdict::Unknown(why) = verdict(&door, "a=1&cf-turnstile-response=t", &[]).await
    else {
        panic!("it cannot be known");
    };
    assert!(why.starts_with("cannot read the secret file"), "{why}");
}

#[test]
fn the_vendors_address_is_known_for_the_list_of_allowed_hosts() {
    let endpoint = |toml: &str| {
        let url = captcha_endpoint(&crate::source::web_form(toml));
        url.map(|url| url.to_string())
    };
    let captcha = |provider| {
        format!("[captcha]\nprovider = \"{provider}\"\nsecret = {{ env = \"NOT_READ\" }}")
    };
    assert_eq!(endpoint(""), None);
    for (provider, url) in [
        (
            "turnstile",
            "https://challenges.cloudflare.com/turnstile/v0/siteverify",
        ),
        (
            "recaptcha",
            "https://www.google.com/recaptcha/api/siteverify",
        ),
        ("hcaptcha", "https://api.hcaptcha.com/siteverify"),
    ] {
        assert_eq!(endpoint(&captcha(provider)).as_deref(), Some(url));
    }
}
