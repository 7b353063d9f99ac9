use std::borrow::Cow;

/// Why a whole file cannot be read. Holds no cell of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FileError {
    /// Stable, e.g. `file.no_header`.
    pub code: &'static str,
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// What to do.
    pub hint: Cow<'static, str>,
}

impl FileError {
    pub(super) fn new(
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Something in a file that was read, but that a person should know. Holds no cell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable, e.g. `file.encoding`.
    pub code: &'static str,
    /// What it is, and what to do.
    pub message: String,
}

impl Warning {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// A row that cannot be taken; the others can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Where it is in the file, counted from 1: the line of a text file, the row of a sheet.
    pub number: u32,
    /// Stable, e.g. `row.too_many_cells`.
    pub code: &'static str,
    /// What is wrong and what to do, without the row's values.
    pub message: String,
    /// The row as it is, for whoever mends it.
    pub cells: Vec<String>,
}
