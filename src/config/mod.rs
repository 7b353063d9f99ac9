//! TOML to [`Config`], or every problem at once.
//!
//! One file a section; the doc comment of each field is its help in the JSON Schema and in docs.

mod salesforce;
mod secret;
mod server;
mod source;
mod store;

use std::collections::BTreeMap;

pub use salesforce::{
    AssignmentRule, LeadMapping, OnInvalid, SalesforceAuth, SalesforceConfig, WritePolicy,
};
pub use secret::{Secret, SecretError, SecretRef};
pub use server::ServerConfig;
pub use source::{FieldMapping, SourceConfig};
pub use store::StoreConfig;

use crate::model::SourceName;

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[salesforce]`
    pub salesforce: SalesforceConfig,
    /// `[sources.<name>]`: those without an error.
    pub sources: BTreeMap<SourceName, SourceConfig>,
    /// Sources that were fenced off because of an error in them (see `strict_start`).
    pub fenced: Vec<SourceName>,
    /// Short hash of the effective configuration: every lead names the one it was processed with.
    pub hash: String,
}
