use http::{HeaderMap, Method};
use serde_json::{Value as Json, json};

use super::call::{Answer, Call, Outcome, parse_version, segments};
use super::resource;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;

/// Subrequests in one call.
const MAX_SUBREQUESTS: usize = 25;

/// `POST /composite/batch`: requests that know nothing of each other. Each counts against the
/// daily limit.
pub(super) fn run(state: &mut State, call: &Call<'_>) -> Outcome {
    let body = call.object()?;
    let Some(Json::Array(requests)) = body.get("batchRequests") else {
        return Err(Refusal::plain("MISSING_ARGUMENT", "batchRequests is required").into());
    };
    if requests.len() > MAX_SUBREQUESTS {
        let message = format!(
            "The request can't contain more than {MAX_SUBREQUESTS} subrequests; it has {}",
            requests.len()
        );
        return Err(Refusal::plain("LIMIT_EXCEEDED", message).into());
    }
    let halts = body.get("haltOnError") == Some(&Json::Bool(true));
    let headers = HeaderMap::new();
    let mut has_errors = false;
    let mut results = Vec::with_capacity(requests.len());
    for request in requests {
        if halts && has_errors {
            let message = "Batch processing halted per request";
            let refusal = Refusal::plain("BATCH_PROCESSING_HALTED", message).to_rest();
            results.push(json!({ "statusCode": 412, "result": [refusal] }));
            continue;
        }
        let answer = carry_out(state, call, request, &headers);
        has_errors |= !answer.status.is_success();
        results.push(json!({ "statusCode": answer.status.as_u16(), "result": answer.body }));
    }
    Ok(Answer::ok(
        json!({ "hasErrors": has_errors, "results": results }),
    ))
}

fn carry_out(state: &mut State, outer: &Call<'_>, request: &Json, headers: &HeaderMap) -> Answer {
    let refuse = |refusal: Refusal| Answer::refuse(&refusal.into());
    let text = |name: &str| request.get(name).and_then(Json::as_str);
    let (Some(method), Some(url)) = (text("method"), text("url")) else {
        let message = "method and url are required in a subrequest";
        return refuse(Refusal::plain("MISSING_ARGUMENT", message));
    };
    let Ok(method) = Method::try_from(method.to_ascii_uppercase().as_str()) else {
        return refuse(Refusal::plain("INVALID_INPUT", "not an HTTP method"));
    };
    if !state.meter.charge(outer.now) {
        let message = "TotalRequests Limit exceeded.";
        return refuse(Refusal::plain("REQUEST_LIMIT_EXCEEDED", message));
    }
    // The url starts at the version; a whole path is taken as well.
    let url = url.strip_prefix("/services/data/").unwrap_or(url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut path = segments(path);
    let version = path.first().and_then(|segment| parse_version(segment));
    let Some(version) = version else {
        return refuse(Refusal::not_found());
    };
    path.remove(0);
    if path.first().is_some_and(|first| first == "composite") {
        let message = "a composite cannot be a subrequest of a batch";
        return refuse(Refusal::plain("INVALID_INPUT", message));
    }
    if let Err(refusal) = resource::check_version(version) {
        return refuse(refusal);
    }
    let call = outer.within(
        method,
        path,
        form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers,
        request
            .get("richInput")
            .cloned()
            .filter(|body| !body.is_null()),
        version,
    );
    resource::answer(state, &call)
}
