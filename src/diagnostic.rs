//! The one problem type that people see: in `check`, on the command line, in answers and in dead
//! letters. `code` is stable and searchable, `message` says what is wrong, `hint` what to do.

mod codes;
mod render;

use std::path::PathBuf;
use std::sync::Arc;

pub use codes::{CODES, explain};
pub use render::{render, summary, to_json};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but not as it should.
    Warning,
    /// It does not work.
    Error,
}

/// A problem, for people.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable, e.g. `config.unknown_key`.
    pub code: &'static str,
    /// What is wrong. Holds no secret and no personal data.
    pub message: String,
    /// Where, if it is in a file.
    pub place: Option<Place>,
    /// A few words at the place itself, e.g. "not a key of [server]".
    pub label: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// The file's text, for underlining. Holds no secret: `config` masks it before it comes here.
    pub text: Arc<str>,
    /// Bytes of `text` that are meant.
    pub span: std::ops::Range<usize>,
}

impl Place {
    /// Line and column, counted in characters from 1.
    pub fn line_and_column(&self) -> (usize, usize) {
        let start = floor_char_boundary(&self.text, self.span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// `file:line`, as in `config show --origin`.
    pub fn file_and_line(&self) -> String {
        format!("{}:{}", self.file.display(), self.line_and_column().0)
    }

    /// The bytes that are meant, moved to the nearest whole characters within the text.
    fn safe_span(&self) -> std::ops::Range<usize> {
        let start = floor_char_boundary(&self.text, self.span.start);
        let end = floor_char_boundary(&self.text, self.span.end);
        start..end.max(start)
    }
}

fn floor_char_boundary(text: &str, wanted: usize) -> usize {
    let mut index = wanted.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A warning without a place.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self {
            severity,
            code,
            message,
            place: None,
            label: None,
            hint: None,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same with a few words at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}
