//! The door of a source whose connector is a manifest: what a webhook must prove, what is kept of it,
//! what it is answered.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, Response};
use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use tracing::error;
use url::Url;

use super::answer::{Acknowledgement, greeting};
use super::refused::Refused;
use super::webhook::kept;
use crate::connector::manifest::{BodyEncoding, Manifest, Of, Webhook};
use crate::connector::mechanism::body::decode;
use crate::connector::mechanism::handshake::{Handshakes, Reply};
use crate::connector::mechanism::redact::Redactor;
use crate::connector::mechanism::signature::{Request, Verifier, VerifierError};
use crate::connector::select::{Scope, Test};
use crate::connector::{Options, Path};
use crate::model::{Millis, SourceName};
use crate::telemetry::{Metrics, SourceLabel};

/// A vendor's door.
#[derive(Debug)]
pub struct VendorHook {
    door: Result<VendorDoor, Closed>,
    /// Webhooks that were answered and not kept.
    pub ignored: Counter,
}

/// Why there is none.
#[derive(Debug, Clone, Copy)]
enum Closed {
    /// The source is only polled.
    NoWebhook,
    /// Its manifest and options do not go together.
    Misconfigured,
}

/// What a webhook asks for, made ready.
#[derive(Debug)]
pub struct VendorDoor {
    body: BodyEncoding,
    verifier: Verifier,
    handshakes: Handshakes,
    ignore_when: Vec<Test>,
    redactor: Redactor,
    /// Kept with the event.
    headers: Vec<HeaderName>,
    /// Asked for by conditions.
    asked: Vec<HeaderName>,
    poll_now: bool,
    /// What the vendor is told that its webhook has come.
    pub acknowledgement: Acknowledgement,
}

/// What is to be done about a webhook.
#[derive(Debug)]
pub enum Taken {
    /// It only greets.
    Greeting(Reply),
    /// It is nothing that is kept.
    Ignored,
    /// It says that there is something to be polled.
    PollNow,
    /// It is to be stored.
    Event {
        /// Without secrets.
        body: Bytes,
        /// Those that the manifest names.
        headers: BTreeMap<String, String>,
    },
}

impl VendorHook {
    pub fn new(
        name: &SourceName,
        manifest: &Manifest,
        options: &Options,
        public_url: Option<&Url>,
        metrics: &Metrics,
    ) -> Self {
        let door = match &manifest.webhook {
            None => Err(Closed::NoWebhook),
            Some(webhook) => VendorDoor::new(webhook, options, public_url).map_err(|error| {
                error!(source = &**name, %error, "this source takes no webhooks");
                Closed::Misconfigured
            }),
        };
        let label = SourceLabel {
            source: name.to_string(),
        };
        Self {
            door,
            ignored: metrics.webhooks_ignored.get_or_create_owned(&label),
        }
    }

    /// The door, if there is one.
    pub fn door(&self) -> Result<&VendorDoor, Refused> {
        self.door.as_ref().map_err(|closed| match closed {
            Closed::NoWebhook => Refused::no_webhook(),
            Closed::Misconfigured => Refused::misconfigured(),
        })
    }
}

impl VendorDoor {
    fn new(
        webhook: &Webhook,
        options: &Options,
        public_url: Option<&Url>,
    ) -> Result<Self, VerifierError> {
        let verifier = Verifier::new(webhook, options, public_url)?;
        let redacted = webhook.redact.iter().map(|path| Path::parse(path));
        let redacted = redacted.collect::<Result<Vec<_>, _>>()?;
        // What proves a webhook is a secret, whether the manifest says so or not.
        let secrets = redacted.iter().chain(verifier.secret_paths());
        let conditions = webhook.handshake.iter().filter_map(|it| it.when.as_ref());
        let conditions = conditions.chain(&webhook.ignore_when);
        let asked: BTreeSet<&str> = conditions
            .filter(|condition| condition.of == Of::Header)
            .flat_map(|condition| condition.from.0.iter().map(String::as_str))
            .collect();
        let tests = webhook.ignore_when.iter().map(Test::new);
        Ok(Self {
            body: webhook.body,
            handshakes: Handshakes::new(&webhook.handshake, options)?,
            ignore_when: tests.collect::<Result<_, _>>()?,
            redactor: Redactor::new(secrets)?,
            headers: names(webhook.headers.iter().map(String::as_str))?,
            asked: names(asked.into_iter())?,
            poll_now: webhook.poll_now,
            acknowledgement: Acknowledgement::new(&webhook.answer),
            verifier,
        })
    }

    /// The answer to GET and HEAD.
    pub fn greet(&self, request: &Parts, now: Millis) -> Result<Response<Body>, Refused> {
        let query = request.uri.query().unwrap_or_default();
        match self.handshakes.by_query(query, now) {
            Some(reply) => Ok(greeting(reply?)),
            None => Err(self.method()),
        }
    }

    /// To a method that it does not take.
    pub fn method(&self) -> Refused {
        Refused::webhook_method(self.handshakes.take_get())
    }

    /// Looks at a webhook: proves it, reads it, and says what is to be done about it.
    pub fn take(&self, request: &Parts, body: Bytes, now: Millis) -> Result<Taken, Refused> {
        // Of such a greeting nothing is kept, so that nothing has to be proved.
        if body.is_empty() && self.handshakes.accepts() {
            return Ok(Taken::Greeting(Reply::empty()));
        }
        let proof = Request {
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query(),
            headers: &request.headers,
            body: &body,
        };
        self.verifier.verify(&proof, now)?;
        let content_type = content_type(&request.headers);
        let value = match decode(self.body, content_type, &body) {
            // A notice that there is something new is not looked into; its body may be blank.
            Err(_) if self.poll_now => return Ok(Taken::PollNow),
            decoded => decoded?,
        };
        let mut asked = pick(&self.headers, &request.headers);
        let headers = asked.clone();
        asked.extend(pick(&self.asked, &request.headers));
        let scope = Scope {
            body: Some(&value),
            headers: Some(&asked),
            ..Scope::record(&value)
        };
        if let Some(reply) = self.handshakes.by_body(&scope, now) {
            return Ok(Taken::Greeting(reply?));
        }
        if self.ignore_when.iter().any(|test| test.holds(&scope)) {
            return Ok(Taken::Ignored);
        }
        if self.poll_now {
            return Ok(Taken::PollNow);
        }
        Ok(Taken::Event {
            body: self.redactor.redact(self.body, content_type, body)?,
            headers,
        })
    }
}

/// Whether the method is one that vendors greet by.
pub fn is_greeting(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The `Content-Type` as sent; blank if there is none.
pub fn content_type(headers: &HeaderMap) -> &str {
    let header = headers.get(CONTENT_TYPE);
    header
        .and_then(|header| header.to_str().ok())
        .unwrap_or_default()
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> Result<Vec<HeaderName>, VerifierError> {
    names
        .map(|name| HeaderName::try_from(name).map_err(|_| VerifierError::Header(name.to_owned())))
        .collect()
}

/// Those headers that are there, by lower-case names.
fn pick(names: &[HeaderName], headers: &HeaderMap) -> BTreeMap<String, String> {
    names
        .iter()
        .filter_map(|name| Some((name.to_string(), kept(headers.get(name)?)?)))
        .collect()
}

#[cfg(test)]
mod tests;
