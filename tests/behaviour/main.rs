//! Behaviour tests: through public doors only (HTTP, CLI, config). One binary, so that it links once.
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions only, not in what they share"
)]

mod config_page;
mod connector_samples;
mod connectors_command;
mod docs;
mod drift;
mod file_drop;
mod healthcheck;
mod org;
mod source;
mod web_form;

mod check;

mod sandbox;

mod audit;
mod cli_run;
mod connect_salesforce;
mod daemon;
mod demo;
mod harness;
mod replay;
mod report;
mod retention;
mod salesforce_command;
mod store_command;
mod store_file;
mod sync;
mod tools;
mod vendor_walks;
mod vendors;

/// The store that daemons run on: a file of their own.
mod store {
    pub fn url() -> String {
        "sqlite:leads.db".to_owned()
    }
}
