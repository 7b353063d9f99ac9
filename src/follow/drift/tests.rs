use http::HeaderValue;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::config::StoreConfig;
use crate::salesforce::testing::{Answer, Org, answer, config, json_answer};
use crate::store::Access;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Test {
    org: Org,
    store: Arc<Store>,
    _folder: TempDir,
}

impl Test {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&StoreConfig::at(&url), Access::Daemon).await;
        Self {
            org: Org::signed_in().await,
            store: store.unwrap(),
            _folder: folder,
        }
    }

    /// A process whose `[salesforce.lead]` is `lead`, beside `LastName` alone.
    fn process(&self, lead: Value) -> Drift {
        let mut config = config();
        config.lead = serde_json::from_value(lead).unwrap();
        for standard in crate::model::field::FIELDS {
            if let Some(name) = standard.salesforce.filter(|name| *name != "LastName") {
                let off = json!({ "from": standard.name, "write": "never" });
                let off = serde_json::from_value(off).unwrap();
                config.lead.entry(name.to_owned()).or_insert(off);
            }
        }
        let mapping = Arc::new(Mapping::new(&config));
        let watched = Watched {
            object: "Lead".to_owned(),
            mapping,
            external_id: None,
            creates: true,
            expected: Vec::new(),
        };
        Drift::new(
            Arc::clone(&self.store),
            Arc::clone(&self.org.client),
            vec![watched],
            self.org.clock.clone(),
            Arc::clone(&self.org.metrics),
        )
    }

    fn calls(&self) -> usize {
        self.org.http.sent().len()
    }

    async fn about(&self) -> Vec<(String, bool)> {
        let problems = self.store.org_problems().await.unwrap();
        problems
            .into_iter()
            .map(|problem| (problem.about, problem.drifted))
            .collect()
    }
}

fn field(name: &str, label: &str) -> Value {
    json!({ "name": name, "label": label, "type": "string", "length": 255, "nillable": true,
            "createable": true, "updateable": true })
}

fn lead(fields: &[Value]) -> Answer {
    let mut all = vec![field("LastName", "Last Name")];
    all.extend(fields.iter().cloned());
    let lead = json!({ "name": "Lead", "createable": true, "updateable": true, "fields": all });
    json_answer(200, lead).map(|mut answer| {
        let date = HeaderValue::from_static("Sun, 01 Mar 2026 10:00:00 GMT");
        answer.headers_mut().insert("Last-Modified", date);
        answer
    })
}

fn mapped() -> Value {
    json!({ "Plan__c": { "from": "plan" } })
}

#[tokio::test]
async fn the_org_is_asked_at_the_start_and_daily_and_not_in_between() {
    let test = Test::new().await;
    let drift = test.process(mapped());
    let before = test.calls();
    test.org.http.then(lead(&[field("Plan__c", "Plan")]));
    drift.step().await.unwrap();
    assert_eq!(test.calls(), before + 1);
    assert!(test.org.client.describes().get("Lead").is_some());
    for _ in 0..5 {
        test.org.clock.advance(Duration::from_secs(60 * 60));
        drift.step().await.unwrap();
    }
    assert_eq!(test.calls(), before + 1);

    test.org.clock.advance(DAY);
    test.org.http.then(lead(&[field("Plan__c", "Plan")]));
    drift.step().await.unwrap();
    assert_eq!(test.calls(), before + 2);
    assert_eq!(test.org.last().header("if-modified-since"), None);

    // Another process takes it from the store, and does not ask again so soon.
    drift.step().await.unwrap();
    test.process(mapped()).step().await.unwrap();
    assert_eq!(test.calls(), before + 2);
    assert_eq!(test.about().await, []);
}

#[tokio::test]
async fn a_renamed_field_raises_one_alarm_until_it_is_mended() {
    let test = Test::new().await;
    let drift = test.process(mapped());
    test.org.http.then(lead(&[field("Plan__c", "Plan")]));
    drift.step().await.unwrap();
    assert_eq!(test.about().await, []);

    let renamed = || lead(&[field("Package__c", "Plan")]);
    test.org.clock.advance(DAY * 2);
    test.org.http.then(renamed());
    drift.step().await.unwrap();
    let problems = test.store.org_problems().await.unwrap();
    assert_eq!(test.about().await, [("Lead.Plan__c".to_owned(), true)]);
    let hint = &problems[0].hint;
    assert!(
        hint.starts_with("it seems that it is called `Package__c`"),
        "{hint}"
    );
    assert_eq!(test.org.metrics.mapping_problems.get(), 1);
    assert_eq!(test.org.metrics.salesforce_drift.get(), 1);

    // It stays the same alarm, with the same hint, for the next look and the next process.
    test.org.clock.advance(DAY * 2);
    test.org.http.then(renamed());
    test.process(mapped()).step().await.unwrap();
    assert_eq!(test.store.org_problems().await.unwrap(), problems);

    // Mended in the configuration: over without asking the org, which was asked just now.
    let before = test.calls();
    let mended = json!({ "Package__c": { "from": "plan" } });
    test.process(mended).step().await.unwrap();
    assert_eq!(test.calls(), before);
    assert_eq!(test.about().await, []);
    assert_eq!(test.org.metrics.salesforce_drift.get(), 0);
}

#[tokio::test]
async fn what_was_wrong_from_the_start_is_no_drift() {
    let test = Test::new().await;
    test.org.http.then(lead(&[]));
    test.process(mapped()).step().await.unwrap();
    assert_eq!(test.about().await, [("Lead.Plan__c".to_owned(), false)]);
    assert_eq!(test.org.metrics.salesforce_drift.get(), 0);
    assert_eq!(test.org.metrics.mapping_problems.get(), 1);
}

#[tokio::test]
async fn a_new_required_field_and_a_lost_permission_are_drift() {
    let test = Test::new().await;
    let drift = test.process(mapped());
    test.org.http.then(lead(&[field("Plan__c", "Plan")]));
    drift.step().await.unwrap();
    test.org.clock.advance(DAY * 2);
    let mut plan = field("Plan__c", "Plan");
    plan["createable"] = false.into();
    let mut region = field("Region__c", "Region");
    region["nillable"] = false.into();
    test.org.http.then(lead(&[plan, region]));
    drift.step().await.unwrap();
    let expect = ["Lead.Plan__c", "Lead.Region__c"].map(|about| (about.to_owned(), true));
    assert_eq!(test.about().await, expect);
}

#[tokio::test]
async fn a_doubt_makes_the_next_look_early_and_fruitless_ones_rarer() {
    let test = Test::new().await;
    let drift = test.process(mapped());
    let plan = || lead(&[field("Plan__c", "Plan")]);
    test.org.http.then(plan());
    drift.step().await.unwrap();
    let before = test.calls();
    test.org.client.describes().doubt();
    drift.step().await.unwrap();
    assert_eq!(test.calls(), before, "it was asked just now");
    for minutes in [6, 11, 21] {
        test.org
            .clock
            .advance(Duration::from_secs((minutes - 3) * 60));
        test.org.client.describes().doubt();
        drift.step().await.unwrap();
        let before = test.calls();
        test.org.clock.advance(Duration::from_secs(3 * 60));
        test.org.http.then(plan());
        drift.step().await.unwrap();
        assert_eq!(test.calls(), before + 1, "{minutes}");
        assert!(!test.org.client.describes().is_doubted());
    }
}

#[tokio::test]
async fn an_org_that_does_not_answer_is_asked_again_later() {
    let test = Test::new().await;
    let drift = test.process(mapped());
    test.org.http.then(answer(503, "<html>"));
    drift.step().await.unwrap();
    let before = test.calls();
    drift.step().await.unwrap();
    assert_eq!(test.calls(), before);
    test.org.clock.advance(FAILED_WAIT);
    test.org.http.then(lead(&[]));
    drift.step().await.unwrap();
    assert_eq!(test.calls(), before + 1);
    assert!(test.org.client.describes().get("Lead").is_some());
}

#[tokio::test]
async fn nobody_signs_in_for_it() {
    let test = Test::new().await;
    let org = Org::new();
    let drift = Drift {
        client: Arc::clone(&org.client),
        ..test.process(mapped())
    };
    assert_eq!(drift.step().await.unwrap(), UNSIGNED_WAIT);
    assert_eq!(org.http.sent().len(), 0);
}
