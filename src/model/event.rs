use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{EventId, Millis, SourceName};

/// One raw payload as received, before the inbox has given it its id.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The source that it came in by.
    pub source: SourceName,
    /// When we received it.
    pub received_at: Millis,
    /// The request's `Content-Type`, as sent.
    pub content_type: String,
    /// What else of the request matters.
    pub meta: EventMeta,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// One raw payload in the inbox. Immutable.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id, which is also the sender's receipt. Ids grow in the order of commit.
    pub id: EventId,
    /// What was received.
    pub received: NewEvent,
}

impl Deref for Event {
    type Target = NewEvent;

    fn deref(&self) -> &NewEvent {
        &self.received
    }
}

/// What of a request, beside its body, decides what becomes of it. Stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventMeta {
    /// Follows the lead from the request to its delivery: the `X-Request-Id` sent, or our own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// The query string of the request, undecoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The `Origin` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The `Referer` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referer: Option<String>,
    /// The `Accept-Language` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_language: Option<String>,
    /// The `Idempotency-Key` header: the sender's own name for this submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What the captcha's vendor said, where the source asks for a captcha. Kept because the
    /// token is dead when the event is replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub captcha: Option<CaptchaVerdict>,
}

/// What a captcha's vendor said of one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptchaVerdict {
    /// A person.
    Passed,
    /// Not a person, or no valid token; the vendor's error codes.
    Failed(Vec<String>),
    /// The vendor could not be asked; why, without personal data.
    Unknown(String),
}
