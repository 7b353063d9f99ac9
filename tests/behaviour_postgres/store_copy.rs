//! `leadstream store copy`: from a file to PostgreSQL, and the daemon goes on.

use leadstream::config::StoreConfig;
use leadstream::daemon::StartError;
use leadstream::model::End;
use leadstream::store::{CopyStart, StoreCopy, StoreError};
use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{ANNA, Setup, TestDaemon, form_with};

const BEN: &[(&str, &str)] = &[("email", "ben@acme.example"), ("last_name", "Beck")];

fn on_sqlite() -> Setup<'static> {
    Setup {
        store: Some("sqlite:leads.db"),
        ..Setup::default()
    }
}

/// From now on the configuration names this store.
fn move_to(test: &TestDaemon, url: &str) {
    let file = test.directory().join("leadstream.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let old = std::fs::read_to_string(test.directory().join("store")).unwrap();
    assert!(config.contains(&old));
    std::fs::write(file, config.replace(&old, url)).unwrap();
    std::fs::write(test.directory().join("store"), url).unwrap();
}

/// One more event, as if the daemon had ended right after its answer.
fn accept_and_end(test: &TestDaemon, email: &str) {
    let inbox = Connection::open(test.directory().join("leads.db-inbox")).unwrap();
    let accept = "INSERT INTO event SELECT id + 1, source, received_at, content_type, meta, \
                  CAST(replace(CAST(body AS TEXT), 'ben@acme.example', ?1) AS BLOB) \
                  FROM event ORDER BY id DESC LIMIT 1";
    assert_eq!(inbox.execute(accept, [email]).unwrap(), 1);
}

#[tokio::test]
async fn a_store_is_moved_in_two_goes_and_nothing_is_lost_or_doubled() {
    let target = crate::store::url();
    let mut test = TestDaemon::with(on_sqlite()).await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post_and_end(&[("company", "Acme")], End::DeadLetter)
        .await;
    test.post(BEN).await;
    test.outbox_holds(1).await;
    test.stop().await;
    accept_and_end(&test, "carla@acme.example");
    let anna = test.lead();

    // Ended in the middle.
    let from = test.config().store;
    let mut copy = StoreCopy::begin(&from, &target).await.unwrap().unwrap();
    assert_eq!(copy.start(), CopyStart::Empty);
    for _ in 0..3 {
        copy.step().await.unwrap().unwrap();
    }
    drop(copy);
    move_to(&test, &target);
    let refused = test.try_run().await;
    assert!(
        matches!(refused, Err(StartError::Store(StoreError::Copying))),
        "{refused:?}"
    );
    let info = test.command(&["store", "info", "--json"]).await;
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["unfinished_copy"], true, "{info}");

    // Once more, with a password: it is asked for none, and tells none.
    move_to(&test, "sqlite:leads.db");
    let to = target.replace("leadstream@", "leadstream:s3cr3t@");
    let output = test.command(&["store", "copy", "--to", &to]).await;
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.starts_with("going on where the last copy stopped"),
        "{said}"
    );
    assert!(said.contains("event        4 of 4 rows, 100 %"), "{said}");
    assert!(
        !said.contains("s3cr3t") && !said.contains('\u{1b}'),
        "{said}"
    );
    let again = test.command(&["store", "copy", "--to", &to]).await;
    let again = String::from_utf8(again.stdout).unwrap();
    assert!(again.contains("nothing to do"), "{again}");

    move_to(&test, &target);
    test.run().await;
    test.drained().await;
    let emails: Vec<Value> = test
        .leads()
        .iter()
        .map(|lead| lead["Email"].clone())
        .collect();
    assert_eq!(emails.len(), 3, "{emails:?}");
    for email in ["ben@acme.example", "carla@acme.example"] {
        assert!(test.lead_of(email).is_some(), "{emails:?}");
    }
    assert_eq!(test.ends(End::Synced).await, 3);
    assert_eq!(test.dead_letters().await.len(), 1);

    // She is known, by her external id too.
    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    let known = test.lead_of("anna.berg@acme.example").unwrap();
    assert_eq!(known["City"], "Berlin");
    for id in ["Id", "Leadstream_Id__c"] {
        assert_eq!(known[id], anna[id]);
    }
    assert_eq!(test.leads().len(), 3);
}

#[tokio::test]
async fn a_database_that_others_use_is_refused() {
    let target = crate::store::url();
    let mut other = TestDaemon::start().await;
    other.post_and_end(ANNA, End::Synced).await;
    let url = other.config().store.url;
    let mut test = TestDaemon::with(on_sqlite()).await;
    test.post_and_end(BEN, End::Synced).await;
    test.stop().await;
    for _ in 0..2 {
        let output = test.command(&["store", "copy", "--to", &url]).await;
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("error: the target holds another store; nothing was changed"),
            "{said}"
        );
    }
    other.post_and_end(BEN, End::Synced).await;
    other.stop().await;

    // From PostgreSQL nothing is copied.
    let output = other.command(&["store", "copy", "--to", &target]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("the configured store is not SQLite"),
        "{said}"
    );
}

#[tokio::test]
async fn an_address_may_name_a_variable_that_holds_the_password() {
    let target = crate::store::url();
    let mut test = TestDaemon::with(on_sqlite()).await;
    test.post_and_end(ANNA, End::Synced).await;
    test.stop().await;
    let mut command = crate::tools::leadstream(test.directory());
    command
        .args(["store", "copy"])
        .env(
            "LEADSTREAM_COPY_TO",
            target.replace("leadstream@", "leadstream:${PG_SECRET}@"),
        )
        .env("PG_SECRET", "s3cr3t");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.starts_with("copying to postgres://leadstream@127.0.0.1:"),
        "{said}"
    );
    assert!(!said.contains("s3cr3t"), "{said}");
    let moved = leadstream::store::Store::look(&StoreConfig::at(&target))
        .await
        .unwrap();
    assert_eq!(moved.info().await.unwrap().pending, 0);
}
