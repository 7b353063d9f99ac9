//! The one door to the database.
//!
//! Two SQLite files in WAL mode: the inbox, which only ingest appends to, and everything else. So
//! an acknowledgement never waits for another loop's transaction, and no transaction spans both:
//! the inbox is immutable, and what became of its events stands with the leads.
//!
//! Promises: an event that was appended survives a loss of power (`synchronous=FULL`). Any other
//! commit survives the end of the process at once, and a loss of power once `Store::sync` has
//! returned; what is lost then is decided again from the inbox. A transaction that was not
//! committed left no trace. Never sees HTTP, vendors or rules.

mod append;
mod audit;
mod dead_letters;
mod dialect;
mod inbox;
mod leads;
mod outbox;
#[cfg(test)]
mod plans;
mod progress;
mod record;
mod timeline;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Sqlite, Transaction};
use tokio::sync::{Mutex, Notify};

use crate::edge::random::{self, IdGenerator};
use crate::model::{EventId, LeadId, Millis};

pub use append::SqliteAppender;
pub use audit::AuditLine;
pub use dead_letters::OpenDeadLetter;
pub use inbox::InboxRow;
pub use leads::{Changes, KnownLead, LastSubmission, StoredSubmission, Touch};
pub use outbox::{Backlog, Claim, Ended, Outcome, Settlement};
pub use progress::Progress;
pub use timeline::{TimelineEntry, TimelineLine};

/// Why the store did not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not a `sqlite:` URL.
    #[error("`{0}` is not a store that this version knows; write sqlite:<file>")]
    Url(String),
    /// Another process runs on this store.
    #[error("another leadstream runs on {0}")]
    InUse(PathBuf),
    /// There is no store there.
    #[error("there is no store at {0}")]
    Missing(PathBuf),
    /// The file system refused.
    #[error("cannot open {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The inbox refused.
    #[error("the inbox failed: {0}")]
    Inbox(#[from] rusqlite::Error),
    /// The tables could not be brought up to date.
    #[error("the tables could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row does not hold what we wrote.
    #[error("{table} row {id} is damaged: {reason}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row's id.
        id: i64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Characters of a lead's external id: those of its own id, and 8 of the store's tag.
pub const EXTERNAL_ID_CHARS: usize = 21;

/// Events in one commit that show a burst.
const CROWD: usize = 16;

/// How long a burst is taken to last after such a commit.
const CROWD_LASTS: Duration = Duration::from_millis(20);

/// How many times as long as they worked the other loops rest in a burst.
const RESTS: u32 = 4;

const LONGEST_REST: Duration = Duration::from_millis(250);

/// Who opens the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The daemon: creates what is missing; no second daemon may run on the same files.
    Daemon,
    /// A command beside it: the store must exist.
    Command,
}

/// The database, shared by all loops.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    inbox_keeper: Mutex<SqliteConnection>,
    ids: IdGenerator,
    tag: String,
    key_secret: [u8; 16],
    /// When the inbox last took many events at once, in milliseconds.
    crowded_at: AtomicI64,
    /// There may be new events, or events to replay.
    pub inbox_changed: Notify,
    /// There may be new deliveries.
    pub outbox_changed: Notify,
    /// Locked as long as the store is open.
    _lock: Option<File>,
}

/// A write transaction. Dropped without `commit`, it leaves no trace.
#[derive(Debug)]
pub struct Write(Transaction<'static, Sqlite>);

impl Store {
    /// Opens the store at `url`.
    pub async fn open(url: &str, access: Access) -> Result<Arc<Self>, StoreError> {
        let path = dialect::file_of(url)?;
        let lock = match access {
            Access::Daemon => Some(lock(&path)?),
            Access::Command if path.exists() => None,
            Access::Command => return Err(StoreError::Missing(path)),
        };
        // First, because the others attach its table.
        let mut inbox_keeper = dialect::connect_inbox(&path).await?;
        sqlx::migrate!("src/store/migrations/sqlite/inbox")
            .run_direct(None, &mut inbox_keeper, false)
            .await?;
        let writer = dialect::connect_writer(&path).await?;
        sqlx::migrate!("src/store/migrations/sqlite/main")
            .run_direct(None, &mut *writer.acquire().await?, false)
            .await?;
        let readers = dialect::connect_readers(&path).await?;

        let highest: i64 = sqlx::query_scalar(
            "SELECT MAX(COALESCE((SELECT MAX(id) FROM lead), 0), COALESCE((SELECT MAX(id) FROM delivery), 0), \
             COALESCE((SELECT MAX(id) FROM timeline), 0), COALESCE((SELECT MAX(id) FROM touch), 0), \
             COALESCE((SELECT MAX(id) FROM dead_letter), 0))",
        )
        .fetch_one(&writer)
        .await?;
        let tag = fact(&writer, "tag", || hex(&random::bytes::<4>())).await?;
        let secret = fact(&writer, "key_secret", || hex(&random::bytes::<16>())).await?;
        let key_secret = u128::from_str_radix(&secret, 16)
            .map_err(|error| StoreError::Damaged {
                table: "store_info",
                id: 0,
                reason: error.to_string(),
            })?
            .to_be_bytes();
        Ok(Arc::new(Self {
            path,
            writer,
            readers,
            inbox_keeper: Mutex::new(inbox_keeper),
            ids: IdGenerator::above(highest),
            tag,
            key_secret,
            crowded_at: AtomicI64::new(0),
            inbox_changed: Notify::new(),
            outbox_changed: Notify::new(),
            _lock: lock,
        }))
    }

    /// The inbox's one writer.
    pub fn inbox_appender(&self) -> Result<SqliteAppender, StoreError> {
        SqliteAppender::open(&self.path)
    }

    /// Starts a write transaction, as soon as no other is open.
    pub async fn write(&self) -> Result<Write, StoreError> {
        Ok(Write(self.writer.begin_with(dialect::BEGIN_WRITE).await?))
    }

    /// Notes that the inbox has just taken `events` at once.
    pub fn note_crowd(&self, events: usize, now: Millis) {
        if events >= CROWD {
            self.crowded_at.store(now.0, Ordering::Relaxed);
        }
    }

    /// How long the other loops should rest after work of `worked`, so that acknowledgements go
    /// first while events come in crowds: what is behind still gets a fifth of the time.
    pub fn rest(&self, worked: Duration, now: Millis) -> Duration {
        let last = Millis(self.crowded_at.load(Ordering::Relaxed));
        if now.since(last) < CROWD_LASTS {
            (worked * RESTS).min(LONGEST_REST)
        } else {
            Duration::ZERO
        }
    }

    /// Makes all that was committed survive a loss of power. To be called before anything is sent:
    /// a lead whose external id was lost would be made a second time.
    pub async fn sync(&self) -> Result<(), StoreError> {
        dialect::sync(&self.path)
            .await
            .map_err(|source| StoreError::File {
                path: self.path.clone(),
                source,
            })
    }

    /// The first of `count` fresh ids in a row, for anything but events.
    pub fn take_ids(&self, now: Millis, count: usize) -> i64 {
        self.ids.take(now, count)
    }

    /// The secret that match keys are hashed with.
    pub fn key_secret(&self) -> [u8; 16] {
        self.key_secret
    }

    /// The external id of a lead in Salesforce: known before it is first sent, and no other
    /// store's.
    pub fn external_id(&self, lead: LeadId) -> String {
        format!("{lead}{}", self.tag)
    }

    /// Whether the store takes writes.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        set_fact(write.connection(), "probe", "").await?;
        write.commit().await
    }

    /// The event up to which all are processed.
    pub async fn floor(&self) -> Result<EventId, StoreError> {
        let floor: Option<String> =
            sqlx::query_scalar("SELECT value FROM store_info WHERE name = 'floor'")
                .fetch_optional(&self.readers)
                .await?;
        Ok(EventId(
            floor.and_then(|text| text.parse().ok()).unwrap_or(0),
        ))
    }

    /// Copies the inbox's log into its file. To be called several times a second while events come
    /// in: what is not copied when the log is full is left to the inbox's writer.
    pub async fn checkpoint_inbox(&self) -> Result<(), StoreError> {
        Ok(dialect::checkpoint_inbox(&mut *self.inbox_keeper.lock().await).await?)
    }

    /// Closes all connections; what is open elsewhere is finished first.
    pub async fn close(&self) {
        // The last word on the inbox; without it the next start reads a longer log, and no more.
        let _ = self.checkpoint_inbox().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Write {
    /// Makes it so: see `Store::sync` for when it survives a loss of power.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    /// Remembers that all events up to `event` are processed.
    pub async fn raise_floor(&mut self, event: EventId) -> Result<(), StoreError> {
        set_fact(self.connection(), "floor", &event.0.to_string()).await
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// A fact of this store; made on the first start.
async fn fact(
    pool: &SqlitePool,
    name: &str,
    make: impl Fn() -> String,
) -> Result<String, StoreError> {
    sqlx::query(
        "INSERT INTO store_info (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name)
    .bind(make())
    .execute(pool)
    .await?;
    Ok(
        sqlx::query_scalar("SELECT value FROM store_info WHERE name = $1")
            .bind(name)
            .fetch_one(pool)
            .await?,
    )
}

async fn set_fact(
    connection: &mut SqliteConnection,
    name: &str,
    value: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO store_info (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}

/// Two daemons on one file would give the same ids and send the same deliveries.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let lock_path = PathBuf::from(name);
    let file_error = |source| StoreError::File {
        path: lock_path.clone(),
        source,
    };
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        std::fs::create_dir_all(directory).map_err(file_error)?;
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(file_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(file_error(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_external_id_is_as_long_as_doctor_asks_the_org_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(
            &format!("sqlite:{}/test.db", folder.path().display()),
            Access::Daemon,
        )
        .await
        .unwrap();
        for id in [1, i64::MAX] {
            let external_id = store.external_id(LeadId(id));
            assert_eq!(external_id.len(), EXTERNAL_ID_CHARS, "{external_id}");
        }
    }
}
