//! A webhook's body to one JSON value, however it was written.

use serde_json::Value;

use crate::connector::Refusal;
use crate::connector::manifest::BodyEncoding;

/// The value in `body`.
pub fn decode(encoding: BodyEncoding, content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    let _ = (encoding, content_type);
    serde_json::from_slice(body).map_err(|error| {
        Refusal::malformed(
            "body.malformed_json",
            format!(
                "the body is not valid JSON: line {}, column {}",
                error.line(),
                error.column()
            ),
            "send the body as JSON, unchanged on its way",
        )
    })
}
