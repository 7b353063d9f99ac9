//! Reading: the file, the files that it includes, and their merging into one table.
//!
//! Merging cannot surprise: a section or a source is in one file or it is an error that names both.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::include;
use super::interpolate::{self, Environment};
use super::mask;
use super::report::Report;
use super::source_file::{SourceFile, Spot};
use super::syntax;
use super::tree::{Entry, Node, Table, Value};
use crate::diagnostic::Diagnostic;

/// The most bytes of one file.
const MOST_BYTES: u64 = 1024 * 1024;

/// The most files in all.
const MOST_FILES: usize = 1000;

/// How deep included files may include others.
const MOST_LEVELS: usize = 8;

/// The most syntax errors that are told of one file: later ones mostly follow from earlier ones.
const MOST_SYNTAX_ERRORS: usize = 20;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The files in the order in which they were read, with how each came in.
    pub read: Vec<ReadFile>,
    /// All of them as one table, without `include`.
    pub merged: Table,
    /// Whether each of them is valid TOML: otherwise something may be lacking in `merged`.
    pub whole: bool,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct ReadFile {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The same file always has the same one, by whichever way it was named.
    canonical: PathBuf,
    /// Where it was included.
    included_at: Option<Spot>,
    /// How many files stand between it and the first.
    level: usize,
}

/// Reads `path` and what it includes.
pub(super) fn read(path: &Path, env: &Environment<'_>, report: &mut Report) -> Files {
    let mut files = Files {
        whole: true,
        ..Files::default()
    };
    match read_text(path) {
        Ok(text) => files.add(path, &text, None, env, report),
        Err(reason) => {
            let missing = reason == Unreadable::Missing;
            report.add(
                Diagnostic::error(
                    "config.unreadable",
                    format!("cannot read {}: {}", path.display(), reason.sentence()),
                )
                .hint(if missing {
                    "`leadstream init` writes one; `--config FILE` names another"
                } else {
                    "`--config FILE` names another file"
                }),
            );
            files.whole = false;
        }
    }
    files
}

impl Files {
    fn add(
        &mut self,
        path: &Path,
        text: &str,
        included_at: Option<&Spot>,
        env: &Environment<'_>,
        report: &mut Report,
    ) {
        // Editors on Windows put a byte order mark first; TOML has none.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (parsed, errors) = DeTable::parse_recoverable(text);
        let file = Arc::new(SourceFile {
            path: path.to_owned(),
            text: Arc::from(mask::mask(text, parsed.get_ref(), errors.is_empty())),
        });
        let level = included_at.map_or(0, |spot| self.level_of(spot) + 1);
        self.read.push(ReadFile {
            file: Arc::clone(&file),
            canonical: canonical(path),
            included_at: included_at.cloned(),
            level,
        });
        self.whole &= errors.is_empty();
        for error in errors.iter().take(MOST_SYNTAX_ERRORS) {
            report.add(syntax::error(&file, error));
        }
        let mut table = Table::from_toml(parsed.get_ref(), &file);
        let include = table.entries.remove("include");
        self.merge(table, report);
        if let Some(include) = include {
            self.include(&file, include, env, report);
        }
    }

    fn include(
        &mut self,
        file: &Arc<SourceFile>,
        mut include: Entry,
        env: &Environment<'_>,
        report: &mut Report,
    ) {
        interpolate::node(&mut include.node, env, report);
        let patterns: Vec<&Node> = match &include.node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![&include.node],
        };
        let is_known = |node: &&&Node| !matches!(node.value, Value::Unknown);
        for pattern in patterns.iter().filter(is_known) {
            let (Some(text), true) = (
                pattern.as_text(),
                matches!(include.node.value, Value::List(_)),
            ) else {
                report.add(
                    Diagnostic::error("config.wrong_type", "`include` is a list of file names")
                        .at(pattern.spot.place())
                        .label(format!("this is {}", pattern.kind()))
                        .hint("write `include = [\"conf.d/*.toml\"]`"),
                );
                continue;
            };
            match include::find(file.directory(), text) {
                Ok(paths) => {
                    for path in paths {
                        self.include_one(&path, &pattern.spot, env, report);
                    }
                }
                Err(problem) => report.add(problem.at(pattern.spot.place())),
            }
        }
    }

    fn include_one(
        &mut self,
        path: &Path,
        spot: &Spot,
        env: &Environment<'_>,
        report: &mut Report,
    ) {
        let canonical = canonical(path);
        if let Some(earlier) = self.read.iter().find(|read| read.canonical == canonical) {
            let how = match &earlier.included_at {
                None => "it is the file that the others are included from".to_owned(),
                Some(first) => format!("first at {}", first.place().file_and_line()),
            };
            report.add(
                Diagnostic::error(
                    "config.included_twice",
                    format!("{} is included twice", path.display()),
                )
                .at(spot.place())
                .label(how)
                .hint("each file is read once: take it out of one of the lists"),
            );
            return;
        }
        let too_many = if self.read.len() >= MOST_FILES {
            Some(format!("more than {MOST_FILES} files are included"))
        } else if self.level_of(spot) >= MOST_LEVELS {
            Some(format!(
                "files include each other more than {MOST_LEVELS} deep"
            ))
        } else {
            None
        };
        if let Some(message) = too_many {
            report.add(
                Diagnostic::error("config.unreadable", message)
                    .at(spot.place())
                    .hint("put several sources into one file, or include it from the first"),
            );
            return;
        }
        match read_text(path) {
            Ok(text) => self.add(path, &text, Some(spot), env, report),
            Err(reason) => {
                self.whole = false;
                report.add(
                    Diagnostic::error(
                        "config.unreadable",
                        format!("cannot read {}: {}", path.display(), reason.sentence()),
                    )
                    .at(spot.place())
                    .label("included here"),
                );
            }
        }
    }

    /// How deep the file of this place is.
    fn level_of(&self, spot: &Spot) -> usize {
        self.read
            .iter()
            .find(|read| Arc::ptr_eq(&read.file, &spot.file))
            .map_or(0, |read| read.level)
    }

    /// Adds the sections of one more file.
    fn merge(&mut self, table: Table, report: &mut Report) {
        for (key, mut entry) in table.entries {
            let Some(held) = self.merged.entries.get_mut(&key) else {
                self.merged.entries.insert(key, entry);
                continue;
            };
            if let ("sources", Value::Table(all), Value::Table(more)) =
                (key.as_str(), &mut held.node.value, &mut entry.node.value)
            {
                for (name, source) in std::mem::take(&mut more.entries) {
                    if let Some(first) = all.entries.get(&name) {
                        let problem =
                            duplicate(&format!("[sources.{name}]"), &source.key, &first.key);
                        report.in_source(&name, |report| report.add(problem));
                    } else {
                        all.entries.insert(name, source);
                    }
                }
            } else {
                report.add(duplicate(&format!("[{key}]"), &entry.key, &held.key));
            }
        }
    }
}

fn duplicate(name: &str, second: &Spot, first: &Spot) -> Diagnostic {
    Diagnostic::error("config.duplicate", format!("{name} is in two files"))
        .at(second.place())
        .label(format!("first at {}", first.place().file_and_line()))
        .hint("files are not merged key by key: keep one of the two")
}

/// Why a file cannot be read.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    Missing,
    Other(String),
}

impl Unreadable {
    fn sentence(&self) -> String {
        match self {
            Self::Missing => "there is no such file".to_owned(),
            Self::Other(reason) => reason.clone(),
        }
    }
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Missing,
        std::io::ErrorKind::PermissionDenied => {
            Unreadable::Other("this user may not read it".to_owned())
        }
        _ => Unreadable::Other(error.to_string()),
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(Unreadable::Other("it is a folder".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    // One byte more than allowed shows that there is more.
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Unreadable::Other(format!(
            "it is larger than {MOST_BYTES} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        Unreadable::Other(format!("line {line} is not UTF-8 text"))
    })
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
