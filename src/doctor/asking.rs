//! Asking the org, and writing down what it says.

use crate::diagnostic::Diagnostic;
use crate::salesforce::{CallError, Client, Map};

/// Rows of a list that are looked at.
const MOST_ROWS: usize = 500;

/// Something that is worth knowing, and no problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Stable, e.g. `doctor.api_budget`.
    pub code: &'static str,
    /// What it is.
    pub text: String,
}

/// What an examination found.
#[derive(Debug, Default)]
pub struct Examination {
    /// What keeps leads from the org, or will.
    pub problems: Vec<Diagnostic>,
    /// What is worth knowing; also what could not be looked at.
    pub notes: Vec<Note>,
    /// Calls that it took, of those that the org counts.
    pub calls: u64,
}

/// An examination under way.
pub(super) struct Asking<'a> {
    pub client: &'a Client,
    pub calls: u64,
    pub found: Examination,
}

impl<'a> Asking<'a> {
    pub fn new(client: &'a Client) -> Self {
        Self {
            client,
            calls: 0,
            found: Examination::default(),
        }
    }

    pub fn done(mut self) -> Examination {
        self.found.calls = self.calls;
        self.found
    }

    pub fn problem(&mut self, problem: Diagnostic) {
        self.found.problems.push(problem);
    }

    pub fn problems(&mut self, problems: impl IntoIterator<Item = Diagnostic>) {
        self.found.problems.extend(problems);
    }

    pub fn note(&mut self, code: &'static str, text: impl Into<String>) {
        let text = text.into();
        self.found.notes.push(Note { code, text });
    }

    /// A part without which leads are not sent cannot be read.
    pub fn unreadable(&mut self, what: &str, error: &CallError) {
        let explained = error.explain();
        let message = format!("cannot read {what}: {}", explained.message);
        self.problem(Diagnostic::error("doctor.unreadable", message).hint(explained.hint));
    }

    /// A part that leads go without cannot be read: often for want of "View Setup and
    /// Configuration".
    pub fn not_looked_at(&mut self, what: &str, error: &CallError) {
        let message = error.explain().message;
        self.note(
            "doctor.not_readable",
            format!("{what} cannot be read: {message}"),
        );
    }

    /// The rows of `soql`; none, and a note, if the org refuses it.
    pub async fn rows(&mut self, what: &str, soql: &str) -> Option<Vec<Map>> {
        self.calls += 1;
        match self.client.query(soql, MOST_ROWS).await {
            Ok(found) => Some(found.rows),
            Err(error) => {
                self.not_looked_at(what, &error);
                None
            }
        }
    }
}

/// A text of a row; blank if there is none.
pub(super) fn text<'r>(row: &'r Map, name: &str) -> &'r str {
    row.get(name)
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
}

/// A checkbox of a row; none if it is not told.
pub(super) fn flag(row: &Map, name: &str) -> Option<bool> {
    row.get(name).and_then(serde_json::Value::as_bool)
}
