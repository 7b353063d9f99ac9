//! The store's files, and what is left of them when a process or the power ends.

use std::path::{Path, PathBuf};

use leadstream::config::StoreConfig;
use leadstream::store::{Access, Store};
use tempfile::TempDir;

use super::dice::Dice;
use super::schedule::Crash;

const NAME: &str = "leads.db";

/// Bytes of a write-ahead log before its first frame, and of each frame (sqlite.org/fileformat2).
const LOG_HEADER: u64 = 32;
const LOG_FRAME: u64 = 24 + 4096;

/// In memory where that is possible: what a disk does is not what is tried here.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("leadstream-simulation-");
    if memory.is_dir() {
        builder.tempdir_in(memory).unwrap()
    } else {
        builder.tempdir().unwrap()
    }
}

/// The files of a store that has just been made, by name.
#[derive(Debug)]
pub struct Template(Vec<(String, Vec<u8>)>);

impl Template {
    pub async fn new() -> Self {
        let folder = folder();
        let file = folder.path().join(NAME);
        let store = Store::open(&StoreConfig::at(&url(&file)), Access::Daemon)
            .await
            .unwrap();
        store.close().await;
        drop(store);
        // Else they are random, and no run could be repeated.
        let database = rusqlite::Connection::open(&file).unwrap();
        for (name, value) in [
            ("tag", "51A7E0DD"),
            ("key_secret", "0123456789ABCDEF0123456789ABCDEF"),
        ] {
            let changed = database
                .execute(
                    "UPDATE store_info SET value = ?2 WHERE name = ?1",
                    [name, value],
                )
                .unwrap();
            assert_eq!(changed, 1, "{name}");
        }
        drop(database);
        // The last connection to end takes its log with it, some time.
        let names = [NAME.to_owned(), format!("{NAME}-inbox")];
        let files = names.map(|name| {
            let file = folder.path().join(&name);
            let database = rusqlite::Connection::open(&file).unwrap();
            database
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .unwrap();
            (name, std::fs::read(file).unwrap())
        });
        Self(files.into())
    }
}

/// The files of one world. Each start after a crash has a copy of its own, so that nothing which
/// the dead process still has open can reach it.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    starts: u32,
    /// Bytes of the write-ahead log that a loss of power cannot take.
    synced: u64,
}

impl Disk {
    pub fn new(template: &Template) -> Self {
        let disk = Self {
            folder: folder(),
            starts: 0,
            synced: 0,
        };
        std::fs::create_dir_all(disk.current()).unwrap();
        for (name, content) in &template.0 {
            std::fs::write(disk.current().join(name), content).unwrap();
        }
        disk
    }

    pub fn url(&self) -> String {
        url(&self.current().join(NAME))
    }

    /// All that was committed so far is safe.
    pub fn note_synced(&mut self) {
        self.synced = length(&self.log());
    }

    /// Leaves what the dead process left. To be called before anything of it is dropped.
    pub fn crash(&mut self, how: Crash, dice: &mut Dice) {
        let old = self.current();
        self.starts += 1;
        copy(&old, &self.current());
        let log = self.log();
        let unsynced = length(&log).saturating_sub(self.synced.max(LOG_HEADER)) / LOG_FRAME;
        if how == Crash::PowerLoss && unsynced > 0 {
            let kept = self.synced.max(LOG_HEADER) + dice.roll(unsynced + 1) * LOG_FRAME;
            let file = std::fs::File::options().write(true).open(&log).unwrap();
            file.set_len(kept).unwrap();
            self.synced = kept;
        }
    }

    fn current(&self) -> PathBuf {
        self.folder.path().join(self.starts.to_string())
    }

    fn log(&self) -> PathBuf {
        self.current().join(format!("{NAME}-wal"))
    }
}

fn url(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// Files of locks and shared memory belong to the process.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with("-shm") && !name.ends_with("-lock") {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
