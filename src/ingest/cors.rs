//! Cross-origin requests. Source: WHATWG Fetch, CORS protocol; Private Network Access (WICG).

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use url::Url;

use super::refused::Refused;

/// What a hook answers to OPTIONS and POST.
pub const METHODS: HeaderValue = HeaderValue::from_static("POST, OPTIONS");

/// Headers, beside the simple ones, that a page's script may send.
const ALLOWED_HEADERS: &[&str] = &[
    "content-type",
    "idempotency-key",
    "x-request-id",
    "x-requested-with",
];

/// Headers of the answer, beside the simple ones, that a page's script may read.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("X-Leadstream-Event, X-Request-Id, Retry-After");

const A_DAY: HeaderValue = HeaderValue::from_static("86400");
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// The origins whose pages may post to one source.
#[derive(Debug)]
pub struct Cors {
    /// As browsers write them in `Origin`. None: any page may post, none may read the answer.
    allowed: Vec<HeaderValue>,
}

impl Cors {
    /// Of `allowed_origins`. `https://WWW.example.com:443/` is read as browsers write it.
    pub fn new(allowed_origins: &[String]) -> Self {
        let written = |origin: &String| {
            let origin = Url::parse(origin).ok()?.origin();
            // An opaque origin is written `null`, which is on no list.
            origin
                .is_tuple()
                .then(|| HeaderValue::from_str(&origin.ascii_serialization()).ok())?
        };
        Self {
            allowed: allowed_origins.iter().filter_map(written).collect(),
        }
    }

    /// Whether a page of this origin may post. Who names none is no page.
    pub fn permits(&self, request: &HeaderMap) -> bool {
        self.allowed.is_empty()
            || request
                .get(ORIGIN)
                .is_none_or(|origin| self.allowed.contains(origin))
    }

    /// Whether the request names an origin that is on the list.
    pub fn lists_origin_of(&self, request: &HeaderMap) -> bool {
        request
            .get(ORIGIN)
            .is_some_and(|origin| self.allowed.contains(origin))
    }

    /// What the answer to `request`, a refusal too, says of who may read it.
    pub fn grant(&self, request: &HeaderMap) -> Grant<'_> {
        let origin = request.get(ORIGIN);
        Grant {
            lists: !self.allowed.is_empty(),
            origin: origin
                .and_then(|origin| self.allowed.iter().find(|allowed| *allowed == origin)),
        }
    }

    /// The answer to OPTIONS, which [`Grant::complete`] finishes.
    pub fn preflight(&self, request: &HeaderMap) -> Result<Response<Body>, Refused> {
        if !self.permits(request) {
            return Err(Refused::origin());
        }
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let headers = answer.headers_mut();
        headers.insert(ALLOW, METHODS);
        if self.lists_origin_of(request) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request));
            headers.insert(ACCESS_CONTROL_MAX_AGE, A_DAY);
            if request.contains_key(REQUEST_PRIVATE_NETWORK) {
                headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
            }
        }
        Ok(answer)
    }
}

/// Whether scripts of the request's origin may read the answer.
#[derive(Debug)]
pub struct Grant<'c> {
    /// There is a list, so that the answer depends on the origin.
    lists: bool,
    /// As it is on the list.
    origin: Option<&'c HeaderValue>,
}

impl Grant<'_> {
    /// Writes it into the answer.
    pub fn complete(&self, answer: &mut HeaderMap) {
        if self.lists {
            answer.insert(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.origin {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}

/// Those of the requested headers that are allowed.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let requested = request
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|requested| requested.to_str().ok())
        .unwrap_or("content-type");
    let echoed: Vec<&str> = ALLOWED_HEADERS
        .iter()
        .copied()
        .filter(|allowed| {
            requested
                .split(',')
                .any(|header| header.trim().eq_ignore_ascii_case(allowed))
        })
        .collect();
    HeaderValue::from_str(&echoed.join(", ")).unwrap_or(HeaderValue::from_static("content-type"))
}
