//! The one door to the database.
//!
//! SQLite: two files in WAL mode, the inbox, which only ingest appends to, and everything else. So
//! an acknowledgement never waits for another loop's transaction, and no transaction spans both:
//! the inbox is immutable, and what became of its events stands with the leads. One daemon runs on
//! them. PostgreSQL: one database, and any number of nodes, which share the work by locks on rows
//! and by leases (`nodes`). The queries are the same; all that differs is in `dialect`.
//!
//! Promises: an event that was appended survives a loss of power. Any other commit survives the end
//! of the process at once, and a loss of power if it was made by `Store::commit_durably` or before
//! one that was; what is lost otherwise is decided again from the inbox. A transaction that was not
//! committed left no trace. Never sees HTTP, vendors or rules.

mod append;
mod audit;
mod bulk_jobs;
mod calls;
mod copy;
mod credentials;
mod cursors;
mod dead_letters;
mod describes;
mod dialect;
mod fetches;
mod inbox;
mod info;
mod leads;
mod leases;
mod nodes;
mod org;
mod outbox;
#[cfg(test)]
mod plans;
mod progress;
mod record;
mod records;
mod report;
mod retention;
mod source_state;
mod timeline;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::StoreConfig;
use crate::edge::fault::FaultPoints;
use crate::edge::random::{self, IdGenerator, Ids};
use crate::model::{LeadId, Millis};
use dialect::{Connection, Database, Open, PostgresDatabase, SqliteDatabase, query};

pub use append::{InboxPage, InboxRow, InboxWriter};
pub use audit::AuditLine;
pub use bulk_jobs::LeftJob;
pub use calls::{HOUR_MS, HourCalls, hour_of};
pub use copy::{Copied, CopyError, CopyStart, StoreCopy};
pub use credentials::StoredCredential;
pub use cursors::{CursorMove, StoredCursor};
pub use dead_letters::{DeadCause, OpenDeadLetter};
pub use describes::{DescribeMark, OrgProblem};
pub use dialect::Migrated;
pub use fetches::{FetchEnd, FetchTask, NewFetch};
pub use inbox::EventClaim;
pub use info::{FileInfo, LeaseInfo, NodeInfo, StoreInfo, TableInfo};
pub use leads::{Changes, KnownLead, LastSubmission, NewKey, StoredSubmission, Touch};
pub use leases::Lease;
pub use nodes::Node;
pub use org::{MirrorState, OrgPerson};
pub use outbox::{Backlog, Claim, Ended, Outcome, Settlement};
#[cfg(test)]
pub(crate) use plans::postgres;
pub use progress::Progress;
pub use records::{RecordHasher, SeenRecords};
pub use report::LeadCounts;
pub use retention::{Cutoffs, Pass, Pruned};
pub use timeline::{TimelineEntry, TimelineLine};

/// Why the store did not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not an address of a store. Says why, without the address: it may hold a password.
    #[error(
        "the store's address cannot be read: {0}; write sqlite:<file> or postgres://<user>@<host>/<database>"
    )]
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
    /// Another has changed the same at the same instant: what was known of it has to be looked up
    /// anew.
    #[error("another was quicker")]
    Conflict,
    /// This node's lease is over, and what it was doing is another's.
    #[error("this node was silent for too long: another has taken over what it was doing")]
    Fenced,
    /// There are as many nodes as can make ids.
    #[error("{} nodes run on this store already", random::MOST_NODES)]
    TooManyNodes,
    /// The inbox refused.
    #[error("the inbox failed: {0}")]
    Inbox(#[from] rusqlite::Error),
    /// The tables could not be brought up to date.
    #[error("the tables could not be brought up to date: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A newer leadstream has changed the tables.
    #[error(
        "a newer leadstream made this store: its tables are at version {0}, which this one does not know; run the newer one, or restore a backup"
    )]
    Newer(i64),
    /// Half of another store's rows are there.
    #[error(
        "a copy into this store is not finished; run the same `leadstream store copy` again to finish it"
    )]
    Copying,
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
    /// A command that takes SQLite's files for itself: they must exist, and no daemon may run.
    Alone,
}

/// The database, shared by all loops.
#[derive(Debug)]
pub struct Store {
    database: Database,
    ids: IdGenerator,
    tag: String,
    key_secret: [u8; 16],
    /// As whom this process claims; none for a command.
    node: Mutex<Option<nodes::Held>>,
    /// How long a node may be silent.
    lease: Duration,
    access: Access,
    /// When the inbox last took many events at once, in milliseconds.
    crowded_at: AtomicI64,
    faults: FaultPoints,
    /// There may be new events, or events to replay.
    pub inbox_changed: Notify,
    /// There may be new deliveries.
    pub outbox_changed: Notify,
    /// There may be new fetches.
    pub fetch_changed: Notify,
    /// Locked until the store is closed, whoever holds on to it longer.
    lock: Mutex<Option<File>>,
}

/// A write transaction. Dropped without a commit, it leaves no trace.
#[derive(Debug)]
pub struct Write(Open);

const HIGHEST: &str = "SELECT COALESCE(MAX(id), 0) FROM (SELECT MAX(id) AS id FROM event \
     UNION ALL SELECT MAX(id) FROM lead UNION ALL SELECT MAX(id) FROM delivery \
     UNION ALL SELECT MAX(id) FROM timeline UNION ALL SELECT MAX(id) FROM touch \
     UNION ALL SELECT MAX(id) FROM dead_letter UNION ALL SELECT MAX(id) FROM fetch_task UNION ALL \
     SELECT CAST(value AS BIGINT) FROM store_info WHERE name = 'floor') AS highest";

impl Store {
    /// Opens the store of a configuration.
    pub async fn open(config: &StoreConfig, access: Access) -> Result<Arc<Self>, StoreError> {
        Self::open_with(config, access, FaultPoints::default()).await
    }

    /// The same with points at which a test steps in.
    pub async fn open_with(
        config: &StoreConfig,
        access: Access,
        faults: FaultPoints,
    ) -> Result<Arc<Self>, StoreError> {
        let (database, lock) = open_database(config, access).await?;
        let store = Self::of(database, lock, config, access, faults).await?;
        if store.is_half_copied().await? {
            return Err(StoreError::Copying);
        }
        if access == Access::Daemon {
            store.join().await?;
        }
        Ok(Arc::new(store))
    }

    /// Opens it for a look, even if a copy into it is not finished.
    pub async fn look(config: &StoreConfig) -> Result<Self, StoreError> {
        let (database, lock) = open_database(config, Access::Command).await?;
        let faults = FaultPoints::default();
        Self::of(database, lock, config, Access::Command, faults).await
    }

    /// Brings the tables up to date, as every start does; says what there was to do. Creates what
    /// is missing. On SQLite no daemon may run.
    pub async fn migrate(config: &StoreConfig) -> Result<Vec<Migrated>, StoreError> {
        let (database, _lock) = open_database(config, Access::Daemon).await?;
        let migrated = database.migrated().to_vec();
        database.close().await;
        Ok(migrated)
    }

    async fn of(
        database: Database,
        lock: Option<File>,
        config: &StoreConfig,
        access: Access,
        faults: FaultPoints,
    ) -> Result<Self, StoreError> {
        let tag = fact(&database, access, "tag", || hex(&random::bytes::<4>())).await?;
        let secret = fact(&database, access, "key_secret", || {
            hex(&random::bytes::<16>())
        })
        .await?;
        let key_secret = u128::from_str_radix(&secret, 16)
            .map_err(|error| StoreError::Damaged {
                table: "store_info",
                id: 0,
                reason: error.to_string(),
            })?
            .to_be_bytes();
        Ok(Self {
            database,
            ids: IdGenerator::above(0),
            tag,
            key_secret,
            node: Mutex::new(None),
            lease: Duration::from_secs(config.lease_seconds),
            access,
            crowded_at: AtomicI64::new(0),
            faults,
            inbox_changed: Notify::new(),
            outbox_changed: Notify::new(),
            fetch_changed: Notify::new(),
            lock: Mutex::new(lock),
        })
    }

    /// The inbox's one writer in this process.
    pub fn inbox_writer(&self) -> Result<InboxWriter, StoreError> {
        InboxWriter::open(&self.database)
    }

    /// Starts a write transaction; on SQLite as soon as no other is open.
    pub async fn write(&self) -> Result<Write, StoreError> {
        let mut write = Write(self.database.write().await?);
        if self.access != Access::Daemon {
            // A daemon says so at its start.
            copy::note_change(&mut write.connection()).await?;
        }
        Ok(write)
    }

    /// Makes it so, and survives a loss of power, as does all that was committed before. To be used
    /// before anything is sent: a lead whose external id was lost would be made a second time.
    pub async fn commit_durably(&self, write: Write) -> Result<(), StoreError> {
        self.database.commit_durably(write.0).await?;
        self.reach("store.after_sync").await
    }

    /// Comes to a point at which a test may step in: see `edge::fault`.
    pub async fn reach(&self, point: &'static str) -> Result<(), StoreError> {
        let failed = |error| StoreError::Database(sqlx::Error::Io(error));
        self.faults.reach(point).await.map_err(failed)
    }

    /// The points at which a test may step in.
    pub fn faults(&self) -> &FaultPoints {
        &self.faults
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
        if last.was_within(CROWD_LASTS, now) {
            (worked * RESTS).min(LONGEST_REST)
        } else {
            Duration::ZERO
        }
    }

    /// The next `count` ids of this node.
    pub fn take_ids(&self, now: Millis, count: usize) -> Ids {
        self.ids.take(now, count)
    }

    /// From now on gives ids above `id`, which another node may have made by a clock of its own.
    pub fn raise_ids(&self, id: i64) {
        self.ids.raise(id);
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

    /// Whether `external_id` is one that this store gave, to whichever lead.
    pub fn is_own_external_id(&self, external_id: &str) -> bool {
        self.lead_of_external_id(external_id).is_some()
    }

    /// The lead whose external id this is, if this store gave it. In any case: Salesforce compares
    /// external ids without regard to it.
    pub fn lead_of_external_id(&self, external_id: &str) -> Option<LeadId> {
        let upper = external_id.to_ascii_uppercase();
        let id = upper.strip_suffix(&self.tag.to_ascii_uppercase())?;
        id.parse().ok()
    }

    /// Whether the store takes writes.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        // Each node its own: a node that stops here must not make the others look unwell.
        let node = *self.node.lock();
        let name = node.map_or_else(|| "probe".to_owned(), nodes::Held::probe);
        set_fact(&mut write.connection(), &name, "").await?;
        write.commit().await
    }

    /// Copies the log of SQLite's inbox into its file. To be called several times a second while
    /// events come in: what is not copied when the log is full is left to the inbox's writer.
    pub async fn keep_house(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite(database) => database.checkpoint_inbox().await,
            // It keeps itself.
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Closes all connections; what is open elsewhere is finished first.
    pub async fn close(&self) {
        // Without this word the others wait for the end of the lease.
        let _ = self.leave().await;
        self.database.close().await;
        *self.lock.lock() = None;
    }
}

impl Write {
    /// Makes it so: see `Store::commit_durably` for when it survives a loss of power.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    /// Leaves no trace, and frees at once what it has locked.
    pub async fn roll_back(self) -> Result<(), StoreError> {
        Ok(self.0.roll_back().await?)
    }

    fn connection(&mut self) -> Connection<'_> {
        self.0.connection()
    }
}

impl StoreError {
    /// Whether others were quicker, and the same again may go through.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Conflict => true,
            Self::Database(error) => dialect::is_conflict(error),
            _ => false,
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::Newer(version),
            error => Self::Migrate(error),
        }
    }
}

async fn open_database(
    config: &StoreConfig,
    access: Access,
) -> Result<(Database, Option<File>), StoreError> {
    if Database::is_postgres(&config.url) {
        let lease = Duration::from_secs(config.lease_seconds);
        let database = PostgresDatabase::open(&config.url, lease).await?;
        return Ok((Database::Postgres(Box::new(database)), None));
    }
    let path = dialect::file_of(&config.url)?;
    if access != Access::Daemon && !path.exists() {
        return Err(StoreError::Missing(path));
    }
    let lock = match access {
        Access::Daemon | Access::Alone => Some(lock(&path)?),
        Access::Command => None,
    };
    Ok((Database::Sqlite(SqliteDatabase::open(&path).await?), lock))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// A fact of this store; made on the first start. A command beside it makes none that lasts: what
/// nobody has started on is still free to become the copy of another store.
async fn fact(
    database: &Database,
    access: Access,
    name: &str,
    make: impl Fn() -> String,
) -> Result<String, StoreError> {
    if access == Access::Command {
        let mut reader = database.read().await?;
        let known: Option<(String,)> = query("SELECT value FROM store_info WHERE name = $1")
            .bind(name)
            .first(&mut reader.connection())
            .await?;
        return Ok(known.map_or_else(make, |(value,)| value));
    }
    let mut write = database.write().await?;
    query("INSERT INTO store_info (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(make())
        .run(&mut write.connection())
        .await?;
    let (value,): (String,) = query("SELECT value FROM store_info WHERE name = $1")
        .bind(name)
        .one(&mut write.connection())
        .await?;
    write.commit().await?;
    Ok(value)
}

async fn set_fact(
    connection: &mut Connection<'_>,
    name: &str,
    value: &str,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO store_info (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .run(connection)
    .await?;
    Ok(())
}

/// The file that is locked for as long as a daemon runs on the store at `path`.
fn lock_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    PathBuf::from(name)
}

/// Two daemons on one file would give the same ids and send the same deliveries.
fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = lock_file(path);
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
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        for id in [1, i64::MAX] {
            let external_id = store.external_id(LeadId(id));
            assert_eq!(external_id.len(), EXTERNAL_ID_CHARS, "{external_id}");
        }
    }
}
