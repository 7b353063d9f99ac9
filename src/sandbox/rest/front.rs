use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request};
use serde_json::json;

use super::call::{Answer, Call, parse_version, segments};
use super::oauth::OauthCall;
use super::route::Route;
use super::soap::SoapCall;
use super::{admin, bulk, limits, oauth, resource, soap, wire};
use crate::model::Millis;
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::faults::ServerError;
use crate::sandbox::handle::{Sandbox, State};

/// The most bytes of URI, and of URI and headers together.
const MAX_HEAD: usize = 16_384;

const JSON: &str = "application/json;charset=UTF-8";

/// All that the sandbox serves.
pub(in crate::sandbox) fn router(sandbox: Sandbox) -> Router {
    Router::new().fallback(handle).with_state(sandbox)
}

/// What the body is; the text of a page or an envelope stands in the place of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Html,
    Xml,
}

/// An answer, and what is not the resource's business.
struct Reply {
    answer: Answer,
    /// Calls used and allowed, for `Sforce-Limit-Info`.
    usage: Option<(u64, u64)>,
    format: Format,
    is_lost: bool,
}

impl Reply {
    fn new(answer: Answer) -> Self {
        Self {
            answer,
            usage: None,
            format: Format::Json,
            is_lost: false,
        }
    }
}

async fn handle(Extract(sandbox): Extract<Sandbox>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let is_upload = is_upload(&head);
    let most = if is_upload {
        bulk::MAX_UPLOAD
    } else {
        wire::MAX_BODY
    };
    let Ok(body) = axum::body::to_bytes(body, most).await else {
        return write(
            &head,
            Reply::new(Answer::refuse(&wire::too_large(most).into())),
        );
    };
    // Clients that join an address with a slash at its end to a path have two of them there.
    let path = head.uri.path().trim_start_matches('/');
    if !path.starts_with("services/") && !path.starts_with("id/") {
        return admin::answer(&sandbox, &head, &body);
    }
    let latency = sandbox.faults().latency_ms;
    if latency > 0 {
        sandbox
            .shared
            .clock
            .sleep(Duration::from_millis(latency))
            .await;
    }
    let reply = match check_head(&head).and_then(|()| wire::decompress(&head.headers, body, most)) {
        Ok(body) => answer(&sandbox, &head, &body),
        Err(refusal) => Reply::new(Answer::refuse(&refusal.into())),
    };
    if reply.is_lost {
        return wire::cut();
    }
    write(&head, reply)
}

/// Whether this brings the rows of a bulk job.
fn is_upload(head: &request::Parts) -> bool {
    let path = head.uri.path().trim_end_matches('/');
    head.method == Method::PUT && path.contains("/jobs/ingest/") && path.ends_with("/batches")
}

fn check_head(head: &request::Parts) -> Result<(), Refusal> {
    let uri = head
        .uri
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    let headers: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if uri > MAX_HEAD {
        return Err(Refusal::plain("URI_TOO_LONG", "URI Too Long"));
    }
    if uri + headers > MAX_HEAD {
        let message = "Request Header Fields Too Large";
        return Err(Refusal::plain("HEADERS_TOO_LARGE", message));
    }
    Ok(())
}

fn answer(sandbox: &Sandbox, head: &request::Parts, body: &Bytes) -> Reply {
    let now = sandbox.shared.clock.now();
    let query: Vec<(String, String)> = {
        let query = head.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    };
    let path = segments(head.uri.path());
    // Read before the lock is taken; a fault of the body is told only when its turn has come.
    let json = match path.get(1).map(String::as_str) {
        Some("data") if !is_upload(head) => wire::read_json(&head.headers, body),
        _ => Ok(None),
    };

    let state = &mut *sandbox.shared.state.lock();
    if let Some(error) = state.faults.server_error() {
        state.meter.count("server_error");
        return server_error(error, now);
    }
    let mut reply = match path.get(1).map(String::as_str) {
        _ if path.first().is_some_and(|first| first == "id") => Reply::new(oauth::who(
            sandbox,
            state,
            &head.headers,
            &path,
            &query,
            &own_address(&head.headers),
            now,
        )),
        Some("oauth2") if path.len() == 3 => {
            let call = OauthCall {
                endpoint: &path[2],
                method: &head.method,
                headers: &head.headers,
                query: &query,
                form: form(&head.headers, body),
                own_address: &own_address(&head.headers),
                now,
            };
            Reply::new(oauth::answer(sandbox, state, &call))
        }
        Some("Soap") if head.method == Method::POST && soap::version(&path).is_some() => {
            let call = SoapCall {
                version: soap::version(&path).unwrap_or_default(),
                headers: &head.headers,
                body,
                own_address: &own_address(&head.headers),
                now,
            };
            let (status, envelope) = soap::answer(sandbox, state, &call);
            Reply {
                format: Format::Xml,
                ..Reply::new(Answer::json(status, envelope.into()))
            }
        }
        Some("data") if path.len() == 2 => {
            state.meter.count("versions");
            Reply::new(limits::versions())
        }
        Some("data") => {
            let method = override_method(&head.method, &query);
            let answer = rest(
                state,
                head,
                method,
                path,
                query,
                Body { json, raw: body },
                now,
            )
            .unwrap_or_else(|refusals| Answer::refuse(&refusals));
            let is_signed_in = answer.status != StatusCode::UNAUTHORIZED;
            let usage = is_signed_in.then(|| state.meter.usage());
            Reply {
                usage,
                ..Reply::new(answer)
            }
        }
        _ => {
            state.meter.count("unknown");
            Reply::new(Answer::refuse(&Refusal::not_found().into()))
        }
    };
    let is_taken = is_upload(head) && reply.answer.status == StatusCode::CREATED;
    reply.is_lost = is_taken && state.faults.lost_upload() || state.faults.lost_answer();
    reply
}

/// The body of a request: read, and as it came.
struct Body<'b> {
    json: Result<Option<serde_json::Value>, Refusal>,
    raw: &'b Bytes,
}

fn rest(
    state: &mut State,
    head: &request::Parts,
    method: Method,
    mut path: Vec<String>,
    query: Vec<(String, String)>,
    body: Body<'_>,
    now: Millis,
) -> Result<Answer, Refusals> {
    let version = parse_version(&path[2]);
    path.drain(..3);
    let route = Route::of(&path);
    state
        .meter
        .count(route.map_or("unknown", |route| route.kind(&method)));

    check_token(state, &head.headers, now)?;
    if !state.meter.charge(now) {
        let message = "TotalRequests Limit exceeded.";
        return Err(Refusal::plain("REQUEST_LIMIT_EXCEEDED", message).into());
    }
    let version = version.ok_or_else(Refusal::not_found)?;
    resource::check_version(version)?;
    bulk::settle(state, now);
    let call = Call {
        method,
        path,
        query,
        headers: &head.headers,
        body: body.json?,
        raw: body.raw.clone(),
        version,
        now,
    };
    Ok(resource::answer(state, &call))
}

fn check_token(state: &mut State, headers: &HeaderMap, now: Millis) -> Result<(), Refusal> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(Refusal::invalid_session());
    }
    let token = bearer(headers)
        .ok_or_else(|| Refusal::plain("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"))?;
    let most = state.faults.faults().requests_per_token;
    if state.sessions.spend(token, now, most) {
        Ok(())
    } else {
        Err(Refusal::invalid_session())
    }
}

/// The token of `Authorization: Bearer …` or `OAuth …`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let is_known = ["Bearer", "OAuth"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme));
    is_known.then_some(token.trim())
}

/// `POST …?_HttpMethod=PATCH` is for clients that cannot send PATCH.
fn override_method(method: &Method, query: &[(String, String)]) -> Method {
    let wanted = query.iter().find(|(name, _)| name == "_HttpMethod");
    match wanted.map(|(_, method)| Method::try_from(method.as_str())) {
        Some(Ok(wanted)) if method == Method::POST => wanted,
        _ => method.clone(),
    }
}

fn form(headers: &HeaderMap, body: &Bytes) -> Vec<(String, String)> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded")) {
        form_urlencoded::parse(body).into_owned().collect()
    } else {
        Vec::new()
    }
}

/// Where this org was called.
pub(super) fn own_address(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    format!("http://{}", host.unwrap_or("localhost"))
}

fn server_error(error: ServerError, now: Millis) -> Reply {
    let refusal = match error {
        ServerError::Html => {
            let page = "<html><body><h1>Service Unavailable</h1></body></html>";
            return Reply {
                format: Format::Html,
                ..Reply::new(Answer::json(StatusCode::SERVICE_UNAVAILABLE, json!(page)))
            };
        }
        ServerError::Unavailable => Refusal::plain(
            "SERVER_UNAVAILABLE",
            "We are down for maintenance. Please try again later.",
        ),
        ServerError::Unknown => Refusal::plain(
            "UNKNOWN_EXCEPTION",
            format!(
                "An unexpected error occurred. Please include this ErrorId if you contact support: \
                 {}-1 (1)",
                now.0
            ),
        ),
    };
    Reply::new(Answer::refuse(&refusal.into()))
}

fn write(head: &request::Parts, reply: Reply) -> Response {
    let Answer {
        status,
        body,
        headers,
        csv,
    } = reply.answer;
    let (content_type, bytes) = match body {
        _ if csv.is_some() => ("text/csv", csv.unwrap_or_default().into_vec()),
        Some(serde_json::Value::String(page)) if reply.format != Format::Json => {
            let content_type = match reply.format {
                Format::Xml => "text/xml; charset=utf-8",
                _ => "text/html",
            };
            (content_type, page.into_bytes())
        }
        Some(body) => (JSON, body.to_string().into_bytes()),
        None => (JSON, Vec::new()),
    };
    let accept = head.headers.get(header::ACCEPT_ENCODING);
    let mut response = wire::response(accept, status, content_type, bytes);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    if let Some((used, max)) = reply.usage
        && let Ok(value) = HeaderValue::try_from(format!("api-usage={used}/{max}"))
    {
        response.headers_mut().insert("sforce-limit-info", value);
    }
    response
}
