//! The sandbox's own pages, which no org has: what it holds, what it was asked, what goes wrong.

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, request};
use serde::Deserialize as _;
use serde_json::{Map, Value as Json, json};

use super::wire;
use crate::sandbox::faults::Faults;
use crate::sandbox::handle::Sandbox;
use crate::sandbox::page;
use crate::sandbox::person::Deed;
use crate::sandbox::setup::Setup;

/// Answers what is not below `/services/`.
pub(super) fn answer(sandbox: &Sandbox, head: &request::Parts, body: &Bytes) -> Response {
    let accept = head.headers.get(header::ACCEPT_ENCODING);
    let answer = match (head.method.as_str(), head.uri.path()) {
        ("GET" | "HEAD", "/") => {
            let page = page::render(sandbox).into_bytes();
            let content_type = "text/html; charset=utf-8";
            let mut response = wire::response(accept, StatusCode::OK, content_type, page);
            // What visitors typed is on this page: nothing on it may run.
            let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
            response
                .headers_mut()
                .insert(header::CONTENT_SECURITY_POLICY, policy);
            return response;
        }
        ("GET" | "HEAD", "/sandbox/records") => records(sandbox, head),
        ("GET" | "HEAD", "/sandbox/stats") => Ok(stats(sandbox)),
        ("GET" | "HEAD", "/sandbox/faults") => Ok(json!(sandbox.faults())),
        ("POST", "/sandbox/faults") => set_faults(sandbox, body),
        ("POST", "/sandbox/setup") => set_up(sandbox, body),
        ("POST", "/sandbox/person") => act(sandbox, body),
        _ => Err((StatusCode::NOT_FOUND, "no such page".to_owned())),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err((status, message)) => (status, json!({ "error": message })),
    };
    wire::response(
        accept,
        status,
        "application/json",
        body.to_string().into_bytes(),
    )
}

type Outcome = Result<Json, (StatusCode, String)>;

fn records(sandbox: &Sandbox, head: &request::Parts) -> Outcome {
    let query = head.uri.query().unwrap_or_default();
    let object = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "object")
        .map_or_else(|| "Lead".to_owned(), |(_, object)| object.into_owned());
    let is_known = sandbox
        .shared
        .state
        .lock()
        .org
        .schema
        .find(&object)
        .is_some();
    if !is_known {
        return Err((StatusCode::NOT_FOUND, "no such object".to_owned()));
    }
    let records = sandbox.records(&object);
    Ok(json!({ "object": object, "count": records.len(), "records": records }))
}

fn stats(sandbox: &Sandbox) -> Json {
    let state = sandbox.shared.state.lock();
    let (used, max) = state.meter.usage();
    let objects = state
        .org
        .schema
        .objects
        .iter()
        .enumerate()
        .map(|(ix, object)| {
            let rows = state.org.table(ix).rows();
            let live = rows.iter().filter(|row| !row.deleted).count();
            (object.name.to_owned(), Json::from(live))
        });
    json!({
        "calls": state.meter.calls(),
        "daily": { "used": used, "max": max },
        "records": objects.collect::<Json>(),
        "faults": state.faults.counts(),
    })
}

/// An admin's change.
fn set_up(sandbox: &Sandbox, body: &Bytes) -> Outcome {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let change: Setup = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    sandbox.set_up(change).map_err(bad)?;
    Ok(json!({}))
}

/// What a person does by hand.
fn act(sandbox: &Sandbox, body: &Bytes) -> Outcome {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    let deed: Deed = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    deed.carry_out(sandbox).map_err(|refusals| {
        let first = refusals.first();
        bad(first.map_or_else(String::new, |refusal| {
            format!("{}: {}", refusal.code, refusal.message)
        }))
    })
}

fn set_faults(sandbox: &Sandbox, body: &Bytes) -> Outcome {
    let bad = |message: String| (StatusCode::BAD_REQUEST, message);
    // Read as an object first: serde would take a list for the fields in their order.
    let object: Map<String, Json> =
        serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let faults = Faults::deserialize(object).map_err(|error| bad(error.to_string()))?;
    faults.check().map_err(bad)?;
    sandbox.set_faults(faults);
    Ok(json!(faults))
}
