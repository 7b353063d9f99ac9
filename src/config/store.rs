use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where everything is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:<file>`; a relative file is beside the configuration. The inbox is a second file
    /// beside it, `<file>-inbox`.
    #[schemars(example = &"sqlite:leadstream.db")]
    pub url: String,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:leadstream.db".to_owned(),
        }
    }
}
