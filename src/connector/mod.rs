//! How to talk to one vendor. A connector knows no source's secrets and writes nothing.

pub mod custom;

use custom::web_form::WebFormOptions;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

/// A source's options for its connector.
#[derive(Debug, Clone)]
pub enum ConnectorOptions {
    /// `connector = "web-form"`
    WebForm(Box<WebFormOptions>),
}

impl Default for ConnectorOptions {
    fn default() -> Self {
        Self::WebForm(Box::default())
    }
}

/// The names of all connectors, for `check` and its suggestions.
pub const NAMES: &[&str] = &["web-form"];

/// The schema of a connector's options; none if there is no connector of that name.
pub fn options_schema(connector: &str, generator: &mut SchemaGenerator) -> Option<Schema> {
    match connector {
        "web-form" => Some(generator.subschema_for::<WebFormOptions>()),
        _ => None,
    }
}

impl ConnectorOptions {
    /// The options of `connector` from the keys of a source's table that are not common to all
    /// sources; none if there is no connector of that name.
    pub fn read(
        connector: &str,
        options: &Value,
    ) -> Option<Result<Self, serde_path_to_error::Error<serde_json::Error>>> {
        match connector {
            "web-form" => Some(
                serde_path_to_error::deserialize(options)
                    .map(|options| Self::WebForm(Box::new(options))),
            ),
            _ => None,
        }
    }

    /// The options as they are in effect; secrets only as where they are kept.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        match self {
            Self::WebForm(options) => serde_json::to_value(options),
        }
    }
}
