//! What Salesforce refuses for good: a dead letter in its words, and no harm to others.

use leadstream::model::End;
use leadstream::sandbox::SandboxOptions;

use crate::harness::{ANNA, Setup, TestDaemon, form_with};

const BEN: &[(&str, &str)] = &[
    ("email", "ben@acme.example"),
    ("last_name", "Tal"),
    ("company", "Acme"),
];

/// An org with a list of plans.
fn plans() -> SandboxOptions {
    SandboxOptions {
        custom_fields: vec!["Lead.Plan__c:picklist(Starter|Pro)".parse().unwrap()],
        ..SandboxOptions::default()
    }
}

/// A daemon that knows what the org is made of.
async fn with_plan(mapping: &str) -> TestDaemon {
    let test = TestDaemon::with(Setup {
        sandbox: plans(),
        lead: mapping,
        ..Setup::default()
    })
    .await;
    test.at_home().await;
    test
}

#[tokio::test]
async fn a_value_that_would_be_refused_is_a_dead_letter_and_harms_no_neighbour() {
    let test = with_plan(r#"Plan__c = { from = "plan" }"#).await;
    test.post(BEN).await;
    let dead = test.post(&form_with(ANNA, &[("plan", "Gold")])).await;
    test.decided().await;
    test.drained().await;
    assert_eq!(test.calls("collection_upsert"), 1, "the other went");
    assert_eq!(test.lead()["Email"], "ben@acme.example");
    assert_eq!(test.ends(End::Synced).await, 1);
    let letter = test.dead_letter().await;
    assert_eq!(letter.event.to_string(), dead);
    assert_eq!(letter.code, "salesforce.picklist_value");
    assert!(letter.message.contains("Plan"), "{letter:?}");
    assert!(!letter.hint.is_empty());
}

#[tokio::test]
async fn a_field_that_may_be_dropped_is_and_the_lead_arrives() {
    let test = with_plan(r#"Plan__c = { from = "plan", on_invalid = "drop_field" }"#).await;
    test.post_and_end(&form_with(ANNA, &[("plan", "Gold")]), End::Synced)
        .await;
    assert!(test.lead().get("Plan__c").is_none());
    assert_eq!(test.lead()["Title"], "Head of Growth");
}

#[tokio::test]
async fn a_default_stands_in_for_a_refused_value() {
    let mapping = r#"Plan__c = { from = "plan", on_invalid = "default", default = "Starter" }"#;
    let test = with_plan(mapping).await;
    test.post_and_end(&form_with(ANNA, &[("plan", "Gold")]), End::Synced)
        .await;
    assert_eq!(test.lead()["Plan__c"], "Starter");
}

#[tokio::test]
async fn a_misspelt_field_holds_only_the_leads_that_carry_it() {
    let test = with_plan(r#"Plann__c = { from = "plan" }"#).await;
    test.post(BEN).await;
    test.post(&form_with(ANNA, &[("plan", "Pro")])).await;
    test.decided().await;
    test.drained().await;
    assert_eq!(test.lead()["Email"], "ben@acme.example");
    let letter = test.dead_letter().await;
    assert!(letter.message.contains("Plann__c"), "{letter:?}");
    assert!(letter.hint.contains("did you mean `Plan__c`"), "{letter:?}");
}

#[tokio::test]
async fn a_misspelt_field_that_may_be_dropped_holds_nobody() {
    let test = with_plan(r#"Plann__c = { from = "plan", on_invalid = "drop_field" }"#).await;
    test.post(BEN).await;
    test.post(&form_with(ANNA, &[("plan", "Pro")])).await;
    test.decided().await;
    test.drained().await;
    assert_eq!(test.leads().len(), 2);
    assert_eq!(test.dead_letters().await, []);
}

#[tokio::test]
async fn a_misspelt_field_on_an_update_holds_only_the_leads_that_carry_it() {
    let test = with_plan(r#"Plann__c = { from = "plan" }"#).await;
    test.post_and_end(BEN, End::Synced).await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post(&form_with(BEN, &[("city", "Berlin")])).await;
    test.post(&form_with(ANNA, &[("plan", "Pro"), ("city", "Köln")]))
        .await;
    test.decided().await;
    test.drained().await;
    assert_eq!(test.lead_of("ben@acme.example").unwrap()["City"], "Berlin");
    let letter = test.dead_letter().await;
    assert!(letter.message.contains("Plann__c"), "{letter:?}");
}

#[tokio::test]
async fn a_misspelt_field_on_an_update_is_dropped_where_it_may_be() {
    let test = with_plan(r#"Plann__c = { from = "plan", on_invalid = "drop_field" }"#).await;
    test.post_and_end(ANNA, End::Synced).await;
    test.post_and_end(
        &form_with(ANNA, &[("plan", "Pro"), ("city", "Köln")]),
        End::Synced,
    )
    .await;
    assert_eq!(test.lead()["City"], "Köln");
}
