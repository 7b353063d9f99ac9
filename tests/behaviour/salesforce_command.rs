//! `leadstream salesforce setup`, and what `doctor` finds in an org that is set up otherwise.

use leadstream::sandbox::{DuplicateRule, SandboxOptions, Setup as OrgSetup};
use serde_json::{Value, json};

use crate::cli_run::{Running, Site, until};
use crate::harness::{ANNA, Setup};

/// An org in which nothing of ours is there.
fn empty() -> SandboxOptions {
    SandboxOptions {
        external_id_field: "Other_Id__c".to_owned(),
        ..SandboxOptions::default()
    }
}

async fn site(sandbox: SandboxOptions) -> Site {
    Site::new(Setup {
        sandbox,
        ..Setup::default()
    })
    .await
}

async fn said(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = site.command(arguments).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

async fn json(site: &Site, arguments: &[&str]) -> Value {
    let output = site.command(arguments).await;
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn setup_makes_what_is_missing_and_doctor_is_content() {
    let site = site(empty()).await;
    let (code, text) = said(&site, &["salesforce", "doctor"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("leadstream salesforce setup"), "{text}");

    let (code, text) = said(&site, &["salesforce", "setup"]).await;
    assert_eq!(code, Some(1), "{text}");
    for line in [
        "to make:   Lead.Leadstream_Id__c (Text 64, external id, unique)",
        "to allow:  Contact.Leadstream_Id__c",
        "by:        the permission set Leadstream",
        "Nothing was written",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("made:"), "{text}");

    let (code, text) = said(&site, &["salesforce", "setup", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "made:      the field Lead.Leadstream_Id__c",
        "made:      the field Contact.Leadstream_Id__c",
        "made:      the right to write Contact.Leadstream_Id__c in Leadstream",
        "Map Lead Fields",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let (code, text) = said(&site, &["salesforce", "doctor"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("all is well"), "{text}");

    let (code, text) = said(&site, &["salesforce", "setup", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nothing was written"), "{text}");
    let calls = site.sandbox.calls();
    let permissions = site.sandbox.count("FieldPermissions");
    assert_eq!(permissions, 2, "{calls:?}");

    let daemon = Running::start(site.directory.path(), "info").await;
    assert_eq!(daemon.post(ANNA).await.status(), 200);
    until("the lead arrives", || site.sandbox.count("Lead") == 1).await;
    assert!(site.sandbox.records("Lead")[0]["Leadstream_Id__c"].is_string());
}

#[tokio::test]
async fn fields_for_attribution_are_made_once_and_their_mapping_is_said() {
    let site = site(SandboxOptions::default()).await;
    let told = json(
        &site,
        &["salesforce", "setup", "--attribution", "--yes", "--json"],
    )
    .await;
    assert_eq!(told["state"], "done", "{told}");
    let made = told["steps"].as_array().unwrap().iter();
    let made = made.filter(|step| step["step"] == "field" && step["outcome"] == "done");
    assert_eq!(made.count(), 9, "{told}");
    assert_eq!(told["clicks"], json!([]));

    let (code, text) = said(&site, &["salesforce", "setup", "--attribution"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("nothing was written"), "{text}");
    assert!(text.contains("GCLID__c = { from = \"gclid\" }"), "{text}");
}

#[tokio::test]
async fn a_user_who_may_not_customise_is_shown_the_clicks() {
    let site = site(empty()).await;
    let set = site.sandbox.records("PermissionSet")[0]["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let change = json!({ "PermissionsCustomizeApplication": false });
    site.sandbox
        .edit("PermissionSet", &set, change.as_object().unwrap())
        .unwrap();
    let (code, text) = said(&site, &["salesforce", "setup", "--yes"]).await;
    assert_eq!(code, Some(1), "{text}");
    for line in [
        "refused:   the field Lead.Leadstream_Id__c",
        "left out:  the right to write Lead.Leadstream_Id__c",
        "Customize Application",
        "1. Setup > Object Manager > Lead > Fields & Relationships > New > Text",
        "Permission Sets > Leadstream > Object Settings > Contacts",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let calls = site.sandbox.calls().by_kind.values().sum::<u64>();
    let (code, text) = said(&site, &["salesforce", "setup", "--print"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("tick External ID and Unique"), "{text}");
    assert_eq!(
        site.sandbox.calls().by_kind.values().sum::<u64>(),
        calls,
        "it was to ask nobody"
    );
}

#[tokio::test]
async fn a_permission_set_that_is_not_there_is_said_before_anything_is_written() {
    let site = site(empty()).await;
    let arguments = ["salesforce", "setup", "--yes", "--permission-set", "Nope"];
    let (code, text) = said(&site, &arguments).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("there is no permission set `Nope`"), "{text}");
    assert!(text.contains("Nothing was written"), "{text}");
    assert_eq!(site.sandbox.calls().count("tooling_create"), 0);
    assert_eq!(site.sandbox.count("FieldPermissions"), 0);
    let (_, text) = said(&site, &["doctor"]).await;
    assert!(text.contains("doctor.external_id_missing"), "{text}");
}

#[tokio::test]
async fn doctor_tells_what_the_orgs_own_rules_will_do() {
    let sandbox = SandboxOptions {
        duplicate_rule: Some(DuplicateRule::Alert),
        assignment_queue: Some("Inbound".to_owned()),
        campaigns: vec!["Spring".to_owned()],
        ..SandboxOptions::default()
    };
    let owners = "OwnerId = { from = \"region\", values = { a = \"EMEA Queue\", b = \"Former Employee\" } }\n\
                  RecordTypeId = { from = \"kind\", values = { a = \"Partner\", b = \"Legacy\" } }";
    let more = "[sources.spring]\nconnector = \"web-form\"\ncampaign = \"spring\"\n\
                [sources.autumn]\nconnector = \"web-form\"\ncampaign = \"Autumn\"\n";
    let site = Site::new(Setup {
        sandbox,
        lead: owners,
        more,
        ..Setup::default()
    })
    .await;
    let rule = json!({ "add_validation_rule": {
        "object": "Lead", "name": "Region_Needed", "message": "Say the region",
        "when": [{ "field": "Country", "is": "blank" }],
    } });
    let rule: OrgSetup = serde_json::from_value(rule).unwrap();
    site.sandbox.set_up(rule).unwrap();

    let told = json(&site, &["doctor", "--json"]).await;
    let problems = told["diagnostics"].as_array().unwrap();
    let codes: Vec<_> = problems
        .iter()
        .map(|found| found["code"].as_str().unwrap())
        .collect();
    for code in [
        "doctor.duplicate_rule",
        "doctor.owner_inactive",
        "doctor.record_type",
        "doctor.campaign_missing",
    ] {
        let count = codes.iter().filter(|found| **found == code).count();
        assert_eq!(count, 1, "{code}: {told:#}");
    }
    let notes = told["notes"].to_string();
    for note in [
        "Region_Needed",
        "Say the region",
        "does not run for our leads",
        "left",
    ] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
    // Besides the token and the versions, which do not count.
    let counted = site.sandbox.calls().api;
    assert_eq!(told["calls"], counted, "{:?}", site.sandbox.calls());
    assert!(counted <= 16, "{counted}");
}
