use std::collections::{HashMap, HashSet};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call, Outcome, parse_version, segments};
use super::resource;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;

/// Subrequests in one call.
const MAX_SUBREQUESTS: usize = 25;

/// Queries and collections among them.
const MAX_LARGE: usize = 5;

const HALTED: &str = "The transaction was rolled back since another operation in the same \
                      transaction failed.";

/// `POST /composite`
pub(super) fn run(state: &mut State, call: &Call<'_>) -> Outcome {
    let body = call.object()?;
    let Some(Json::Array(requests)) = body.get("compositeRequest") else {
        return Err(Refusal::plain("MISSING_ARGUMENT", "compositeRequest is required").into());
    };
    let requests = requests
        .iter()
        .map(Subrequest::read)
        .collect::<Result<Vec<_>, _>>()?;
    check_all(&requests)?;
    let all_or_none = body.get("allOrNone") == Some(&Json::Bool(true));
    let (answers, _) = carry_out(state, call, &requests, all_or_none);
    Ok(Answer::ok(
        json!({ "compositeResponse": entries(&requests, answers) }),
    ))
}

/// Carries subrequests out, each with what those before it came to; whether all went well. With
/// `all_or_none`, one that fails takes back the others.
pub(super) fn carry_out(
    state: &mut State,
    call: &Call<'_>,
    requests: &[Subrequest<'_>],
    all_or_none: bool,
) -> (Vec<Answer>, bool) {
    let mark = all_or_none.then(|| state.org.mark());
    let mut results = References::default();
    let mut answers: Vec<Answer> = Vec::with_capacity(requests.len());
    let mut failed = None;
    for request in requests {
        if all_or_none && failed.is_some() {
            break;
        }
        let answer = request.carry_out(state, call, &results);
        if answer.status.is_success() {
            results.0.insert(request.reference, answer.body.clone());
        } else {
            failed.get_or_insert(answers.len());
        }
        answers.push(answer);
    }
    if let Some(mark) = mark {
        if let Some(failed) = failed {
            state.org.take_back(mark);
            answers.resize_with(requests.len(), || halted(HALTED));
            for (at, answer) in answers.iter_mut().enumerate() {
                if at != failed {
                    *answer = halted(HALTED);
                }
            }
        } else {
            state.org.keep(mark);
        }
    }
    (answers, failed.is_none())
}

/// The answers as they stand in the body, in the order of the request.
pub(super) fn entries(requests: &[Subrequest<'_>], answers: Vec<Answer>) -> Json {
    let entries = requests.iter().zip(answers).map(|(request, answer)| {
        let headers = answer
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Json::from(value)));
        json!({
            "body": answer.body,
            "httpHeaders": headers.collect::<Map<_, _>>(),
            "httpStatusCode": answer.status.as_u16(),
            "referenceId": request.reference,
        })
    });
    entries.collect()
}

fn halted(message: &str) -> Answer {
    Answer::refuse(&Refusal::plain("PROCESSING_HALTED", message).into())
}

pub(super) struct Subrequest<'c> {
    method: Method,
    pub(super) url: &'c str,
    reference: &'c str,
    body: Option<&'c Json>,
    headers: HeaderMap,
}

impl<'c> Subrequest<'c> {
    /// Reads one; what is wrong here refuses the whole call.
    pub(super) fn read(request: &'c Json) -> Result<Self, Refusal> {
        let text = |name: &str| {
            request.get(name).and_then(Json::as_str).ok_or_else(|| {
                Refusal::plain(
                    "MISSING_ARGUMENT",
                    format!("{name} is required in a subrequest"),
                )
            })
        };
        let invalid = |what: &str| Refusal::plain("INVALID_INPUT", what.to_owned());
        let mut headers = HeaderMap::new();
        // A subrequest takes over none of the headers that change a write: it names its own.
        for (name, value) in request
            .get("httpHeaders")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            let name = HeaderName::try_from(name.as_str());
            let value = value.as_str().map(HeaderValue::try_from);
            let (Ok(name), Some(Ok(value))) = (name, value) else {
                return Err(invalid(
                    "a subrequest's httpHeaders must be header names and strings",
                ));
            };
            headers.insert(name, value);
        }
        let (url, reference) = (text("url")?, text("referenceId")?);
        if !url.starts_with("/services/data/") {
            return Err(invalid(
                "a subrequest's url must start with /services/data/",
            ));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !reference.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !reference.chars().all(fits)
        {
            return Err(invalid(
                "a referenceId has letters, digits and _, and starts with none of _",
            ));
        }
        let method = text("method")?.to_ascii_uppercase();
        Ok(Self {
            method: Method::try_from(method.as_str()).map_err(|_| invalid("not an HTTP method"))?,
            url,
            reference,
            body: request.get("body").filter(|body| !body.is_null()),
            headers,
        })
    }

    fn carry_out(&self, state: &mut State, outer: &Call<'_>, results: &References<'_>) -> Answer {
        let filled = results.fill_url(self.url).and_then(|url| {
            let body = self.body.map(|body| results.fill(body)).transpose()?;
            Ok((url, body))
        });
        let (url, body) = match filled {
            Ok(filled) => filled,
            Err(message) => return halted(&message),
        };
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let mut path = segments(path);
        let version = path.get(2).and_then(|segment| parse_version(segment));
        let Some(version) = version else {
            return Answer::refuse(&Refusal::not_found().into());
        };
        path.drain(..3);
        let is_composite = path.first().is_some_and(|first| first == "composite");
        if is_composite && path.get(1).is_none_or(|next| next != "sobjects") {
            let message = "a composite cannot be a subrequest of a composite";
            return Answer::refuse(&Refusal::plain("INVALID_INPUT", message).into());
        }
        if let Err(refusal) = resource::check_version(version) {
            return Answer::refuse(&refusal.into());
        }
        let query = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let call = outer.within(
            self.method.clone(),
            path,
            query,
            &self.headers,
            body,
            version,
        );
        resource::answer(state, &call)
    }
}

fn check_all(requests: &[Subrequest<'_>]) -> Result<(), Refusal> {
    let limit = |message: String| Err(Refusal::plain("LIMIT_EXCEEDED", message));
    if requests.len() > MAX_SUBREQUESTS {
        return limit(format!(
            "The request can't contain more than {MAX_SUBREQUESTS} subrequests; it has {}",
            requests.len()
        ));
    }
    let is_large = |request: &&Subrequest<'_>| {
        let path = request.url.split('?').next().unwrap_or_default();
        let path = segments(path);
        match path.get(3).map(String::as_str) {
            Some("query" | "queryAll") => true,
            Some("composite") => path.get(4).is_some_and(|next| next == "sobjects"),
            _ => false,
        }
    };
    let large = requests.iter().filter(is_large).count();
    if large > MAX_LARGE {
        return limit(format!(
            "The request can't contain more than {MAX_LARGE} queries and collections; it has {large}"
        ));
    }
    check_references(requests)
}

/// No two subrequests have the same name.
pub(super) fn check_references(requests: &[Subrequest<'_>]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for request in requests {
        if !seen.insert(request.reference) {
            let message = format!("Duplicate referenceId: {}", request.reference);
            return Err(Refusal::plain("INVALID_INPUT", message));
        }
    }
    Ok(())
}

/// What the subrequests so far came to, for `@{lead.id}` in those that follow.
#[derive(Default)]
struct References<'c>(HashMap<&'c str, Option<Json>>);

impl References<'_> {
    fn look_up(&self, path: &str) -> Result<&Json, String> {
        let (reference, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
        let found = self
            .0
            .get(reference)
            .and_then(Option::as_ref)
            .and_then(|body| {
                rest.split(['.', '[', ']'])
                    .filter(|step| !step.is_empty())
                    .try_fold(body, |value, step| match value {
                        Json::Array(list) => list.get(step.parse::<usize>().ok()?),
                        value => value.get(step),
                    })
            });
        found.ok_or_else(|| {
            format!("Invalid reference specified. No value for {path} found in {reference}")
        })
    }

    /// The text with its references filled in by `show`.
    fn fill_text(&self, text: &str, show: impl Fn(&str) -> String) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("@{") {
            let Some((path, after)) = after.split_once('}') else {
                break;
            };
            filled.push_str(before);
            let value = self.look_up(path)?;
            match value {
                Json::String(text) => filled.push_str(&show(text)),
                other => filled.push_str(&show(&other.to_string())),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn fill_url(&self, url: &str) -> Result<String, String> {
        self.fill_text(url, |value| {
            utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
        })
    }

    fn fill(&self, body: &Json) -> Result<Json, String> {
        Ok(match body {
            Json::String(text) => {
                // A reference by itself keeps the type of what it names.
                let alone = text
                    .strip_prefix("@{")
                    .and_then(|rest| rest.strip_suffix('}'));
                match alone.filter(|path| !path.contains('}')) {
                    Some(path) => self.look_up(path)?.clone(),
                    None => Json::String(self.fill_text(text, str::to_owned)?),
                }
            }
            Json::Array(list) => list
                .iter()
                .map(|entry| self.fill(entry))
                .collect::<Result<_, _>>()?,
            Json::Object(entries) => {
                let filled = entries
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.fill(value)?)));
                Json::Object(filled.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }
}
