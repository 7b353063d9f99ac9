use std::collections::BTreeMap;
use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// How it came in.
    #[serde(skip_serializing_if = "Door::is_webhook")]
    pub door: Door,
    /// The request headers that the connector's manifest names, by lower-case name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What belongs to the record but stands outside it: what was looked up for it, values of its
    /// page, its file and row. At most [`MAX_CONTEXT_DEPTH`] levels deep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// Which of the connector's polls it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

/// How deep a context may be nested: JSON is read back to 128 levels, of which the event's own is
/// one.
pub const MAX_CONTEXT_DEPTH: usize = 100;

/// How an event came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The vendor, or a form, sent it.
    #[default]
    Webhook,
    /// It was in a list that we asked the vendor for.
    Poll,
    /// A webhook named it, and we asked the vendor for it.
    Fetch,
    /// It was in a file.
    File,
}

impl Door {
    /// The name in the store, in logs and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Poll => "poll",
            Self::Fetch => "fetch",
            Self::File => "file",
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks with a reference"
    )]
    fn is_webhook(&self) -> bool {
        *self == Self::Webhook
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_earlier_version_wrote_is_read_and_written_as_it_was() {
        for text in [
            "{}",
            r#"{"request_id":"r","query":"a=1","captcha":"passed"}"#,
        ] {
            let meta: EventMeta = serde_json::from_str(text).unwrap();
            assert_eq!(meta.door, Door::Webhook);
            assert_eq!(serde_json::to_string(&meta).unwrap(), text);
        }
    }

    #[test]
    fn all_of_it_is_read_back() {
        let mut deepest = json!(1);
        for _ in 0..MAX_CONTEXT_DEPTH {
            deepest = json!([deepest]);
        }
        for door in [Door::Webhook, Door::Poll, Door::Fetch, Door::File] {
            let meta = EventMeta {
                door,
                headers: [("x-topic".to_owned(), "lead".to_owned())].into(),
                context: Some(deepest.clone()),
                stream: Some("members".to_owned()),
                ..EventMeta::default()
            };
            let text = serde_json::to_string(&meta).unwrap();
            assert_eq!(serde_json::from_str::<EventMeta>(&text).unwrap(), meta);
            let written = text.contains(&format!(r#""door":"{}""#, door.name()));
            assert_eq!(written, door != Door::Webhook, "{text}");
        }
    }
}
