//! `leadstream salesforce …`: the org itself.

mod doctor;
mod import;
mod schema;
mod setup;

use std::path::Path;
use std::sync::Arc;

pub use doctor::{DoctorArgs, run_command as doctor};

use super::Exit;
use crate::config::{Config, SalesforceAuth};
use crate::edge::clock::SystemClock;
use crate::edge::http::ReqwestHttp;
use crate::org_tokens;
use crate::salesforce::{Client, allowed_hosts};
use crate::store::{Access, Store};
use crate::telemetry::Metrics;

/// What is done with the org.
#[derive(Debug, clap::Subcommand)]
pub enum SalesforceCommand {
    /// Make what is needed in the org: the field for our key, the right to write it, fields for
    /// attribution. Says first what it would do.
    Setup(setup::Args),
    /// Sign in, read only, and say what is missing. The same as `leadstream doctor`.
    Doctor(DoctorArgs),
    /// Read the org's Leads and Contacts into the local index, so that people who are there already are
    /// found. The daemon does so by itself; this does it now, and anew.
    Import(import::Args),
    /// Show the org's fields, what goes where, and where the two do not fit together.
    Schema(schema::Args),
}

/// Runs it.
pub async fn run(command: SalesforceCommand, config_path: &Path) -> Exit {
    match command {
        SalesforceCommand::Setup(args) => Box::pin(setup::run(&args, config_path)).await,
        SalesforceCommand::Doctor(args) => doctor(&args, config_path).await,
        SalesforceCommand::Import(args) => import::run(&args, config_path).await,
        SalesforceCommand::Schema(args) => schema::run(&args, config_path).await,
    }
}

/// A client that really signs in. Only a consent is taken from the store: its refresh token may be good
/// for one use.
async fn client(config: &Config) -> (Client, Option<Arc<Store>>) {
    let org = &config.salesforce;
    let client = Client::new(
        Arc::new(ReqwestHttp::new(allowed_hosts(org))),
        Arc::new(SystemClock),
        org.clone(),
        Metrics::new(),
    );
    if org.auth != SalesforceAuth::AuthorizationCode {
        return (client, None);
    }
    match Store::open(&config.store, Access::Command).await {
        Ok(store) => {
            let keep = org_tokens::keep(Arc::clone(&store), &config.store);
            (client.keeping(keep), Some(store))
        }
        Err(error) => {
            tracing::debug!(%error, "there is no store yet");
            (client, None)
        }
    }
}
