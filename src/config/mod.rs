//! TOML to [`Config`], or every problem at once.
//!
//! One file a section; the doc comment of each field is its help in the JSON Schema and in docs.
//! [`load`] is the door. What it promises: all problems at once, each with its place; no message
//! ever holds a secret (`mask`); an error in one source fences that source off and nothing else.

mod check;
mod connectors;
mod field_mapping;
mod files;
mod hint;
mod include;
mod interpolate;
mod load;
mod mask;
mod report;
mod salesforce;
mod schema;
mod secret;
mod server;
mod shape;
mod show;
mod source;
mod source_file;
mod store;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use field_mapping::FieldMapping;
pub use interpolate::{Environment, with_variables};
pub use load::{Loaded, load, load_with_process_env};
pub use salesforce::{
    AssignmentRule, BudgetConfig, CampaignsConfig, ConvertedLead, DeletedRecord, ExistingConfig,
    ExistingContact, LeadMapping, MirrorConfig, OnInvalid, SalesforceAuth, SalesforceConfig,
    SeveralRecords, UnknownCampaign, WritePolicy,
};
pub use schema::schema;
pub use secret::{Secret, SecretError, SecretRef};
pub use server::ServerConfig;
pub use show::{Origin, Setting};
pub use source::{Priority, SourceConfig};
pub use store::{StoreConfig, secret_key_bytes};
pub(crate) use suggest::closest;
pub use written::{key_to_toml, to_toml};

use crate::connector::Catalog;
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
    /// The connectors that sources may name.
    pub catalog: Arc<Catalog>,
    /// `[sources.<name>]`: those without an error.
    pub sources: BTreeMap<SourceName, SourceConfig>,
    /// Sources that were fenced off because of an error in them (see `strict_start`).
    pub fenced: Vec<SourceName>,
    /// Short hash of the effective configuration: every lead names the one it was processed with.
    pub hash: String,
}
