//! Reading: the file, the files that it includes, and their merging into one table.
//!
//! Merging cannot surprise: a section or a source is in one file or it is an error that names both.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::interpolate::{self, Environment};
use super::mask;
use super::report::Report;
use super::source_file::{SourceFile, Spot};
use super::tree::{Entry, Node, Table, Value};
use crate::diagnostic::{Diagnostic, Place};

/// The most bytes of one file.
const MOST_BYTES: u64 = 1024 * 1024;

/// The most files in all.
const MOST_FILES: usize = 1000;

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
        self.read.push(ReadFile {
            file: Arc::clone(&file),
            canonical: canonical(path),
            included_at: included_at.cloned(),
        });
        self.whole &= errors.is_empty();
        for error in errors.iter().take(MOST_SYNTAX_ERRORS) {
            report.add(syntax_error(&file, error));
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
        for pattern in patterns {
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
            match find(file.directory(), text) {
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
        if self.read.len() >= MOST_FILES {
            report.add(
                Diagnostic::error(
                    "config.unreadable",
                    format!("more than {MOST_FILES} files are included"),
                )
                .at(spot.place())
                .hint("put several sources into one file"),
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

/// A syntax error in the words of the parser; a duplicate key with where it was before.
fn syntax_error(file: &Arc<SourceFile>, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or_default();
    let place = Place {
        file: file.path.clone(),
        text: Arc::clone(&file.text),
        span: span.clone(),
    };
    if error.message() == "duplicate key" {
        let diagnostic = Diagnostic::error(
            "config.duplicate",
            format!(
                "`{}` is set twice",
                file.text.get(span.clone()).unwrap_or_default()
            ),
        )
        .at(place)
        .hint("keep one of the two");
        return match first_of(&file.text, &span) {
            Some(first) => {
                let first = Spot {
                    file: Arc::clone(file),
                    span: first,
                };
                diagnostic.label(format!("first at {}", first.place().file_and_line()))
            }
            None => diagnostic,
        };
    }
    let hint = syntax_hint(error.message());
    let diagnostic = Diagnostic::error("config.syntax", error.message()).at(place);
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

fn syntax_hint(message: &str) -> Option<&'static str> {
    if message.starts_with("string values must be quoted") {
        Some("put text in quotes: `key = \"text\"`")
    } else if message.starts_with("invalid unquoted key") {
        Some("put a key with other letters in quotes: `\"größe\" = …`")
    } else if message.contains("expected `=`") {
        Some("each line is `key = value`, a `[table]` header, or a `# comment`")
    } else {
        None
    }
}

/// Where the key that is repeated at `span` was first: parses what stands before it, and asks that
/// for the path that the repeated line alone has under its header.
fn first_of(text: &str, span: &std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
    let line_start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let (before, rest) = text.split_at_checked(line_start)?;
    let line = rest.lines().next()?;
    let header = before
        .lines()
        .rev()
        .map(str::trim_start)
        .find(|line| line.starts_with('['));
    let alone = if line.trim_start().starts_with('[') {
        line.to_owned()
    } else {
        format!("{}\n{line}", header.unwrap_or_default())
    };
    let (alone, _) = DeTable::parse_recoverable(&alone);
    let (before, _) = DeTable::parse_recoverable(before);
    let mut path = alone.get_ref();
    let mut held = before.get_ref();
    loop {
        let (key, value) = path.iter().next()?;
        let (first, inner) = held.get_key_value(key.get_ref().as_ref())?;
        match (value.get_ref().as_table(), inner.get_ref().as_table()) {
            (Some(next), Some(inner)) if !next.is_empty() => {
                path = next;
                held = inner;
            }
            _ => return Some(first.span()),
        }
    }
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
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        Unreadable::Other(format!("line {line} is not UTF-8 text"))
    })
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The files that a pattern stands for, by name. `*` and `?` only in the last part.
fn find(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, Diagnostic> {
    let is_wild = |text: &str| text.contains(['*', '?']);
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if name.is_empty() || is_wild(folder) {
        return Err(Diagnostic::error(
            "config.include_not_found",
            "`include` names files; `*` and `?` may stand in the file name only",
        )
        .hint("write for example `conf.d/*.toml`"));
    }
    let folder = if folder.is_empty() && pattern.starts_with('/') {
        PathBuf::from("/")
    } else {
        directory.join(folder)
    };
    if !is_wild(name) {
        let path = folder.join(name);
        return if path.exists() {
            Ok(vec![path])
        } else {
            Err(Diagnostic::error(
                "config.include_not_found",
                format!("there is no file {}", path.display()),
            )
            .hint("the name is relative to the file that includes it"))
        };
    }
    // "" is the current folder everywhere but here.
    let listed = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    };
    let entries = std::fs::read_dir(listed).map_err(|_| {
        Diagnostic::error(
            "config.include_not_found",
            format!("there is no folder {}", folder.display()),
        )
        .hint("the name is relative to the file that includes it")
    })?;
    let mut found = BTreeMap::new();
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let Some(text) = file_name.to_str() else {
            continue;
        };
        // Hidden files are what editors leave behind.
        if !text.starts_with('.') && matches(name.as_bytes(), text.as_bytes()) {
            found.insert(text.to_owned(), folder.join(text));
        }
    }
    Ok(found.into_values().collect())
}

/// Whether a file name fits a pattern of letters, `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last `*` was, and how much it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(b'?') => {
                at += 1;
                read += 1;
            }
            Some(byte) if *byte == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match &mut star {
                Some((star_at, taken)) => {
                    *taken += 1;
                    at = *star_at + 1;
                    read = *taken;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_file_names() {
        for (pattern, name, expect) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml.bak", false),
            ("a*b*c", "axxbyybc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("**", "abc", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expect,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn the_first_of_two_equal_keys_is_found() {
        for (text, repeated, first) in [
            ("[a]\nx=1\n[b]\nx=2\nx=3\n", "x=3", "x=2"),
            ("[a]\nx=1\n[a]\n", "a]\n", "a]\nx"),
            ("x=1\ny=1\nx=2\n", "x=2", "x=1"),
        ] {
            let start = text.rfind(repeated).unwrap();
            let found = first_of(text, &(start..start + 1)).unwrap();
            assert_eq!(found.start, text.find(first).unwrap(), "{text}");
        }
    }
}
