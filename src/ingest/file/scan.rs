use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::place::{DONE_MARK, OK_MARK, REPORT_MARK};

/// The most files that one look takes up; the others have their turn at the next.
const MOST_FILES: usize = 1_000;

/// The most entries of a folder that one look goes through.
const MOST_ENTRIES: usize = 100_000;

/// How the names of files end that are being written. Source: reference, rsync, scp, browsers.
const TEMPORARY: [&str; 5] = [".tmp", ".part", ".filepart", ".crdownload", ".partial"];

/// What tells one state of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Look {
    /// How a file is now.
    pub fn at(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

/// What the last look into a folder saw.
#[derive(Debug, Default)]
pub(super) struct Scan {
    seen: HashMap<PathBuf, Look>,
}

/// A file that is complete, and how it was then.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub path: PathBuf,
    pub name: String,
    pub look: Look,
}

impl Scan {
    /// Looks into the folder: the files, by name, that are as the last look saw them or have a
    /// `<name>.done` beside them. Subfolders and links are left alone.
    pub fn look(&mut self, folder: &Path, pattern: Option<&str>) -> io::Result<Vec<Ready>> {
        let mut seen = HashMap::new();
        let mut ready = Vec::new();
        for entry in std::fs::read_dir(folder)?.take(MOST_ENTRIES) {
            let entry = entry?;
            let path = entry.path();
            let Some(name) = path.file_name().and_then(OsStr::to_str) else {
                continue;
            };
            if !entry.file_type()?.is_file() || !is_list(name, pattern) {
                continue;
            }
            // It may be gone already.
            let Ok(look) = Look::at(&path) else {
                continue;
            };
            let is_marked = folder.join(format!("{name}{DONE_MARK}")).exists();
            if is_marked || self.seen.get(&path) == Some(&look) {
                ready.push(Ready {
                    name: name.to_owned(),
                    path: path.clone(),
                    look,
                });
            }
            seen.insert(path, look);
        }
        self.seen = seen;
        ready.sort_by(|one, other| one.name.cmp(&other.name));
        ready.truncate(MOST_FILES);
        Ok(ready)
    }
}

fn is_list(name: &str, pattern: Option<&str>) -> bool {
    let lower = name.to_lowercase();
    let is_ours = [DONE_MARK, OK_MARK, REPORT_MARK]
        .iter()
        .any(|mark| lower.ends_with(mark));
    let is_temporary = TEMPORARY.iter().any(|end| lower.ends_with(end));
    !is_ours
        && !is_temporary
        && !name.starts_with('.')
        && !name.starts_with("~$")
        && pattern.is_none_or(|pattern| fits(pattern.to_lowercase().as_bytes(), lower.as_bytes()))
}

/// Whether a name fits a pattern with `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut star, mut tried) = (0, None, 0);
    let mut index = 0;
    while index < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some(at);
                tried = index;
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[index] => {
                at += 1;
                index += 1;
            }
            _ => {
                let Some(star) = star else {
                    return false;
                };
                at = star + 1;
                tried += 1;
                index = tried;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ready: &[Ready]) -> Vec<&str> {
        ready.iter().map(|ready| ready.name.as_str()).collect()
    }

    #[test]
    fn a_file_is_ready_once_two_looks_saw_the_same_or_its_sender_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let mut scan = Scan::default();
        let mut look = || scan.look(folder.path(), None).unwrap();
        write("a.csv", "1");
        assert!(look().is_empty());
        write("a.csv", "12");
        assert!(look().is_empty());
        write("b.csv", "1");
        write("b.csv.done", "");
        assert_eq!(names(&look()), ["a.csv", "b.csv"]);
    }

    #[test]
    fn what_is_being_written_and_what_is_ours_is_left_alone() {
        for name in [
            "a.csv.tmp",
            "a.csv.PART",
            ".a.csv",
            "~$a.xlsx",
            "a.csv.done",
            "a.csv.ok",
            "a.csv.report.txt",
        ] {
            assert!(!is_list(name, None), "{name}");
        }
        assert!(is_list("A.CSV", Some("*.csv")));
        assert!(!is_list("a.xlsx", Some("*.csv")));
    }

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, name, expect) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*-*.csv", "expo-1-2.csv", true),
            ("", "a", false),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expect,
                "{pattern} {name}"
            );
        }
    }
}
