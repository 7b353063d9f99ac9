//! After mending, dead letters are processed once more.

use leadstream::model::End;
use leadstream::sandbox::SandboxOptions;

use crate::harness::{ANNA, Setup, TestDaemon, form_with};

const HELD: &str = r#"Plan__c = { from = "plan" }"#;
const MENDED: &str = r#"Plan__c = { from = "plan", values = { "Gold" = "Pro" } }"#;

fn setup(lead: &str) -> Setup<'_> {
    let plan = "Lead.Plan__c:picklist(Starter|Pro)".parse().unwrap();
    let sandbox = SandboxOptions {
        custom_fields: vec![plan],
        ..SandboxOptions::default()
    };
    Setup {
        sandbox,
        lead,
        ..Setup::default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn after_mending_the_configuration_all_dead_letters_arrive_by_themselves() {
    let mut test = TestDaemon::with(setup(HELD)).await;
    test.post_and_end(&form_with(ANNA, &[("plan", "Gold")]), End::DeadLetter)
        .await;
    test.post_and_end(
        &[("email", "ben@acme.example"), ("plan", "Gold")],
        End::DeadLetter,
    )
    .await;
    test.restart(setup(MENDED)).await;
    test.until("they arrive", async || test.leads().len() == 2)
        .await;
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, 2);
    assert_eq!(test.dead_letters().await, []);
    assert!(test.leads().iter().all(|lead| lead["Plan__c"] == "Pro"));
}

#[tokio::test]
async fn all_dead_letters_are_tried_again_when_someone_says_so() {
    let mut test = TestDaemon::with(setup(HELD)).await;
    for email in ["anna@acme.example", "ben@acme.example"] {
        test.post_and_end(&[("email", email), ("plan", "Gold")], End::DeadLetter)
            .await;
    }
    // While no daemon runs, nobody else tries them.
    test.stop().await;
    let output = test.command(&["replay", "--all-dead"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).starts_with("2 events"),
        "{}",
        text(&output.stdout)
    );
    test.run().await;
    test.drained().await;
    assert_eq!(test.ends(End::DeadLetter).await, 2);
}

#[tokio::test]
async fn one_is_replayed_by_its_receipt() {
    let mut test = TestDaemon::with(setup(HELD)).await;
    let receipt = test
        .post_and_end(&form_with(ANNA, &[("plan", "Gold")]), End::DeadLetter)
        .await;
    let other = [("email", "ben@acme.example"), ("plan", "Gold")];
    let other = test.post_and_end(&other, End::DeadLetter).await;
    let stopped_at = async |test: &TestDaemon, event: &str| {
        let letters = test.dead_letters().await;
        let letter = letters
            .iter()
            .find(|letter| letter.event.to_string() == event);
        letter.unwrap().at
    };
    let before = (
        stopped_at(&test, &receipt).await,
        stopped_at(&test, &other).await,
    );
    // While no daemon runs, nobody else tries them.
    test.stop().await;
    let output = test.command(&["replay", &receipt]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    test.clock.advance(std::time::Duration::from_secs(1));
    test.run().await;
    test.drained().await;
    assert!(stopped_at(&test, &receipt).await > before.0);
    assert_eq!(stopped_at(&test, &other).await, before.1);
}

#[tokio::test]
async fn what_is_still_wrong_is_a_dead_letter_again() {
    let test = TestDaemon::with(setup(HELD)).await;
    let receipt = test
        .post_and_end(&form_with(ANNA, &[("plan", "Gold")]), End::DeadLetter)
        .await;
    let before = test.dead_letter().await.at;
    test.clock.advance(std::time::Duration::from_secs(1));
    test.command(&["replay", "--all-dead"]).await;
    test.until("it has stopped again", async || {
        let letters = test.dead_letters().await;
        letters.iter().any(|letter| letter.at > before)
    })
    .await;
    test.drained().await;
    assert_eq!(test.dead_letter().await.event.to_string(), receipt);
    assert_eq!(test.ends(End::DeadLetter).await, 1);
}

#[tokio::test]
async fn an_older_submission_that_is_replayed_overwrites_nothing_newer() {
    let always = |values: &str| {
        format!(
            "Title = {{ from = \"title\", write = \"always\" }}\n\
             Plan__c = {{ from = \"plan\"{values} }}"
        )
    };
    let mut test = TestDaemon::with(setup(&always(""))).await;
    test.post_and_end(ANNA, End::Synced).await;
    let older = form_with(ANNA, &[("plan", "Gold"), ("title", "Intern")]);
    test.post_and_end(&older, End::DeadLetter).await;
    test.clock.advance(std::time::Duration::from_secs(3600));
    // The same person says what their plan is now: that can be sent.
    let newer = form_with(ANNA, &[("plan", "Pro"), ("title", "Director")]);
    test.post_and_end(&newer, End::Synced).await;
    assert_eq!(test.lead()["Title"], "Director");

    test.restart(setup(&always(r#", values = { "Gold" = "Starter" }"#)))
        .await;
    test.command(&["replay", "--all-dead"]).await;
    test.drained().await;
    assert_eq!(test.lead()["Title"], "Director");
    assert_eq!(test.lead()["Plan__c"], "Pro");
}

#[tokio::test]
async fn what_cannot_be_replayed_is_left_alone_politely() {
    let test = TestDaemon::start().await;
    let synced = test.post_and_end(ANNA, End::Synced).await;
    let waiting = test.post(&[("email", "ben@acme.example")]).await;
    test.outbox_holds(1).await;
    let calls = test.calls("collection_upsert");

    let output = test
        .command(&["replay", &synced, &waiting, "0000000000007"])
        .await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("3 were left alone"),
        "{}",
        text(&output.stderr)
    );
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, 2);
    assert_eq!(test.calls("collection_upsert"), calls + 1);

    let output = test.command(&["replay", "not-a-receipt"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("is not an id"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn nothing_to_replay_is_no_failure() {
    let test = TestDaemon::start().await;
    let output = test.command(&["replay", "--all-dead"]).await;
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("0 events"));
}

#[tokio::test]
async fn doubles_that_died_together_are_all_resolved_when_one_of_them_arrives() {
    let mut test = TestDaemon::with(setup(HELD)).await;
    let (older, newer) = (
        form_with(ANNA, &[("plan", "Gold")]),
        form_with(ANNA, &[("plan", "Gold"), ("city", "Berlin")]),
    );
    // At once, so that they share a delivery.
    let (first, _) = futures_util::join!(test.post(&older), test.post(&newer));
    test.drained().await;
    assert_eq!(test.ends(End::DeadLetter).await, 2);
    test.restart(setup(MENDED)).await;

    test.command(&["replay", &first]).await;
    test.drained().await;
    assert_eq!(test.lead()["City"], "Berlin", "the lead is sent whole");
    assert_eq!(test.dead_letters().await, []);
    assert_eq!(test.ends(End::DeadLetter).await, 0);
}
