use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::FieldMapping;
use crate::connector::ConnectorOptions;

/// One configured use of a connector: what all connectors have in common.
///
/// The connector's own options stand beside these in the same table; `options` holds them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The connector: `web-form`, or one of `leadstream connectors list`.
    #[schemars(example = &"web-form")]
    pub connector: String,
    /// The country (ISO 3166 alpha-2) of phone numbers that name none.
    #[schemars(example = &"DE")]
    pub default_country: Option<String>,
    /// `LeadSource` for leads whose payload says none.
    #[schemars(example = &"Web")]
    pub lead_source: Option<String>,
    /// The campaign, by name or id, for leads whose payload says none.
    #[schemars(example = &"Website demo request")]
    pub campaign: Option<String>,
    /// Whose leads go first when the org's calls run short.
    #[serde(default)]
    #[schemars(example = &"normal")]
    pub priority: Priority,
    /// A stand-in in place of the vendor. Plain http only to loopback.
    #[schemars(example = &"http://127.0.0.1:9101")]
    pub base_url: Option<Url>,
    /// Lead field = where in the payload; the usual names need no line.
    #[serde(default)]
    #[schemars(example = &serde_json::json!({ "plan": { "from": "answers.plan" } }))]
    pub fields: BTreeMap<String, FieldMapping>,
    /// The connector's own options. Set by `config::load` from the rest of the table.
    #[serde(skip)]
    pub options: ConnectorOptions,
}

/// Whose leads go first when the org's calls run short.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Waits for the others: lists, newsletters.
    Low = 0,
    /// As they come.
    #[default]
    Normal = 1,
    /// Never waits for others, and may use what is kept in reserve: demo requests.
    High = 2,
}
