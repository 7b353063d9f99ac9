//! The flow of one request: whose it is, whether it may come in, read it, look at it, store it,
//! answer.
//!
//! This is the hot path: it must cost little more than reading the body and storing it. What can be
//! made ready is in `Hook`; refusals, pages and captchas may take their time.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, ORIGIN, REFERER,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use tracing::{Instrument, debug, debug_span};

use super::address::client_address;
use super::answer::{Reader, greeting, receipt, refusal, thanks};
use super::body::{BodyLimits, read};
use super::held::{HeldBytes, Share};
use super::hook::{FormHook, Hook, Kind};
use super::refused::Refused;
use super::request_id::{HEADER as REQUEST_ID, RequestIds};
use super::vendor::{Taken, VendorHook, content_type, is_greeting};
use super::{Append, Inbox};
use crate::config::Config;
use crate::connector::Payload;
use crate::connector::custom::web_form::{OrgId, REDIRECTS, peek};
use crate::edge::clock::SharedClock;
use crate::edge::http::Http;
use crate::model::{EventId, EventMeta, NewEvent, SourceName};
use crate::telemetry::{Metrics, RefusalLabel};

/// Where Salesforce takes Web-to-Lead forms: an existing form needs only another host in its action.
pub const WEB_TO_LEAD_PATH: &str = "/servlet/servlet.WebToLead";

/// The path of a source's hook, before its name.
const HOOKS_PATH: &str = "/hooks/";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest `Idempotency-Key`.
const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// The most of a header or query that is kept with an event; longer ones are cut.
const MAX_META_BYTES: usize = 4096;

/// Told the name of a source whose vendor says that there is something new to poll.
pub type PollHint = Arc<dyn Fn(&SourceName) + Send + Sync>;

/// All that the hooks need, made ready from a configuration. Cheap to clone.
#[derive(Debug)]
pub struct HooksState<A = Inbox>(Arc<Hooks<A>>);

impl<A> Clone for HooksState<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Append> HooksState<A> {
    /// Makes the sources of `config` ready.
    pub fn new(
        config: &Config,
        inbox: A,
        clock: SharedClock,
        http: Arc<dyn Http>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = clock.now();
        let public_url = config.server.public_url.as_ref();
        let hooks: HashMap<SourceName, Hook> = config
            .sources
            .iter()
            .map(|(name, source)| {
                (
                    name.clone(),
                    Hook::new(name, source, public_url, &metrics, now),
                )
            })
            .collect();
        let mut by_org = HashMap::new();
        // In the order of names, so that the same one wins each time should two have the same org.
        for name in config.sources.keys() {
            let form = hooks.get(name).and_then(Hook::form);
            if let Some(org) = form.and_then(|form| form.org_id.clone()) {
                by_org.entry(org).or_insert_with(|| name.clone());
            }
        }
        Self(Arc::new(Hooks {
            by_name: hooks,
            by_org,
            fenced: config.fenced.clone(),
            trusted_proxies: config.server.trusted_proxies.clone(),
            limits: BodyLimits {
                bytes: config.server.max_body_bytes,
                seconds: config.server.request_timeout_seconds,
            },
            held: HeldBytes::new(config.server.max_body_bytes),
            request_ids: RequestIds::new(),
            inbox,
            clock,
            http,
            metrics,
            poll_hint: PollHints::default(),
        }))
    }

    /// Has `hint` called for each webhook that asks for a poll. Only the first one counts.
    pub fn on_poll_hint(&self, hint: PollHint) {
        let _ = self.0.poll_hint.0.set(hint);
    }

    /// Whether `path` is a hook's. What follows a source's name is the secret of a vendor; a form
    /// has none.
    pub(super) fn takes(&self, path: &str) -> bool {
        match hook_path(path) {
            None => false,
            Some((_, None)) => true,
            Some((name, Some(_))) => match self.0.by_name.get(name) {
                Some(hook) => hook.form().is_none(),
                None => self.0.is_fenced(name),
            },
        }
    }
}

/// Where word of something new goes, once somebody listens.
#[derive(Default)]
struct PollHints(OnceLock<PollHint>);

impl std::fmt::Debug for PollHints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PollHints")
    }
}

#[derive(Debug)]
struct Hooks<A> {
    by_name: HashMap<SourceName, Hook>,
    by_org: HashMap<OrgId, SourceName>,
    fenced: Vec<SourceName>,
    trusted_proxies: Vec<IpAddr>,
    limits: BodyLimits,
    held: HeldBytes,
    request_ids: RequestIds,
    inbox: A,
    clock: SharedClock,
    http: Arc<dyn Http>,
    metrics: Arc<Metrics>,
    poll_hint: PollHints,
}

impl<A: Append> HooksState<A> {
    /// Answers `/hooks/<name>`, and of a vendor `/hooks/<name>/<secret>`.
    pub(super) async fn hook(self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let (request, body) = request.into_parts();
        let found = self.0.by_path(request.uri.path());
        self.0
            .serve(found, request, peer, Arrived::Unread(body))
            .await
    }

    /// The same for a request whose body is here already, as in a simulation without a network.
    pub async fn hook_whole(self, request: Request<Bytes>, peer: SocketAddr) -> Response<Body> {
        let (request, body) = request.into_parts();
        let found = self.0.by_path(request.uri.path());
        self.0
            .serve(found, request, peer, Arrived::Read(body))
            .await
    }

    /// Answers [`WEB_TO_LEAD_PATH`]. The source is that of the org which the form was made for. Newer
    /// forms name it in their address; for others the body must be read first.
    pub(super) async fn web_to_lead(
        self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Body> {
        let hooks = &*self.0;
        let (request, body) = request.into_parts();
        if let Some(org) = request.uri.query().and_then(OrgId::in_query) {
            let found = hooks.by_org(Some(org));
            return hooks
                .serve(found, request, peer, Arrived::Unread(body))
                .await;
        }
        let mut share = hooks.held.share();
        let (found, body) = match request.method {
            Method::POST => match hooks.read(&request, body, &mut share).await {
                Ok(body) => {
                    let org = peek(payload(&request, &body), OrgId::NAMES);
                    let org = org.as_deref().and_then(OrgId::parse);
                    (hooks.by_org(org), Arrived::Read(body))
                }
                Err(refused) => (Err(refused), Arrived::Read(Bytes::new())),
            },
            Method::OPTIONS => (hooks.by_origin(&request.headers), Arrived::Unread(body)),
            _ => (Err(Refused::method()), Arrived::Unread(body)),
        };
        hooks.serve(found, request, peer, body).await
    }
}

/// The name in `/hooks/<name>` or `/hooks/<name>/`, and what follows it.
fn hook_path(path: &str) -> Option<(&str, Option<&str>)> {
    let path = path.strip_prefix(HOOKS_PATH)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let (name, rest) = match path.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    (!name.is_empty()).then_some((name, rest))
}

/// A body, which Web-to-Lead has had to read already.
enum Arrived {
    Unread(Incoming),
    Read(Bytes),
}

impl<A: Append> Hooks<A> {
    fn is_fenced(&self, name: &str) -> bool {
        self.fenced.iter().any(|fenced| &**fenced == name)
    }

    fn by_path(&self, path: &str) -> Result<&Hook, Refused> {
        let (name, rest) = hook_path(path).unwrap_or_default();
        let hook = self.by_name(name)?;
        if rest.is_some() && hook.form().is_some() {
            return Err(Refused::unknown_source());
        }
        Ok(hook)
    }

    fn by_name(&self, name: &str) -> Result<&Hook, Refused> {
        self.by_name.get(name).ok_or_else(|| {
            if self.is_fenced(name) {
                Refused::fenced()
            } else {
                Refused::unknown_source()
            }
        })
    }

    fn by_org(&self, org: Option<OrgId>) -> Result<&Hook, Refused> {
        org.and_then(|org| self.by_org.get(&org))
            .and_then(|name| self.by_name.get(name))
            .ok_or_else(Refused::unknown_org)
    }

    /// For a preflight, which cannot name its org: a source of Web-to-Lead that lists the origin.
    fn by_origin(&self, request: &HeaderMap) -> Result<&Hook, Refused> {
        self.by_org
            .values()
            .filter_map(|name| self.by_name.get(name))
            .find(|hook| {
                hook.form()
                    .is_some_and(|form| form.cors.lists_origin_of(request))
            })
            .ok_or_else(Refused::origin)
    }

    async fn serve(
        &self,
        found: Result<&Hook, Refused>,
        request: Parts,
        peer: SocketAddr,
        body: Arrived,
    ) -> Response<Body> {
        let mut reader = Reader::of(&request.headers);
        let (request_id, request_id_header) = self.request_ids.of(&request.headers);
        let source = found.as_ref().map_or("unknown", |hook| &*hook.name);
        let span = debug_span!("hook", source, request.id = request_id);
        let hook = found.as_ref().ok().copied();
        let form = hook.and_then(Hook::form);
        let grant = form.map(|form| form.cors.grant(&request.headers));
        if form.is_none() && hook.is_some() {
            // No browser is sent to a vendor's address, whatever its server accepts.
            reader = Reader::Script;
        }
        let answer = async {
            let accepted = match (found, &request.method) {
                (Err(refused), _) => Err(refused),
                (Ok(hook), method) => match (&hook.kind, method) {
                    (Kind::Form(form), &Method::POST) => {
                        self.accept(hook, form, request, peer, body, request_id, reader)
                            .await
                    }
                    (Kind::Form(form), &Method::OPTIONS) => form.cors.preflight(&request.headers),
                    (Kind::Form(_), _) => Err(Refused::method()),
                    // Boxed, so that forms do not carry its room.
                    (Kind::Vendor(vendor), _) => {
                        Box::pin(self.accept_webhook(hook, vendor, request, body, request_id)).await
                    }
                },
            };
            accepted.unwrap_or_else(|refused| self.refuse(hook, &refused, reader))
        };
        let mut answer = answer.instrument(span).await;
        let headers = answer.headers_mut();
        headers.insert(REQUEST_ID, request_id_header);
        if let Some(grant) = grant {
            grant.complete(headers);
        }
        answer
    }

    /// From a request to an event on disk, and the answer that says so.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the request, and a struct of them would be copied"
    )]
    async fn accept(
        &self,
        hook: &Hook,
        form: &FormHook,
        request: Parts,
        peer: SocketAddr,
        body: Arrived,
        request_id: String,
        reader: Reader,
    ) -> Result<Response<Body>, Refused> {
        let received_at = self.clock.now();
        let address = || client_address(peer, &request.headers, &self.trusted_proxies);
        form.admit(&request.headers, address, received_at)?;
        // Held until this function returns: the event is then on disk, or refused.
        let mut share = self.held.share();
        let body = match body {
            Arrived::Unread(body) => self.read(&request, body, &mut share).await?,
            Arrived::Read(body) => body,
        };
        // The clock that tests drive counts milliseconds; this measures, and decides nothing.
        let arrived = Instant::now();
        let payload = payload(&request, &body);
        form.connector.receive(payload)?;
        let mut meta = meta(&request, request_id)?;
        if let Some(check) = &form.captcha {
            let token = peek(payload, check.token_fields());
            // Boxed, so that requests without a captcha do not carry its room.
            meta.captcha = Some(Box::pin(check.verdict(token, &*self.http)).await);
        }
        let next = match reader {
            Reader::Person => form.redirect.target(|| peek(payload, REDIRECTS)),
            Reader::Script => None,
        };
        let event = NewEvent {
            source: hook.name.clone(),
            received_at,
            content_type: payload.content_type.to_owned(),
            meta,
            body,
        };
        // Nothing of the request is held while the commit is waited for: the connection reads the
        // next one into the same buffer, and needs no new one.
        drop(request);
        let id = self.append(hook, event, arrived).await?;
        Ok(match reader {
            Reader::Script => receipt(id),
            Reader::Person => thanks(id, next),
        })
    }

    /// The same for what a vendor's server sends: its manifest says how it greets, what proves it, and
    /// what is kept.
    async fn accept_webhook(
        &self,
        hook: &Hook,
        vendor: &VendorHook,
        request: Parts,
        body: Arrived,
        request_id: String,
    ) -> Result<Response<Body>, Refused> {
        let received_at = self.clock.now();
        let door = vendor.door()?;
        if is_greeting(&request.method) {
            return door.greet(&request, received_at);
        }
        if request.method != Method::POST {
            return Err(door.method());
        }
        let mut share = self.held.share();
        let body = match body {
            Arrived::Unread(body) => self.read(&request, body, &mut share).await?,
            Arrived::Read(body) => body,
        };
        let arrived = Instant::now();
        let (body, headers) = match door.take(&request, body, received_at)? {
            Taken::Greeting(reply) => return Ok(greeting(reply)),
            Taken::Ignored => {
                vendor.ignored.inc();
                return Ok(door.acknowledgement.answer(None));
            }
            Taken::PollNow => {
                if let Some(hint) = self.poll_hint.0.get() {
                    hint(&hook.name);
                }
                return Ok(door.acknowledgement.answer(None));
            }
            Taken::Event { body, headers } => (body, headers),
        };
        let event = NewEvent {
            source: hook.name.clone(),
            received_at,
            content_type: content_type(&request.headers).to_owned(),
            // Not the query: the secret may stand in it.
            meta: EventMeta {
                request_id,
                headers,
                ..EventMeta::default()
            },
            body,
        };
        drop(request);
        let id = self.append(hook, event, arrived).await?;
        Ok(door.acknowledgement.answer(Some(id)))
    }

    async fn append(
        &self,
        hook: &Hook,
        event: NewEvent,
        arrived: Instant,
    ) -> Result<EventId, Refused> {
        let id = self.inbox.append(event).await?;
        hook.accepted.inc();
        self.metrics
            .acknowledge_seconds
            .observe(arrived.elapsed().as_secs_f64());
        debug!(event.id = %id, "event accepted");
        Ok(id)
    }

    async fn read(
        &self,
        request: &Parts,
        body: Incoming,
        share: &mut Share<'_>,
    ) -> Result<Bytes, Refused> {
        let headers = &request.headers;
        if headers
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| encoding != "identity")
        {
            return Err(Refused::body_compressed());
        }
        // Who asks before sending is told without having to send.
        if headers.contains_key(EXPECT)
            && declared_length(headers).is_some_and(|length| length > self.limits.bytes as u64)
        {
            return Err(Refused::body_too_large(self.limits.bytes));
        }
        read(body, self.limits, share, &self.clock).await
    }

    fn refuse(&self, hook: Option<&Hook>, refused: &Refused, reader: Reader) -> Response<Body> {
        debug!(error.code = refused.code, "request refused");
        let label = RefusalLabel {
            source: hook.map_or_else(|| "unknown".to_owned(), |hook| hook.name.to_string()),
            reason: refused.code,
        };
        self.metrics.requests_refused.get_or_create(&label).inc();
        refusal(refused, reader)
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn payload<'a>(request: &'a Parts, body: &'a Bytes) -> Payload<'a> {
    Payload {
        content_type: content_type(&request.headers),
        query: request.uri.query(),
        body,
    }
}

fn meta(request: &Parts, request_id: String) -> Result<EventMeta, Refused> {
    let headers = &request.headers;
    let text = |name| headers.get(name).and_then(kept);
    let idempotency_key = match headers.get(IDEMPOTENCY_KEY) {
        None => None,
        Some(key) => match key.to_str() {
            Ok(key) if (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len()) => Some(key.to_owned()),
            _ => return Err(Refused::idempotency_key()),
        },
    };
    Ok(EventMeta {
        request_id,
        query: request.uri.query().map(|query| cut(query).to_owned()),
        origin: text(ORIGIN),
        referer: text(REFERER),
        accept_language: text(ACCEPT_LANGUAGE),
        idempotency_key,
        ..EventMeta::default()
    })
}

/// A header's text as it is kept with an event.
pub(super) fn kept(header: &HeaderValue) -> Option<String> {
    let text = std::str::from_utf8(header.as_bytes()).ok()?;
    (!text.is_empty()).then(|| cut(text).to_owned())
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_META_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
