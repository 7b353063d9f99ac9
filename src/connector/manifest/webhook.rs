use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Condition, Record, Take, Template};

/// What the vendor sends by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// How the body is written.
    #[serde(default)]
    pub body: BodyEncoding,
    /// Where the records are in it; the whole body if not said. May be an option: `{records}`.
    pub records: Option<String>,
    /// What proves that the vendor sent it. All of them must pass that are not left out by
    /// `optional`; with none configured the door is closed.
    #[serde(default, deserialize_with = "super::one_or_many")]
    pub signature: Vec<Signature>,
    /// How the vendor greets a new address.
    #[serde(default, deserialize_with = "super::one_or_many")]
    pub handshake: Vec<Handshake>,
    /// What it is answered.
    #[serde(default)]
    pub answer: Answer,
    /// Headers that are kept with the event, for `of = "header"`.
    #[serde(default)]
    pub headers: Vec<String>,
    /// JSON strings in the body that are blanked before it is stored: secrets.
    #[serde(default)]
    pub redact: Vec<String>,
    /// Bodies that are answered and not kept at all: tests of the address, other events.
    #[serde(default)]
    pub ignore_when: Vec<Condition>,
    /// Says only that there is something new: the source is polled at once, and nothing is kept.
    #[serde(default)]
    pub poll_now: bool,
    /// In place of the manifest's `[record]`.
    pub record: Option<Record>,
    /// Added to the manifest's `[fields]`.
    #[serde(default)]
    pub fields: BTreeMap<String, Take>,
    /// How to set it up at the vendor; `{hook_url}` and options may stand in it.
    #[serde(default)]
    pub setup: Vec<String>,
}

/// How a webhook's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// JSON.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`, with PHP's brackets: `data[merges][FNAME]`.
    Urlencoded,
    /// `multipart/form-data`.
    Multipart,
    /// Whichever of these its `Content-Type` says.
    Any,
}

/// What proves that the vendor sent it. Texts may hold options.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// How: one of `Scheme`, or an option that holds one: `{signature}`.
    pub scheme: Template,
    /// The option that holds the secret, or several while one is replaced by another.
    pub key: String,
    /// Left out if its key is not set. Otherwise, without the key the door is closed.
    #[serde(default)]
    pub optional: bool,
    /// How the secret is written.
    #[serde(default)]
    pub key_format: KeyFormat,
    /// Taken off the secret before it is decoded: `whsec_`.
    pub key_prefix: Option<String>,
    /// What is signed: `{body}`, `{timestamp}`, `{id}`, `{method}`, `{url}`, `{path}`,
    /// `{header:<name>}` and literals. `{body}` if not said; of a plain SHA-256 `{key}{body}`. An
    /// option in it may hold such names itself.
    pub signed: Option<Template>,
    /// The header with the signature.
    pub header: Option<Template>,
    /// How the header is written: `sha256={signature}`, `t={timestamp},v1={signature}`. Any of several
    /// signatures may match. An option in it may hold such names itself.
    pub format: Option<Template>,
    /// How the signature is written. The other encoding is taken as well: of one hash they differ in
    /// length. `equals`: in base 64 if so said (`Basic {signature}`), else as it is.
    #[serde(default)]
    pub encoding: Encoding,
    /// When it was signed, for `{timestamp}` and against replays.
    pub timestamp: Option<Timestamp>,
    /// The header with `{id}`.
    pub id_header: Option<String>,
    /// `equals`: the path in the body that holds the secret.
    pub body_path: Option<String>,
}

/// How a webhook is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// HMAC-SHA256.
    HmacSha256,
    /// HMAC-SHA1, for vendors that have nothing better.
    HmacSha1,
    /// HMAC-SHA512.
    HmacSha512,
    /// A plain SHA-256, with the secret in `signed` as `{key}`.
    Sha256,
    /// Standard Webhooks 1.0 (Svix): `webhook-id`, `webhook-timestamp`, `webhook-signature`; or `svix-…`.
    StandardWebhooks,
    /// The secret itself, in the header or at `body_path`.
    Equals,
    /// The secret in the address: `/hooks/<source>/<secret>`, or `?secret=`, `?token=`, `?key=`.
    Url,
}

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFormat {
    /// As it is, in UTF-8.
    #[default]
    Text,
    /// Base 64.
    Base64,
    /// Hex digits.
    Hex,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hex digits, in any case.
    #[default]
    Hex,
    /// Base 64, either alphabet, padding optional.
    Base64,
}

/// When a webhook was signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// The header that says it; not said if it is in `format`.
    pub header: Option<String>,
    /// Its unit.
    #[serde(default)]
    pub unit: TimeUnit,
    /// How far it may be from now, either way.
    #[serde(default = "five_minutes")]
    pub tolerance_seconds: u64,
}

impl Default for Timestamp {
    fn default() -> Self {
        Self {
            header: None,
            unit: TimeUnit::default(),
            tolerance_seconds: five_minutes(),
        }
    }
}

/// How a time is counted. Seconds and milliseconds are told apart by their size, whatever is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// RFC 3339.
    Rfc3339,
}

fn five_minutes() -> u64 {
    300
}

/// How the vendor greets a new address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// How.
    pub style: HandshakeStyle,
    /// `echo_query`, `signed_query`: the parameter with the challenge.
    pub challenge: Option<String>,
    /// `echo_query`: the parameter with the token that we set at the vendor.
    pub verify: Option<String>,
    /// The option with the token, or the key that the challenge is signed with; of several secrets the
    /// first.
    pub key: Option<String>,
    /// `signed_body`, `echo_body`: what makes it a greeting.
    pub when: Option<Condition>,
    /// `signed_body`, `echo_body`: the path of the challenge in the body.
    pub from: Option<String>,
    /// The members of the answer: for the challenge (`echo_body`: the challenge by itself as text if
    /// not said),
    pub answer_challenge: Option<String>,
    /// and for its signature.
    pub answer_signature: Option<String>,
}

/// How a vendor greets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeStyle {
    /// GET or HEAD, or a POST without a body: 200.
    Accept,
    /// GET with a challenge that is sent back as it is, if the token is ours (Meta).
    EchoQuery,
    /// GET with a UUID that is sent back with its HMAC-SHA256 (LinkedIn).
    SignedQuery,
    /// POST, signed as all others, with a text that is sent back with its HMAC-SHA256 (Zoom).
    SignedBody,
    /// POST with a text that is sent back (Slack's way).
    EchoBody,
}

/// What a webhook is answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; our receipt if not said.
    pub body: Option<String>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            body: None,
        }
    }
}
