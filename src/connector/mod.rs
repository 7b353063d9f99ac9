//! How to talk to one vendor. A connector knows no source's secrets and writes nothing.

pub mod custom;

use custom::web_form::WebFormOptions;

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
