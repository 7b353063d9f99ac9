//! Answers, for scripts (JSON) and for people (a small page, or a redirect).

use axum::body::Body;
use axum::http::header::{
    ACCEPT, ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;

use super::refused::Refused;
use crate::connector::manifest;
use crate::connector::mechanism::handshake::Reply;
use crate::model::EventId;

const EVENT: HeaderName = HeaderName::from_static("x-leadstream-event");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_SCRIPTS: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A script, or another server.
    Script,
    /// A person, whose browser has left the page for our answer.
    Person,
}

impl Reader {
    /// A browser that navigates accepts text/html; scripts that do so too say `X-Requested-With`.
    pub fn of(request: &HeaderMap) -> Self {
        let accepts_html = request
            .get_all(ACCEPT)
            .iter()
            .any(|accept| memchr::memmem::find(accept.as_bytes(), b"text/html").is_some());
        if accepts_html && !request.contains_key(REQUESTED_WITH) {
            Self::Person
        } else {
            Self::Script
        }
    }
}

/// To a script: the event's id is the receipt.
pub fn receipt(id: EventId) -> Response<Body> {
    const BEFORE: &str = "{\"id\":\"";
    let body = Bytes::from(format!("{BEFORE}{id}\"}}"));
    let id = body.slice(BEFORE.len()..body.len() - 2);
    let mut answer = Response::new(Body::from(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if let Ok(id) = HeaderValue::from_maybe_shared(id) {
        headers.insert(EVENT, id);
    }
    answer
}

/// What a vendor is told that its webhook has come, as its manifest says.
#[derive(Debug)]
pub struct Acknowledgement {
    status: StatusCode,
    /// The receipt if not said.
    body: Option<(HeaderValue, Bytes)>,
}

impl Acknowledgement {
    pub fn new(answer: &manifest::Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).ok();
        let body = answer.body.clone().map(|body| {
            let kind = if body.starts_with(['{', '[']) {
                JSON
            } else {
                TEXT
            };
            (kind, Bytes::from(body))
        });
        Self {
            // Anything else would have it sent again.
            status: status
                .filter(StatusCode::is_success)
                .unwrap_or(StatusCode::OK),
            body,
        }
    }

    /// With the id of the event; none if nothing was stored.
    pub fn answer(&self, id: Option<EventId>) -> Response<Body> {
        let mut answer = match (id, &self.body) {
            (Some(id), _) => receipt(id),
            (None, Some(_)) => Response::new(Body::empty()),
            (None, None) => with_body(JSON, Bytes::from_static(b"{}")),
        };
        if let Some((kind, body)) = &self.body {
            *answer.body_mut() = Body::from(body.clone());
            answer.headers_mut().insert(CONTENT_TYPE, kind.clone());
        }
        if self.status == StatusCode::NO_CONTENT {
            *answer.body_mut() = Body::empty();
            answer.headers_mut().remove(CONTENT_TYPE);
        }
        *answer.status_mut() = self.status;
        answer
    }
}

/// To a vendor that greets.
pub fn greeting(reply: Reply) -> Response<Body> {
    let kind = HeaderValue::from_static(reply.content_type);
    let mut answer = with_body(kind, Bytes::from(reply.body));
    answer
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn with_body(kind: HeaderValue, body: Bytes) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// To a person: on to the next page, or a word of thanks.
pub fn thanks(id: EventId, next: Option<HeaderValue>) -> Response<Body> {
    let mut answer = match next {
        Some(location) => {
            let mut answer = Response::new(Body::empty());
            // 303: the browser gets the page. After 307 it would post again.
            *answer.status_mut() = StatusCode::SEE_OTHER;
            answer.headers_mut().insert(LOCATION, location);
            answer
        }
        None => page(
            StatusCode::OK,
            "Thank you",
            "<p>We have received what you sent.</p>",
        ),
    };
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        answer.headers_mut().insert(EVENT, id);
    }
    answer
}

/// The answer to a request that was refused.
pub fn refusal(refused: &Refused, reader: Reader) -> Response<Body> {
    let mut answer = match reader {
        Reader::Script => error_json(refused),
        Reader::Person => page(
            refused.status,
            "This could not be sent",
            &format!(
                "<p>Sorry, {}.</p><p><small>For whoever runs this form: {}. Code {}.</small></p>",
                escape(&refused.message),
                escape(&refused.hint),
                refused.code
            ),
        ),
    };
    let headers = answer.headers_mut();
    if let Some(seconds) = refused.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(methods) = refused.allow {
        headers.insert(ALLOW, methods.allow());
    }
    answer
}

fn error_json(refused: &Refused) -> Response<Body> {
    let mut error = serde_json::json!({
        "code": refused.code,
        "message": refused.message,
        "hint": refused.hint,
    });
    if !refused.fields.is_empty() {
        error["fields"] = refused.fields.as_slice().into();
    }
    let mut answer = Response::new(Body::from(
        serde_json::json!({ "error": error }).to_string(),
    ));
    *answer.status_mut() = refused.status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn page(status: StatusCode, title: &str, content: &str) -> Response<Body> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;\
         margin:15vh auto;padding:0 1rem}}</style>\n<h1>{title}</h1>\n{content}\n"
    );
    let mut answer = Response::new(Body::from(html));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CONTENT_SECURITY_POLICY, NO_SCRIPTS);
    answer
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
