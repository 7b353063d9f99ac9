//! Loads into the sandbox, by a clock that leaps over every wait.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use serde_json::json;

use super::*;
use crate::config::StoreConfig;
use crate::edge::clock::Clock;
use crate::edge::fault::{FaultPoints, Faults as Stops};
use crate::edge::http::{AllowedHosts, ReqwestHttp};
use crate::edge::shutdown::{self, Trigger};
use crate::salesforce::testing::{NOW, config};
use crate::sandbox::{Faults, RunningSandbox, Sandbox, SandboxOptions};
use crate::store::Access;
use crate::telemetry::Metrics;

const KEY: &str = "Leadstream_Id__c";

/// Whoever waits has waited.
#[derive(Debug)]
struct Leaping(AtomicI64);

impl Clock for Leaping {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let by = i64::try_from(duration.as_millis()).unwrap();
        self.0.fetch_add(by, Ordering::SeqCst);
        Box::pin(async {})
    }
}

/// The process ends when it comes to `point` for the time number `at`, from 1.
#[derive(Debug)]
struct StopsAt {
    point: &'static str,
    at: usize,
    come: AtomicUsize,
}

impl Stops for StopsAt {
    fn reach(&self, point: &'static str) -> BoxFuture<'static, std::io::Result<()>> {
        let ends = point == self.point && self.come.fetch_add(1, Ordering::SeqCst) + 1 == self.at;
        Box::pin(async move {
            if ends {
                return Err(std::io::Error::other("the process ended here"));
            }
            Ok(())
        })
    }

    fn jitter(&self) -> f64 {
        1.0
    }
}

struct Place {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    org: RunningSandbox,
    clock: Arc<Leaping>,
    _trigger: Trigger,
    shutdown: Shutdown,
}

impl Place {
    async fn new(options: SandboxOptions) -> Self {
        let clock = Arc::new(Leaping(AtomicI64::new(NOW.0)));
        let sandbox = Sandbox::new(options, clock.clone());
        let org = sandbox.start().await.unwrap();
        let (trigger, shutdown) = shutdown::channel();
        Self {
            folder: tempfile::tempdir().unwrap(),
            sandbox,
            org,
            clock,
            _trigger: trigger,
            shutdown,
        }
    }

    async fn loader(&self, faults: FaultPoints) -> BulkLoader {
        let url = format!("sqlite:{}/leads.db", self.folder.path().display());
        let store = Store::open_with(&StoreConfig::at(&url), Access::Daemon, faults)
            .await
            .unwrap();
        let mut config = config();
        config.login_url = self.org.url().parse().unwrap();
        let http = ReqwestHttp::new(AllowedHosts::default().loopback());
        let client = Client::new(Arc::new(http), self.clock.clone(), config, Metrics::new());
        BulkLoader::new(store, Arc::new(client), self.clock.clone())
    }

    async fn load(&self, loader: &BulkLoader, rows: &[Map]) -> Result<Loaded, StoreError> {
        let target = LoadTarget {
            object: "Lead",
            external_id_field: KEY,
            assignment_rule_id: None,
        };
        let may = || -> BoxFuture<'_, bool> { Box::pin(async { true }) };
        spawnable(loader.load(&target, rows, &may, self.shutdown.clone())).await
    }
}

/// The loops run on threads of their own.
fn spawnable<T: Send>(future: T) -> T {
    future
}

fn row(number: usize) -> Map {
    let row = json!({
        KEY: format!("K{number:06}"),
        "LastName": format!("Lee, \"{number}\""),
        "Company": "Acme",
        "Email": format!("lee{number}@acme.example"),
    });
    row.as_object().unwrap().clone()
}

fn rows(count: usize) -> Vec<Map> {
    (0..count).map(row).collect()
}

fn saved(loaded: &Loaded) -> (usize, usize) {
    let saved = loaded.ends.iter().filter_map(|end| match end {
        RowEnd::Saved(saved) => Some(saved.created),
        _ => None,
    });
    let created: Vec<bool> = saved.collect();
    (created.len(), created.iter().filter(|new| **new).count())
}

/// Until nothing is left; how often it was looked.
async fn finish(loader: &BulkLoader) -> u32 {
    for looks in 1..100 {
        let Some(until) = spawnable(loader.finish_left()).await.unwrap() else {
            return looks;
        };
        loader.clock.sleep(until.since(loader.clock.now())).await;
    }
    panic!("jobs are left for ever");
}

#[tokio::test]
async fn twenty_thousand_rows_by_a_lost_answer_and_a_crash_are_there_once() {
    let place = Place::new(SandboxOptions {
        faults: Faults {
            lost_upload_rate: 1.0,
            at_most: Some(1),
            ..Faults::default()
        },
        ..SandboxOptions::default()
    })
    .await;
    let rows = rows(20_000);
    // The process ends when the second job has been begun.
    let stops = FaultPoints::decided_by(Arc::new(StopsAt {
        point: "bulk.after_close",
        at: 2,
        come: AtomicUsize::new(0),
    }));
    let loader = place.loader(stops).await;
    let ended = place.load(&loader, &rows).await;
    assert!(ended.is_err(), "{ended:?}");
    assert!(place.sandbox.count("Lead") >= 10_000);
    loader.store.close().await;
    drop(loader);

    let loader = place.loader(FaultPoints::default()).await;
    assert!(finish(&loader).await > 1, "it is waited for");
    assert_eq!(place.sandbox.count("Lead"), 20_000);
    // Whoever went through the crash knows nothing of what was written.
    let again = place.load(&loader, &rows).await.unwrap();
    assert_eq!(again.trouble, None);
    assert_eq!(saved(&again), (20_000, 0));
    assert_eq!(place.sandbox.count("Lead"), 20_000);
    assert_eq!(loader.store.left_bulk_jobs().await.unwrap(), []);
    loader.store.close().await;
}

#[tokio::test]
async fn each_row_has_its_own_end() {
    let place = Place::new(SandboxOptions::default()).await;
    let loader = place.loader(FaultPoints::default()).await;
    let mut rows = rows(5);
    rows[1].remove("Company");
    rows[3].insert("Description".to_owned(), json!("x".repeat(40_000)));
    let loaded = place.load(&loader, &rows).await.unwrap();
    assert_eq!(loaded.trouble, None);
    assert_eq!(saved(&loaded), (3, 3));
    let RowEnd::Refused(errors) = &loaded.ends[1] else {
        panic!("{:?}", loaded.ends);
    };
    assert_eq!(errors[0].code, "REQUIRED_FIELD_MISSING");
    assert_eq!(loaded.ends[3], RowEnd::NotSent);
    assert_eq!(place.sandbox.count("Lead"), 3);
    let lead = &place.sandbox.records("Lead")[0];
    assert_eq!(lead["LastName"], "Lee, \"0\"");
    loader.store.close().await;
}

#[tokio::test]
async fn a_job_that_salesforce_refuses_as_it_stands_has_sent_nothing() {
    let place = Place::new(SandboxOptions::default()).await;
    let loader = place.loader(FaultPoints::default()).await;
    let mut rows = rows(3);
    rows[2].insert("Foo__c".to_owned(), json!("x"));
    let loaded = place.load(&loader, &rows).await.unwrap();
    assert_eq!(loaded.ends, vec![RowEnd::NotSent; 3]);
    let trouble = loaded.trouble.unwrap();
    assert_eq!(trouble.class, Class::FixConfig);
    assert_eq!(trouble.code, "salesforce.invalid_field");
    assert_eq!(loader.store.left_bulk_jobs().await.unwrap(), []);
    assert_eq!(place.sandbox.count("Lead"), 0);
    loader.store.close().await;
}

#[tokio::test]
async fn what_a_failed_job_has_not_come_to_may_be_written_all_the_same() {
    let place = Place::new(SandboxOptions {
        faults: Faults {
            job_failure_rate: 1.0,
            ..Faults::default()
        },
        ..SandboxOptions::default()
    })
    .await;
    let loader = place.loader(FaultPoints::default()).await;
    let rows = rows(1_000);
    let loaded = place.load(&loader, &rows).await.unwrap();
    assert!(loaded.trouble.is_some());
    let (known, created) = saved(&loaded);
    assert_eq!(known, created);
    assert_eq!(known, place.sandbox.count("Lead"));
    let lost = loaded.ends.iter().filter(|end| **end == RowEnd::Lost);
    assert_eq!(lost.count(), 1_000 - known);

    place.sandbox.set_faults(Faults::default());
    let again = place.load(&loader, &rows).await.unwrap();
    assert_eq!(saved(&again).0, 1_000);
    assert_eq!(place.sandbox.count("Lead"), 1_000);
    loader.store.close().await;
}

/// Wherever the process ends, what it leaves is ended by the next, and nothing is there twice.
#[tokio::test]
async fn a_crash_anywhere_leaves_nothing_behind() {
    for (point, is_written) in [
        ("bulk.after_create", false),
        ("bulk.after_upload", false),
        ("bulk.before_close", false),
        ("bulk.after_close", true),
        ("bulk.after_results", true),
    ] {
        let place = Place::new(SandboxOptions::default()).await;
        let stops = FaultPoints::decided_by(Arc::new(StopsAt {
            point,
            at: 1,
            come: AtomicUsize::new(0),
        }));
        let loader = place.loader(stops).await;
        let rows = rows(10);
        assert!(place.load(&loader, &rows).await.is_err(), "{point}");
        loader.store.close().await;
        drop(loader);

        let loader = place.loader(FaultPoints::default()).await;
        finish(&loader).await;
        let written = if is_written { 10 } else { 0 };
        assert_eq!(place.sandbox.count("Lead"), written, "{point}");
        let again = place.load(&loader, &rows).await.unwrap();
        assert_eq!(saved(&again), (10, 10 - written), "{point}");
        loader.store.close().await;
    }
}

#[tokio::test]
async fn who_may_not_write_any_more_begins_nothing() {
    let place = Place::new(SandboxOptions::default()).await;
    let loader = place.loader(FaultPoints::default()).await;
    let target = LoadTarget {
        object: "Lead",
        external_id_field: KEY,
        assignment_rule_id: None,
    };
    for allowed in [0, 1] {
        let asked = AtomicUsize::new(0);
        let may = || -> BoxFuture<'_, bool> {
            let may = asked.fetch_add(1, Ordering::SeqCst) < allowed;
            Box::pin(async move { may })
        };
        let loaded = loader
            .load(&target, &rows(3), &may, place.shutdown.clone())
            .await
            .unwrap();
        assert_eq!(loaded.ends, vec![RowEnd::NotSent; 3]);
        assert_eq!(loaded.trouble, None);
    }
    assert_eq!(place.sandbox.count("Lead"), 0);
    assert_eq!(loader.store.left_bulk_jobs().await.unwrap(), []);
    loader.store.close().await;
}

#[tokio::test]
async fn nothing_left_costs_no_call() {
    let place = Place::new(SandboxOptions::default()).await;
    let loader = place.loader(FaultPoints::default()).await;
    assert_eq!(loader.finish_left().await.unwrap(), None);
    assert_eq!(loader.client.calls_made().take(), []);
    loader.store.close().await;
}

#[tokio::test]
async fn the_active_assignment_rule_is_found() {
    let place = Place::new(SandboxOptions {
        assignment_queue: Some("Inbound".to_owned()),
        ..SandboxOptions::default()
    })
    .await;
    let loader = place.loader(FaultPoints::default()).await;
    let rule = loader.assignment_rule("Lead").await.unwrap();
    assert!(rule.is_some_and(|id| id.starts_with("01Q")));
    loader.store.close().await;

    let place = Place::new(SandboxOptions::default()).await;
    let loader = place.loader(FaultPoints::default()).await;
    assert_eq!(loader.assignment_rule("Lead").await.unwrap(), None);
    loader.store.close().await;
}
