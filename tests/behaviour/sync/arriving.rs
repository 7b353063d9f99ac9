//! Who is whom, and what of them arrives.

use leadstream::model::End;
use serde_json::json;

use crate::harness::{ANNA, Setup, TestDaemon, form_with};

#[tokio::test]
async fn a_lead_arrives_with_its_fields() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let lead = test.lead();
    for (field, value) in [
        ("Email", "anna.berg@acme.example"),
        ("FirstName", "Anna"),
        ("LastName", "Berg"),
        ("Company", "Acme"),
        ("Phone", "+49309018201"),
        ("Title", "Head of Growth"),
    ] {
        assert_eq!(lead[field], value, "{field}");
    }
    assert!(
        lead["Leadstream_Id__c"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "{lead:?}"
    );
}

#[tokio::test]
async fn what_salesforce_requires_and_a_form_does_not_ask_is_stood_in_for() {
    let test = TestDaemon::start().await;
    test.post_and_end(&[("email", "anna@acme.example")], End::Synced)
        .await;
    let lead = test.lead();
    assert!(!lead["Company"].as_str().unwrap().is_empty());
    assert!(!lead["LastName"].as_str().unwrap().is_empty());
    // What stands in gives way to what the person says.
    test.post_and_end(
        &[
            ("email", "anna@acme.example"),
            ("company", "Beta GmbH"),
            ("last_name", "Berg"),
        ],
        End::Synced,
    )
    .await;
    assert_eq!(test.leads().len(), 1);
}

#[tokio::test]
async fn the_same_address_in_another_case_is_the_same_person() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let again = [
        ("email", "ANNA.BERG@ACME.EXAMPLE"),
        ("last_name", "Berg"),
        ("city", "Berlin"),
    ];
    test.post_and_end(&again, End::Synced).await;
    assert_eq!(test.lead()["City"], "Berlin");
    assert_eq!(test.lead()["Title"], "Head of Growth");
}

#[tokio::test]
async fn the_same_number_and_last_name_are_the_same_person() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let again = [
        ("phone", "+49 (30) 901-8201"),
        ("last_name", "BERG"),
        ("city", "Berlin"),
    ];
    test.post_and_end(&again, End::Synced).await;
    assert_eq!(test.lead()["City"], "Berlin");
}

#[tokio::test]
async fn the_same_number_with_another_last_name_is_someone_else() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    let colleague = [
        ("phone", "+49309018201"),
        ("last_name", "Tal"),
        ("company", "Acme"),
    ];
    test.post_and_end(&colleague, End::Synced).await;
    assert_eq!(test.leads().len(), 2);
}

#[tokio::test]
async fn a_last_name_of_two_words_is_still_the_same_persons() {
    let lead = r#"
        FirstName = { from = "first_name", write = "always" }
        LastName = { from = "last_name", write = "always" }
    "#;
    let test = TestDaemon::with(Setup {
        lead,
        ..Setup::default()
    })
    .await;
    let gabriel = [
        ("phone", "030 9018201"),
        ("first_name", "Gabriel"),
        ("last_name", "García Márquez"),
    ];
    test.post_and_end(&gabriel, End::Synced).await;
    let again = [gabriel[0], gabriel[2], ("city", "Berlin")];
    test.post_and_end(&again, End::Synced).await;
    let lead = test.lead();
    assert_eq!(lead["City"], "Berlin");
    assert_eq!(lead["FirstName"], "Gabriel");
    assert_eq!(lead["LastName"], "García Márquez");
}

#[tokio::test]
async fn the_same_form_twice_is_one_touch_and_no_second_call() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    // What the org's objects are made of is read whenever that is due.
    let calls = || test.sandbox.calls().api - test.calls("describe");
    let before = calls();
    test.post_and_end(ANNA, End::Merged).await;
    assert_eq!(calls(), before);
    assert_eq!(test.leads().len(), 1);
}

#[tokio::test]
async fn one_submission_id_on_everybodys_form_makes_nobody_someone_else() {
    let test = TestDaemon::start().await;
    let anna = form_with(ANNA, &[("submission_id", "form-1")]);
    let ben = [
        ("email", "ben@acme.example"),
        ("last_name", "Tal"),
        ("company", "Acme"),
        ("submission_id", "form-1"),
    ];
    test.post_and_end(&anna, End::Synced).await;
    test.post_and_end(&ben, End::Synced).await;
    assert_eq!(test.leads().len(), 2);
    // Each of them again, now that both are known by it.
    test.post_and_end(&anna, End::Merged).await;
    test.post_and_end(&ben, End::Merged).await;
    test.post_and_end(&form_with(&anna, &[("city", "Berlin")]), End::Synced)
        .await;
    assert_eq!(test.leads().len(), 2);
    let city = |email| test.lead_of(email).unwrap().get("City").cloned();
    assert_eq!(city("anna.berg@acme.example"), Some(json!("Berlin")));
    assert_eq!(city("ben@acme.example").unwrap_or_default(), json!(null));
}

#[tokio::test]
async fn a_submission_that_is_sent_again_is_known_by_its_id_alone() {
    let test = TestDaemon::start().await;
    let first = [
        ("phone", "030 9018201"),
        ("last_name", "Berg"),
        ("submission_id", "e2b1"),
    ];
    test.post_and_end(&first, End::Synced).await;
    // Without the number it matches nobody.
    let again = [
        ("email", "anna.berg@acme.example"),
        ("last_name", "Berg"),
        ("submission_id", "e2b1"),
    ];
    test.post_and_end(&again, End::Synced).await;
    assert_eq!(test.lead()["Email"], "anna.berg@acme.example");
}

#[tokio::test]
async fn doubles_that_arrive_together_are_one_record() {
    let test = TestDaemon::start().await;
    for city in ["Berlin", "Hamburg", "Köln"] {
        test.post(&form_with(ANNA, &[("city", city)])).await;
    }
    test.decided().await;
    test.drained().await;
    // The newest wins, as long as nobody in the org has said otherwise.
    assert_eq!(test.lead()["City"], "Köln");
    assert_eq!(test.calls("collection_upsert"), 1);
}

#[tokio::test]
async fn a_form_without_a_way_to_reach_the_person_is_a_dead_letter_that_says_so() {
    let test = TestDaemon::start().await;
    test.post_and_end(
        &[("last_name", "Berg"), ("company", "Acme")],
        End::DeadLetter,
    )
    .await;
    let letter = test.dead_letter().await;
    assert_eq!(letter.code, "lead.no_contact");
    assert!(letter.hint.contains("leadstream replay"), "{letter:?}");
    assert_eq!(json!(test.leads()), json!([]));
}
