//! Moves a SQLite store into an empty database of PostgreSQL, table by table in the order of the
//! keys. A batch is one transaction, so whoever was stopped goes on after the highest key that the
//! target has.
//!
//! A ticket stands in both stores while a copy is under way. The target's keeps daemons away from
//! half a store. The source's is taken away by whatever changes the source (`note_change`): what has
//! been copied may then be out of date, and the next copy starts anew.

mod table;
mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use self::table::{Key, TABLES, Table};
use super::dialect::{Cells, Connection, Database, Value, insert, query};
use super::nodes::{END_LEASES, FENCE_ALL, NOBODY, RELEASE};
use super::{Access, Store, StoreError, hex, set_fact};
use crate::config::StoreConfig;
use crate::edge::fault::FaultPoints;
use crate::edge::random;

/// The most bytes in one batch; one row is always taken, whatever it holds.
const MOST_BYTES: usize = 4 << 20;

/// The source's fact: its ticket.
const TICKET: &str = "copy";

/// The target's fact while a copy is under way, and once it is finished: the source's ticket.
const COPYING: &str = "copying";
const COPIED: &str = "copied";

/// The target's fact: which run writes into it.
const RUN: &str = "copying_run";

/// Facts that are no other store's.
const OWN_FACTS: [&str; 5] = [TICKET, COPYING, COPIED, RUN, "probe 0"];

const LOCK_RUN: &str = "SELECT value FROM store_info WHERE name = $1 {lock}";

const NOTE_CHANGE: &str = "DELETE FROM store_info WHERE name = 'copy'";

/// Why a store was not copied, or not to its end. What was copied stays, and the next copy goes on
/// after it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Either store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configured store is no SQLite store.
    #[error("the configured store is not SQLite: only from there is anything copied")]
    NotFromSqlite,
    /// The target is not PostgreSQL.
    #[error("the target is not PostgreSQL: write postgres://<user>@<host>/<database>")]
    NotToPostgres,
    /// Another program's tables are in the target.
    #[error(
        "the target has a table {0} that is not leadstream's; nothing was changed. Name a database that is empty"
    )]
    OthersTables(String),
    /// Another store is in the target.
    #[error("the target holds another store; nothing was changed. Name a database that is empty")]
    OthersStore,
    /// The store has been copied there, and may have been used since.
    #[error(
        "this store was copied there before, and either of both may have changed since; nothing was changed. To copy it once more, name a database that is empty"
    )]
    CopiedBefore,
    /// A command changed the source.
    #[error("the store was changed while it was copied; run the same again: it starts anew")]
    Changed,
    /// Another run writes into the target.
    #[error("another copy into the same database has begun, and this one has ended")]
    Overtaken,
    /// The target has more rows, or fewer.
    #[error(
        "the copy has {target} rows of {table}, the store {source_rows}; daemons are kept away from it. Run the same again: it starts anew"
    )]
    RowsDiffer {
        /// The table.
        table: &'static str,
        /// Rows of the source.
        source_rows: u64,
        /// Rows of the target.
        target: u64,
    },
    /// The target's books say something else.
    #[error(
        "the copy's books are not those of the store; daemons are kept away from it. Run the same again: it starts anew"
    )]
    BooksDiffer,
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Where a copy begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStart {
    /// The target was empty.
    Empty,
    /// Where another was stopped.
    Resumed,
    /// Another was stopped, and the store has changed since.
    Anew,
}

/// How far a copy has come with one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The table.
    pub table: &'static str,
    /// Rows that the target has.
    pub rows: u64,
    /// Rows that the source has.
    pub of: u64,
}

/// A copy under way. Dropped, it can be resumed.
#[derive(Debug)]
pub struct StoreCopy {
    source: Arc<Store>,
    target: Store,
    start: CopyStart,
    ticket: String,
    run: String,
    /// Up to this event all are processed.
    floor: i64,
    progress: Vec<Copied>,
    /// Which table is next, and the last key of it that the target has.
    next: usize,
    after: Option<Vec<Value<'static>>>,
}

/// What has been copied of this store may be out of date from here on.
pub(super) async fn note_change(connection: &mut Connection<'_>) -> Result<(), StoreError> {
    if let Connection::Sqlite(_) = connection {
        query(NOTE_CHANGE).run(connection).await?;
    }
    Ok(())
}

impl StoreCopy {
    /// Begins to copy the store of a configuration to the address `to`, or goes on with it. None if
    /// it has been finished already, and the store is as it was.
    pub async fn begin(from: &StoreConfig, to: &str) -> Result<Option<Self>, CopyError> {
        if Database::is_postgres(&from.url) {
            return Err(CopyError::NotFromSqlite);
        }
        if !Database::is_postgres(to) {
            return Err(CopyError::NotToPostgres);
        }
        let source = Store::open(from, Access::Alone).await?;
        let facts = facts_of(&source).await?;
        let known = facts.get(TICKET);
        if !target::may_be_filled(to, &source.tag, known).await? {
            return Ok(None);
        }
        prepare(&source).await?;
        let to = StoreConfig::at(to);
        let (database, lock) = super::open_database(&to, Access::Command).await?;
        let run = new_ticket();
        let (start, ticket) = target::claim(&database, &facts, &run).await?;
        // The target's first: should this be where it stops, the next one starts anew.
        let mut write = source.database.write().await?;
        set_fact(&mut write.connection(), TICKET, &ticket).await?;
        source.database.commit_durably(write).await?;
        let target =
            Store::of(database, lock, &to, Access::Command, FaultPoints::default()).await?;
        let mut copy = Self {
            source,
            target,
            start,
            ticket,
            run,
            floor: facts
                .get("floor")
                .and_then(|floor| floor.parse().ok())
                .unwrap_or(0),
            progress: Vec::new(),
            next: 0,
            after: None,
        };
        for table in TABLES {
            let (of, rows) = copy.counts(table).await?;
            copy.progress.push(Copied {
                table: table.name,
                rows,
                of,
            });
        }
        copy.find_place().await?;
        Ok(Some(copy))
    }

    /// Where it began.
    pub fn start(&self) -> CopyStart {
        self.start
    }

    /// The target's address, without a password.
    pub fn target(&self) -> String {
        self.target.database.place()
    }

    /// How far it has come, table by table.
    pub fn progress(&self) -> &[Copied] {
        &self.progress
    }

    /// Copies the next batch; says of which table it was. None when there is nothing left.
    pub async fn step(&mut self) -> Result<Option<Copied>, CopyError> {
        while let Some(table) = TABLES.get(self.next) {
            let progress = self.progress[self.next];
            if table.key == Key::Whole && progress.rows == progress.of {
                self.next += 1;
                self.find_place().await?;
                continue;
            }
            let rows = self.read(table).await?;
            let mut write = self.target.database.write().await?;
            let connection = &mut write.connection();
            self.confirm(connection).await?;
            if table.key == Key::Whole {
                query(table.clear).run(connection).await?;
            }
            insert(connection, table.insert, "", &rows, |values, row| {
                row.0
                    .iter()
                    .try_for_each(|value| values.push(value.borrow()))
            })
            .await?;
            if table.name == "event" {
                insert_waiting(connection, &rows, self.floor).await?;
            }
            write.commit().await?;
            let progress = &mut self.progress[self.next];
            progress.rows += rows.len() as u64;
            if table.key == Key::Whole {
                progress.rows = rows.len() as u64;
            }
            let progress = *progress;
            match rows.last() {
                Some(last) if table.key != Key::Whole => self.after = Some(table.key_of(last)),
                _ => {
                    self.next += 1;
                    self.find_place().await?;
                }
            }
            if !rows.is_empty() {
                return Ok(Some(progress));
            }
        }
        Ok(None)
    }

    /// Compares both, and opens the target to daemons. To be called when nothing is left.
    pub async fn finish(self) -> Result<(), CopyError> {
        if let Err(error) = self.compare().await {
            // The next one starts anew.
            let mut write = self.source.database.write().await?;
            note_change(&mut write.connection()).await?;
            write.commit().await?;
            return Err(error);
        }
        // Without it the first queries are planned as if the tables were still empty.
        let mut reader = self.target.database.read().await?;
        let analysed = query("ANALYZE").run(&mut reader.connection()).await;
        if let Err(error) = analysed
            && error.as_database_error().is_none()
        {
            return Err(error.into());
        }
        drop(reader);
        let mut write = self.target.database.write().await?;
        let connection = &mut write.connection();
        self.confirm(connection).await?;
        set_fact(connection, COPIED, &self.ticket).await?;
        for mark in [COPYING, RUN] {
            query("DELETE FROM store_info WHERE name = $1")
                .bind(mark)
                .run(connection)
                .await?;
        }
        self.target.database.commit_durably(write).await?;
        self.target.close().await;
        self.source.close().await;
        Ok(())
    }

    async fn compare(&self) -> Result<(), CopyError> {
        for table in TABLES {
            let (source_rows, target) = self.counts(table).await?;
            if source_rows != target {
                return Err(CopyError::RowsDiffer {
                    table: table.name,
                    source_rows,
                    target,
                });
            }
        }
        if self.source.audit().await? != self.target.audit().await? {
            return Err(CopyError::BooksDiffer);
        }
        if facts_of(&self.source).await?.get(TICKET) != Some(&self.ticket) {
            return Err(CopyError::Changed);
        }
        Ok(())
    }

    /// Rows of the source and of the target.
    async fn counts(&self, table: &Table) -> Result<(u64, u64), CopyError> {
        let mut counts = [0; 2];
        for (count, store) in counts.iter_mut().zip([&*self.source, &self.target]) {
            let mut reader = store.database.read().await?;
            let (rows,): (i64,) = query(table.count).one(&mut reader.connection()).await?;
            *count = rows as u64;
        }
        Ok(counts.into())
    }

    /// Says that the target is still this run's, and lets no other begin before this transaction is
    /// through.
    async fn confirm(&self, connection: &mut Connection<'_>) -> Result<(), CopyError> {
        let run: Option<(String,)> = query(LOCK_RUN).bind(RUN).first(connection).await?;
        if run.is_some_and(|(run,)| run == self.run) {
            Ok(())
        } else {
            Err(CopyError::Overtaken)
        }
    }

    /// Looks up how much of the next table the target has.
    async fn find_place(&mut self) -> Result<(), CopyError> {
        self.after = None;
        if let Some(table) = TABLES.get(self.next)
            && table.key != Key::Whole
        {
            let mut reader = self.target.database.read().await?;
            let last: Option<Cells> = query(table.last).first(&mut reader.connection()).await?;
            self.after = last.map(|last| table.key_of(&last));
        }
        Ok(())
    }

    async fn read(&self, table: &Table) -> Result<Vec<Cells>, CopyError> {
        let mut bytes = 0;
        let mut first = true;
        let fits = |row: &Cells| {
            bytes += row.0.iter().map(Value::size).sum::<usize>();
            std::mem::take(&mut first) || bytes <= MOST_BYTES
        };
        let mut reader = self.source.database.read().await?;
        let connection = &mut reader.connection();
        let mut rows: Vec<Cells> = match (&self.after, table.key) {
            (_, Key::Whole) => query(table.all).all(connection).await?,
            (None, _) => query(table.first).all_while(connection, fits).await?,
            (Some(after), _) => {
                let next = after
                    .iter()
                    .fold(query(table.next), |next, value| next.bind(value.borrow()));
                next.all_while(connection, fits).await?
            }
        };
        rows.iter_mut().for_each(without_nul);
        Ok(rows)
    }
}

/// PostgreSQL's text cannot hold the character 0, which SQLite's can.
fn without_nul(row: &mut Cells) {
    for value in &mut row.0 {
        if let Value::Text(Some(text)) = value
            && text.contains('\0')
        {
            *text = text.replace('\0', "\u{FFFD}").into();
        }
    }
}

/// Does what a daemon does at its start: nobody is sending any more.
async fn prepare(source: &Store) -> Result<(), CopyError> {
    let mut write = source.database.write().await?;
    let connection = &mut write.connection();
    query(FENCE_ALL).run(connection).await?;
    query(END_LEASES).run(connection).await?;
    query(RELEASE).bind(NOBODY).run(connection).await?;
    write.commit().await?;
    Ok(())
}

async fn facts_of(store: &Store) -> Result<HashMap<String, String>, StoreError> {
    let mut reader = store.database.read().await?;
    let facts: Vec<(String, String)> = query("SELECT name, value FROM store_info")
        .all(&mut reader.connection())
        .await?;
    Ok(facts.into_iter().collect())
}

/// What SQLite says by its floor: a group for each run of consecutive ids above it.
async fn insert_waiting(
    connection: &mut Connection<'_>,
    events: &[Cells],
    floor: i64,
) -> Result<(), StoreError> {
    const WAITING: &str = "INSERT INTO waiting (first_id, last_id) VALUES";
    let mut groups: Vec<(i64, i64)> = Vec::new();
    for event in events {
        let Some(Value::Integer(Some(id))) = event.0.first() else {
            continue;
        };
        match groups.last_mut() {
            _ if *id <= floor => {}
            Some((_, last)) if *last + 1 == *id => *last = *id,
            _ => groups.push((*id, *id)),
        }
    }
    insert(connection, WAITING, "", &groups, |values, (first, last)| {
        values.push(*first)?;
        values.push(*last)
    })
    .await?;
    Ok(())
}

impl Store {
    /// Whether a copy into it is not finished.
    pub(super) async fn is_half_copied(&self) -> Result<bool, StoreError> {
        Ok(facts_of(self).await?.contains_key(COPYING))
    }
}

fn new_ticket() -> String {
    hex(&random::bytes::<8>())
}
