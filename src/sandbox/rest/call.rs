use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};

use crate::model::Millis;
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::{AutoAssign, Write};

/// A request to a resource, or a subrequest of a composite.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// What follows `/services/data/v62.0`, cut at slashes, then decoded.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Option<Json>,
    /// The body as it came, of a bulk upload.
    pub(super) raw: Bytes,
    pub(super) version: u16,
    pub(super) now: Millis,
}

impl Call<'_> {
    /// A subrequest of this call, with headers of its own.
    pub(super) fn within<'h>(
        &self,
        method: Method,
        path: Vec<String>,
        query: Vec<(String, String)>,
        headers: &'h HeaderMap,
        body: Option<Json>,
        version: u16,
    ) -> Call<'h> {
        Call {
            method,
            path,
            query,
            headers,
            body,
            raw: Bytes::new(),
            version,
            now: self.now,
        }
    }

    /// A parameter of the query string.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, which must be an object.
    pub(super) fn object(&self) -> Result<&Map<String, Json>, Refusal> {
        match &self.body {
            Some(Json::Object(object)) => Ok(object),
            Some(other) => Err(Refusal::plain(
                "JSON_PARSER_ERROR",
                format!(
                    "The HTTP entity body is required to be an object, not {}",
                    if other.is_array() {
                        "a list"
                    } else {
                        "a bare value"
                    }
                ),
            )),
            None => Err(Refusal::plain(
                "JSON_PARSER_ERROR",
                "The HTTP entity body is required, but this request has no entity body.",
            )),
        }
    }

    /// What the headers say of the writes of this call.
    pub(super) fn write(&self, state: &mut State) -> Result<Write, Refusal> {
        let auto_assign = match self.header("Sforce-Auto-Assign").map(str::trim) {
            None => AutoAssign::Active,
            Some(text) if text.eq_ignore_ascii_case("TRUE") => AutoAssign::Active,
            Some(text) if text.eq_ignore_ascii_case("FALSE") => AutoAssign::Off,
            Some(text) => AutoAssign::Rule(RecordId::parse(text).ok_or_else(|| {
                let message = format!("Invalid assignment rule id: {text}");
                Refusal::plain("INVALID_ASSIGNMENT_RULE", message)
            })?),
        };
        let duplicates = self
            .header("Sforce-Duplicate-Rule-Header")
            .unwrap_or_default();
        let is_set = |name: &str| {
            duplicates.split([';', ',']).any(|part| {
                part.split_once('=').is_some_and(|(known, value)| {
                    known.trim().eq_ignore_ascii_case(name)
                        && value.trim().eq_ignore_ascii_case("true")
                })
            })
        };
        Ok(Write {
            now: state.faults.stamp(self.now),
            user: state.org.integration_user,
            version: self.version,
            auto_assign,
            // The header is known since v52.
            allow_duplicates: self.version >= 52 && is_set("allowSave"),
            include_record_details: is_set("includeRecordDetails"),
            before: state.org.sizes(),
        })
    }

    /// The address of a record, as `Location` and answers give it.
    pub(super) fn record_url(&self, object: &str, id: RecordId) -> String {
        format!("/services/data/v{}.0/sobjects/{object}/{id}", self.version)
    }
}

/// Cuts a path at its slashes, then decodes each part. A slash at the end is nothing.
pub(super) fn segments(path: &str) -> Vec<String> {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    path.split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect()
}

/// `v62.0` as 62.
pub(super) fn parse_version(segment: &str) -> Option<u16> {
    segment.strip_prefix('v')?.strip_suffix(".0")?.parse().ok()
}

/// An answer on its way to JSON.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Option<Json>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// A body that is a CSV; then there is no other.
    pub(super) csv: Option<Box<[u8]>>,
}

impl Answer {
    pub(super) fn json(status: StatusCode, body: Json) -> Self {
        Self {
            status,
            body: Some(body),
            headers: Vec::new(),
            csv: None,
        }
    }

    pub(super) fn ok(body: Json) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            body: None,
            headers: Vec::new(),
            csv: None,
        }
    }

    pub(super) fn csv(bytes: Vec<u8>) -> Self {
        Self {
            csv: Some(bytes.into_boxed_slice()),
            ..Self::empty(StatusCode::OK)
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// REST's list of refusals; the first one decides the status.
    pub(super) fn refuse(refusals: &Refusals) -> Self {
        let status = refusals
            .first()
            .map_or(StatusCode::BAD_REQUEST, Refusal::status);
        Self::json(status, refusals.iter().map(Refusal::to_rest).collect())
    }
}

/// What a resource comes to.
pub(super) type Outcome = Result<Answer, Refusals>;
