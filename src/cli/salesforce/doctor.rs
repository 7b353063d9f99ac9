//! `leadstream doctor`, `leadstream salesforce doctor`: signs in to Salesforce, reads only, says what is
//! missing there.

use std::path::Path;

use serde_json::json;

use crate::cli::{Exit, output};
use crate::config::{self, Config};
use crate::deliver::salesforce::Mapping;
use crate::diagnostic::{self, Diagnostic};
use crate::doctor::{Examination, Expectations, examine};

/// Arguments of `doctor`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is missing in the org that `config` names.
async fn run(config: &Config) -> Examination {
    let (client, store) = super::client(config).await;
    let mapping = Mapping::new(&config.salesforce);
    let expected = Expectations::of(config, &mapping);
    let found = examine(&client, &mapping, &expected).await;
    if let Some(store) = store {
        drop(client);
        store.close().await;
    }
    found
}

/// Says what is missing; fails if anything is that stops leads.
pub async fn run_command(args: &DoctorArgs, config_path: &Path) -> Exit {
    let loaded = config::load_with_process_env(config_path);
    let mut problems = loaded.diagnostics;
    let mut examination = Examination::default();
    if let Some(config) = &loaded.config {
        examination = run(config).await;
        problems.append(&mut examination.problems);
    }
    if args.json {
        let mut told = diagnostic::to_json(&problems);
        if let Some(told) = told.as_object_mut() {
            let notes = examination.notes.iter();
            let notes = notes.map(|note| json!({ "code": note.code, "text": note.text }));
            told.insert("notes".to_owned(), notes.collect());
            told.insert("calls".to_owned(), examination.calls.into());
        }
        output::line(&told.to_string());
    } else {
        if problems.is_empty() {
            output::line("all is well: the configuration is right, and Salesforce takes leads");
        } else {
            output::error_line(&diagnostic::render(
                &problems,
                output::stderr_takes_colour(),
            ));
        }
        for note in &examination.notes {
            output::line(&format!("note: {}", note.text));
        }
        if examination.calls > 0 {
            output::line(&format!(
                "This took {} of the org's calls, besides signing in.",
                examination.calls
            ));
        }
    }
    if problems.iter().any(Diagnostic::is_error) {
        Exit::Failure
    } else {
        Exit::Success
    }
}
