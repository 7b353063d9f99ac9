use std::path::Path;

use crate::diagnostic::{Diagnostic, Severity};

/// Collects problems, and knows which of them concern one source only.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<Found>,
    source: Option<String>,
}

#[derive(Debug)]
struct Found {
    source: Option<String>,
    diagnostic: Diagnostic,
}

impl Report {
    /// Adds a problem.
    pub fn add(&mut self, diagnostic: Diagnostic) {
        self.found.push(Found {
            source: self.source.clone(),
            diagnostic,
        });
    }

    /// Everything that `check` adds concerns this source only.
    pub fn in_source(&mut self, source: &str, check: impl FnOnce(&mut Self)) {
        let outer = self.source.replace(source.to_owned());
        check(self);
        self.source = outer;
    }

    /// Whether there is an error that concerns more than one source.
    pub fn has_error_outside_sources(&self) -> bool {
        self.errors().any(|found| found.source.is_none())
    }

    /// Whether there is an error in this source.
    pub fn has_error_in(&self, source: &str) -> bool {
        self.errors()
            .any(|found| found.source.as_deref() == Some(source))
    }

    /// Whether there is any error.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    fn errors(&self) -> impl Iterator<Item = &Found> {
        self.found
            .iter()
            .filter(|found| found.diagnostic.severity == Severity::Error)
    }

    /// All problems: those without a place first, then file by file in the order of `files`, from
    /// top to bottom.
    pub fn into_diagnostics<'a>(self, files: impl Iterator<Item = &'a Path>) -> Vec<Diagnostic> {
        let files: Vec<&Path> = files.collect();
        let mut diagnostics: Vec<Diagnostic> = self
            .found
            .into_iter()
            .map(|found| found.diagnostic)
            .collect();
        diagnostics.sort_by_key(|diagnostic| {
            diagnostic.place.as_ref().map(|place| {
                let file = files.iter().position(|file| *file == place.file);
                (file, place.span.start)
            })
        });
        diagnostics
    }
}
