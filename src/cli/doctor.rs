//! `leadstream doctor`: signs in to Salesforce, reads only, says what is missing there.

use std::sync::Arc;

use crate::config::Config;
use crate::deliver::salesforce::Mapping;
use crate::diagnostic::Diagnostic;
use crate::doctor::{examine, expected_values};
use crate::edge::clock::SystemClock;
use crate::edge::http::ReqwestHttp;
use crate::salesforce::{Client, allowed_hosts};
use crate::telemetry::Metrics;

/// Arguments of `doctor`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DoctorArgs {}

/// What is missing in the org that `config` names; blank if all is well.
pub async fn run(config: &Config) -> Vec<Diagnostic> {
    let org = &config.salesforce;
    let client = Client::new(
        Arc::new(ReqwestHttp::new(allowed_hosts(org))),
        Arc::new(SystemClock),
        org.clone(),
        Metrics::new(),
    );
    let mapping = Mapping::new(org);
    let expected = expected_values(config, &mapping);
    examine(&client, &mapping, &expected).await
}
