//! SQLite: two files, each with a write-ahead log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};

use super::{Migrated, bring_up_to_date};
use crate::store::StoreError;

/// Takes the write lock at once: a transaction that first reads and then writes would otherwise
/// find out too late that another was quicker.
pub(in crate::store) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// What begins a view of both files.
pub(super) const LOOKS: [&str; 2] = [
    "SELECT 1 FROM store_info LIMIT 1",
    "SELECT 1 FROM event LIMIT 1",
];

/// How long a writer waits for another process's write to end.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Pages of write-ahead log (4 KiB each) before a commit copies them into the database file. Pages
/// of indexes are written again and again; the fewer copies, the less is written in all.
const CHECKPOINT_PAGES: &str = "10000";

/// The inbox's log is copied by `checkpoint_inbox`, so that no acknowledgement waits for it.
const NO_CHECKPOINT: &str = "0";

/// Pages of the inbox's log after which its writer copies what is left, so that it can start the log
/// anew: writing over what is there needs no file system journal, and its sync takes half as long.
const INBOX_LOG_PAGES: u32 = 4_000;

/// The writer's page cache, in negative KiB as SQLite has it.
const WRITER_CACHE: &str = "-4096";

/// A reader's: any write makes it worthless, so it only has to hold one query's pages.
const READER_CACHE: &str = "-512";

/// The inbox's: it writes each page once.
const INBOX_CACHE: &str = "-512";

/// The file of `sqlite:<file>`.
pub(in crate::store) fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    let name = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .filter(|name| !name.is_empty() && !name.starts_with(":memory:"))
        .ok_or_else(|| StoreError::Url(url.to_owned()))?;
    Ok(PathBuf::from(name))
}

/// The inbox's file, beside the store's.
pub(in crate::store) fn inbox_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-inbox");
    PathBuf::from(name)
}

/// The two files of a store, open.
#[derive(Debug)]
pub(in crate::store) struct SqliteDatabase {
    path: PathBuf,
    /// One connection: see `connect_writer`.
    pub(in crate::store) writer: SqlitePool,
    pub(in crate::store) readers: SqlitePool,
    /// Beside the inbox's writer, for what must not hold it up.
    keeper: Mutex<SqliteConnection>,
    pub(super) migrated: [Migrated; 2],
}

impl SqliteDatabase {
    /// Opens the files of the store at `path`, and brings their tables up to date.
    pub(in crate::store) async fn open(path: &Path) -> Result<Self, StoreError> {
        // Opening the inbox first makes its table, which the readers attach.
        let mut keeper = connect_inbox(path).await?;
        let inbox = bring_up_to_date(
            &mut keeper,
            &sqlx::migrate!("src/store/migrations/sqlite/inbox"),
            inbox_file(path).display().to_string(),
        )
        .await?;
        let writer = connect_writer(path).await?;
        let main = bring_up_to_date(
            &mut *writer.acquire().await?,
            &sqlx::migrate!("src/store/migrations/sqlite/main"),
            path.display().to_string(),
        )
        .await?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            readers: connect_readers(path).await?,
            keeper: Mutex::new(keeper),
            migrated: [main, inbox],
        })
    }

    /// The file that all but the inbox is in.
    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes all commits so far survive a loss of power: SQLite has written them to the write-ahead
    /// log, and only its sync is outstanding (`synchronous = NORMAL`, sqlite.org/pragma.html).
    pub(in crate::store) async fn sync(&self) -> Result<(), StoreError> {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        let synced = match tokio::fs::File::open(&log).await {
            Ok(log) => log.sync_data().await,
            // No log, nothing outstanding.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        synced.map_err(|source| StoreError::File {
            path: log.into(),
            source,
        })
    }

    /// The connection beside the inbox's writer.
    pub(in crate::store) async fn keeper(&self) -> MutexGuard<'_, SqliteConnection> {
        self.keeper.lock().await
    }

    /// Copies the inbox's log into its file, as far as nobody reads it, beside its writer. Waits for
    /// nobody, and nobody for it.
    pub(in crate::store) async fn checkpoint_inbox(&self) -> Result<(), StoreError> {
        let mut keeper = self.keeper.lock().await;
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut *keeper)
            .await?;
        Ok(())
    }

    pub(super) async fn close(&self) {
        // The last word on the inbox; without it the next start reads a longer log, and no more.
        let _ = self.checkpoint_inbox().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn options(
    path: &Path,
    synchronous: SqliteSynchronous,
    checkpoint_pages: &'static str,
) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        // Pages of what was pruned are given back in small steps.
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", checkpoint_pages)
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// The connection by which ingest appends (`append/sqlite.rs`) is set up so. The journal mode is the
/// file's.
pub(in crate::store) fn inbox_pragmas() -> String {
    format!(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {INBOX_LOG_PAGES};
         PRAGMA temp_store = memory; PRAGMA cache_size = {INBOX_CACHE}"
    )
}

/// The connection that makes the inbox's file and tables, and then copies its log.
async fn connect_inbox(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    options(&inbox_file(path), SqliteSynchronous::Full, NO_CHECKPOINT)
        .pragma("cache_size", INBOX_CACHE)
        .thread_name(|_| "store-inbox".to_owned())
        .connect()
        .await
}

fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(60))
}

/// The one connection that writes everything but the inbox. Its commits are atomic at once, and
/// survive the end of the process; they survive a loss of power once `sync` has returned.
///
/// The inbox is not attached: `BEGIN IMMEDIATE` takes the write lock of all attached files, and an
/// acknowledgement would wait for every transaction here.
async fn connect_writer(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = options(path, SqliteSynchronous::Normal, CHECKPOINT_PAGES)
        .pragma("cache_size", WRITER_CACHE)
        .thread_name(|_| "store-main".to_owned());
    // After a write that failed, as on a full disk, SQLite has rolled back by itself; sqlx then rolls
    // back in vain, takes the transaction for open, and could not begin another one ever.
    pool(1)
        .before_acquire(|connection, _| {
            let is_usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_usable) })
        })
        .connect_with(options)
        .await
}

/// Connections that only read, the inbox too, and wait for no writer.
async fn connect_readers(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = options(path, SqliteSynchronous::Normal, CHECKPOINT_PAGES)
        .pragma("query_only", "on")
        .pragma("cache_size", READER_CACHE)
        .thread_name(|n| format!("store-read-{n}"));
    let inbox = inbox_file(path).to_string_lossy().into_owned();
    pool(2)
        .after_connect(move |connection, _| {
            let inbox = inbox.clone();
            Box::pin(async move {
                sqlx::query("ATTACH DATABASE $1 AS inbox")
                    .bind(inbox)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await
}
