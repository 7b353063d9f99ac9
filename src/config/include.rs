//! Which files an entry of `include` stands for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;

/// The files that a pattern stands for, by name. `*` and `?` only in the last part.
#[expect(
    clippy::result_large_err,
    reason = "rare, and handed straight to the report"
)]
pub(super) fn find(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, Diagnostic> {
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
}
