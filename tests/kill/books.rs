//! Afterwards: is everyone there, once, and do the books balance?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leadstream::model::EventId;
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::load::Posted;
use super::people::Person;
use super::program::{DaemonProcess, Site};
use super::wait;

/// The longest that what was accepted may take to reach its end. Waits after faults double, so
/// some leads need many seconds.
const DRAINED: Duration = Duration::from_secs(120);

/// Ends all faults, and waits until nothing is in flight.
pub fn drain(site: &Site, daemon: &DaemonProcess) {
    site.sandbox.set_faults("{}");
    wait::until_or(
        "everything reaches its end",
        DRAINED,
        || {
            let books = audit(site);
            let pending = daemon.metric("leadstream_outbox_pending", "");
            format!("{books}\nits outbox: {pending:?}\n{}", daemon.log())
        },
        || {
            // The audit is a process of its own: asked only once the outbox is empty.
            let pending = daemon.metric("leadstream_outbox_pending", "").unwrap();
            if pending > 0.0 {
                return None;
            }
            (audit(site)["in_flight"] == 0).then_some(())
        },
    );
}

/// The books of the one source. They must balance, in flight or not.
pub fn audit(site: &Site) -> Value {
    let output = site.command(&["audit", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "the audit does not balance: {text} {errors}"
    );
    let mut books: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(books["balanced"], true);
    books["sources"]["demo"].take()
}

/// Checks all promises, once everything is drained.
pub fn check(site: &Site, posted: &Posted) {
    let receipts = posted.receipts();
    assert_eq!(
        posted.refused(),
        Vec::<u16>::new(),
        "nothing was to be refused"
    );

    let books = audit(site);
    let count = |name: &str| books[name].as_u64().unwrap();
    assert_eq!(count("in_flight"), 0, "{books}");
    assert_eq!(count("dead_letter"), 0, "{books}");
    assert_eq!(
        count("synced") + count("merged"),
        count("accepted"),
        "{books}"
    );
    assert!(count("accepted") >= receipts.len() as u64, "{books}");

    every_receipt_has_its_end(site, &receipts);
    everyone_is_there_once(site, posted, &receipts);
    the_newest_title_won(site, posted);
}

const ENDS: &str = "SELECT event_id, outcome FROM submission";

fn every_receipt_has_its_end(site: &Site, receipts: &[(String, Person)]) {
    let ends = match &site.postgres {
        None => ends_in_file(site),
        Some(url) => ends_in_postgres(url),
    };
    let distinct: BTreeSet<&String> = receipts.iter().map(|(receipt, _)| receipt).collect();
    assert_eq!(distinct.len(), receipts.len(), "a receipt was given twice");
    for (receipt, person) in receipts {
        let id: EventId = receipt.parse().unwrap();
        let end = ends.get(&id.0).cloned().flatten();
        let arrived = matches!(end.as_deref(), Some("synced" | "merged"));
        assert!(
            arrived,
            "{receipt} of {person:?} was acknowledged, and is {end:?}"
        );
    }
}

fn ends_in_file(site: &Site) -> BTreeMap<i64, Option<String>> {
    let database = rusqlite::Connection::open(site.directory.path().join("leads.db")).unwrap();
    let mut ends = database.prepare(ENDS).unwrap();
    let ends = ends.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    ends.unwrap().map(Result::unwrap).collect()
}

fn ends_in_postgres(url: &str) -> BTreeMap<i64, Option<String>> {
    let read = async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query_as(ENDS).fetch_all(&mut connection).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ends: Vec<(i64, Option<String>)> = runtime.unwrap().block_on(read).unwrap();
    ends.into_iter().collect()
}

fn everyone_is_there_once(site: &Site, posted: &Posted, receipts: &[(String, Person)]) {
    let records = site.sandbox.get("/sandbox/records");
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for record in records["records"].as_array().unwrap() {
        let email = record["Email"].as_str().unwrap_or_default().to_lowercase();
        assert!(
            !email.is_empty(),
            "someone known by phone was taken for someone else: {record}"
        );
        *found.entry(email).or_default() += 1;
    }
    for person in receipts.iter().map(|(_, person)| *person) {
        assert_eq!(
            found.get(&person.email()),
            Some(&1),
            "{person:?} was acknowledged"
        );
    }
    for person in (0..posted.people()).map(Person) {
        let count = found.remove(&person.email()).unwrap_or_default();
        assert!(count <= 1, "{person:?} is there {count} times");
    }
    assert!(found.is_empty(), "nobody has posted these: {found:?}");
}

/// Nobody's posts overtake each other: each is sent when the one before it is acknowledged.
fn the_newest_title_won(site: &Site, posted: &Posted) {
    let records = site.sandbox.get("/sandbox/records");
    let records = records["records"].as_array().unwrap();
    let held: BTreeMap<String, &Value> = records
        .iter()
        .map(|record| {
            let email = record["Email"].as_str().unwrap_or_default().to_lowercase();
            (email, &record["Title"])
        })
        .collect();
    for (person, titles) in posted.titles() {
        let held = held[&person.email()];
        assert!(
            titles.iter().any(|title| held == title),
            "{person:?} has the title {held}, and sent last: {titles:?}"
        );
    }
}
