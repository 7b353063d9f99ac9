//! The flow of one request: whose it is, whether it may come in, read it, look at it, store it,
//! answer.
//!
//! This is the hot path: it must cost little more than reading the body and storing it. What can be
//! made ready is in `Hook`; refusals, pages and captchas may take their time.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, ORIGIN, REFERER,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use tracing::{Instrument, debug, debug_span};

use super::address::client_address;
use super::answer::{Reader, receipt, refusal, thanks};
use super::body::{BodyLimits, read};
use super::held::{HeldBytes, Share};
use super::hook::Hook;
use super::refused::Refused;
use super::request_id::{HEADER as REQUEST_ID, RequestIds};
use super::{Append, Inbox};
use crate::config::Config;
use crate::connector::Payload;
use crate::connector::custom::web_form::{OrgId, REDIRECTS, peek};
use crate::edge::clock::SharedClock;
use crate::edge::http::Http;
use crate::model::{EventMeta, NewEvent, SourceName};
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
        let hooks: HashMap<SourceName, Hook> = config
            .sources
            .iter()
            .map(|(name, source)| (name.clone(), Hook::new(name, source, &metrics, now)))
            .collect();
        let mut by_org = HashMap::new();
        // In the order of names, so that the same one wins each time should two have the same org.
        for name in config.sources.keys() {
            if let Some(org) = hooks.get(name).and_then(|hook| hook.org_id.clone()) {
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
        }))
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
}

impl<A: Append> HooksState<A> {
    /// Answers `/hooks/<name>`.
    pub(super) async fn hook(self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let (request, body) = request.into_parts();
        let found = self
            .0
            .by_name(source_name(request.uri.path()).unwrap_or_default());
        self.0
            .serve(found, request, peer, Arrived::Unread(body))
            .await
    }

    /// The same for a request whose body is here already, as in a simulation without a network.
    pub async fn hook_whole(self, request: Request<Bytes>, peer: SocketAddr) -> Response<Body> {
        let (request, body) = request.into_parts();
        let found = self
            .0
            .by_name(source_name(request.uri.path()).unwrap_or_default());
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

/// The name in `/hooks/<name>` or `/hooks/<name>/`.
pub(super) fn source_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix(HOOKS_PATH)?;
    let name = name.strip_suffix('/').unwrap_or(name);
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// A body, which Web-to-Lead has had to read already.
enum Arrived {
    Unread(Incoming),
    Read(Bytes),
}

impl<A: Append> Hooks<A> {
    fn by_name(&self, name: &str) -> Result<&Hook, Refused> {
        self.by_name.get(name).ok_or_else(|| {
            if self.fenced.iter().any(|fenced| &**fenced == name) {
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
            .find(|hook| hook.cors.lists_origin_of(request))
            .ok_or_else(Refused::origin)
    }

    async fn serve(
        &self,
        found: Result<&Hook, Refused>,
        request: Parts,
        peer: SocketAddr,
        body: Arrived,
    ) -> Response<Body> {
        let reader = Reader::of(&request.headers);
        let (request_id, request_id_header) = self.request_ids.of(&request.headers);
        let source = found.as_ref().map_or("unknown", |hook| &*hook.name);
        let span = debug_span!("hook", source, request.id = request_id);
        let hook = found.as_ref().ok().copied();
        let grant = hook.map(|hook| hook.cors.grant(&request.headers));
        let answer = async {
            let accepted = match (found, &request.method) {
                (Err(refused), _) => Err(refused),
                (Ok(hook), &Method::POST) => {
                    self.accept(hook, request, peer, body, request_id, reader)
                        .await
                }
                (Ok(hook), &Method::OPTIONS) => hook.cors.preflight(&request.headers),
                (Ok(_), _) => Err(Refused::method()),
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
    async fn accept(
        &self,
        hook: &Hook,
        request: Parts,
        peer: SocketAddr,
        body: Arrived,
        request_id: String,
        reader: Reader,
    ) -> Result<Response<Body>, Refused> {
        let received_at = self.clock.now();
        let address = || client_address(peer, &request.headers, &self.trusted_proxies);
        hook.admit(&request.headers, address, received_at)?;
        // Held until this function returns: the event is then on disk, or refused.
        let mut share = self.held.share();
        let body = match body {
            Arrived::Unread(body) => self.read(&request, body, &mut share).await?,
            Arrived::Read(body) => body,
        };
        // The clock that tests drive counts milliseconds; this measures, and decides nothing.
        let arrived = Instant::now();
        let payload = payload(&request, &body);
        hook.connector.receive(payload)?;
        let mut meta = meta(&request, request_id)?;
        if let Some(check) = &hook.captcha {
            let token = peek(payload, check.token_fields());
            // Boxed, so that requests without a captcha do not carry its room.
            meta.captcha = Some(Box::pin(check.verdict(token, &*self.http)).await);
        }
        let next = match reader {
            Reader::Person => hook.redirect.target(|| peek(payload, REDIRECTS)),
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
        let id = self.inbox.append(event).await?;
        hook.accepted.inc();
        self.metrics
            .acknowledge_seconds
            .observe(arrived.elapsed().as_secs_f64());
        debug!(event.id = %id, "event accepted");
        Ok(match reader {
            Reader::Script => receipt(id),
            Reader::Person => thanks(id, next),
        })
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
        content_type: request
            .headers
            .get(CONTENT_TYPE)
            .and_then(|header| header.to_str().ok())
            .unwrap_or_default(),
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

fn kept(header: &HeaderValue) -> Option<String> {
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
