//! How the database carries out what runs all the time: a query that reads a whole table is quick
//! in every test, and stops a store of a million leads.

use sqlx::{AssertSqlSafe, Row as _};

use super::dialect::{Database, Kind};
use super::{
    Access, Store, cursors, fetches, inbox, leads, nodes, org, outbox, records, retention,
};
use crate::config::StoreConfig;

#[path = "../../tests/support/postgres.rs"]
pub(crate) mod postgres;

const TABLES: [&str; 14] = [
    "api_call",
    "event",
    "submission",
    "lead",
    "match_key",
    "touch",
    "delivery",
    "timeline",
    "dead_letter",
    "vendor_record",
    "fetch_task",
    "cursor",
    "org_person",
    "org_key",
];

const HOT: [&str; 27] = [
    inbox::UNPROCESSED,
    inbox::LISTED,
    inbox::TO_REPLAY,
    leads::BY_KEYS,
    leads::LOCK,
    leads::LEADS,
    outbox::BACKLOG,
    outbox::BRING_FORWARD,
    outbox::LONGEST_WAITING,
    outbox::NEWEST,
    outbox::CLAIMED,
    outbox::CLAIM,
    outbox::OWN,
    nodes::RELEASE,
    super::calls::FORGET,
    super::report::COUNTS,
    retention::ENDED,
    retention::OLD_DELIVERIES,
    records::KNOWN,
    fetches::DUE,
    cursors::BY_SOURCE,
    cursors::BY_KEY,
    org::BY_KEYS,
    org::IDS_BY_KEYS,
    org::BY_IDS,
    org::DROP_KEYS,
    org::LEADS,
];

#[tokio::test]
async fn nothing_that_runs_all_the_time_reads_a_whole_table_of_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/leads.db", directory.path().display());
    let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
        .await
        .unwrap();
    let Database::Sqlite(database) = &store.database else {
        panic!("{url}");
    };
    for query in HOT {
        let text = Kind::Sqlite.translate(query);
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
        let plan = sqlx::query(explain)
            .fetch_all(&database.readers)
            .await
            .unwrap();
        for step in plan {
            let step: String = step.get("detail");
            let reads_all = step.starts_with("SCAN") && !step.contains(" INDEX ");
            let mut words = step.split_whitespace().skip(1);
            // Aliases: e, s, l, d, o.
            let table = words.next().unwrap_or_default();
            let known = TABLES.contains(&table) || table.len() == 1;
            assert!(!(reads_all && known), "{step}\n{query}");
        }
    }
}

/// It chooses by size, and these tables are empty: with sequential scans forbidden, one that is
/// left has no other way.
#[tokio::test]
async fn nothing_that_runs_all_the_time_reads_a_whole_table_of_postgresql() {
    let Some(url) = postgres::database() else {
        return;
    };
    let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
        .await
        .unwrap();
    let Database::Postgres(database) = &store.database else {
        panic!("{url}");
    };
    let mut connection = super::dialect::connect_limited(database.options(), database.lease())
        .await
        .unwrap();
    for setting in [
        "SET enable_seqscan = off",
        "SET plan_cache_mode = force_generic_plan",
    ] {
        sqlx::query(setting).execute(&mut connection).await.unwrap();
    }
    for (number, query) in HOT.into_iter().enumerate() {
        let text = Kind::Postgres.translate(query);
        let prepare = AssertSqlSafe(format!("PREPARE hot_{number} AS {text}"));
        sqlx::raw_sql(prepare)
            .execute(&mut connection)
            .await
            .unwrap();
        let parameters = (1..9).filter(|n| text.contains(&format!("${n}"))).count();
        let nulls = vec!["NULL"; parameters].join(", ");
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE hot_{number} ({nulls})"));
        let plan = sqlx::raw_sql(explain)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for step in plan {
            let step: String = step.get(0);
            let known = TABLES
                .iter()
                .any(|table| step.contains(&format!("Seq Scan on {table} ")));
            assert!(!known, "{step}\n{query}");
        }
    }
    store.close().await;
}
