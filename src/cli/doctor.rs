//! `leadstream doctor`: signs in to Salesforce, reads only, says what is missing there.

use std::path::Path;
use std::sync::Arc;

use super::{Exit, output};
use crate::config::{self, Config};
use crate::deliver::salesforce::Mapping;
use crate::diagnostic::{self, Diagnostic, Severity};
use crate::doctor::{examine, expected_values};
use crate::edge::clock::SystemClock;
use crate::edge::http::ReqwestHttp;
use crate::salesforce::{Client, allowed_hosts};
use crate::telemetry::Metrics;

/// Arguments of `doctor`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

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

/// Says what is missing; fails if anything is.
pub async fn run_command(args: &DoctorArgs, config_path: &Path) -> Exit {
    let loaded = config::load_with_process_env(config_path);
    let mut problems = loaded.diagnostics;
    if let Some(config) = &loaded.config {
        problems.extend(run(config).await);
    }
    if args.json {
        output::line(&diagnostic::to_json(&problems).to_string());
    } else if problems.is_empty() {
        output::line("all is well: the configuration is right, and Salesforce takes leads");
    } else {
        output::error_line(&diagnostic::render(
            &problems,
            output::stderr_takes_colour(),
        ));
    }
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        Exit::Failure
    } else {
        Exit::Success
    }
}
