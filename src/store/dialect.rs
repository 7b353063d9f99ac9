//! All that differs between SQLite and PostgreSQL: opening, transactions, many rows a statement,
//! lists of ids.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Encode, Sqlite, Type,
};

use super::StoreError;

/// Takes the write lock at once: a transaction that first reads and then writes would otherwise
/// find out too late that another was quicker.
pub(super) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// The rows of a JSON array of numbers, bound as text: `WHERE id IN (…)`.
macro_rules! listed {
    ($parameter:literal) => {
        concat!("(SELECT value FROM json_each(", $parameter, "))")
    };
}
pub(super) use listed;

/// How long a writer waits for another process's write to end.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Pages of write-ahead log (4 KiB each) before a commit copies them into the database file. Pages
/// of indexes are written again and again; the fewer copies, the less is written in all.
const CHECKPOINT_PAGES: &str = "2000";

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
pub(super) fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    let name = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .filter(|name| !name.is_empty() && !name.starts_with(":memory:"))
        .ok_or_else(|| StoreError::Url(url.to_owned()))?;
    Ok(PathBuf::from(name))
}

/// The inbox's file, beside the store's.
pub(super) fn inbox_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-inbox");
    PathBuf::from(name)
}

fn options(
    path: &Path,
    synchronous: SqliteSynchronous,
    checkpoint_pages: &'static str,
) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("wal_autocheckpoint", checkpoint_pages)
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// The connection by which ingest appends (`append.rs`) is set up so. The journal mode is the file's.
pub(super) fn inbox_pragmas() -> String {
    format!(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {INBOX_LOG_PAGES};
         PRAGMA temp_store = memory; PRAGMA cache_size = {INBOX_CACHE}"
    )
}

/// The connection that makes the inbox's file and tables, and then copies its log.
pub(super) async fn connect_inbox(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
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
pub(super) async fn connect_writer(path: &Path) -> Result<SqlitePool, sqlx::Error> {
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
pub(super) async fn connect_readers(path: &Path) -> Result<SqlitePool, sqlx::Error> {
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

/// Copies the inbox's log into its file, as far as nobody reads it, beside its writer. Waits for
/// nobody, and nobody for it.
pub(super) async fn checkpoint_inbox(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes all commits so far survive a loss of power: SQLite has written them to the write-ahead
/// log, and only its sync is outstanding (`synchronous = NORMAL`, sqlite.org/pragma.html).
pub(super) async fn sync(path: &Path) -> std::io::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match tokio::fs::File::open(&log).await {
        Ok(log) => log.sync_data().await,
        // No log, nothing outstanding.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The values of many rows for one statement.
#[derive(Debug, Default)]
pub(super) struct Rows {
    arguments: SqliteArguments,
}

impl Rows {
    /// The next value of the current row.
    pub(super) fn push<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(
        &mut self,
        value: T,
    ) -> Result<(), sqlx::Error> {
        self.arguments.add(value).map_err(sqlx::Error::Encode)
    }
}

/// The most rows in one statement; SQLite takes 32,766 values in all.
const MOST_ROWS: usize = 256;

/// `before (?,?),(?,?) after`, made once for each shape.
fn statement(before: &'static str, columns: usize, rows: usize, after: &'static str) -> Arc<str> {
    type Shape = (&'static str, usize, &'static str);
    static MADE: LazyLock<Mutex<HashMap<Shape, Arc<str>>>> = LazyLock::new(Mutex::default);
    MADE.lock()
        .entry((before, rows, after))
        .or_insert_with(|| {
            let row = format!("({})", vec!["?"; columns].join(","));
            let mut text =
                String::with_capacity(before.len() + after.len() + rows * (row.len() + 1));
            text.push_str(before);
            for index in 0..rows {
                // Writing to a String cannot fail.
                let _ = write!(text, "{}{row}", if index == 0 { " " } else { "," });
            }
            text.push(' ');
            text.push_str(after);
            text.into()
        })
        .clone()
}

/// Inserts many rows: `before` is `INSERT INTO t (…) VALUES`, `after` an `ON CONFLICT` or nothing.
///
/// Rows go by powers of two, so that few statements need preparing: a row of 256 a statement costs
/// a twentieth of a statement a row.
pub(super) async fn insert<R>(
    connection: &mut SqliteConnection,
    before: &'static str,
    after: &'static str,
    rows: &[R],
    bind: impl Fn(&mut Rows, &R) -> Result<(), sqlx::Error>,
) -> Result<(), sqlx::Error> {
    let mut rest = rows;
    while !rest.is_empty() {
        let count = (1 << rest.len().ilog2()).min(MOST_ROWS);
        let (now, later) = rest.split_at(count);
        let mut values = Rows::default();
        for row in now {
            bind(&mut values, row)?;
        }
        let text = statement(before, values.arguments.len() / count, count, after);
        sqlx::query_with(AssertSqlSafe(text), values.arguments)
            .execute(&mut *connection)
            .await?;
        rest = later;
    }
    Ok(())
}

/// A list of ids, bound as one text; see `listed!`.
pub(super) fn id_list(ids: impl IntoIterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for (index, id) in ids.into_iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        let _ = write!(text, "{separator}{id}");
    }
    text.push(']');
    text
}
