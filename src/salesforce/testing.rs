//! A Salesforce that answers what a test has written down.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Client;
use crate::config::{SalesforceConfig, SecretRef};
use crate::edge::clock::ManualClock;
use crate::edge::http::{Http, HttpError, Limits};
use crate::model::Millis;
use crate::telemetry::Metrics;

/// The moment at which tests begin.
pub(crate) const NOW: Millis = Millis(1_772_359_200_000);

/// What the next request gets.
pub(crate) type Answer = Result<Response<Bytes>, HttpError>;

/// A request as it was sent, its body unpacked.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Plays its answers in order and keeps what was sent.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    sent: Mutex<Vec<Sent>>,
    before: Mutex<Option<(usize, Hook)>>,
    rule: Mutex<Option<Rule>>,
}

struct Hook(Box<dyn FnOnce() + Send>);

struct Rule(Box<dyn FnMut(&Sent) -> Answer + Send>);

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rule")
    }
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Scripted {
    pub fn then(&self, answer: Answer) {
        self.answers.lock().push_back(answer);
    }

    /// Does something before the `number`th request from now is answered.
    pub fn before(&self, number: usize, act: impl FnOnce() + Send + 'static) {
        *self.before.lock() = Some((number, Hook(Box::new(act))));
    }

    /// Answers what no answer was written down for.
    pub fn otherwise(&self, rule: impl FnMut(&Sent) -> Answer + Send + 'static) {
        *self.rule.lock() = Some(Rule(Box::new(rule)));
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().clone()
    }

    /// `METHOD path` of each request.
    pub fn lines(&self) -> Vec<String> {
        let line = |sent: &Sent| format!("{} {}", sent.method, sent.path);
        self.sent.lock().iter().map(line).collect()
    }
}

#[async_trait]
impl Http for Scripted {
    async fn send(&self, request: Request<Bytes>, _: Limits) -> Answer {
        let mut body = request.body().to_vec();
        if request.headers().contains_key("content-encoding") {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&body[..])
                .read_to_end(&mut unpacked)
                .unwrap();
            body = unpacked;
        }
        let sent = Sent {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            body: String::from_utf8(body).unwrap(),
        };
        self.sent.lock().push(sent.clone());
        let due = {
            let mut before = self.before.lock();
            if let Some((number, _)) = &mut *before {
                *number -= 1;
            }
            before.take_if(|(number, _)| *number == 0)
        };
        if let Some((_, act)) = due {
            act.0();
        }
        // Lets other tasks of the test come to the same place.
        tokio::task::yield_now().await;
        let answer = self.answers.lock().pop_front();
        answer.unwrap_or_else(|| {
            let mut rule = self.rule.lock();
            let rule = rule.as_mut();
            rule.expect("the test has no answer for this request").0(&sent)
        })
    }
}

/// A client with its script. The token request is not answered by itself.
pub(crate) struct Org {
    pub client: Arc<Client>,
    pub http: Arc<Scripted>,
    pub clock: Arc<ManualClock>,
    pub metrics: Arc<Metrics>,
}

impl Org {
    pub fn new() -> Self {
        Self::with(config())
    }

    pub fn with(config: SalesforceConfig) -> Self {
        let http = Arc::new(Scripted::default());
        let clock = ManualClock::at(NOW);
        let metrics = Metrics::new();
        let client = Client::new(http.clone(), clock.clone(), config, metrics.clone());
        Self {
            client: Arc::new(client),
            http,
            clock,
            metrics,
        }
    }

    /// Gives the client a place to keep its tokens.
    pub fn keep(&mut self, keep: Arc<dyn super::TokenKeep>) {
        let client = Client::new(
            self.http.clone(),
            self.clock.clone(),
            self.client.config().clone(),
            self.metrics.clone(),
        );
        self.client = Arc::new(client.keeping(keep));
    }

    /// A client that has signed in.
    pub async fn signed_in() -> Self {
        let org = Self::new();
        org.http.then(token("one"));
        org.client.sign_in().await.unwrap();
        org
    }

    /// What was sent last.
    pub fn last(&self) -> Sent {
        self.http.sent().pop().unwrap()
    }
}

pub(crate) fn config() -> SalesforceConfig {
    let mut config: SalesforceConfig = serde_json::from_value(json!({
        "login_url": "https://acme.my.salesforce.com",
        "client_id": "3MVG9",
    }))
    .unwrap();
    config.client_secret = Some(fixture("client-secret-test-only"));
    config
}

/// A file of `tests/fixtures/salesforce/`.
pub(crate) fn fixture(name: &str) -> SecretRef {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/salesforce");
    SecretRef {
        env: None,
        file: Some(std::path::Path::new(folder).join(name)),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what a script holds is an answer or the lack of one"
)]
pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap();
    Ok(response)
}

pub(crate) fn json_answer(status: u16, body: Value) -> Answer {
    answer(status, body.to_string())
}

pub(crate) fn token(access_token: &str) -> Answer {
    json_answer(
        200,
        json!({
            "access_token": access_token,
            "instance_url": "https://acme.my.salesforce.com",
            "token_type": "Bearer",
            "issued_at": "1772359200000",
        }),
    )
}

pub(crate) fn expired() -> Answer {
    json_answer(
        401,
        json!([{ "message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID" }]),
    )
}
