//! How the database carries out what runs all the time: a query that reads a whole table is quick
//! in every test, and stops a store of a million leads.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Access, Store, inbox, leads, outbox};

const TABLES: [&str; 8] = [
    "event",
    "submission",
    "lead",
    "match_key",
    "touch",
    "delivery",
    "timeline",
    "dead_letter",
];

#[tokio::test]
async fn nothing_that_runs_all_the_time_reads_a_whole_table() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(
        &format!("sqlite:{}/leads.db", directory.path().display()),
        Access::Daemon,
    )
    .await
    .unwrap();
    for query in [
        inbox::UNPROCESSED,
        inbox::TO_REPLAY,
        inbox::ONE,
        leads::BY_KEYS,
        leads::LEADS,
        leads::BY_VENDOR_ID,
        outbox::BACKLOG,
        outbox::CLAIMABLE,
        outbox::CLAIMED,
        outbox::CLAIM,
        outbox::RELEASE,
    ] {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let plan = sqlx::query(explain)
            .fetch_all(&store.readers)
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
