//! What a person set in Salesforce stays.

use std::time::Duration;

use leadstream::model::End;
use leadstream::sandbox::Faults;
use serde_json::{Value, json};

use crate::harness::{ANNA, LONG_FRESH, Setup, TestDaemon, form_with};

const RESUBMITTED: &[(&str, &str)] = &[
    ("email", "anna.berg@acme.example"),
    ("title", "Chief of Everything"),
    ("message", "Call me, please."),
    ("city", "Berlin"),
];

#[tokio::test]
async fn a_resubmission_fills_blanks_and_overwrites_nothing() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.edit(json!({ "Title": "VP Growth", "Status": "Working - Contacted", "Description": "Met at the fair" }));
    let owner = test.lead()["OwnerId"].clone();

    test.post_and_end(RESUBMITTED, End::Synced).await;
    let lead = test.lead();
    assert_eq!(lead["Title"], "VP Growth");
    assert_eq!(lead["Status"], "Working - Contacted");
    assert_eq!(lead["Description"], "Met at the fair");
    assert_eq!(lead["OwnerId"], owner);
    assert_eq!(lead["City"], "Berlin");
}

#[tokio::test]
async fn always_overwrites_what_it_is_set_for_and_nothing_else() {
    let lead = r#"Title = { from = "title", write = "always" }"#;
    let test = TestDaemon::with(Setup {
        lead,
        ..Setup::default()
    })
    .await;
    test.post_and_end(ANNA, End::Synced).await;
    test.edit(json!({ "Title": "VP Growth", "Description": "Met at the fair" }));

    test.post_and_end(RESUBMITTED, End::Synced).await;
    assert_eq!(test.lead()["Title"], "Chief of Everything");
    assert_eq!(test.lead()["Description"], "Met at the fair");
}

#[tokio::test]
async fn owner_and_status_are_never_taken_back_whatever_is_configured() {
    let lead = r#"Status = { from = "stage", write = "always" }"#;
    let test = TestDaemon::with(Setup {
        lead,
        ..Setup::default()
    })
    .await;
    let stage = |stage| form_with(ANNA, &[("stage", stage)]);
    test.post_and_end(&stage("Open - Not Contacted"), End::Synced)
        .await;
    test.edit(json!({ "Status": "Working - Contacted" }));
    test.post(&stage("Closed - Not Converted")).await;
    test.drained().await;
    assert_eq!(test.lead()["Status"], "Working - Contacted");
}

#[tokio::test]
async fn a_blank_never_overwrites() {
    let lead = r#"Title = { from = "title", write = "always" }"#;
    let test = TestDaemon::with(Setup {
        lead,
        ..Setup::default()
    })
    .await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post(&form_with(
        ANNA,
        &[("title", ""), ("phone", " "), ("city", "Berlin")],
    ))
    .await;
    test.drained().await;
    let lead = test.lead();
    assert_eq!(lead["Title"], "Head of Growth");
    assert_eq!(lead["Phone"], "+49309018201");
    assert_eq!(lead["City"], "Berlin");
}

#[tokio::test]
async fn an_opt_out_is_written_and_never_undone() {
    let test = TestDaemon::start().await;
    let opt_out = |out| form_with(ANNA, &[("email_opt_out", out)]);
    test.post_and_end(&opt_out("true"), End::Synced).await;
    assert_eq!(test.lead()["HasOptedOutOfEmail"], true);
    test.post(&opt_out("false")).await;
    test.drained().await;
    assert_eq!(test.lead()["HasOptedOutOfEmail"], true);
}

#[tokio::test]
async fn an_opt_out_that_a_person_set_stays() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    test.edit(json!({ "HasOptedOutOfEmail": true }));
    test.post(&form_with(
        ANNA,
        &[("email_opt_out", "false"), ("city", "Berlin")],
    ))
    .await;
    test.drained().await;
    assert_eq!(test.lead()["City"], "Berlin");
    assert_eq!(test.lead()["HasOptedOutOfEmail"], true);
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_lead_and_overwrites_nothing_that_was_typed_since() {
    let lead = r#"Title = { from = "title", write = "if_blank" }"#;
    let test = TestDaemon::with(Setup {
        lead,
        ..Setup::default()
    })
    .await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    test.sandbox.set_faults(Faults {
        lost_answer_rate: 1.0,
        at_most: Some(1),
        ..Faults::default()
    });
    test.post(ANNA).await;
    test.until("the write is carried out", async || test.leads().len() == 1)
        .await;
    assert_eq!(test.sandbox.fault_counts().lost_answers, 1);
    // Nothing is sent again yet: its time has not come.
    test.edit(json!({ "Title": "VP Growth" }));

    test.drained().await;
    assert_eq!(
        test.ends(End::Merged).await + test.ends(End::Synced).await,
        1
    );
    assert_eq!(test.lead()["Title"], "VP Growth");
}

#[tokio::test]
async fn a_refused_update_does_not_forget_that_the_record_is_there() {
    let test = TestDaemon::with(Setup {
        salesforce: LONG_FRESH,
        ..Setup::default()
    })
    .await;
    test.at_home().await;
    test.sandbox.set_faults(Faults {
        lost_answer_rate: 1.0,
        at_most: Some(1),
        ..Faults::default()
    });
    test.post(&form_with(ANNA, &[("city", "Berlin")])).await;
    test.until("the write is carried out", async || test.leads().len() == 1)
        .await;
    // The next try finds a blank to fill, and is locked out; the one after that must look again.
    test.edit(json!({ "Title": "VP Growth", "City": null }));
    test.sandbox.set_faults(Faults {
        row_lock_rate: 1.0,
        at_most: Some(1),
        ..Faults::default()
    });
    test.drained().await;
    assert_eq!(test.sandbox.fault_counts().row_locks, 1);
    assert_eq!(test.lead()["City"], "Berlin");
    assert_eq!(test.lead()["Title"], "VP Growth");
}

#[tokio::test]
async fn a_lead_that_a_person_deleted_is_not_made_again() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let id = test.lead()["Id"].as_str().unwrap().to_owned();
    test.sandbox.delete("Lead", &id).unwrap();

    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::DeadLetter)
        .await;
    assert_eq!(test.leads().len(), 0);
    let letter = test.dead_letter().await;
    assert_eq!(letter.code, "salesforce.record_gone");
    assert!(letter.hint.contains("recycle bin"), "{letter:?}");
}

/// Whether a title that was given before our own last write is written, under `if_newer`; a person
/// edits `edited` after that write.
async fn writes_the_older_title(edited: Option<Value>) -> bool {
    let title = |write: &str| format!(r#"Title = {{ from = "title", write = "{write}" }}"#);
    let (never, if_newer) = (title("never"), title("if_newer"));
    let setup = |lead| Setup {
        lead,
        ..Setup::default()
    };
    let email = ANNA[0];
    let mut test = TestDaemon::with(setup(&never)).await;
    test.post_and_end(ANNA, End::Synced).await;
    let receipt = test
        .post_and_end(&[email, ("title", "Chief")], End::Merged)
        .await;
    test.clock.advance(Duration::from_secs(60));
    test.post_and_end(&[email, ("city", "Berlin")], End::Synced)
        .await;
    if let Some(edited) = edited {
        test.edit(edited);
    }

    test.restart(setup(&if_newer)).await;
    let output = test.command(&["replay", &receipt]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    test.drained().await;
    test.lead()
        .get("Title")
        .is_some_and(|title| title == "Chief")
}

#[tokio::test]
async fn our_own_write_makes_no_submission_old_and_a_persons_does() {
    assert!(writes_the_older_title(None).await);
    let edited = json!({ "Description": "Met at the fair" });
    assert!(!writes_the_older_title(Some(edited)).await);
}
