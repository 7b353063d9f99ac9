//! Where files lie: in the folder, then in its `done` or `failed`. Whatever is written is there
//! whole or not at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Beside a file: it is complete.
pub(super) const DONE_MARK: &str = ".done";
/// Beside a file: a person has accepted it.
pub(super) const OK_MARK: &str = ".ok";
/// Beside a file: what became of it.
pub(super) const REPORT_MARK: &str = ".report.txt";
/// Beside a file that was taken: its rows that could not be.
pub(super) const ERRORS_MARK: &str = ".errors.csv";

/// The largest mark that is read.
const MOST_MARK_BYTES: u64 = 1_024;

/// Whether a person has accepted a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// This very file, or whatever lies there under its name.
    Accepted,
    /// Not yet, or an earlier file of that name.
    Waiting,
}

/// Accepts a file as it is now: writes `<name>.ok` beside it.
pub fn accept(path: &Path, sha256: &str) -> io::Result<()> {
    write(&beside(path, OK_MARK), format!("{sha256}\n").as_bytes())
}

/// Whether `<name>.ok` lies beside the file: blank, or with its hash.
pub(super) fn acceptance(path: &Path, sha256: &str) -> Acceptance {
    use io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(beside(path, OK_MARK))
        .and_then(|file| file.take(MOST_MARK_BYTES).read_to_string(&mut text));
    let text = text.trim();
    if read.is_ok() && (text.is_empty() || text.eq_ignore_ascii_case(sha256)) {
        Acceptance::Accepted
    } else {
        Acceptance::Waiting
    }
}

/// The same path with an ending.
pub(super) fn beside(path: &Path, mark: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(mark);
    PathBuf::from(name)
}

/// Where a file goes in `done` or `failed`: under its own name, or, if another lies there, with a
/// part of its hash.
pub(super) fn target(folder: &Path, within: &str, name: &str, sha256: &str) -> io::Result<PathBuf> {
    let into = folder.join(within);
    std::fs::create_dir_all(&into)?;
    let plain = into.join(name);
    if !plain.exists() {
        return Ok(plain);
    }
    let start = &sha256[..sha256.len().min(8)];
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    let mut numbered = into.join(format!("{stem}-{start}.{ending}"));
    let mut number = 2;
    while numbered.exists() {
        numbered = into.join(format!("{stem}-{start}-{number}.{ending}"));
        number += 1;
    }
    Ok(numbered)
}

/// Writes a file that is there whole or not at all.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let half = beside(path, ".tmp");
    let mut file = std::fs::File::create(&half)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(half, path)
}

/// Moves a file, and takes its marks away.
pub(super) fn settle(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    for mark in [DONE_MARK, OK_MARK, REPORT_MARK] {
        match std::fs::remove_file(beside(from, mark)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
