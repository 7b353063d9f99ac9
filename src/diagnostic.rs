//! The one problem type that people see: in `check`, on the command line, in answers and in dead
//! letters. `code` is stable and searchable, `message` says what is wrong, `hint` what to do.

use std::path::PathBuf;
use std::sync::Arc;

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
    /// The file's text, for underlining.
    pub text: Arc<str>,
    /// Bytes of `text` that are meant.
    pub span: std::ops::Range<usize>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
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
