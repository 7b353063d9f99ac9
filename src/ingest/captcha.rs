//! Asks a captcha's vendor about the token that a form brings. A vendor that cannot be asked never
//! costs a lead: the verdict is then unknown, and kept with the event.
//!
//! Sources: developers.cloudflare.com/turnstile/get-started/server-side-validation,
//! developers.google.com/recaptcha/docs/verify, docs.hcaptcha.com.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{Request, header};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::{info, warn};
use url::Url;

use crate::config::{Secret, SecretRef, SourceConfig};
use crate::connector::ConnectorOptions;
use crate::connector::custom::web_form::{Captcha, CaptchaProvider};
use crate::edge::http::{Http, Limits};
use crate::edge::random;
use crate::model::{CaptchaVerdict, SourceName};

/// How long the person waits for the vendor, all tries together.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Real answers have about 300 bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The longest token that is passed on. Turnstile's have up to 2048 characters.
const MAX_TOKEN_BYTES: usize = 8192;

/// Questions that may be open at once, for one source.
const MAX_OPEN: usize = 256;

/// Codes with which a vendor complains about us, not about the person.
const OUR_FAULT: &[&str] = &[
    "missing-input-secret",
    "invalid-input-secret",
    "bad-request",
];

/// Codes after which Turnstile may be asked again.
const INTERNAL_ERROR: &str = "internal-error";

/// Host, path, and the form fields that bring the token.
struct Vendor {
    origin: &'static str,
    path: &'static str,
    token_fields: &'static [&'static str],
}

fn vendor(provider: CaptchaProvider) -> Vendor {
    match provider {
        CaptchaProvider::Turnstile => Vendor {
            origin: "https://challenges.cloudflare.com",
            path: "/turnstile/v0/siteverify",
            token_fields: &["cf-turnstile-response"],
        },
        CaptchaProvider::Recaptcha => Vendor {
            origin: "https://www.google.com",
            path: "/recaptcha/api/siteverify",
            token_fields: &["g-recaptcha-response"],
        },
        CaptchaProvider::Hcaptcha => Vendor {
            origin: "https://api.hcaptcha.com",
            path: "/siteverify",
            token_fields: &["h-captcha-response", "g-recaptcha-response"],
        },
    }
}

/// Where a source's captcha tokens are verified, for the list of hosts that may be called. `None` if
/// it has no captcha.
pub fn captcha_endpoint(source: &SourceConfig) -> Option<Url> {
    let ConnectorOptions::WebForm(options) = &source.options else {
        return None;
    };
    let captcha = options.captcha.as_ref()?;
    Url::parse(&endpoint(captcha.provider, source.base_url.as_ref())).ok()
}

fn endpoint(provider: CaptchaProvider, base_url: Option<&Url>) -> String {
    let vendor = vendor(provider);
    let origin = base_url.map_or_else(
        || vendor.origin.to_owned(),
        |url| url.origin().ascii_serialization(),
    );
    origin + vendor.path
}

/// The check of one source.
#[derive(Debug)]
pub struct CaptchaCheck {
    provider: CaptchaProvider,
    endpoint: String,
    secret: SecretRef,
    min_score: Option<f64>,
    hostname: Option<String>,
    action: Option<String>,
    open: Semaphore,
    source: SourceName,
    is_down: AtomicBool,
}

/// What the vendors answer, as far as it matters. The status is 200 for failures too.
#[derive(Debug, Deserialize)]
struct Answer {
    success: bool,
    hostname: Option<String>,
    action: Option<String>,
    score: Option<f64>,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

impl CaptchaCheck {
    pub fn new(captcha: &Captcha, name: &SourceName, source: &SourceConfig) -> Self {
        Self {
            provider: captcha.provider,
            endpoint: endpoint(captcha.provider, source.base_url.as_ref()),
            secret: captcha.secret.clone(),
            min_score: captcha.min_score,
            hostname: captcha.hostname.clone(),
            action: captcha.action.clone(),
            open: Semaphore::new(MAX_OPEN),
            source: name.clone(),
            is_down: AtomicBool::new(false),
        }
    }

    /// The names of the form's fields that bring the token, the first that is there counts.
    pub fn token_fields(&self) -> &'static [&'static str] {
        vendor(self.provider).token_fields
    }

    /// What the vendor says of the token.
    pub async fn verdict(&self, token: Option<String>, http: &dyn Http) -> CaptchaVerdict {
        let Some(token) = token else {
            return failed("missing-input-response");
        };
        if token.len() > MAX_TOKEN_BYTES {
            return failed("invalid-input-response");
        }
        let verdict = self.ask_for(&token, http).await;
        let is_unknown = matches!(verdict, CaptchaVerdict::Unknown(_));
        // Said when it changes, not for every lead.
        if self.is_down.swap(is_unknown, Ordering::Relaxed) != is_unknown {
            if let CaptchaVerdict::Unknown(why) = &verdict {
                warn!(source = &*self.source, "captchas cannot be checked: {why}");
            } else {
                info!(source = &*self.source, "captchas can be checked again");
            }
        }
        verdict
    }

    async fn ask_for(&self, token: &str, http: &dyn Http) -> CaptchaVerdict {
        let secret = match self.secret.read() {
            Ok(secret) => secret,
            Err(error) => return unknown(error.to_string()),
        };
        let Ok(_slot) = self.open.try_acquire() else {
            return unknown("too many checks are open");
        };
        // A token can be used once. Only Turnstile lets a question be repeated, by a key.
        let (key, tries) = match self.provider {
            CaptchaProvider::Turnstile => (Some(uuid()), 2),
            CaptchaProvider::Recaptcha | CaptchaProvider::Hcaptcha => (None, 1),
        };
        let question = question(&secret, token, key.as_deref());
        let mut verdict = unknown("not asked");
        for _ in 0..tries {
            verdict = self.ask(question.clone(), TIME_LIMIT / tries, http).await;
            if !matches!(verdict, CaptchaVerdict::Unknown(_)) {
                break;
            }
        }
        verdict
    }

    async fn ask(&self, question: Bytes, timeout: Duration, http: &dyn Http) -> CaptchaVerdict {
        let request = Request::post(&self.endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(question);
        let request = match request {
            Ok(request) => request,
            Err(error) => return unknown(error.to_string()),
        };
        let limits = Limits {
            timeout,
            max_response_bytes: MAX_RESPONSE_BYTES,
        };
        match http.send(request, limits).await {
            Ok(answer) => match serde_json::from_slice(answer.body()) {
                Ok(read) => self.judge(read),
                Err(_) => unknown(format!(
                    "the vendor answered {} with something else than its JSON",
                    answer.status().as_u16()
                )),
            },
            Err(error) => unknown(error.to_string()),
        }
    }

    fn judge(&self, answer: Answer) -> CaptchaVerdict {
        let codes: Vec<String> = answer.error_codes.iter().map(|code| plain(code)).collect();
        if !answer.success {
            let is_not_of_the_person =
                |code: &String| OUR_FAULT.contains(&code.as_str()) || code == INTERNAL_ERROR;
            return if codes.iter().any(is_not_of_the_person) {
                unknown(codes.join(", "))
            } else {
                CaptchaVerdict::Failed(codes)
            };
        }
        let differs = |wanted: &Option<String>, got: &Option<String>| {
            wanted.as_ref().is_some_and(|wanted| {
                !got.as_ref()
                    .is_some_and(|got| got.eq_ignore_ascii_case(wanted))
            })
        };
        if differs(&self.hostname, &answer.hostname) {
            return failed("hostname-mismatch");
        }
        if differs(&self.action, &answer.action) {
            return failed("action-mismatch");
        }
        match (self.min_score, answer.score) {
            (Some(least), Some(score)) if score < least => failed("score-too-low"),
            // reCAPTCHA v2 gives none: then min_score is a mistake, not the person's.
            (Some(_), None) => unknown("the vendor gave no score"),
            _ => CaptchaVerdict::Passed,
        }
    }
}

fn question(secret: &Secret, token: &str, idempotency_key: Option<&str>) -> Bytes {
    let mut question = form_urlencoded::Serializer::new(String::new());
    question.append_pair("secret", secret.expose());
    question.append_pair("response", token);
    if let Some(key) = idempotency_key {
        question.append_pair("idempotency_key", key);
    }
    Bytes::from(question.finish())
}

fn failed(code: &str) -> CaptchaVerdict {
    CaptchaVerdict::Failed(vec![code.to_owned()])
}

fn unknown(why: impl Into<String>) -> CaptchaVerdict {
    CaptchaVerdict::Unknown(why.into())
}

/// A vendor's code, safe to be shown.
fn plain(code: &str) -> String {
    code.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(64)
        .collect()
}

/// A random UUID (version 4), as Turnstile wants its key.
fn uuid() -> String {
    let mut bytes: [u8; 16] = random::bytes();
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expect: CaptchaVerdict) {
        let captcha = Captcha {
            provider: CaptchaProvider::Recaptcha,
            secret: SecretRef {
                env: None,
                file: None,
            },
            min_score: Some(0.5),
            hostname: Some("www.example.com".to_owned()),
            action: Some("demo".to_owned()),
            on_unavailable: crate::connector::custom::web_form::OnCaptchaUnavailable::Review,
        };
        let source = SourceConfig {
            priority: crate::config::Priority::Normal,
            connector: "web-form".to_owned(),
            default_country: None,
            lead_source: None,
            campaign: None,
            base_url: None,
            fields: std::collections::BTreeMap::new(),
            options: ConnectorOptions::default(),
        };
        let read = serde_json::from_str(answer).unwrap();
        let check = CaptchaCheck::new(&captcha, &SourceName::new("demo"), &source);
        assert_eq!(check.judge(read), expect, "{answer}");
    }

    #[test]
    fn a_token_passes_only_with_host_action_and_score() {
        check(
            r#"{"success":true,"hostname":"www.example.com","action":"demo","score":0.5}"#,
            CaptchaVerdict::Passed,
        );
        check(
            r#"{"success":true,"hostname":"evil.example","action":"demo","score":0.9}"#,
            failed("hostname-mismatch"),
        );
        check(
            r#"{"success":true,"action":"demo","score":0.9}"#,
            failed("hostname-mismatch"),
        );
        check(
            r#"{"success":true,"hostname":"www.example.com","action":"x","score":0.9}"#,
            failed("action-mismatch"),
        );
        check(
            r#"{"success":true,"hostname":"www.example.com","action":"demo","score":0.4}"#,
            failed("score-too-low"),
        );
        check(
            r#"{"success":true,"hostname":"www.example.com","action":"demo"}"#,
            unknown("the vendor gave no score"),
        );
    }

    #[test]
    fn the_persons_fault_fails_and_ours_or_the_vendors_is_unknown() {
        check(
            r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#,
            failed("timeout-or-duplicate"),
        );
        check(
            r#"{"success":false,"error-codes":["invalid-input-response<script>"]}"#,
            failed("invalid-input-responsescript"),
        );
        check(
            r#"{"success":false,"error-codes":["invalid-input-secret"]}"#,
            unknown("invalid-input-secret"),
        );
        check(
            r#"{"success":false,"error-codes":["internal-error"]}"#,
            unknown("internal-error"),
        );
    }
}
