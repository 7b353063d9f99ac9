use std::time::Duration;

use super::faults::Faults;
use super::org::{DuplicateMatch, DuplicateRule};
use super::rest::RsaPublicKey;
use super::schema::CustomField;
use crate::config::Secret;

/// How an org is set up. The default takes any client and refuses only what a fresh org does.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// The consumer key that signs in; none means any.
    pub client_id: Option<String>,
    /// The consumer secret that signs in; none means any.
    pub client_secret: Option<Secret>,
    /// The integration user's username. A JWT must name it as `sub`, if `jwt_public_key` is set.
    pub username: String,
    /// Checks the signature of JWTs; without it only their claims are looked at.
    pub jwt_public_key: Option<RsaPublicKey>,
    /// Whether the app's policies name a Run-As user, as client credentials need.
    pub has_run_as_user: bool,
    /// The app's callback URL for the web flow; none means any that is https or on this machine.
    pub callback_url: Option<String>,
    /// Whether the web flow demands a PKCE challenge.
    pub requires_pkce: bool,
    /// Whether the web flow demands the consumer secret.
    pub web_flow_needs_secret: bool,
    /// Whether each refresh gives a new refresh token and ends the old one.
    pub rotates_refresh_tokens: bool,
    /// Polls that find a bulk job unfinished; a minute after it was closed it is done all the same.
    pub bulk_polls: u32,
    /// What token answers give as `instance_url`, if not the address that was called.
    pub instance_url: Option<String>,
    /// Calls allowed in rolling 24 hours.
    pub daily_limit: u64,
    /// How long a token lives without being used.
    pub session_timeout: Duration,
    /// The text field on Lead and Contact, external id and unique.
    pub external_id_field: String,
    /// Further fields.
    pub custom_fields: Vec<CustomField>,
    /// The duplicate rule of leads and contacts, if one is active.
    pub duplicate_rule: Option<DuplicateRule>,
    /// What that rule takes for the same person.
    pub duplicate_match: DuplicateMatch,
    /// Campaigns that are there and active.
    pub campaigns: Vec<String>,
    /// Whether field history of leads is kept: status, owner, e-mail opt-out, conversion.
    pub lead_history: bool,
    /// The queue of the active lead assignment rule, if there is one.
    pub assignment_queue: Option<String>,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// Decides tokens and faults.
    pub seed: u64,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            client_id: None,
            client_secret: None,
            username: "leadstream@example.com".to_owned(),
            jwt_public_key: None,
            has_run_as_user: true,
            callback_url: None,
            requires_pkce: false,
            web_flow_needs_secret: false,
            rotates_refresh_tokens: true,
            bulk_polls: 2,
            instance_url: None,
            // An Enterprise org's, without its licences' share.
            daily_limit: 100_000,
            session_timeout: Duration::from_secs(2 * 60 * 60),
            external_id_field: "Leadstream_Id__c".to_owned(),
            custom_fields: Vec::new(),
            duplicate_rule: None,
            duplicate_match: DuplicateMatch::default(),
            campaigns: Vec::new(),
            lead_history: false,
            assignment_queue: None,
            faults: Faults::default(),
            seed: 0,
        }
    }
}
