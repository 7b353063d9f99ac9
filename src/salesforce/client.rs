//! One request: signed in, compressed, counted, repeated once after a 401.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use url::Url;

use super::auth::{Edge, Session, Sessions, SignInState, TokenKeep};
use super::call::{ApiError, CallError, Lost, Unsendable};
use super::counts::CallCounts;
use super::describe::Describes;
use super::error::Class;
use super::limits::Usage;
use super::sign_in_error::SignInError;
use crate::config::SalesforceConfig;
use crate::edge::clock::SharedClock;
use crate::edge::http::{Http, Limits};
use crate::model::Millis;
use crate::telemetry::{Metrics, PurposeLabel};

/// How long a reading call may take.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer: 2,000 rows with long texts, or the describe of a very large object.
const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;

/// Bodies above this are compressed: below it, the headers weigh more.
const COMPRESS_ABOVE_BYTES: usize = 2 * 1024;

/// Tokens that a call goes through: its own, what other nodes have kept meanwhile, a fresh one.
const MOST_RENEWALS: u32 = 3;
/// The one call here that does not count toward the org's limit. (Signing in does not, either.)
const VERSIONS: &str = "versions";

/// Names us in the org's logs, and in the origin of its change events.
const CALL_OPTIONS: &str = concat!("client=leadstream/", env!("CARGO_PKG_VERSION"));

/// The Salesforce client of one org. Cheap to make: it signs in at its first call.
#[derive(Debug)]
pub struct Client {
    http: Arc<dyn Http>,
    clock: SharedClock,
    config: Arc<SalesforceConfig>,
    metrics: Arc<Metrics>,
    sessions: Sessions,
    keep: Option<Arc<dyn TokenKeep>>,
    describes: Describes,
    usage: Mutex<Option<(Usage, Millis)>>,
    made: CallCounts,
    out_of_calls_at: Mutex<Option<Millis>>,
}

/// One call, before it is signed in.
pub(super) struct Call {
    purpose: &'static str,
    method: Method,
    timeout: Duration,
    target: Target,
    headers: HeaderMap,
    body: Bytes,
}

enum Target {
    /// Below `/services/data/v62.0/`, and the query.
    Resource(Vec<String>, Option<String>),
    /// A path that Salesforce gave.
    Path(String),
}

impl Call {
    /// A call of the resource `path`, whose segments are encoded as they need.
    pub fn new(purpose: &'static str, method: Method, timeout: Duration, path: &[&str]) -> Self {
        let path = path.iter().map(|segment| (*segment).to_owned()).collect();
        Self::to(purpose, method, timeout, Target::Resource(path, None))
    }

    /// Reads what `path`, which Salesforce gave, leads to.
    pub fn follow(purpose: &'static str, path: &str) -> Self {
        let target = Target::Path(path.to_owned());
        Self::to(purpose, Method::GET, READ_TIMEOUT, target)
    }

    fn to(purpose: &'static str, method: Method, timeout: Duration, target: Target) -> Self {
        Self {
            purpose,
            method,
            timeout,
            target,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Adds the query, encoded.
    pub fn query(mut self, query: String) -> Self {
        if let Target::Resource(_, slot) = &mut self.target {
            *slot = Some(query);
        }
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Adds a JSON body, compressed if that pays.
    pub fn json(mut self, body: &impl serde::Serialize) -> Result<Self, CallError> {
        let malformed = |error: String| CallError::NotSent(Unsendable::Malformed(error));
        let json = serde_json::to_vec(body).map_err(|error| malformed(error.to_string()))?;
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = if json.len() > COMPRESS_ABOVE_BYTES {
            self.headers
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            let mut gzip = GzEncoder::new(Vec::with_capacity(json.len() / 4), Compression::fast());
            gzip.write_all(&json)
                .and_then(|()| gzip.finish())
                .map_err(|error| malformed(error.to_string()))?
                .into()
        } else {
            json.into()
        };
        Ok(self)
    }

    /// Adds a body as it is.
    pub fn body(mut self, content_type: HeaderValue, body: Bytes) -> Self {
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = body;
        self
    }

    fn url(&self, instance: &Url, version: &str) -> Result<Url, CallError> {
        let mut url = instance.clone();
        url.set_query(None);
        url.set_fragment(None);
        match &self.target {
            Target::Resource(segments, query) => {
                url.set_path(&format!("/services/data/v{version}"));
                if let Ok(mut path) = url.path_segments_mut() {
                    path.extend(segments);
                }
                url.set_query(query.as_deref());
            }
            Target::Path(path) => {
                // Joined to the instance, never taken as an address of its own.
                if !path.starts_with("/services/data/") {
                    return Err(Lost::Unreadable {
                        purpose: self.purpose,
                        reason: "the next page is not on the API".to_owned(),
                    }
                    .into());
                }
                url.set_path(path);
            }
        }
        Ok(url)
    }
}

impl Client {
    /// A client of the org that `config` names.
    pub fn new(
        http: Arc<dyn Http>,
        clock: SharedClock,
        config: SalesforceConfig,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            http,
            clock,
            config: Arc::new(config),
            metrics,
            sessions: Sessions::new(),
            keep: None,
            usage: Mutex::default(),
            describes: Describes::default(),
            made: CallCounts::default(),
            out_of_calls_at: Mutex::default(),
        }
    }

    /// Keeps tokens in `keep`, for all nodes and the next start, in place of memory only.
    #[must_use]
    pub fn keeping(mut self, keep: Arc<dyn TokenKeep>) -> Self {
        self.keep = Some(keep);
        self
    }

    /// What it was made with.
    pub fn config(&self) -> &SalesforceConfig {
        &self.config
    }

    /// What is known of the org's objects.
    pub fn describes(&self) -> &Describes {
        &self.describes
    }

    /// The org's calls of the rolling 24 hours, as the last answer told.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.lock().map(|(usage, _)| usage)
    }

    /// When it was told so.
    pub fn usage_told_at(&self) -> Option<Millis> {
        self.usage.lock().map(|(_, at)| at)
    }

    /// When Salesforce last refused a call because the org's calls of 24 hours are used up.
    pub fn out_of_calls_at(&self) -> Option<Millis> {
        *self.out_of_calls_at.lock()
    }

    /// The calls that we have made and nobody has taken down yet.
    pub fn calls_made(&self) -> &CallCounts {
        &self.made
    }

    /// How signing in went the last time; makes no call.
    pub fn sign_in_state(&self) -> SignInState {
        self.sessions.state()
    }

    /// Signs in, unless that was done.
    pub async fn sign_in(&self) -> Result<(), SignInError> {
        self.sessions.current(&self.edge()).await.map(|_| ())
    }

    /// Signs in after that has failed, so that whoever waits for it can go on. Where even a fresh
    /// token was refused, a call shows whether the next one is taken.
    pub async fn sign_in_again(&self) -> Result<(), SignInError> {
        self.sign_in().await?;
        if self.sessions.is_doubted()
            && let Err(CallError::SignIn(error)) = self.limits().await
        {
            return Err(error);
        }
        Ok(())
    }

    /// How often signing in has gone well: if it grows, it is worth trying again what has failed
    /// for want of a sign-in.
    pub fn sign_ins(&self) -> u64 {
        self.sessions.sign_ins()
    }

    /// The 18-character id of the user that we are signed in as, as the last token told.
    pub fn user_id(&self) -> Option<String> {
        self.sessions.user_id()
    }

    /// By how many seconds this machine's clock was ahead of Salesforce's at the last sign-in, if it
    /// is more than a minute.
    pub fn clock_ahead_seconds(&self) -> Option<i64> {
        self.sessions.clock_ahead_seconds()
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) fn edge(&self) -> Edge {
        Edge {
            http: Arc::clone(&self.http),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            config: Arc::clone(&self.config),
            keep: self.keep.clone(),
        }
    }

    /// Makes `call` and reads its answer as `T`.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, CallError> {
        let answer = self.call(&call).await?;
        parse(call.purpose, answer.body())
    }

    /// Reads the list of versions, the one resource that asks for no token.
    pub(super) async fn read_without_token<T: DeserializeOwned>(
        &self,
        timeout: Duration,
    ) -> Result<T, CallError> {
        let call = Call::follow(VERSIONS, "/services/data/");
        let url = self.config.login_url.clone();
        let mut url = call.url(&url, &self.config.api_version)?;
        url.set_path("/services/data");
        let answer = self.send(&call, url, None, timeout).await?;
        check(answer).and_then(|answer| parse(call.purpose, answer.body()))
    }

    /// Makes `call`. A token that has ended is renewed once: a 401 says that nothing was done.
    pub(super) async fn call(&self, call: &Call) -> Result<Response<Bytes>, CallError> {
        let mut session = self.sessions.current(&self.edge()).await?;
        let mut answer = self.send_signed_in(call, &session).await?;
        for renewal in 0..MOST_RENEWALS {
            let is_final = renewal > 0 && session.is_fresh || self.sessions.is_doubted();
            if answer.status() != StatusCode::UNAUTHORIZED || is_final {
                break;
            }
            session = self.sessions.renewed(&session, &self.edge()).await?;
            answer = self.send_signed_in(call, &session).await?;
        }
        if answer.status() == StatusCode::UNAUTHORIZED {
            let error = token_refused(answer.body());
            self.sessions.token_refused(&session, &error).await;
            return Err(error.into());
        }
        self.sessions.token_taken();
        let checked = check(answer);
        if let Err(error) = &checked
            && error.is_out_of_calls()
        {
            *self.out_of_calls_at.lock() = Some(self.clock.now());
        }
        checked
    }

    async fn send_signed_in(
        &self,
        call: &Call,
        session: &Session,
    ) -> Result<Response<Bytes>, CallError> {
        let url = call.url(&session.instance, &self.config.api_version)?;
        let authorization = Some(&session.authorization);
        self.send(call, url, authorization, call.timeout).await
    }

    async fn send(
        &self,
        call: &Call,
        url: Url,
        authorization: Option<&HeaderValue>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(url.as_str())
            .body(call.body.clone())
            .map_err(|error| Unsendable::Malformed(error.to_string()))?;
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().insert(
            "sforce-call-options",
            HeaderValue::from_static(CALL_OPTIONS),
        );
        if let Some(authorization) = authorization {
            request
                .headers_mut()
                .insert(AUTHORIZATION, authorization.clone());
        }
        let limits = Limits {
            timeout,
            max_response_bytes: MAX_RESPONSE_BYTES,
        };
        let label = PurposeLabel {
            purpose: call.purpose,
        };
        self.metrics.salesforce_calls.get_or_create(&label).inc();
        let started = self.clock.now();
        if call.purpose != VERSIONS {
            self.made.note(call.purpose, started);
        }
        let result = self.http.send(request, limits).await;
        let duration_ms = self.clock.now().since(started).as_millis() as u64;
        match &result {
            Ok(answer) => {
                self.note_usage(answer.headers());
                tracing::debug!(
                    purpose = call.purpose,
                    status = answer.status().as_u16(),
                    duration_ms,
                    salesforce.request_id = request_id(answer.headers()),
                    "Salesforce answered"
                );
            }
            Err(error) => {
                tracing::debug!(purpose = call.purpose, duration_ms, %error, "no answer of Salesforce");
            }
        }
        Ok(result?)
    }

    fn note_usage(&self, headers: &HeaderMap) {
        let Some(usage) = Usage::from_headers(headers) else {
            return;
        };
        *self.usage.lock() = Some((usage, self.clock.now()));
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.salesforce_api_used.set(gauge(usage.used));
        self.metrics
            .salesforce_api_allowed
            .set(gauge(usage.allowed));
    }
}

/// An answer of success; the others as the error that they are.
fn check(answer: Response<Bytes>) -> Result<Response<Bytes>, CallError> {
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        return Ok(answer);
    }
    let errors: Option<Vec<ApiError>> = serde_json::from_slice(answer.body()).ok();
    match errors {
        Some(errors) => Err(CallError::Refused { status, errors }),
        // A gateway or a maintenance page in place of the API: the request may have got through.
        None if status >= 500 => Err(Lost::NotFromApi(status).into()),
        None => Err(CallError::Refused {
            status,
            errors: Vec::new(),
        }),
    }
}

fn parse<T: DeserializeOwned>(purpose: &'static str, body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| {
        // The parser's own words can quote values of the answer.
        let reason = format!(
            "{:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        );
        Lost::Unreadable { purpose, reason }.into()
    })
}

/// A fresh token is refused: another one would be as well.
fn token_refused(body: &[u8]) -> SignInError {
    let errors: Vec<ApiError> = serde_json::from_slice(body).unwrap_or_default();
    let first = errors.first();
    let lacks_scope = first.is_some_and(|error| error.message.contains("REST API"));
    SignInError {
        class: Class::SignIn,
        code: "salesforce.sign_in.token_refused".to_owned(),
        message: match first {
            Some(error) => format!("Salesforce refuses the token that it has just given ({error})"),
            None => "Salesforce refuses the token that it has just given".to_owned(),
        },
        hint: if lacks_scope {
            "Setup > External Client App Manager > the app > Settings > OAuth Settings: add the \
             scope \"Manage user data via APIs (api)\""
        } else {
            "check that the integration user is active, has \"API Enabled\", and that login_url in \
             [salesforce] is the org's My Domain"
        }
        .to_owned(),
    }
}

fn request_id(headers: &HeaderMap) -> &str {
    ["sforce-request-id", "x-request-id"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Org, answer, expired, json_answer, token};
    use super::*;
    use crate::edge::http::HttpError;

    #[tokio::test]
    async fn an_ended_token_is_renewed_once_and_the_call_repeated() {
        let org = Org::signed_in().await;
        org.http.then(expired());
        org.http.then(token("two"));
        let limits = json!({ "DailyApiRequests": { "Max": 15000, "Remaining": 14998 } });
        org.http.then(json_answer(200, limits));
        let limits = org.client.limits().await.unwrap();
        assert_eq!(limits["DailyApiRequests"].remaining, 14998);
        assert_eq!(
            org.http.lines(),
            [
                "POST /services/oauth2/token",
                "GET /services/data/v62.0/limits",
                "POST /services/oauth2/token",
                "GET /services/data/v62.0/limits",
            ]
        );
        let sent = org.last();
        assert_eq!(sent.header("authorization"), Some("Bearer two"));
        assert_eq!(sent.header("sforce-call-options"), Some(CALL_OPTIONS));
    }

    #[tokio::test]
    async fn a_fresh_token_that_is_refused_is_no_loop() {
        let org = Org::signed_in().await;
        org.http.then(expired());
        org.http.then(token("two"));
        org.http.then(expired());
        let error = org.client.limits().await.unwrap_err();
        assert_eq!(error.class(), Class::SignIn);
        assert!(!error.maybe_carried_out());
        assert_eq!(error.explain().code, "salesforce.sign_in.token_refused");
        assert!(matches!(org.client.sign_in_state(), SignInState::Failed(_)));
    }

    /// A client whose fresh token has just been refused.
    async fn refused() -> Org {
        let org = Org::signed_in().await;
        for answer in [expired(), token("two"), expired()] {
            org.http.then(answer);
        }
        assert!(org.client.limits().await.is_err());
        org
    }

    #[tokio::test]
    async fn after_a_fresh_token_was_refused_the_next_call_signs_in() {
        let org = refused().await;
        let before = org.http.sent().len();
        org.http.then(token("three"));
        org.http.then(json_answer(200, json!({})));
        org.client.limits().await.unwrap();
        assert_eq!(org.http.sent().len(), before + 2);
        assert_eq!(org.last().header("authorization"), Some("Bearer three"));
        assert_eq!(org.client.sign_in_state(), SignInState::SignedIn);
    }

    #[tokio::test]
    async fn a_token_after_a_refused_one_has_to_be_taken_before_all_is_well() {
        let org = refused().await;
        let (before, sign_ins) = (org.http.sent().len(), org.client.sign_ins());
        org.http.then(token("three"));
        org.http.then(expired());
        let error = org.client.sign_in_again().await.unwrap_err();
        assert_eq!(error.code, "salesforce.sign_in.token_refused");
        assert_eq!(
            org.http.sent().len(),
            before + 2,
            "no other token is asked for"
        );
        assert!(matches!(org.client.sign_in_state(), SignInState::Failed(_)));
        assert_eq!(org.client.sign_ins(), sign_ins);

        org.http.then(token("four"));
        org.http.then(json_answer(200, json!({})));
        org.client.sign_in_again().await.unwrap();
        assert_eq!(org.client.sign_in_state(), SignInState::SignedIn);
        assert_eq!(org.client.sign_ins(), sign_ins + 1);
    }

    #[tokio::test]
    async fn the_usage_is_read_from_every_answer_errors_too() {
        let org = Org::signed_in().await;
        let error = json!([{ "errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded." }]);
        let mut refused = json_answer(403, error).unwrap();
        refused.headers_mut().insert(
            "Sforce-Limit-Info",
            HeaderValue::from_static("api-usage=15000/15000"),
        );
        org.http.then(Ok(refused));
        let error = org.client.limits().await.unwrap_err();
        assert_eq!(error.class(), Class::HoldAll);
        let all = Usage {
            used: 15000,
            allowed: 15000,
        };
        assert_eq!(org.client.usage(), Some(all));
        assert!(org.client.usage_told_at().is_some());
        assert_eq!(org.client.out_of_calls_at(), org.client.usage_told_at());
        assert_eq!(org.metrics.salesforce_api_used.get(), 15000);
        let limits = PurposeLabel { purpose: "limits" };
        assert_eq!(org.metrics.salesforce_calls.get_or_create(&limits).get(), 1);
    }

    #[tokio::test]
    async fn too_many_long_calls_at_once_are_not_the_end_of_the_days() {
        let org = Org::signed_in().await;
        let message = "ConcurrentPerOrgLongTxn Limit exceeded.";
        let error = json!([{ "errorCode": "REQUEST_LIMIT_EXCEEDED", "message": message }]);
        org.http.then(json_answer(403, error));
        let error = org.client.limits().await.unwrap_err();
        assert_eq!(error.class(), Class::RetrySoon);
        assert_eq!(org.client.out_of_calls_at(), None);
    }

    #[tokio::test]
    async fn a_page_of_html_is_a_lost_answer() {
        let org = Org::signed_in().await;
        org.http.then(answer(503, "<html>maintenance</html>"));
        let error = org.client.limits().await.unwrap_err();
        assert!(error.maybe_carried_out());
        assert_eq!(error.class(), Class::RetrySoon);
    }

    #[tokio::test]
    async fn an_error_of_the_api_is_a_refusal_of_any_status() {
        let org = Org::signed_in().await;
        let error = json!([{ "errorCode": "SERVER_UNAVAILABLE", "message": "busy" }]);
        org.http.then(json_answer(503, error));
        let error = org.client.limits().await.unwrap_err();
        assert!(matches!(error, CallError::Refused { status: 503, .. }));
        assert_eq!(error.class(), Class::RetrySoon);
    }

    #[tokio::test]
    async fn several_records_for_one_key_have_to_be_resolved() {
        let org = Org::signed_in().await;
        org.http.then(json_answer(
            300,
            json!(["/services/data/v62.0/sobjects/Lead/00Q1"]),
        ));
        let error = org.client.limits().await.unwrap_err();
        assert_eq!(error.class(), Class::Resolve);
        assert_eq!(error.explain().code, "salesforce.status_300");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let org = Org::signed_in().await;
        org.http.then(answer(302, ""));
        let error = org.client.limits().await.unwrap_err();
        assert!(matches!(error, CallError::Refused { status: 302, .. }));
    }

    #[tokio::test]
    async fn what_was_never_sent_is_told_from_what_may_have_arrived() {
        let org = Org::signed_in().await;
        let (host, reason) = ("acme.my.salesforce.com".to_owned(), "refused".to_owned());
        org.http.then(Err(HttpError::Connect { host, reason }));
        let error = org.client.limits().await.unwrap_err();
        assert!(matches!(error, CallError::NotSent(_)));
        org.http.then(Err(HttpError::Timeout("acme".to_owned())));
        let error = org.client.limits().await.unwrap_err();
        assert!(matches!(error, CallError::MaybeSent(_)));
    }

    #[tokio::test]
    async fn an_answer_of_another_form_does_not_show_in_the_error() {
        let org = Org::signed_in().await;
        org.http.then(json_answer(200, json!(["jane@acme.com"])));
        let error = org.client.limits().await.unwrap_err();
        assert!(error.maybe_carried_out());
        assert!(!format!("{error} {error:?}").contains("jane"));
    }

    #[tokio::test]
    async fn versions_are_read_without_a_token() {
        let org = Org::new();
        let version =
            json!({ "label": "Spring", "url": "/services/data/v62.0", "version": "62.0" });
        org.http.then(json_answer(200, json!([version])));
        assert_eq!(org.client.versions().await.unwrap(), ["62.0"]);
        assert_eq!(org.http.lines(), ["GET /services/data"]);
        assert_eq!(org.last().header("authorization"), None);
    }
}
