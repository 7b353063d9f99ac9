//! The org is changed while it is in use: one alarm that names the mapping and the leads that are held,
//! and after the fix they go by themselves.

use std::time::Duration;

use leadstream::model::End;
use leadstream::sandbox::{SandboxOptions, Setup as Change};
use serde_json::{Value, json};

use crate::harness::{ANNA, Setup, TestDaemon, form_with};

const HOUR: Duration = Duration::from_secs(60 * 60);

const GOLD: &str = r#"Plan__c = { from = "plan", values = { "Gold" = "Pro" } }"#;
const MENDED: &str = r#"Plan__c = { from = "plan", values = { "Gold" = "Max" } }"#;

fn setup(lead: &str) -> Setup<'_> {
    Setup {
        sandbox: SandboxOptions {
            custom_fields: vec!["Lead.Plan__c:picklist(Starter|Pro)".parse().unwrap()],
            ..SandboxOptions::default()
        },
        lead,
        ..Setup::default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl TestDaemon {
    /// A daemon that knows the org.
    async fn that_knows(setup: Setup<'_>) -> Self {
        let test = Self::with(setup).await;
        test.until("the org is known", async || {
            test.store().describe_marks().await.unwrap().len() == 2
        })
        .await;
        test
    }

    fn change(&self, change: Value) {
        let change: Change = serde_json::from_value(change).unwrap();
        self.sandbox.set_up(change).unwrap();
    }

    /// What the alarm is about.
    async fn drifted(&self) -> Vec<String> {
        let problems = self.store().org_problems().await.unwrap();
        let drifted = problems.into_iter().filter(|problem| problem.drifted);
        drifted.map(|problem| problem.about).collect()
    }

    async fn until_drifted(&self, about: &[&str]) {
        self.until("the alarm", async || self.drifted().await == about)
            .await;
    }

    async fn schema(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut all = vec!["salesforce", "schema"];
        all.extend(arguments);
        let output = self.command(&all).await;
        let told = text(&output.stdout) + &text(&output.stderr);
        (output.status.code(), told)
    }
}

#[tokio::test]
async fn a_renamed_picklist_value_is_parked_with_a_hint_and_goes_after_the_fix() {
    let mut test = TestDaemon::that_knows(setup(GOLD)).await;
    test.change(json!({ "rename_picklist_value":
        { "object": "Lead", "field": "Plan__c", "from": "Pro", "to": "Max" } }));
    test.post_and_end(&form_with(ANNA, &[("plan", "Gold")]), End::DeadLetter)
        .await;
    // The refusal says that we know the org wrongly: it is looked at before the day is over.
    let refused_at = test.dead_letter().await.at;
    test.until_drifted(&["Lead.Plan__c = Pro"]).await;
    let marks = test.store().describe_marks().await.unwrap();
    let lead = marks.iter().find(|mark| mark.object == "Lead").unwrap();
    let looked_at = lead.changed_at;
    assert!(looked_at.since(refused_at) < HOUR, "{looked_at:?}");

    // Its list has a new value, so it was tried once more.
    test.until("it has stopped again", async || {
        let letters = test.dead_letters().await;
        letters.len() == 1 && letters[0].at >= looked_at
    })
    .await;

    let (_, ready) = test.get("/readyz").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["salesforce_drift"][0]["about"], "Lead.Plan__c = Pro");
    test.until("it is counted", async || {
        let (_, metrics) = test.get("/metrics").await;
        metrics.contains("leadstream_salesforce_drift 1")
            && metrics.contains("leadstream_mapping_problems ")
    })
    .await;
    let (exit, schema) = test.schema(&[]).await;
    assert_eq!(exit, Some(1), "{schema}");
    for part in [
        "Plan__c                      picklist",
        "plan (if_blank, hold)",
        "error[doctor.picklist_value]: `Pro`, values of Plan__c in [salesforce.lead]",
        "changed in Salesforce; known since",
        "1 dead letters are held by it",
        "its list is `Starter`, `Max`",
    ] {
        assert!(schema.contains(part), "{part}\n{schema}");
    }
    let causes = text(&test.command(&["dead-letters"]).await.stdout);
    let sentence = "1 lead: Plan__c: ";
    assert!(
        causes.contains(sentence) && causes.contains("is not in the picklist"),
        "{causes}"
    );
    assert!(causes.contains("leadstream replay --cause "), "{causes}");

    test.restart(setup(MENDED)).await;
    test.until("it has gone by itself", async || test.leads().len() == 1)
        .await;
    test.drained().await;
    assert_eq!(test.lead()["Plan__c"], "Max");
    assert_eq!(test.dead_letters().await, []);
    assert_eq!(test.drifted().await, [""; 0]);
    let (exit, schema) = test.schema(&[]).await;
    assert_eq!(exit, Some(0), "{schema}");
    assert!(schema.contains("mapping and org fit together"), "{schema}");
}

#[tokio::test]
async fn a_renamed_field_is_told_before_any_lead_fails() {
    let test = TestDaemon::that_knows(setup(GOLD)).await;
    test.change(
        json!({ "rename_field": { "object": "Lead", "from": "Plan__c", "to": "Package__c" } }),
    );
    test.clock.advance(HOUR * 25);
    test.until_drifted(&["Lead.Plan__c"]).await;
    let (_, schema) = test.schema(&[]).await;
    assert!(
        schema.contains("it seems that it is called `Package__c`"),
        "{schema}"
    );
    assert_eq!(test.dead_letters().await, []);

    // Mended in the org, and nobody wants to wait for the next day.
    test.change(
        json!({ "rename_field": { "object": "Lead", "from": "Package__c", "to": "Plan__c" } }),
    );
    let (exit, schema) = test.schema(&["--refresh"]).await;
    assert_eq!(exit, Some(0), "{schema}");
    assert_eq!(test.drifted().await, [""; 0]);
}

#[tokio::test]
async fn a_lost_permission_is_found_by_its_refusal_and_its_leads_go_when_it_is_back() {
    let test = TestDaemon::that_knows(setup(GOLD)).await;
    let access = |access: &str| json!({ "set_field_access": { "object": "Lead", "field": "Plan__c", "access": access } });
    test.change(access("read"));
    test.post_and_end(&form_with(ANNA, &[("plan", "Gold")]), End::DeadLetter)
        .await;
    test.until_drifted(&["Lead.Plan__c"]).await;
    test.change(access("edit"));
    test.until("it has gone by itself", async || test.leads().len() == 1)
        .await;
    test.drained().await;
    assert_eq!(test.lead()["Plan__c"], "Pro");
    assert_eq!(test.drifted().await, [""; 0]);
}

#[tokio::test]
async fn an_owner_who_has_left_is_told() {
    let lead =
        r#"OwnerId = { from = "owner", write = "create_only", default = "rep@example.com" }"#;
    let test = TestDaemon::that_knows(setup(lead)).await;
    assert_eq!(test.drifted().await, [""; 0]);
    let active = |active: bool| json!({ "set_user_active": { "user": "rep@example.com", "active": active } });
    test.change(active(false));
    test.clock.advance(HOUR * 25);
    test.until_drifted(&["OwnerId = rep@example.com"]).await;
    let (_, schema) = test.schema(&[]).await;
    assert!(schema.contains("error[doctor.owner_inactive]"), "{schema}");
    test.change(active(true));
    test.clock.advance(HOUR * 25);
    test.until_drifted(&[]).await;
}

#[tokio::test]
async fn dead_letters_of_one_cause_are_replayed_by_one_command() {
    let mut test = TestDaemon::with(setup(r#"Plan__c = { from = "plan" }"#)).await;
    for email in ["anna@acme.example", "ben@acme.example"] {
        test.post_and_end(&[("email", email), ("plan", "Gold")], End::DeadLetter)
            .await;
    }
    let grouped = text(
        &test
            .command(&["dead-letters", "--json", "--group"])
            .await
            .stdout,
    );
    let groups: Vec<Value> = grouped
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        groups.iter().all(|group| {
            let cause = group["cause"].as_str().unwrap();
            cause.ends_with(" Lead.Plan__c") && !cause.contains("Gold")
        }),
        "{grouped}"
    );
    let count: u64 = groups
        .iter()
        .map(|group| group["leads"].as_u64().unwrap())
        .sum();
    assert_eq!(count, 2, "{grouped}");
    let listed = text(&test.command(&["dead-letters", "--json"]).await.stdout);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains(r#""cause":"salesforce."#), "{listed}");

    let unknown = test
        .command(&["replay", "--cause", "salesforce.none"])
        .await;
    assert_eq!(unknown.status.code(), Some(1));
    test.stop().await;
    let mut replayed = 0;
    for group in &groups {
        let cause = group["cause"].as_str().unwrap();
        let output = text(&test.command(&["replay", "--cause", cause]).await.stdout);
        let count = output.split(' ').next().unwrap();
        replayed += count.parse::<u64>().unwrap();
    }
    assert_eq!(replayed, 2);
}
