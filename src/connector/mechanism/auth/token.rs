//! One request to a token endpoint, and what it brought (RFC 6749, 5).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request};
use serde_json::Value;
use url::Url;

use super::credential::TokenText;
use super::trouble::{pause, retry};
use crate::connector::manifest::{Auth, AuthType, ClientAuth};
use crate::connector::mechanism::call::{CallError, Next};
use crate::connector::mechanism::rate;
use crate::connector::mechanism::words::status_words;
use crate::connector::path::Path;
use crate::edge::clock::SharedClock;
use crate::edge::http::{Http, HttpError, Limits};
use crate::model::Millis;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    max_response_bytes: 64 * 1024,
};

/// Tokens are no longer used so long before their end: a call may take that long.
const MARGIN: Duration = Duration::from_secs(60);

/// What says that a token lives longer is not believed.
const LONGEST_LIFE: u64 = 10 * 366 * 24 * 60 * 60;

/// The longest token.
const MOST_TOKEN_BYTES: usize = 16 * 1024;

/// An access token in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub access: TokenText,
    /// Until when it is used; none: until it is refused.
    pub until: Option<Millis>,
    /// Where the API is, if the answer said so. Not checked yet.
    pub base_url: Option<String>,
}

impl Token {
    pub fn is_usable(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What a token request brought.
#[derive(Debug, Clone)]
pub(crate) struct TokenAnswer {
    pub token: Token,
    pub access_ends_at: Option<Millis>,
    pub refresh_token: Option<TokenText>,
    pub refresh_ends_at: Option<Millis>,
    pub scope: Option<String>,
    pub account: Option<String>,
}

/// Why there is no token.
#[derive(Debug, Clone)]
pub(crate) enum TokenError {
    /// The vendor refused: the same again would be refused again.
    Refused(CallError),
    /// No answer, or one that says "later".
    Passing(CallError),
}

impl From<TokenError> for CallError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Refused(error) | TokenError::Passing(error) => error,
        }
    }
}

/// A token request.
pub(crate) struct TokenRequest<'a> {
    pub url: &'a Url,
    pub auth: &'a Auth,
    /// What is sent beside what shows who the client is.
    pub form: Vec<(String, String)>,
    /// Id and secret of the client, if it shows them.
    pub client: Option<(String, Option<String>)>,
    /// The source, for hints.
    pub source: &'a str,
}

/// Sends it.
pub(crate) async fn ask(
    request: TokenRequest<'_>,
    http: &dyn Http,
    clock: &SharedClock,
) -> Result<TokenAnswer, TokenError> {
    let sent = build(&request).map_err(TokenError::Refused)?;
    // A token's life is counted from before the request, so that a slow answer makes it no longer.
    let asked_at = clock.now();
    let answer = http
        .send(sent, LIMITS)
        .await
        .map_err(|error| unreachable(&error))?;
    let status = answer.status().as_u16();
    if !answer.status().is_success() {
        let wait = answer.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|wait| rate::wait(wait.to_str().ok()?, clock.now()));
        return Err(refusal(&request, status, answer.body(), wait));
    }
    read(answer.body(), request.auth, asked_at).ok_or_else(|| {
        TokenError::Passing(retry(
            "vendor.token_answer",
            format!(
                "{} answered without a usable access_token",
                host(request.url)
            ),
            None,
        ))
    })
}

fn build(request: &TokenRequest<'_>) -> Result<Request<Bytes>, CallError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &request.form {
        form.append_pair(name, value);
    }
    let mut sent = Request::builder()
        .method(Method::POST)
        .uri(request.url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json");
    match (&request.client, request.auth.client_auth) {
        (None, _) => {}
        (Some((id, Some(secret))), ClientAuth::Basic) => {
            // As vendors take it, without the form encoding that RFC 6749 asks for before.
            let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
            if let Ok(mut value) = HeaderValue::from_str(&basic) {
                value.set_sensitive(true);
                sent = sent.header(AUTHORIZATION, value);
            }
        }
        (Some((id, secret)), _) => {
            form.append_pair("client_id", id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret);
            }
        }
    }
    sent.body(Bytes::from(form.finish())).map_err(|_| {
        pause(
            "vendor.sign_in",
            "the token request cannot be built",
            "check `token_url`",
        )
    })
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or("the token endpoint")
}

fn unreachable(error: &HttpError) -> TokenError {
    TokenError::Passing(match error {
        HttpError::HostNotAllowed(_) => pause(
            "vendor.host",
            error.to_string(),
            "tokens are had on the manifest's hosts, or where the source's `token_url` says",
        ),
        _ => retry("vendor.unreachable", error.to_string(), None),
    })
}

fn refusal(
    request: &TokenRequest<'_>,
    status: u16,
    body: &[u8],
    wait: Option<Duration>,
) -> TokenError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = body["error"].as_str().unwrap_or_default();
    let words = status_words(&body).map_or_else(String::new, |words| format!(" ({words})"));
    let at = host(request.url);
    let passing = matches!(
        code,
        "temporarily_unavailable" | "server_error" | "slow_down"
    );
    if status == 429 {
        return TokenError::Passing(CallError {
            next: Next::Throttle(wait),
            code: "vendor.throttled",
            message: format!("{at} says that tokens are asked for too often{words}"),
            hint: String::new(),
        });
    }
    if passing || status == 408 || status == 425 || status >= 500 {
        let message = format!("{at} gave no token: status {status}{words}");
        return TokenError::Passing(retry("vendor.token_answer", message, wait));
    }
    TokenError::Refused(pause(
        "vendor.signed_out",
        format!("{at} refuses to sign us in: status {status}{words}"),
        hint(request, code),
    ))
}

fn hint(request: &TokenRequest<'_>, code: &str) -> String {
    let source = request.source;
    match (request.auth.kind, code) {
        (AuthType::ServiceAccount, "unauthorized_client") => {
            "allow the service account's client id these scopes in the Admin console (domain-wide \
             delegation), or leave out the user to act as and share with its e-mail instead"
                .to_owned()
        }
        (AuthType::ServiceAccount, _) => {
            "check that the service account's key still exists, and that \
             this machine's clock is right; `leadstream connectors show` tells how to make a key"
                .to_owned()
        }
        (_, "invalid_client") => "check `client_id` and `client_secret`".to_owned(),
        (AuthType::Oauth2, _) => {
            format!("sign in anew: `leadstream connect {source}`, or replace its `refresh_token`")
        }
        _ => format!("check the credentials of the source {source} and its rights at the vendor"),
    }
}

/// The answer; none if it holds no token that can be sent.
fn read(body: &[u8], auth: &Auth, asked_at: Millis) -> Option<TokenAnswer> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let access = token_text(&body["access_token"])?;
    let life = seconds(&body["expires_in"]).or(auth.expires_seconds.filter(|life| *life > 0));
    let ends = |life: u64| asked_at.after(Duration::from_secs(life));
    let until = life.map(|life| {
        let life = Duration::from_secs(life);
        asked_at.after(life.saturating_sub(MARGIN.min(life / 2)))
    });
    let base_url = auth.base_url_from.as_deref().and_then(|path| {
        let found = Path::parse(path).ok()?.first(&body)?.as_str()?.to_owned();
        Some(found)
    });
    Some(TokenAnswer {
        token: Token {
            access,
            until,
            base_url,
        },
        access_ends_at: life.map(ends),
        refresh_token: token_text(&body["refresh_token"]),
        refresh_ends_at: seconds(&body["refresh_token_expires_in"]).map(ends),
        scope: short_text(&body["scope"], 2000),
        account: ["organization", "account_id", "account", "hub_id"]
            .iter()
            .find_map(|name| short_text(&body[name], 200)),
    })
}

/// A token that may stand in a header.
fn token_text(value: &Value) -> Option<TokenText> {
    let text = value.as_str()?;
    let fits = (1..=MOST_TOKEN_BYTES).contains(&text.len())
        && text.bytes().all(|letter| letter.is_ascii_graphic());
    fits.then(|| TokenText(text.to_owned()))
}

/// A life in seconds, as a number or a text; none if it is 0 (Mailchimp: it does not end) or no
/// number.
fn seconds(value: &Value) -> Option<u64> {
    let seconds = match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            let number = number.as_f64()?;
            (number >= 0.0).then_some(number as u64)
        })?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds > 0).then_some(seconds.min(LONGEST_LIFE))
}

fn short_text(value: &Value, most: usize) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let fits = !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn auth(toml: &str) -> Auth {
        toml::from_str(toml).unwrap()
    }

    fn life(answer: Value, auth: &Auth) -> (Option<i64>, Option<i64>) {
        let read = read(answer.to_string().as_bytes(), auth, Millis(0)).unwrap();
        (
            read.token.until.map(|at| at.0 / 1000),
            read.access_ends_at.map(|at| at.0 / 1000),
        )
    }

    #[test]
    fn a_life_is_read_in_each_form_and_a_margin_is_kept() {
        let plain = auth("type = \"oauth2\"");
        let fixed = auth("type = \"oauth2\"\nexpires_seconds = 7200");
        for (expires_in, plainly, as_fixed) in [
            (
                json!(3599),
                (Some(3539), Some(3599)),
                (Some(3539), Some(3599)),
            ),
            (
                json!("3599"),
                (Some(3539), Some(3599)),
                (Some(3539), Some(3599)),
            ),
            (json!(30), (Some(15), Some(30)), (Some(15), Some(30))),
            (json!(0), (None, None), (Some(7140), Some(7200))),
            (json!(null), (None, None), (Some(7140), Some(7200))),
            (json!("soon"), (None, None), (Some(7140), Some(7200))),
            (json!(-5), (None, None), (Some(7140), Some(7200))),
        ] {
            let answer = json!({ "access_token": "a", "expires_in": expires_in });
            assert_eq!(life(answer.clone(), &plain), plainly, "{expires_in}");
            assert_eq!(life(answer, &fixed), as_fixed, "{expires_in}");
        }
    }

    #[test]
    fn a_token_that_no_header_takes_is_none() {
        let plain = auth("type = \"oauth2\"");
        for answer in [
            json!({}),
            json!({ "access_token": "" }),
            json!({ "access_token": "a b" }),
            json!({ "access_token": "a\r\nx: y" }),
            json!({ "access_token": 7 }),
            json!({ "access_token": "a".repeat(20_000) }),
            json!([]),
        ] {
            let body = answer.to_string();
            assert!(read(body.as_bytes(), &plain, Millis(0)).is_none(), "{body}");
        }
    }
}
