use std::collections::BTreeSet;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::*;
use crate::model::Millis;
use crate::store::plans::postgres;

/// Where both stores of a test are.
struct Place {
    folder: tempfile::TempDir,
    from: StoreConfig,
    to: String,
}

impl Place {
    /// None where no PostgreSQL is installed.
    async fn filled() -> Option<Self> {
        let to = postgres::database()?;
        let folder = tempfile::tempdir().unwrap();
        let from = StoreConfig::at(&format!("sqlite:{}/leads.db", folder.path().display()));
        let place = Self { folder, from, to };
        let store = place.store().await;
        let Database::Sqlite(database) = &store.database else {
            panic!("{}", place.from.url);
        };
        let mut inbox = database.keeper().await;
        sqlx::raw_sql(EVENTS).execute(&mut *inbox).await.unwrap();
        drop(inbox);
        place.change(&store, ROWS).await;
        store.close().await;
        Some(place)
    }

    async fn store(&self) -> Arc<Store> {
        Store::open(&self.from, Access::Daemon).await.unwrap()
    }

    /// Runs statements in SQLite's main file.
    async fn change(&self, store: &Store, sql: &str) {
        let mut write = store.database.write().await.unwrap();
        let Connection::Sqlite(connection) = write.connection() else {
            panic!("{}", self.from.url);
        };
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(connection)
            .await
            .unwrap();
        write.commit().await.unwrap();
    }

    /// Runs statements in the target.
    async fn change_target(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.to).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn numbers(&self, sql: &'static str) -> Vec<(i64, i64)> {
        let mut connection = PgConnection::connect(&self.to).await.unwrap();
        sqlx::query_as(sql)
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }

    async fn begin(&self) -> Result<Option<StoreCopy>, CopyError> {
        StoreCopy::begin(&self.from, &self.to).await
    }

    /// From wherever it stands to the end.
    async fn copy(&self) -> Result<CopyStart, CopyError> {
        let mut copy = self.begin().await?.unwrap();
        let start = copy.start();
        while copy.step().await?.is_some() {}
        copy.finish().await?;
        Ok(start)
    }

    /// All that is copied, as it stands in the source and in the target.
    async fn rows(&self) -> [Vec<String>; 2] {
        let mut stores = [Vec::new(), Vec::new()];
        for (config, rows) in [self.from.clone(), StoreConfig::at(&self.to)]
            .iter()
            .zip(&mut stores)
        {
            let store = Store::look(config).await.unwrap();
            let mut reader = store.database.read().await.unwrap();
            for table in TABLES {
                let found: Vec<Cells> = query(table.all)
                    .all(&mut reader.connection())
                    .await
                    .unwrap();
                rows.extend(found.iter().map(|row| written(table.name, row)));
            }
            drop(reader);
            store.close().await;
        }
        stores
    }
}

/// Large values by their size.
fn written(table: &str, row: &Cells) -> String {
    let values = row.0.iter().map(|value| match value.size() {
        0..100 => format!("{value:?}"),
        size => format!("{size} bytes"),
    });
    format!("{table}: {}", values.collect::<Vec<_>>().join(", "))
}

const EVENTS: &str = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 2300) \
     INSERT INTO event SELECT n, 'demo', n, 'text/plain', '{}', x'00ff' FROM n; \
     WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 2300) \
     INSERT INTO cursor SELECT 'files', 'file:' || n, '{}', n, n FROM n; \
     INSERT INTO cursor VALUES ('aB', 'members/é', '{}', 2, 5), ('a_b', 'members', '{}', 1, 4); \
     INSERT INTO event SELECT id, 'demo', id, 'text/plain', '{}', zeroblob(3 << 20) \
     FROM (SELECT column1 AS id FROM (VALUES (5001), (5002), (5003), (7000)));";

/// Events up to 2,290 are processed. Names of sources sort in another order in some languages.
const ROWS: &str = "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 2290) \
     INSERT INTO submission SELECT n, 0, 'demo', n, n, NULL, n, n, \
     CASE WHEN n < 2280 THEN 'synced' END, NULL, 'c0', '{}' FROM n; \
     INSERT INTO submission SELECT event_id, 1, source, 1, 1, 'v', NULL, NULL, 'merged', 'r', 'c', 'f' \
     FROM submission WHERE event_id < 1000; \
     INSERT INTO lead SELECT event_id, 1, 2, '{\"from\":[],\"fields\":{}}', -event_id, 3, \
     CASE WHEN event_id < 9 THEN '00Q' END, '{}', '{}' FROM submission WHERE ordinal = 0; \
     INSERT INTO match_key SELECT 2000 - id / 3, id % 3, id FROM lead; \
     INSERT INTO touch SELECT id, id, id, 'demo', 1, CASE WHEN id = 7 THEN 'a' || char(0) || 'é' END, '{}' FROM lead; \
     INSERT INTO delivery SELECT id, id, 'salesforce_lead', '{}', CASE WHEN id < 2280 THEN 'done' \
     WHEN id = 2280 THEN 'sending' ELSE 'pending' END, 2, FALSE, 1, 1, 1, NULL, CASE WHEN id = 2280 THEN 511 END, '{}', 1 FROM lead; \
     INSERT INTO timeline SELECT id, id, NULL, 1, 'created', '{}' FROM lead; \
     INSERT INTO dead_letter VALUES (1, 2, 0, 'demo', 2, NULL, 'code', 'm', 'h', 5, 6, 'code'); \
     INSERT INTO ledger VALUES ('a_b', 'synced', 3), ('aB', 'merged', 4), ('é', 'synced', 5); \
     INSERT INTO leaving VALUES (3), (5); INSERT INTO replay VALUES (2000); \
     DELETE FROM submission WHERE event_id = 2000; \
     INSERT INTO vendor_record SELECT -id, id % 3 FROM lead; \
     INSERT INTO submission VALUES (2290, 1, 'demo', 1, 1, 'v', NULL, NULL, NULL, NULL, 'c', 'f'); \
     INSERT INTO fetch_task VALUES (7, 2290, 1, 'demo', '{\"id\":\"v\"}', 1, 2, 3); \
     INSERT INTO credential VALUES ('zoom', x'00ff', 3, 4); \
     INSERT INTO source_state VALUES ('demo', '{}', 5); \
     INSERT INTO api_call VALUES (3600000, 'upsert', 6), (3600000, 'query', 7); \
     INSERT INTO bulk_job VALUES ('750a', 511, 'closed', 8); \
     INSERT INTO store_info VALUES ('floor', '2290');";

#[tokio::test]
async fn a_copy_that_is_stopped_after_each_batch_comes_to_the_same() {
    let Some(place) = Place::filled().await else {
        return;
    };
    let mut batches = 0;
    loop {
        let mut copy = place.begin().await.unwrap().unwrap();
        let start = if batches == 0 {
            CopyStart::Empty
        } else {
            CopyStart::Resumed
        };
        assert_eq!(copy.start(), start);
        // Neither of both may be used meanwhile.
        let daemon = Store::open(&place.from, Access::Daemon).await;
        assert!(matches!(daemon, Err(StoreError::InUse(_))), "{daemon:?}");
        for access in [Access::Daemon, Access::Command] {
            let opened = Store::open(&StoreConfig::at(&place.to), access).await;
            assert!(matches!(opened, Err(StoreError::Copying)), "{opened:?}");
        }
        let Some(copied) = copy.step().await.unwrap() else {
            assert!(copy.progress().iter().all(|table| table.rows == table.of));
            copy.finish().await.unwrap();
            break;
        };
        assert!(copied.rows <= copied.of, "{copied:?}");
        batches += 1;
        assert!(batches < 100, "{copied:?}");
    }
    // Of the large events each is alone: two are too heavy.
    assert!(batches > 20, "{batches}");

    let [source, target] = place.rows().await;
    assert!(source.len() > 15_000);
    for (source, target) in source.iter().zip(&target) {
        assert_eq!(&source.replace("\\0", "\u{FFFD}"), target);
    }
    assert_eq!(source.len(), target.len());
    assert!(target.iter().any(|row| row.contains("a\u{FFFD}é")));
    let waiting = place
        .numbers("SELECT first_id, last_id FROM waiting ORDER BY first_id")
        .await;
    let ids = waiting.iter().flat_map(|(first, last)| *first..=*last);
    assert!(ids.eq((2291..=2300).chain(5001..=5003).chain([7000])));
    assert!(waiting.len() < 10, "{waiting:?}");
    let sending = "SELECT id, attempts FROM delivery WHERE unsure AND state = 'pending' AND claimed_by IS NULL";
    assert_eq!(place.numbers(sending).await, [(2280, 1)]);

    assert!(place.begin().await.unwrap().is_none(), "it is finished");
    let from = Store::open(&place.from, Access::Daemon).await.unwrap();
    let to = Store::open(&StoreConfig::at(&place.to), Access::Daemon)
        .await
        .unwrap();
    let lead = crate::model::LeadId(17);
    assert_eq!(to.external_id(lead), from.external_id(lead));
    assert_eq!(to.key_secret(), from.key_secret());
    assert!(to.take_ids(Millis(0), 1).first() > 7000);
    from.close().await;
    drop(from);
    to.close().await;
    let again = place.begin().await;
    assert!(matches!(again, Err(CopyError::CopiedBefore)), "{again:?}");
}

#[tokio::test]
async fn what_changed_since_a_copy_was_stopped_is_copied_anew() {
    let Some(place) = Place::filled().await else {
        return;
    };
    for change in [
        "UPDATE lead SET salesforce_id = 'changed' WHERE id = 1",
        "DELETE FROM lead WHERE id = 1; UPDATE store_info SET value = '2291' WHERE name = 'floor'; \
         INSERT INTO submission VALUES (2291, 0, 'demo', 1, 1, NULL, NULL, NULL, 'filtered', NULL, '', '')",
    ] {
        let mut copy = place.begin().await.unwrap().unwrap();
        for _ in 0..12 {
            copy.step().await.unwrap().unwrap();
        }
        drop(copy);
        let store = place.store().await;
        place.change(&store, change).await;
        store.close().await;
    }
    assert_eq!(place.copy().await.unwrap(), CopyStart::Anew);
    let [source, target] = place.rows().await;
    assert_eq!(source.len(), target.len());
    let lead = |rows: &[String]| rows.iter().find(|row| row.starts_with("lead: ")).cloned();
    assert_eq!(lead(&source), lead(&target));
    let first = place
        .numbers("SELECT MIN(first_id), 0::bigint FROM waiting")
        .await;
    assert_eq!(first, [(2292, 0)]);
}

#[tokio::test]
async fn a_command_that_changes_the_store_while_it_is_copied_is_noticed() {
    let Some(place) = Place::filled().await else {
        return;
    };
    let mut copy = place.begin().await.unwrap().unwrap();
    copy.step().await.unwrap();
    let beside = Store::open(&place.from, Access::Command).await.unwrap();
    beside
        .replay(&[crate::model::EventId(1)], Millis(1))
        .await
        .unwrap();
    beside.close().await;
    while copy.step().await.unwrap().is_some() {}
    let finished = copy.finish().await;
    assert!(matches!(finished, Err(CopyError::Changed)), "{finished:?}");
    assert_eq!(place.copy().await.unwrap(), CopyStart::Anew);
}

#[tokio::test]
async fn of_two_runs_into_one_database_the_first_ends() {
    let Some(place) = Place::filled().await else {
        return;
    };
    let mut first = place.begin().await.unwrap().unwrap();
    first.step().await.unwrap();
    // A backup that was put elsewhere: the same store, but not the same lock.
    let elsewhere = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), elsewhere.path().join(file.file_name())).unwrap();
    }
    let backup = format!("sqlite:{}/leads.db", elsewhere.path().display());
    let mut second = StoreCopy::begin(&StoreConfig::at(&backup), &place.to)
        .await
        .unwrap()
        .unwrap();
    let step = first.step().await;
    assert!(matches!(step, Err(CopyError::Overtaken)), "{step:?}");
    let finished = first.finish().await;
    assert!(finished.is_err(), "{finished:?}");
    while second.step().await.unwrap().is_some() {}
    second.finish().await.unwrap();
    let [source, target] = place.rows().await;
    assert_eq!(source.len(), target.len());
}

#[tokio::test]
async fn a_copy_that_is_not_the_same_is_not_opened_and_mended_by_the_next() {
    let Some(place) = Place::filled().await else {
        return;
    };
    for (damage, table) in [
        ("DELETE FROM touch WHERE id = 9", "touch"),
        ("DELETE FROM waiting", ""),
    ] {
        let mut copy = place.begin().await.unwrap().unwrap();
        while copy.step().await.unwrap().is_some() {}
        place.change_target(damage).await;
        match copy.finish().await {
            Err(CopyError::RowsDiffer { table: found, .. }) => assert_eq!(found, table),
            Err(CopyError::BooksDiffer) => assert_eq!(table, ""),
            finished => panic!("{finished:?}"),
        }
        let daemon = Store::open(&StoreConfig::at(&place.to), Access::Daemon).await;
        assert!(matches!(daemon, Err(StoreError::Copying)), "{daemon:?}");
    }
    assert_eq!(place.copy().await.unwrap(), CopyStart::Anew);
}

#[tokio::test]
async fn a_target_that_is_not_empty_is_left_as_it_is() {
    let Some(mut place) = Place::filled().await else {
        return;
    };
    // Another program's.
    place.change_target("CREATE TABLE lead (name TEXT)").await;
    let refused = place.begin().await;
    assert!(
        matches!(&refused, Err(CopyError::OthersTables(table)) if table == "lead"),
        "{refused:?}"
    );
    let tables =
        "SELECT COUNT(*), 0::bigint FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(place.numbers(tables).await, [(1, 0)]);

    // Another store's.
    place.to = postgres::database().unwrap();
    let to = StoreConfig::at(&place.to);
    let other = Store::open(&to, Access::Daemon).await.unwrap();
    let tag = other.tag.clone();
    other.close().await;
    let refused = place.begin().await;
    assert!(
        matches!(refused, Err(CopyError::OthersStore)),
        "{refused:?}"
    );
    let other = Store::open(&to, Access::Daemon).await.unwrap();
    assert_eq!(other.tag, tag);
    other.close().await;

    // Rows of nobody.
    place.to = postgres::database().unwrap();
    Store::migrate(&StoreConfig::at(&place.to)).await.unwrap();
    let looked = Store::look(&StoreConfig::at(&place.to)).await.unwrap();
    assert_eq!(looked.info().await.unwrap().pending, 0);
    looked.close().await;
    place.change_target("INSERT INTO replay VALUES (1)").await;
    let refused = place.begin().await;
    assert!(
        matches!(refused, Err(CopyError::OthersStore)),
        "{refused:?}"
    );
    place.change_target("DELETE FROM replay").await;
    assert_eq!(place.copy().await.unwrap(), CopyStart::Empty);
}

#[tokio::test]
async fn only_from_sqlite_to_postgresql() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}/leads.db", folder.path().display());
    let address = "postgres://leads:s3cr3t@127.0.0.1/leads";
    for (from, to, said) in [
        (address, address, "the configured store is not SQLite"),
        (&file, &file, "the target is not PostgreSQL"),
        (&file, address, "there is no store at"),
    ] {
        let refused = StoreCopy::begin(&StoreConfig::at(from), to).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with(said), "{refused}");
    }
}

/// A column or table that is added and not copied would be lost.
#[tokio::test]
async fn all_tables_and_columns_are_copied() {
    let Some(place) = Place::filled().await else {
        return;
    };
    assert_eq!(place.copy().await.unwrap(), CopyStart::Empty);
    let not_copied = [
        "store_info",
        "node",
        "lease",
        "waiting",
        "_sqlx_migrations",
        "org_person",
        "org_key",
        "org_mirror",
    ];
    let copied: BTreeSet<(String, String)> = TABLES
        .iter()
        .flat_map(|table| {
            let columns = table.columns.split(", ");
            columns.map(|column| (table.name.to_owned(), column.to_owned()))
        })
        .collect();
    let sqlite = "SELECT t.name, c.name FROM (SELECT name FROM main.sqlite_schema WHERE type = 'table' \
         UNION SELECT name FROM inbox.sqlite_schema WHERE type = 'table') AS t, pragma_table_info(t.name) AS c";
    let postgres = "SELECT table_name::text, column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public'";
    for (config, text) in [
        (place.from.clone(), sqlite),
        (StoreConfig::at(&place.to), postgres),
    ] {
        let store = Store::look(&config).await.unwrap();
        let mut reader = store.database.read().await.unwrap();
        let found: Vec<(String, String)> = query(text).all(&mut reader.connection()).await.unwrap();
        let found: BTreeSet<(String, String)> = found
            .into_iter()
            .filter(|(table, _)| {
                !not_copied.contains(&table.as_str()) && !table.starts_with("org_")
            })
            .collect();
        assert_eq!(found, copied);
    }
}
