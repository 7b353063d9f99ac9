//! `leadstream store` on SQLite's files.

use rusqlite::Connection;

use crate::harness::TestDaemon;

async fn store(test: &TestDaemon, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = test.command(&[&["store"], arguments].concat()).await;
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

async fn stopped() -> TestDaemon {
    let mut test = TestDaemon::start().await;
    test.stop().await;
    test
}

#[tokio::test]
async fn a_running_daemon_is_in_the_way_and_that_is_said() {
    let test = TestDaemon::start().await;
    for command in [
        &["migrate"][..],
        &["copy", "--to", "postgres://leads@127.0.0.1:1/leads"],
    ] {
        let (code, _, said) = store(&test, command).await;
        assert_eq!(code, Some(1));
        assert!(said.contains("error: another leadstream runs on"), "{said}");
        assert!(said.contains("help: stop it first"), "{said}");
    }
}

#[tokio::test]
async fn migrate_says_from_which_version_to_which() {
    let test = stopped().await;
    for file in ["leads.db", "leads.db-inbox"] {
        for log in ["", "-wal", "-shm"] {
            // Not all of them are left.
            let _ = std::fs::remove_file(test.directory().join(format!("{file}{log}")));
        }
    }
    let (code, said, _) = store(&test, &["migrate"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(said.matches(": tables made, version ").count(), 2, "{said}");

    // As the first version left it.
    let database = Connection::open(test.directory().join("leads.db")).unwrap();
    database
        .execute_batch(
            "DELETE FROM _sqlx_migrations WHERE version > 1; DROP TABLE match_key; DROP TABLE node; \
             DROP TABLE lease; DROP TABLE ledger; DROP TABLE leaving; DROP TABLE vendor_record; \
             DROP TABLE fetch_task; DROP TABLE credential; DROP TABLE source_state; \
             DROP TABLE api_call; DROP TABLE bulk_job; \
             DROP INDEX delivery_sending; ALTER TABLE delivery DROP COLUMN claimed_by; \
             DROP INDEX delivery_first; ALTER TABLE delivery DROP COLUMN also; \
             ALTER TABLE delivery DROP COLUMN priority; DROP INDEX lead_salesforce; \
             ALTER TABLE lead DROP COLUMN campaigns; ALTER TABLE lead DROP COLUMN followed; \
             DROP TABLE org_describe; DROP TABLE org_problem; \
             DROP INDEX dead_letter_cause; ALTER TABLE dead_letter DROP COLUMN cause; \
             DROP TABLE org_person; DROP TABLE org_key; DROP TABLE org_mirror; \
             CREATE INDEX submission_vendor ON submission (vendor_id, source); \
             CREATE TABLE match_key (key BIGINT NOT NULL, lead_id BIGINT NOT NULL, \
             PRIMARY KEY (key, lead_id)) WITHOUT ROWID;",
        )
        .unwrap();
    drop(database);
    let (code, said, error) = store(&test, &["migrate"]).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(
        said.contains("leads.db: brought from version 1 to "),
        "{said}"
    );
    assert!(said.contains("leads.db-inbox: nothing to do"), "{said}");
}

#[tokio::test]
async fn a_store_of_a_newer_leadstream_is_a_clear_error() {
    let test = stopped().await;
    let database = Connection::open(test.directory().join("leads.db")).unwrap();
    let newer = "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, \
                 execution_time FROM _sqlx_migrations WHERE version = 1";
    assert_eq!(database.execute(newer, []).unwrap(), 1);
    drop(database);
    for command in ["migrate", "info"] {
        let (code, _, said) = store(&test, &[command]).await;
        assert_eq!(code, Some(1));
        assert!(
            said.starts_with(
                "error: a newer leadstream made this store: its tables are at version 9999"
            ),
            "{said}"
        );
    }
}

#[tokio::test]
async fn info_of_no_store_is_a_clear_error() {
    let test = stopped().await;
    std::fs::remove_file(test.directory().join("leads.db")).unwrap();
    let (code, _, said) = store(&test, &["info"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("error: there is no store at"), "{said}");
}

#[tokio::test]
async fn who_was_killed_does_not_run_any_more() {
    let test = stopped().await;
    let database = Connection::open(test.directory().join("leads.db")).unwrap();
    let left = "UPDATE node SET name = 'machine:1'";
    assert_eq!(database.execute(left, []).unwrap(), 1);
    drop(database);
    let (_, said, _) = store(&test, &["info"]).await;
    assert!(said.ends_with("no leadstream runs on it\n"), "{said}");
}

#[tokio::test]
async fn a_copy_goes_nowhere_but_to_postgresql_and_tells_no_password() {
    let test = stopped().await;
    for (to, expected) in [
        ("sqlite:other.db", "the target is not PostgreSQL"),
        (
            "postgres://leads:s3cr3t@127.0.0.1:1/leads",
            "the database failed",
        ),
        (
            "postgres://leads:s3cr3t@127.0.0.1:x/leads",
            "the store's address cannot be read",
        ),
        (
            "postgres://leads:${NOT_SET}@127.0.0.1/leads",
            "the environment variable NOT_SET is not set",
        ),
    ] {
        let (code, out, said) = store(&test, &["copy", "--to", to]).await;
        assert_eq!(code, Some(1));
        assert!(said.contains(expected), "{said}");
        assert!(!(out + &said).contains("s3cr3t"), "{said}");
    }
    let (code, _, _) = store(&test, &["copy"]).await;
    assert_eq!(code, Some(2), "a target has to be named");
    assert!(!test.directory().join("other.db").exists());
}
