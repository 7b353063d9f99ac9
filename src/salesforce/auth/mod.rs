//! Signing in: by client credentials, by a signed assertion, or as a person who gave their consent.
//!
//! Owns the token and its renewal. Promises: one token request at a time, of all nodes over one
//! store; a token is used until Salesforce refuses it, also after a restart; a refresh token that
//! replaces another is kept durably before anything is done with it; refused credentials are not
//! sent again and again; a token goes to no host that an answer invents; nothing secret prints.
//! It never logs out: that would end every client of the same user and app.

mod consent;
mod hosts;
mod kept;
mod obtain;
mod request;
mod rotate;
mod sessions;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use consent::{Connected, Consent};
pub use hosts::allowed_hosts;
pub use kept::{KeepError, KeptBytes, TokenKeep};
pub use sessions::SignInState;
pub(super) use sessions::{Session, Sessions};

use crate::config::SalesforceConfig;
use crate::edge::clock::SharedClock;
use crate::edge::http::Http;
use crate::telemetry::Metrics;

/// What signing in needs of the world.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub http: Arc<dyn Http>,
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
    pub config: Arc<SalesforceConfig>,
    /// Where tokens are kept for all nodes and the next start; without it they are in memory.
    pub keep: Option<Arc<dyn TokenKeep>>,
}
