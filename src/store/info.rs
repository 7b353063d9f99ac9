//! What a store is and how much is in it, for people.

use std::fs::{File, TryLockError};

use super::dialect::{Connection, Database, Rows, query, table_size};
use super::{Store, StoreError, lock_file};
use crate::model::Millis;

/// What a store is and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    /// The database with its version.
    pub database: String,
    /// Its address, without a password.
    pub url: String,
    /// Whether a copy into it is not finished.
    pub is_half_copied: bool,
    /// Its files, or the database as a whole.
    pub files: Vec<FileInfo>,
    /// Its tables.
    pub tables: Vec<TableInfo>,
    /// Events that wait to be processed, for the first time or once more.
    pub waiting: u64,
    /// When the oldest event that is kept was received.
    pub oldest_event: Option<Millis>,
    /// Deliveries that wait to be sent.
    pub pending: u64,
    /// Deliveries that are being sent.
    pub sending: u64,
    /// Deliveries that need a person.
    pub dead: u64,
    /// When the oldest delivery that is not at its end was decided.
    pub oldest_pending: Option<Millis>,
    /// The daemons that run on it.
    pub nodes: Vec<NodeInfo>,
    /// What only one of them may do at a time, and who does.
    pub leases: Vec<LeaseInfo>,
}

/// Something on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// The file, or the database's address.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Its name.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// Whether that is the database's estimate.
    pub is_estimate: bool,
    /// What it takes on disk with its indexes, if the database says.
    pub bytes: Option<u64>,
}

/// A daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Machine and process id.
    pub name: String,
    /// Until its lease is over, unless it renews it. None on SQLite, where it holds a lock for as
    /// long as it lives.
    pub seconds_left: Option<i64>,
}

/// A lease that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// What it is for.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Until it is over, unless it is renewed.
    pub seconds_left: i64,
}

const TABLES: [(&str, &str); 18] = [
    ("event", "SELECT COUNT(*) FROM event"),
    ("submission", "SELECT COUNT(*) FROM submission"),
    ("lead", "SELECT COUNT(*) FROM lead"),
    ("match_key", "SELECT COUNT(*) FROM match_key"),
    ("touch", "SELECT COUNT(*) FROM touch"),
    ("delivery", "SELECT COUNT(*) FROM delivery"),
    ("timeline", "SELECT COUNT(*) FROM timeline"),
    ("dead_letter", "SELECT COUNT(*) FROM dead_letter"),
    ("vendor_record", "SELECT COUNT(*) FROM vendor_record"),
    ("fetch_task", "SELECT COUNT(*) FROM fetch_task"),
    ("cursor", "SELECT COUNT(*) FROM cursor"),
    ("credential", "SELECT COUNT(*) FROM credential"),
    ("source_state", "SELECT COUNT(*) FROM source_state"),
    ("replay", "SELECT COUNT(*) FROM replay"),
    ("ledger", "SELECT COUNT(*) FROM ledger"),
    ("leaving", "SELECT COUNT(*) FROM leaving"),
    ("api_call", "SELECT COUNT(*) FROM api_call"),
    ("bulk_job", "SELECT COUNT(*) FROM bulk_job"),
];

const WAITING: &str = "SELECT COUNT(*) FROM {waiting}";

const REPLAYS: &str = "SELECT COUNT(*) FROM replay";

const OLDEST_EVENT: &str = "SELECT received_at FROM event ORDER BY id LIMIT 1";

const OPEN: &str = "SELECT state, COUNT(*), MIN(created_at) FROM delivery \
     WHERE state IN ('pending', 'sending') GROUP BY state";

const DEAD: &str = "SELECT COUNT(*) FROM delivery WHERE state = 'dead'";

const NODES: &str = "SELECT name, until - {now} FROM node WHERE name <> '' ORDER BY slot";

const LEASES: &str =
    "SELECT name, holder, until - {now} FROM lease WHERE until > {now} ORDER BY name";

impl Store {
    /// What it is and how much is in it.
    pub async fn info(&self) -> Result<StoreInfo, StoreError> {
        let sizes = self.database.sizes().await?;
        let mut reader = self.database.read().await?;
        let connection = &mut reader.connection();
        let mut tables = Vec::with_capacity(TABLES.len());
        for (name, count) in TABLES {
            let (rows, bytes) = table_size(connection, name, count).await?;
            let (rows, is_estimate) = match rows {
                Rows::Counted(rows) => (rows, false),
                Rows::Estimated(rows) => (rows, true),
            };
            tables.push(TableInfo {
                name,
                rows: rows as u64,
                is_estimate,
                bytes,
            });
        }
        let open: Vec<(String, i64, i64)> = query(OPEN).all(connection).await?;
        let in_state = |state: &str| {
            let found = open.iter().find(|(name, ..)| name == state);
            found.map_or(0, |(_, count, _)| *count as u64)
        };
        let oldest_event: Option<(i64,)> = query(OLDEST_EVENT).first(connection).await?;
        let leases: Vec<(String, String, i64)> = query(LEASES).all(connection).await?;
        let waiting = count(connection, WAITING).await? + count(connection, REPLAYS).await?;
        let dead = count(connection, DEAD).await?;
        let nodes = self.nodes(connection).await?;
        drop(reader);
        Ok(StoreInfo {
            database: self.database.version().await?,
            url: self.database.place(),
            is_half_copied: self.is_half_copied().await?,
            files: sizes
                .into_iter()
                .map(|(name, bytes)| FileInfo { name, bytes })
                .collect(),
            tables,
            waiting,
            oldest_event: oldest_event.map(|(at,)| Millis(at)),
            pending: in_state("pending"),
            sending: in_state("sending"),
            dead,
            oldest_pending: open.iter().map(|(.., oldest)| Millis(*oldest)).min(),
            leases: leases
                .into_iter()
                // Of those who were killed.
                .filter(|_| !nodes.is_empty())
                .map(|(name, holder, left)| LeaseInfo {
                    name,
                    holder,
                    seconds_left: seconds(left),
                })
                .collect(),
            nodes,
        })
    }

    async fn nodes(&self, connection: &mut Connection<'_>) -> Result<Vec<NodeInfo>, StoreError> {
        let rows: Vec<(String, i64)> = query(NODES).all(connection).await?;
        let renews = match &self.database {
            Database::Postgres(_) => true,
            // One that was killed has left its name.
            Database::Sqlite(database) if !rows.is_empty() && is_locked(database.path())? => false,
            Database::Sqlite(_) => return Ok(Vec::new()),
        };
        let nodes = rows.into_iter().map(|(name, left)| NodeInfo {
            name,
            seconds_left: renews.then(|| seconds(left)),
        });
        Ok(nodes.collect())
    }
}

async fn count(connection: &mut Connection<'_>, text: &'static str) -> Result<u64, StoreError> {
    let (rows,): (i64,) = query(text).one(connection).await?;
    Ok(rows as u64)
}

/// Rounded up, so that what is not over has at least one; what is over has none.
fn seconds(millis: i64) -> i64 {
    (millis.max(0) + 999) / 1000
}

/// Whether a daemon holds the lock of the store at `path`.
fn is_locked(path: &std::path::Path) -> Result<bool, StoreError> {
    let path = lock_file(path);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(StoreError::File { path, source }),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}
