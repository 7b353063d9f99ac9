use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

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

/// The password is no part of what a configuration is.
fn without_password<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::mask::without_url_password(url))
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("url", &super::mask::without_url_password(&self.url))
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
            lease_seconds: 15,
            keep_events_days: 180,
            keep_timeline_days: 730,
            keep_deliveries_days: 30,
        }
    }
}
