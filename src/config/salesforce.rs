use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::SecretRef;

/// The Salesforce org.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SalesforceConfig {
    /// Where to sign in: the org's My Domain (of a sandbox with its name, as in
    /// `https://acme--uat.sandbox.my.salesforce.com`); for `jwt_bearer` and `authorization_code` also
    /// `https://login.salesforce.com` and `https://test.salesforce.com`. Plain http only to loopback.
    #[schemars(example = &"https://acme.my.salesforce.com")]
    pub login_url: Url,
    /// How to sign in.
    #[serde(default)]
    #[schemars(example = &"client_credentials")]
    pub auth: SalesforceAuth,
    /// The consumer key of the external client app.
    #[schemars(length(min = 1), example = &"${SF_CLIENT_ID}")]
    pub client_id: String,
    /// The consumer secret; for `client_credentials`, and for `authorization_code` where the app
    /// demands it.
    #[schemars(example = &serde_json::json!({ "env": "SF_CLIENT_SECRET" }))]
    pub client_secret: Option<SecretRef>,
    /// The integration user's username; for `jwt_bearer`.
    #[schemars(length(min = 1), example = &"leadstream@acme.com")]
    pub username: Option<String>,
    /// The RSA private key in PEM form; for `jwt_bearer`.
    #[schemars(example = &serde_json::json!({ "file": "/run/secrets/salesforce.pem" }))]
    pub private_key: Option<SecretRef>,
    /// The `aud` of the JWT, if it is not `login_url` itself: `https://login.salesforce.com` or
    /// `https://test.salesforce.com`.
    #[schemars(example = &"https://login.salesforce.com")]
    pub audience: Option<String>,
    /// The text field on Lead, external id and unique, that holds our key.
    #[serde(default = "external_id_field")]
    #[schemars(length(min = 1), example = &"Leadstream_Id__c")]
    pub external_id_field: String,
    /// The REST API version.
    #[serde(default = "api_version")]
    #[schemars(example = &"62.0")]
    pub api_version: String,
    /// How long a delivery waits for others to share its call.
    #[serde(default = "linger_ms")]
    #[schemars(range(min = 0, max = 60_000), example = 200)]
    pub linger_ms: u64,
    /// Records in one call, 1 to 200.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1, max = 200), example = 200)]
    pub batch_size: usize,
    /// How long to wait for the answer to a write. A write that we gave up on may still commit.
    #[serde(default = "request_timeout_seconds")]
    #[schemars(range(min = 1, max = 600), example = 120)]
    pub request_timeout_seconds: u64,
    /// How often a delivery is tried before it becomes a dead letter: 20 tries take three to six
    /// hours. What is not the lead's own fault does not count.
    #[serde(default = "max_attempts")]
    #[schemars(range(min = 1, max = 1000), example = 20)]
    pub max_attempts: u32,
    /// Whether Salesforce's lead assignment rule runs when a lead is created. It never runs on
    /// updates: it would take leads from their owners.
    #[serde(default)]
    #[schemars(example = &"off")]
    pub assignment_rule: AssignmentRule,
    /// Save although an "allow with alert" duplicate rule of the org finds a match.
    #[serde(default)]
    #[schemars(example = false)]
    pub allow_duplicates: bool,
    /// So many new leads that wait at once go by Bulk API 2.0: fewer calls, but slower; 0 for never.
    /// Salesforce itself draws the line at 2,000.
    #[serde(default = "bulk_threshold")]
    #[schemars(range(min = 0, max = 1_000_000), example = 2000)]
    pub bulk_threshold: usize,
    /// Who may use how much of the org's calls of 24 hours, which all its integrations share.
    #[serde(default)]
    #[schemars(example = &serde_json::json!({ "share": 0.8, "reserve": 0.1 }))]
    pub budget: BudgetConfig,
    /// Salesforce Lead field = where from, and when to write; the standard ones need no line.
    #[serde(default)]
    #[schemars(example = &serde_json::json!({ "Plan__c": { "from": "plan" } }))]
    pub lead: BTreeMap<String, LeadMapping>,
    /// The same for Contacts: people who are customers already, or whose Lead was converted.
    #[serde(default)]
    #[schemars(example = &serde_json::json!({ "Plan__c": { "from": "plan" } }))]
    pub contact: BTreeMap<String, LeadMapping>,
    /// What becomes of a submission whose person is in Salesforce already.
    #[serde(default)]
    pub existing: ExistingConfig,
    /// How people join campaigns.
    #[serde(default)]
    pub campaigns: CampaignsConfig,
    /// The local index of the org's Leads and Contacts.
    #[serde(default)]
    pub mirror: MirrorConfig,
}

fn external_id_field() -> String {
    "Leadstream_Id__c".to_owned()
}

fn api_version() -> String {
    "62.0".to_owned()
}

const fn bulk_threshold() -> usize {
    2_000
}

const fn share() -> f64 {
    0.8
}

const fn reserve() -> f64 {
    0.1
}

const fn linger_ms() -> u64 {
    200
}

const fn batch_size() -> usize {
    200
}

const fn request_timeout_seconds() -> u64 {
    120
}

const fn max_attempts() -> u32 {
    20
}

/// Who may use how much of the org's calls of 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// The part of the org's calls that leadstream makes at most: 0.8 leaves a fifth to others, even
    /// if they use none.
    #[serde(default = "share")]
    #[schemars(range(min = 0.01, max = 1.0), example = 0.8)]
    pub share: f64,
    /// The part of the org's calls that is kept for sources with `priority = "high"`, out of
    /// `share`: when no more is left, all others wait.
    #[serde(default = "reserve")]
    #[schemars(range(min = 0.0, max = 0.9), example = 0.1)]
    pub reserve: f64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            share: share(),
            reserve: reserve(),
        }
    }
}

/// How to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SalesforceAuth {
    /// `client_id` and `client_secret`, run as the user set in the app's policies.
    #[default]
    ClientCredentials,
    /// `username` and `private_key`.
    JwtBearer,
    /// As the person who has run `leadstream connect salesforce`, by a consent in the browser. The
    /// tokens are kept encrypted in the store.
    AuthorizationCode,
}

/// Whether Salesforce's lead assignment rule runs on create.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentRule {
    /// It does not run: new leads belong to the integration user or the org's default owner.
    #[default]
    Off,
    /// The org's active rule runs when a lead is created.
    OnCreate,
}

/// What goes into one Salesforce field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeadMapping {
    /// The lead field, or UTM parameter or click id, that the value is taken from.
    #[schemars(length(min = 1), example = &"plan")]
    pub from: String,
    /// When to write over what Salesforce holds.
    #[serde(default)]
    #[schemars(example = &"if_blank")]
    pub write: WritePolicy,
    /// What to do when Salesforce refuses the value.
    #[serde(default)]
    #[schemars(example = &"drop_field")]
    pub on_invalid: OnInvalid,
    /// The value for when there is none, or none that Salesforce takes.
    #[schemars(example = &"[not provided]")]
    pub default: Option<String>,
    /// Values to replace, e.g. a form's answer by the picklist's value.
    #[serde(default)]
    #[schemars(example = &serde_json::json!({ "a": "Starter" }))]
    pub values: BTreeMap<String, String>,
}

/// When to write over what Salesforce holds. A blank never overwrites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WritePolicy {
    /// Only where Salesforce has nothing.
    #[default]
    IfBlank,
    /// Whatever Salesforce has.
    Always,
    /// Only if the submission is newer than the last change that somebody else made to the record.
    IfNewer,
    /// Only when the record is created.
    CreateOnly,
    /// For opt-outs: true is written, false never.
    MostRestrictive,
    /// Never; for turning a standard field off.
    Never,
}

/// What to do when Salesforce refuses a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// Hold the lead as a dead letter until the value or the org is mended.
    #[default]
    Hold,
    /// Send the lead without this field and note it on the timeline.
    DropField,
    /// Send `default` in place of the value.
    Default,
}

/// What becomes of a submission whose person is in Salesforce already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExistingConfig {
    /// A Contact, such as a customer's.
    #[schemars(example = &"update")]
    pub contact: ExistingContact,
    /// A Lead that was converted.
    #[schemars(example = &"update_contact")]
    pub converted: ConvertedLead,
    /// A record of ours that a person deleted.
    #[schemars(example = &"hold")]
    pub deleted: DeletedRecord,
    /// More than one record that the person may be.
    #[schemars(example = &"latest")]
    pub several: SeveralRecords,
    /// Make a Task for the owner when a Contact comes back: its subject. `{source}` and
    /// `{campaign}` are filled in. No Task without it.
    #[schemars(length(min = 1, max = 200), example = &"New submission: {source}")]
    pub contact_task: Option<String>,
}

/// What is done with a person who is a Contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExistingContact {
    /// The Contact is updated by the write policies, and joins campaigns.
    #[default]
    Update,
    /// The Contact joins campaigns and gets Tasks; none of its fields is written.
    CampaignOnly,
    /// A new Lead is made beside it.
    CreateLead,
}

/// What is done with a person whose Lead was converted. It keeps our key and takes no more writes, so
/// there is no second Lead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConvertedLead {
    /// Its Contact is updated by the write policies, and joins campaigns.
    #[default]
    UpdateContact,
    /// Its Contact joins campaigns and gets Tasks; none of its fields is written.
    CampaignOnly,
}

impl From<ConvertedLead> for ExistingContact {
    fn from(converted: ConvertedLead) -> Self {
        match converted {
            ConvertedLead::UpdateContact => Self::Update,
            ConvertedLead::CampaignOnly => Self::CampaignOnly,
        }
    }
}

/// What is done when a person deleted our record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeletedRecord {
    /// It waits as a dead letter: whoever deleted it had a reason.
    #[default]
    Hold,
    /// It is made again.
    Recreate,
}

/// What is done when a person may be several records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeveralRecords {
    /// The one that was last changed; a Contact before a Lead.
    #[default]
    Latest,
    /// The one that was made first; a Contact before a Lead.
    Oldest,
    /// It waits as a dead letter until they are merged in Salesforce.
    Hold,
}

/// How people join campaigns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CampaignsConfig {
    /// Make a campaign that is named and not there. It is active from the start.
    #[schemars(example = false)]
    pub create: bool,
    /// What becomes of a submission whose campaign is not there, and is not made: `note` sends the
    /// lead without it and says so on its timeline; `hold` makes a dead letter.
    #[schemars(example = &"note")]
    pub unknown: UnknownCampaign,
    /// The member status of submissions that say none.
    #[schemars(length(min = 1, max = 40), example = &"Responded")]
    pub status: String,
    /// Make member statuses that a campaign lacks.
    #[schemars(example = true)]
    pub create_statuses: bool,
}

impl Default for CampaignsConfig {
    fn default() -> Self {
        Self {
            create: false,
            unknown: UnknownCampaign::Note,
            status: "Responded".to_owned(),
            create_statuses: true,
        }
    }
}

/// What becomes of a submission whose campaign is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCampaign {
    /// The lead goes without it; its timeline says so.
    #[default]
    Note,
    /// It waits as a dead letter.
    Hold,
}

/// The local index of the org's Leads and Contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MirrorConfig {
    /// Keep it. Without it, people that were typed in by hand are not found, and what changes in
    /// Salesforce is not followed.
    #[schemars(example = true)]
    pub enabled: bool,
    /// How often the org is asked what changed. One call each time.
    #[schemars(range(min = 5, max = 86_400), example = 60)]
    pub interval_seconds: u64,
    /// How old the index may be when a new record is about to be made; older, and the org is asked
    /// first. One call.
    #[schemars(range(min = 0, max = 86_400), example = 5)]
    pub max_age_seconds: u64,
}

impl Default for MirrorConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_seconds: 60,
            max_age_seconds: 5,
        }
    }
}
