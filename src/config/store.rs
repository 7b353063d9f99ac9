use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::SecretRef;

/// Where everything is kept.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:<file>`; a relative file is beside the configuration. The inbox is a second file
    /// beside it, `<file>-inbox`. Or `postgres://<user>:<password>@<host>/<database>`, which any
    /// number of nodes may share.
    ///
    /// To a host that is not this machine the connection is encrypted, unless the address ends in
    /// `?sslmode=disable`. The password may stand in `PGPASSWORD` or in a password file instead.
    #[schemars(example = &"sqlite:leadstream.db")]
    #[serde(serialize_with = "without_password")]
    pub url: String,
    /// What tokens of vendors are encrypted with at rest: 32 random bytes as base64 or as 64 hex
    /// digits (`openssl rand -base64 32`). Without it SQLite has a key of its own in a file beside
    /// the store, `<file>-key`, made when it is needed; PostgreSQL needs this one, the same on all
    /// nodes, before a token can be kept. With another key what was kept is lost, and
    /// `leadstream connect` has to be run once more.
    #[schemars(example = &serde_json::json!({ "env": "LEADSTREAM_SECRET_KEY" }))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<SecretRef>,
    /// PostgreSQL only: after how many seconds of silence the other nodes take over what a node
    /// was doing.
    #[schemars(range(min = 2, max = 50), example = 15)]
    pub lease_seconds: u64,
    /// How many days raw events are kept, and what was read in them, from when they came in. What
    /// is not at its end, dead letters and events in review are kept until they are dealt with; the
    /// books count what is gone. Without its event a submission cannot be replayed.
    #[schemars(range(min = 1, max = 36_500), example = 180)]
    pub keep_events_days: u32,
    /// How many days the timeline of a lead goes back.
    #[schemars(range(min = 1, max = 36_500), example = 730)]
    pub keep_timeline_days: u32,
    /// How many days a delivery is kept after it was decided, once it is done.
    #[schemars(range(min = 1, max = 36_500), example = 30)]
    pub keep_deliveries_days: u32,
}

impl StoreConfig {
    /// A store at `url`, all else as usual.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..Self::default()
        }
    }
}

/// The 32 bytes of a `secret_key`: 64 hex digits, or base64 of either alphabet, with its padding or
/// without; none if it is neither. Blanks around it do not count.
pub fn secret_key_bytes(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let mut key = [0; 32];
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        return Some(key);
    }
    let bare = text
        .trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/");
    STANDARD_NO_PAD.decode(bare).ok()?.try_into().ok()
}

/// The password is no part of what a configuration is.
fn without_password<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::mask::without_url_password(url))
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("url", &super::mask::without_url_password(&self.url))
            .field("secret_key", &self.secret_key)
            .field("lease_seconds", &self.lease_seconds)
            .field("keep_events_days", &self.keep_events_days)
            .field("keep_timeline_days", &self.keep_timeline_days)
            .field("keep_deliveries_days", &self.keep_deliveries_days)
            .finish()
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:leadstream.db".to_owned(),
            secret_key: None,
            lease_seconds: 15,
            keep_events_days: 180,
            keep_timeline_days: 730,
            keep_deliveries_days: 30,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_in_hex_and_both_alphabets_of_base64() {
        let key = Some([0xfb; 32]);
        let base64 = "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s";
        for text in [
            "fB".repeat(32),
            format!("{base64}="),
            base64.to_owned(),
            format!(" {}=\n", base64.replace('+', "-").replace('/', "_")),
        ] {
            assert_eq!(secret_key_bytes(&text), key, "{text}");
        }
        for text in [
            String::new(),
            "fb".repeat(31),
            "fb".repeat(33),
            "x".repeat(64),
        ] {
            assert_eq!(secret_key_bytes(&text), None, "{text}");
        }
    }
}
