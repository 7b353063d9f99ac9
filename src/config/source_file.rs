use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::Place;

/// One file of the configuration, as it may be shown: secrets in it are masked.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// The file, as the user or the including file named it.
    pub path: PathBuf,
    /// Its text, masked; byte for byte as long as the original.
    pub text: Arc<str>,
}

impl SourceFile {
    /// Where the file is: what it names relatively is relative to this.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// A place in one of the files.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Bytes of it.
    pub span: Range<usize>,
}

impl Spot {
    /// The same for a diagnostic.
    pub fn place(&self) -> Place {
        Place {
            file: self.file.path.clone(),
            text: Arc::clone(&self.file.text),
            span: self.span.clone(),
        }
    }

    /// What is written there, fit to be shown in a message: masked, without quotes, one line, short.
    ///
    /// A value that came from the environment shows as it is written: `${NAME}`.
    pub fn shown(&self) -> String {
        const LONGEST: usize = 60;
        let written = self.file.text.get(self.span.clone()).unwrap_or_default();
        let bare = written.trim_matches(['"', '\'']);
        let line = bare.trim().lines().next().unwrap_or_default();
        if line.chars().count() > LONGEST {
            let start: String = line.chars().take(LONGEST).collect();
            format!("{start}…")
        } else {
            line.to_owned()
        }
    }

    /// Whether it is written on several lines, and so masked.
    pub fn has_several_lines(&self) -> bool {
        self.file
            .text
            .get(self.span.clone())
            .is_some_and(|written| written.contains('\n'))
    }

    /// The part of the value from byte `from` of its text to byte `to`, if the text stands there as
    /// it is (no escapes, one line).
    pub fn within(&self, value: &str, part: Range<usize>) -> Self {
        let written = self.file.text.get(self.span.clone()).unwrap_or_default();
        let mut span = self.span.clone();
        if written.get(1..written.len().saturating_sub(1)) == Some(value) {
            span = span.start + 1 + part.start..span.start + 1 + part.end;
        }
        Self {
            file: Arc::clone(&self.file),
            span,
        }
    }
}
