use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::super::{Exit, output};
use crate::connector::catalog;
use crate::connector::samples::{self, Outcome};
use crate::diagnostic;

/// Arguments of `connectors test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connector's folder, with manifest.toml and samples.
    folder: PathBuf,
    /// Take what was found as what is expected. Read it first.
    #[arg(long)]
    accept: bool,
}

/// Runs the samples of one folder, and shows the leads.
pub fn run(args: &Args) -> Exit {
    let folder = args
        .folder
        .canonicalize()
        .unwrap_or_else(|_| args.folder.clone());
    let manifest = match catalog::read(&folder) {
        Ok((manifest, _)) => Arc::new(manifest),
        Err(problems) => {
            let drawn = diagnostic::render(&problems, output::stderr_takes_colour());
            output::error_line(&drawn);
            return Exit::Failure;
        }
    };
    let outcomes = match samples::run(&folder, &manifest) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    if outcomes.is_empty() {
        output::error_line(&format!(
            "error: there is nothing to run in {}\n  help: docs/CONNECTORS.md says what samples are called",
            folder.join("samples").display()
        ));
        return Exit::Failure;
    }
    let mut wrong = 0;
    for outcome in &outcomes {
        if args.accept && outcome.problems.is_empty() && !outcome.is_right() {
            let text = format!("{:#}\n", outcome.found);
            if let Err(error) = std::fs::write(&outcome.expected_file, text) {
                output::error_line(&format!(
                    "error: cannot write {}: {error}",
                    outcome.expected_file.display()
                ));
                return Exit::Failure;
            }
            tell(outcome, "written");
        } else if outcome.is_right() {
            tell(outcome, "as expected");
        } else {
            wrong += 1;
            tell(
                outcome,
                match (&outcome.expected, outcome.problems.is_empty()) {
                    (_, false) => "NOT right",
                    (None, true) => "there is no such file yet; what was found is",
                    (Some(_), true) => "NOT as expected",
                },
            );
        }
    }
    if wrong > 0 {
        output::error_line(&format!(
            "\n{wrong} of {} samples are not as expected\n  help: mend the manifest; or, if what was found is right, run this with --accept",
            outcomes.len()
        ));
        return Exit::Failure;
    }
    Exit::Success
}

fn tell(outcome: &Outcome, how: &str) {
    let file = outcome.expected_file.file_name().unwrap_or_default();
    output::line(&format!("{}: {how}", file.to_string_lossy()));
    for problem in &outcome.problems {
        output::line(&format!("  {problem}"));
    }
    let found = outcome
        .found
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if found.is_empty() {
        output::line(
            "  no submission: it is not kept (`ignore_when`, `poll_now`), or there is no record",
        );
    }
    for lead in found {
        output::line(&format!("  {lead}"));
    }
    let expected = outcome.expected.as_ref();
    if let Some(expected) = expected.filter(|expected| **expected != outcome.found) {
        output::line("  expected:");
        for lead in expected
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
        {
            output::line(&format!("  {lead}"));
        }
    }
}
