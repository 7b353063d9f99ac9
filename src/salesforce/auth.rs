//! Signing in: one token for all, asked for once, kept in memory only.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderValue, Method, Request};
use parking_lot::Mutex;
use serde::Deserialize;
use url::Url;

use super::error::Class;
use super::id::to_18;
use super::jwt::{Claims, assertion};
use super::sign_in_error::{SignInError, TokenError, refusal};
use crate::config::{SalesforceAuth, SalesforceConfig, Secret, SecretError, SecretRef};
use crate::edge::clock::SharedClock;
use crate::edge::http::{AllowedHosts, Http, Limits, is_loopback};
use crate::model::Millis;
use crate::telemetry::{Metrics, PurposeLabel};

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    max_response_bytes: 64 * 1024,
};

/// Salesforce serves one token request of a user at a time, and refuses those that overlap.
const OVERLAP_TRIES: u32 = 3;
const OVERLAP_WAIT: Duration = Duration::from_secs(1);

/// How long refused credentials are not sent again, from the first refusal to the last: blind
/// repeats lock the user out. Other credentials are tried at once. Whoever has mended the app in
/// the org waits as long at most until leads go on.
const HOLD_OFF: Duration = Duration::from_secs(60);
const HOLD_OFF_MOST: Duration = Duration::from_secs(5 * 60);

/// Clocks that differ by more than this are worth a warning; Salesforce grants 180 seconds.
const CLOCK_TOLERANCE_SECONDS: i64 = 60;

/// The domains of Salesforce's own instances.
const FAMILIES: [&str; 2] = ["salesforce.com", "force.com"];

/// The hosts that the client of this org may call.
pub fn allowed_hosts(config: &SalesforceConfig) -> AllowedHosts {
    let hosts = AllowedHosts::default().url(&config.login_url);
    if is_loopback(&config.login_url) {
        return hosts.loopback();
    }
    FAMILIES
        .iter()
        .fold(hosts, |hosts, family| hosts.family(family))
}

/// How signing in went the last time, for `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SignInState {
    /// It was not tried.
    #[default]
    NotYet,
    /// There is a token; Salesforce may have ended it meanwhile.
    SignedIn,
    /// There is none.
    Failed(SignInError),
}

/// A token, and the only host that may be shown it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub authorization: HeaderValue,
    pub instance: Url,
    user_id: Option<String>,
    number: u64,
}

/// Hands out the session, and signs in when there is none.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Held while signing in, so that all who need a token wait for the same one.
    held: tokio::sync::Mutex<HeldSession>,
    standing: Mutex<Standing>,
}

/// How signing in stands.
#[derive(Debug, Default)]
struct Standing {
    state: SignInState,
    /// A fresh token was refused: the next one is not believed before a call has taken it.
    doubted: bool,
    /// How often it has gone well.
    sign_ins: u64,
    /// The user of the last token.
    user_id: Option<String>,
}

impl Standing {
    fn went_well(&mut self) {
        self.state = SignInState::SignedIn;
        self.sign_ins += 1;
    }
}

#[derive(Debug, Default)]
struct HeldSession {
    session: Option<Session>,
    signed_in: u64,
    refused: Option<RefusedCredentials>,
}

#[derive(Debug)]
struct RefusedCredentials {
    credentials: Secret,
    at: Millis,
    hold_off: Duration,
    error: SignInError,
}

impl RefusedCredentials {
    /// A refusal that lies ahead is over: the clock was set back since.
    fn is_held_off(&self, now: Millis) -> bool {
        self.at <= now && now < self.at.after(self.hold_off)
    }
}

/// What signing in needs of the world.
pub(super) struct Edge<'a> {
    pub http: &'a dyn Http,
    pub clock: &'a SharedClock,
    pub metrics: &'a Metrics,
    pub config: &'a SalesforceConfig,
}

impl Sessions {
    pub fn new() -> Self {
        Self {
            held: tokio::sync::Mutex::default(),
            standing: Mutex::default(),
        }
    }

    pub fn state(&self) -> SignInState {
        self.standing.lock().state.clone()
    }

    /// How often signing in has gone well.
    pub fn sign_ins(&self) -> u64 {
        self.standing.lock().sign_ins
    }

    /// The 18-character id of the user of the last token, if it told.
    pub fn user_id(&self) -> Option<String> {
        self.standing.lock().user_id.clone()
    }

    /// Whether a fresh token was refused and no call has taken another one since.
    pub fn is_doubted(&self) -> bool {
        self.standing.lock().doubted
    }

    /// The session in use, or a new one.
    pub async fn current(&self, edge: &Edge<'_>) -> Result<Session, SignInError> {
        let mut held = self.held.lock().await;
        if let Some(session) = &held.session {
            return Ok(session.clone());
        }
        self.replace(&mut held, edge).await
    }

    /// A session other than `refused`, which Salesforce no longer takes. If someone else has
    /// signed in meanwhile, theirs.
    pub async fn renewed(
        &self,
        refused: &Session,
        edge: &Edge<'_>,
    ) -> Result<Session, SignInError> {
        let mut held = self.held.lock().await;
        match &held.session {
            Some(session) if session.number != refused.number => Ok(session.clone()),
            _ => self.replace(&mut held, edge).await,
        }
    }

    /// Notes that even a fresh token is refused. The next call signs in: kept until it ends, the
    /// token would say that there is none long after it is taken.
    pub async fn token_refused(&self, refused: &Session, error: &SignInError) {
        let mut held = self.held.lock().await;
        held.session
            .take_if(|session| session.number == refused.number);
        let mut standing = self.standing.lock();
        standing.state = SignInState::Failed(error.clone());
        standing.doubted = true;
    }

    /// Notes that a token was taken.
    pub fn token_taken(&self) {
        let mut standing = self.standing.lock();
        if std::mem::take(&mut standing.doubted) {
            standing.went_well();
        }
    }

    async fn replace(
        &self,
        held: &mut HeldSession,
        edge: &Edge<'_>,
    ) -> Result<Session, SignInError> {
        held.session = None;
        let result = held.sign_in(edge).await;
        let mut standing = self.standing.lock();
        if let Ok(session) = &result {
            standing.user_id.clone_from(&session.user_id);
        }
        match &result {
            Ok(_) if standing.doubted => {}
            Ok(_) => standing.went_well(),
            Err(error) => standing.state = SignInState::Failed(error.clone()),
        }
        result
    }
}

impl HeldSession {
    async fn sign_in(&mut self, edge: &Edge<'_>) -> Result<Session, SignInError> {
        // Read anew each time: a secret that was rotated on disk needs no restart.
        let credentials = read_credentials(edge.config)?;
        if let Some(refused) = &self.refused
            && refused.credentials == credentials
            && refused.is_held_off(edge.clock.now())
        {
            return Err(refused.error.clone());
        }
        match request_token(&credentials, edge).await {
            Ok(token) => {
                self.refused = None;
                self.signed_in += 1;
                let session = Session {
                    authorization: token.authorization,
                    instance: token.instance,
                    user_id: token.user_id,
                    number: self.signed_in,
                };
                tracing::info!("signed in to Salesforce");
                self.session = Some(session.clone());
                Ok(session)
            }
            Err(error) => {
                if error.class == Class::SignIn {
                    let before = self.refused.take().map(|refused| refused.hold_off * 2);
                    let hold_off = before.unwrap_or(HOLD_OFF).min(HOLD_OFF_MOST);
                    self.refused = Some(RefusedCredentials {
                        credentials,
                        at: edge.clock.now(),
                        hold_off,
                        error: error.clone(),
                    });
                }
                Err(error)
            }
        }
    }
}

fn read_credentials(config: &SalesforceConfig) -> Result<Secret, SignInError> {
    let (name, secret): (_, &Option<SecretRef>) = match config.auth {
        SalesforceAuth::ClientCredentials => ("client_secret", &config.client_secret),
        SalesforceAuth::JwtBearer => ("private_key", &config.private_key),
    };
    secret
        .as_ref()
        .ok_or(SecretError::NotOne)
        .and_then(SecretRef::read)
        .map_err(|error| SignInError::secret(name, &error))
}

/// What a token request brings.
struct Token {
    authorization: HeaderValue,
    instance: Url,
    user_id: Option<String>,
}

async fn request_token(credentials: &Secret, edge: &Edge<'_>) -> Result<Token, SignInError> {
    let mut tries = 1;
    loop {
        match request_token_once(credentials, edge).await {
            Err(TokenError::Overlap) if tries < OVERLAP_TRIES => {
                tries += 1;
                edge.clock.sleep(OVERLAP_WAIT).await;
            }
            Err(TokenError::Overlap) => return Err(SignInError::overlap()),
            Err(TokenError::Final(error)) => return Err(error),
            Ok(token) => return Ok(token),
        }
    }
}

async fn request_token_once(credentials: &Secret, edge: &Edge<'_>) -> Result<Token, TokenError> {
    let form = token_form(edge.config, credentials, edge.clock.now())?;
    let mut url = edge.config.login_url.clone();
    url.set_path("/services/oauth2/token");
    url.set_query(None);
    url.set_fragment(None);
    let request = Request::builder()
        .method(Method::POST)
        .uri(url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .map_err(|error| SignInError::answer(&error.to_string()))?;
    let purpose = PurposeLabel { purpose: "token" };
    edge.metrics.salesforce_calls.get_or_create(&purpose).inc();
    let answer = edge
        .http
        .send(request, LIMITS)
        .await
        .map_err(|error| SignInError::unreachable(&error))?;
    let clock_ahead = clock_ahead_seconds(answer.headers(), edge.clock.now());
    if !answer.status().is_success() {
        return Err(refusal(
            answer.status().as_u16(),
            answer.body(),
            clock_ahead,
        ));
    }
    if let Some(seconds) = clock_ahead {
        tracing::warn!(
            seconds,
            "this machine's clock and Salesforce's differ; signing in may fail"
        );
    }

    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        instance_url: Url,
        /// `https://login.salesforce.com/id/<organisation>/<user>`
        id: Option<String>,
    }
    // The parser's own words could quote the token.
    let token: Answer = serde_json::from_slice(answer.body())
        .map_err(|_| SignInError::answer("it holds no access_token and instance_url"))?;
    if !may_be_instance(&edge.config.login_url, &token.instance_url) {
        return Err(SignInError::foreign_instance(&token.instance_url).into());
    }
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.access_token))
        .map_err(|_| SignInError::answer("the access_token is not one"))?;
    authorization.set_sensitive(true);
    Ok(Token {
        authorization,
        instance: token.instance_url,
        user_id: token
            .id
            .and_then(|id| to_18(id.rsplit('/').next().unwrap_or_default())),
    })
}

fn token_form(
    config: &SalesforceConfig,
    credentials: &Secret,
    now: Millis,
) -> Result<String, SignInError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    match config.auth {
        SalesforceAuth::ClientCredentials => {
            form.append_pair("grant_type", "client_credentials")
                .append_pair("client_id", &config.client_id)
                .append_pair("client_secret", credentials.expose());
        }
        SalesforceAuth::JwtBearer => {
            let origin = config.login_url.origin().ascii_serialization();
            let claims = Claims {
                issuer: &config.client_id,
                subject: config.username.as_deref().unwrap_or_default(),
                audience: config.audience.as_deref().unwrap_or(&origin),
            };
            let assertion = assertion(&claims, credentials, now).map_err(SignInError::key)?;
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                .append_pair("assertion", &assertion);
        }
    }
    Ok(form.finish())
}

/// Whether the token may be sent to `instance`: the host that we signed in at, or one of
/// Salesforce's own; never one that an answer invents. A stand-in on this machine can only name
/// this machine.
fn may_be_instance(login: &Url, instance: &Url) -> bool {
    if is_loopback(login) {
        return is_loopback(instance);
    }
    if instance.scheme() != "https" {
        return false;
    }
    let Some(host) = instance.host_str() else {
        return false;
    };
    if login.host_str() == Some(host) {
        return login.port() == instance.port();
    }
    instance.port().is_none()
        && FAMILIES.iter().any(|family| {
            host.strip_suffix(family)
                .is_some_and(|rest| rest.ends_with('.'))
        })
}

/// By how many seconds our clock is ahead of Salesforce's, if that is worth a word.
fn clock_ahead_seconds(headers: &HeaderMap, now: Millis) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()?;
    let ahead = now.0 / 1000 - theirs.as_second();
    (ahead.abs() > CLOCK_TOLERANCE_SECONDS).then_some(ahead)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Org, answer, config, expired, fixture, json_answer, token};
    use super::*;

    fn form(body: &str) -> std::collections::BTreeMap<String, String> {
        form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect()
    }

    #[tokio::test]
    async fn client_credentials_go_in_the_body_never_in_the_address() {
        let org = Org::signed_in().await;
        let sent = org.last();
        assert_eq!(sent.path, "/services/oauth2/token");
        assert_eq!(sent.query, "");
        let form = form(&sent.body);
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["client_id"], "3MVG9");
        assert_eq!(form["client_secret"], "s3cr3t+/=");
        assert_eq!(org.client.sign_in_state(), SignInState::SignedIn);
    }

    #[tokio::test]
    async fn the_token_tells_whose_it_is() {
        for (id, expect) in [
            (
                json!("https://login.salesforce.com/id/00Dxx0000001gPLEAY/005xx000001SwiUAAS"),
                Some("005xx000001SwiUAAS"),
            ),
            (
                json!("https://acme.my.salesforce.com/id/00Dxx0000001gPL/005xx000001SwiU"),
                Some("005xx000001SwiUAAS"),
            ),
            (json!("https://acme.my.salesforce.com/id/"), None),
            (json!(null), None),
        ] {
            let org = Org::new();
            org.http.then(json_answer(
                200,
                json!({ "access_token": "one", "instance_url": "https://acme.my.salesforce.com", "id": id }),
            ));
            org.client.sign_in().await.unwrap();
            assert_eq!(org.client.user_id().as_deref(), expect, "{id}");
        }
    }

    #[tokio::test]
    async fn a_jwt_is_for_the_login_host_unless_told_otherwise() {
        let mut config = config();
        config.auth = SalesforceAuth::JwtBearer;
        config.username = Some("leadstream@acme.com".to_owned());
        config.private_key = Some(fixture("jwt-test-only.pkcs8.pem"));
        config.login_url = "https://login.salesforce.com/".parse().unwrap();
        let org = Org::with(config);
        org.http.then(token("one"));
        org.client.sign_in().await.unwrap();

        let form = form(&org.last().body);
        assert_eq!(
            form["grant_type"],
            "urn:ietf:params:oauth:grant-type:jwt-bearer"
        );
        let claims = form["assertion"].split('.').nth(1).unwrap().to_owned();
        let claims =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims)
                .unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["aud"], "https://login.salesforce.com");
        assert_eq!(claims["sub"], "leadstream@acme.com");
    }

    #[tokio::test]
    async fn many_who_find_the_token_ended_ask_for_one_new_token() {
        let org = Org::signed_in().await;
        for _ in 0..3 {
            org.http.then(expired());
        }
        org.http.then(token("two"));
        for _ in 0..3 {
            org.http.then(json_answer(200, json!({})));
        }
        let limits = || org.client.limits();
        let (one, two, three) = tokio::join!(limits(), limits(), limits());
        one.and(two).and(three).unwrap();
        let tokens = |line: &&String| line.ends_with("/token");
        assert_eq!(org.http.lines().iter().filter(tokens).count(), 2);
        assert_eq!(org.last().header("authorization"), Some("Bearer two"));
    }

    #[tokio::test]
    async fn refused_credentials_are_not_sent_again_until_they_changed_or_time_has_passed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old").unwrap();
        let mut config = config();
        config.client_secret = Some(SecretRef {
            env: None,
            file: Some(file.path().to_owned()),
        });
        let org = Org::with(config);
        let refused = || json_answer(401, json!({ "error": "invalid_client" }));

        org.http.then(refused());
        let error = org.client.sign_in().await.unwrap_err();
        assert_eq!(error.code, "salesforce.sign_in.invalid_client");
        assert_eq!(org.client.sign_in().await.unwrap_err(), error);
        assert_eq!(org.http.sent().len(), 1, "the second was not sent");
        assert_eq!(org.client.sign_in_state(), SignInState::Failed(error));

        org.clock.advance(HOLD_OFF);
        org.http.then(refused());
        assert!(org.client.sign_in().await.is_err());
        assert_eq!(org.http.sent().len(), 2, "after a minute it is");
        org.clock.advance(HOLD_OFF);
        assert!(org.client.sign_in().await.is_err());
        assert_eq!(org.http.sent().len(), 2, "then it waits for longer");

        std::fs::write(file.path(), "new").unwrap();
        org.http.then(token("one"));
        org.client.sign_in().await.unwrap();
        assert_eq!(form(&org.last().body)["client_secret"], "new");
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_holds_no_sign_in_off() {
        let org = Org::new();
        org.http
            .then(json_answer(401, json!({ "error": "invalid_client" })));
        assert!(org.client.sign_in().await.is_err());
        org.clock.set_back(Duration::from_secs(3600));
        org.http.then(token("one"));
        org.client.sign_in().await.unwrap();
    }

    #[tokio::test]
    async fn an_overlapping_token_request_waits_a_second() {
        let org = Org::new();
        org.http.then(json_answer(
            400,
            json!({
                "error": "invalid_grant",
                "error_description": "token request is already being processed",
            }),
        ));
        org.http.then(token("one"));
        let mut sign_in = Box::pin(org.client.sign_in());
        while org.http.sent().is_empty() {
            assert!(futures_util::poll!(&mut sign_in).is_pending());
        }
        assert!(futures_util::poll!(&mut sign_in).is_pending());
        org.clock.advance(OVERLAP_WAIT);
        sign_in.await.unwrap();
    }

    #[tokio::test]
    async fn trouble_of_the_login_host_passes() {
        let org = Org::new();
        org.http.then(answer(503, "<html>maintenance</html>"));
        let error = org.client.sign_in().await.unwrap_err();
        assert_eq!(error.class, Class::RetrySoon);
        org.http.then(answer(200, "<html>portal</html>"));
        let error = org.client.sign_in().await.unwrap_err();
        assert_eq!(error.code, "salesforce.sign_in.answer");
        org.http.then(token("one"));
        org.client.sign_in().await.unwrap();
    }

    #[tokio::test]
    async fn a_token_for_a_foreign_instance_is_not_used() {
        let org = Org::new();
        org.http.then(json_answer(
            200,
            json!({ "access_token": "one", "instance_url": "https://evil.example" }),
        ));
        let error = org.client.limits().await.unwrap_err();
        assert_eq!(error.explain().code, "salesforce.sign_in.instance");
        assert_eq!(org.http.sent().len(), 1);
    }

    #[tokio::test]
    async fn a_missing_secret_says_which() {
        let mut config = config();
        config.client_secret = None;
        let org = Org::with(config);
        let error = org.client.sign_in().await.unwrap_err();
        assert_eq!(error.code, "salesforce.sign_in.secret");
        assert!(error.hint.contains("client_secret"));
    }

    fn check_instance(login: &str, instance: &str, expect: bool) {
        let allowed = may_be_instance(&login.parse().unwrap(), &instance.parse().unwrap());
        assert_eq!(allowed, expect, "{login} {instance}");
    }

    #[test]
    fn a_token_goes_to_no_host_that_an_answer_invents() {
        let acme = "https://acme.my.salesforce.com";
        check_instance(acme, acme, true);
        check_instance("https://login.salesforce.com", acme, true);
        check_instance(acme, "https://acme.lightning.force.com", true);
        check_instance(acme, "http://acme.my.salesforce.com", false);
        check_instance(acme, "https://acme.my.salesforce.com:8443", false);
        check_instance(acme, "https://salesforce.com.evil.example", false);
        check_instance(acme, "https://evilsalesforce.com", false);
        check_instance(acme, "http://127.0.0.1:9100", false);
        check_instance(
            "https://proxy.acme.com:8443",
            "https://proxy.acme.com:8443",
            true,
        );
        check_instance("http://127.0.0.1:9100", "http://localhost:9101", true);
        check_instance("http://127.0.0.1:9100", acme, false);
    }

    #[test]
    fn a_wrong_clock_is_named() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Sun, 01 Mar 2026 10:00:00 GMT".parse().unwrap());
        let ten = Millis(1_772_359_200_000);
        assert_eq!(clock_ahead_seconds(&headers, ten), None);
        let later = ten.after(Duration::from_secs(300));
        assert_eq!(clock_ahead_seconds(&headers, later), Some(300));
    }

    #[test]
    fn salesforce_itself_may_be_called_only_where_it_is_configured() {
        let mut config = config();
        config.login_url = "https://login.salesforce.com".parse().unwrap();
        let permits = |config: &SalesforceConfig, url: &str| {
            allowed_hosts(config).permits(&url.parse().unwrap())
        };
        assert!(permits(&config, "https://acme.my.salesforce.com/services"));
        assert!(!permits(&config, "http://127.0.0.1:9100/"));
        config.login_url = "http://127.0.0.1:9100".parse().unwrap();
        assert!(permits(&config, "http://127.0.0.1:9101/"));
        assert!(!permits(&config, "https://acme.my.salesforce.com/"));
    }
}
