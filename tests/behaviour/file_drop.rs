//! Lists in a folder, through the folder, the configuration and the command line.

use std::fmt::Write as _;
use std::path::PathBuf;

use leadstream::model::End;

use crate::harness::{Setup, TestDaemon};

const EXPO: &[u8] = include_bytes!("../../connectors/file-drop/samples/techexpo.csv");

const SOURCE: &str = r#"
    [sources.expo]
    connector = "file-drop"
    folder = "drop"
    show = "techexpo-2026"
    campaign = "TechExpo 2026"
    timezone = "Europe/Berlin"
    scan_seconds = 1
    confirm = false
    consent = { statement = "Scanned at our booth below a sign that says so" }
"#;

async fn start(more: &str) -> TestDaemon {
    let more = format!("{SOURCE}{more}");
    TestDaemon::with(Setup {
        more: &more,
        ..Setup::default()
    })
    .await
}

fn path(test: &TestDaemon, name: &str) -> PathBuf {
    test.directory().join("drop").join(name)
}

fn put(test: &TestDaemon, name: &str, bytes: &[u8]) {
    let path = path(test, name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // As a sender who knows how: under another name until it is whole.
    let half = path.with_extension("tmp");
    std::fs::write(&half, bytes).unwrap();
    std::fs::rename(half, path).unwrap();
}

async fn settled(test: &TestDaemon, name: &str) {
    test.until("the file is moved", async || path(test, name).exists())
        .await;
    test.drained().await;
}

fn text(test: &TestDaemon, name: &str) -> String {
    std::fs::read_to_string(path(test, name)).unwrap()
}

async fn accepted(test: &TestDaemon) -> u64 {
    let books = test.audit().await;
    books
        .iter()
        .filter(|(name, _)| ***name == *"expo")
        .map(|(_, line)| line.accepted)
        .sum()
}

#[tokio::test]
async fn a_list_becomes_leads_with_the_notes_of_all_talks() {
    let test = start("").await;
    put(&test, "techexpo.csv", EXPO);
    settled(&test, "done/techexpo.csv").await;
    assert_eq!(accepted(&test).await, 3);
    assert_eq!(test.leads().len(), 2, "{:?}", test.leads());
    let lead = test.lead_of("l.nowak@piedpiper.example").unwrap();
    let notes = lead["Description"].as_str().unwrap();
    assert!(notes.contains("in April; hot"), "{notes}");
    let report = text(&test, "done/techexpo.csv.report.txt");
    for said in ["rows: 3", "E-mail: email", "file.spoiled_phones"] {
        assert!(report.contains(said), "{report}");
    }
    assert!(!path(&test, "techexpo.csv").exists());
}

#[tokio::test]
async fn a_renamed_copy_is_not_taken_twice_and_a_mended_one_doubles_nobody() {
    let test = start("").await;
    put(&test, "a.csv", EXPO);
    settled(&test, "done/a.csv").await;
    put(&test, "b.csv", EXPO);
    settled(&test, "done/b.csv").await;
    assert_eq!(accepted(&test).await, 3);
    let report = text(&test, "done/b.csv.report.txt");
    assert!(
        report.contains("the same file was taken as a.csv"),
        "{report}"
    );
    let mended = String::from_utf8(EXPO.to_vec())
        .unwrap()
        .replace("Wants a demo", "Wants a trial");
    put(&test, "a.csv", mended.as_bytes());
    test.until("the rows are in", async || accepted(&test).await == 6)
        .await;
    test.drained().await;
    assert_eq!(test.leads().len(), 2);
}

#[tokio::test]
async fn rows_with_errors_stand_in_a_file_of_their_own_and_stop_nobody() {
    let test = start("").await;
    put(
        &test,
        "l.csv",
        b"Email,Last Name,Company\nanna@acme.example,Abt,Acme\nben@big.example,Berg, Bau,Big\ncleo@cup.example\ndora@deli.example,Dorn,Deli\n",
    );
    settled(&test, "done/l.csv").await;
    assert_eq!(test.leads().len(), 2);
    assert_eq!(
        text(&test, "done/l.csv.errors.csv"),
        "row,code,problem,Email,Last Name,Company\n\
         3,row.too_many_cells,the row has more cells than the header: a text with the delimiter in it must stand in quotes,ben@big.example,Berg,Bau,Big\n\
         4,row.too_few_cells,the row has fewer cells than the header,cleo@cup.example\n"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_put_aside_with_what_to_do() {
    let test = start("").await;
    put(&test, "l.csv", b"First Name,Company\nAnna,Acme\n");
    settled(&test, "failed/l.csv").await;
    let report = text(&test, "failed/l.csv.report.txt");
    assert!(report.contains("file.no_contact_column"), "{report}");
    assert_eq!(accepted(&test).await, 0);
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_list_loses_and_doubles_nobody() {
    const PEOPLE: u64 = 2_600;
    let mut test = start("").await;
    let mut list = "Email,Last Name,Company\n".to_owned();
    for person in 0..PEOPLE {
        writeln!(
            list,
            "p{person}@crowd.example,Person{person},Crowd {person}"
        )
        .unwrap();
    }
    put(&test, "crowd.csv", list.as_bytes());
    while !path(&test, "done/crowd.csv").exists() {
        let before = accepted(&test).await;
        test.until("a page more is in, or the file is moved", async || {
            accepted(&test).await > before || path(&test, "done/crowd.csv").exists()
        })
        .await;
        test.stop().await;
        test.run().await;
    }
    test.until("all are in", async || accepted(&test).await == PEOPLE)
        .await;
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, PEOPLE);
    assert_eq!(test.leads().len() as u64, PEOPLE);
}

#[tokio::test]
async fn a_file_waits_until_a_person_has_seen_what_it_would_become() {
    let more = SOURCE.replace("confirm = false", "confirm = true");
    let test = TestDaemon::with(Setup {
        more: &more,
        ..Setup::default()
    })
    .await;
    put(&test, "l.csv", EXPO);
    test.until("a report beside it says so", async || {
        path(&test, "l.csv.report.txt").exists()
    })
    .await;
    assert!(text(&test, "l.csv.report.txt").starts_with("waits to be accepted"));
    assert_eq!(accepted(&test).await, 0);

    let plan = test.command(&["plan", "drop/l.csv", "--accept"]).await;
    let said = String::from_utf8(plan.stdout).unwrap();
    assert!(
        plan.status.success(),
        "{}",
        String::from_utf8_lossy(&plan.stderr)
    );
    assert!(
        said.starts_with("expo: 2 creates, 1 merges, 0 skips, 0 blockers\n"),
        "{said}"
    );
    settled(&test, "done/l.csv").await;
    assert_eq!(test.leads().len(), 2);
    assert!(!path(&test, "l.csv.ok").exists());

    let again = test.command(&["plan", "drop/done/l.csv", "--json"]).await;
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["skips"], 3, "{again}");
    assert_eq!(test.leads().len(), 2);
}
