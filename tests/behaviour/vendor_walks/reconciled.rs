//! Webhooks that get lost, and the comparison with the vendor that finds them.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadstream::connector::Catalog;
use leadstream::ingest::poll::status::{Reconciled, SourceState};
use leadstream::model::SourceName;
use parking_lot::Mutex;
use reqwest::StatusCode;
use ring::hmac;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::dice::Dice;
use super::people::Person;
use super::site::{FIRST_CAME, samples_of, source_section};
use super::stand_in::{PEOPLE, StandIn};
use crate::harness::{Setup, TestDaemon};

/// No other test has a source of that name: whatever warns of it, warns here.
const SOURCE: &str = "reconciled-by-a-test";

const HOUR: Duration = Duration::from_secs(3_600);

/// Keeps the warnings of all tests of this binary that name the source.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _context: Context<'_, S>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        if text.0.contains(SOURCE) {
            self.0.lock().push(text.0);
        }
    }
}

/// A daemon with a source of Typeform whose vendor is a stand-in.
struct Site {
    test: TestDaemon,
    vendor: Arc<StandIn>,
    people: Vec<Person>,
    /// What its secrets are in.
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let manifest = Arc::clone(Catalog::embedded().get("typeform").unwrap());
        let samples = samples_of("typeform");
        let (vendor, url) = StandIn::start(Arc::clone(&manifest), &samples, true).await;
        let folder = tempfile::tempdir().unwrap();
        let own = "schedule = \"off\"\nreconcile = \"0 * * * *\"";
        let more = source_section(folder.path(), SOURCE, &manifest, &samples, &url, own);
        let test = TestDaemon::with(Setup {
            more: &more,
            ..Setup::default()
        })
        .await;
        let config = test.config();
        let source = &config.sources[&SourceName::new(SOURCE)];
        vendor.settle(source, FIRST_CAME);
        Self {
            people: vendor.people(),
            test,
            vendor,
            _folder: folder,
        }
    }

    /// The webhook that the vendor sends of a person.
    async fn webhook(&self, person: &Person) {
        let body = json!({
            "event_id": format!("event-of-{}", person.email),
            "event_type": "form_response",
            "form_response": person.record,
        })
        .to_string();
        let secret = std::fs::read(samples_of("typeform").join("secrets/webhook_secret.txt"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.unwrap().trim_ascii());
        let signature = STANDARD.encode(hmac::sign(&key, body.as_bytes()));
        let answer = self
            .test
            .http
            .post(self.test.url(&format!("/hooks/{SOURCE}")))
            .header("content-type", "application/json")
            .header("typeform-signature", format!("sha256={signature}"))
            .body(body);
        assert_eq!(answer.send().await.unwrap().status(), StatusCode::OK);
    }

    /// Lets the clock come to the next comparison, and that to its end.
    async fn compared(&self) -> Reconciled {
        let state = async || {
            let loaded = SourceState::load(self.test.store(), &SourceName::new(SOURCE)).await;
            loaded.unwrap().reconciled
        };
        let before = state().await;
        self.test.clock.advance(HOUR);
        self.test
            .until("it is compared", async || state().await != before)
            .await;
        state().await.unwrap()
    }

    async fn gap(&self) -> Option<String> {
        let (_, metrics) = self.test.get("/metrics").await;
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.contains("reconcile_missing{") && line.contains(SOURCE));
        line.map(|line| line.rsplit(' ').next().unwrap().to_owned())
    }
}

#[tokio::test]
async fn with_two_fifths_of_the_webhooks_lost_one_comparison_makes_the_store_whole() {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    // For the daemon's threads as well. No other test of this binary sets one.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let site = Site::start().await;
    assert_eq!(site.people.len(), PEOPLE);
    let mut dice = Dice(40);
    let mut order: Vec<usize> = (0..PEOPLE).collect();
    for last in (1..PEOPLE).rev() {
        order.swap(last, dice.roll(last as u64 + 1) as usize);
    }
    let lost = PEOPLE * 2 / 5;
    for index in &order[lost..] {
        site.webhook(&site.people[*index]).await;
    }
    site.test.decided().await;

    // The vendor fails meanwhile as it does in walks.
    site.vendor.state.lock().dice = Some(Dice(41));
    let first = site.compared().await;
    assert_eq!(first.tally.missing, lost as u64);
    assert_eq!(first.tally.new, lost as u64);
    assert_eq!(site.gap().await.as_deref(), Some("400"));
    site.test.decided().await;

    let second = site.compared().await;
    assert_eq!((second.tally.missing, second.tally.new), (0, 0));
    assert_eq!(second.tally.known, PEOPLE as u64);
    assert_eq!(site.gap().await.as_deref(), Some("0"));
    let alarms: Vec<String> = warnings.0.lock().clone();
    let alarms: Vec<&String> = alarms
        .iter()
        .filter(|text| text.contains("missing="))
        .collect();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].contains("missing=400 "), "{alarms:?}");

    // One lead of each.
    site.test.decided().await;
    let database = rusqlite::Connection::open(site.test.directory().join("leads.db")).unwrap();
    let mut records = database.prepare("SELECT record FROM lead").unwrap();
    let records = records
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let records: Vec<Value> = records
        .map(|record| serde_json::from_str(&record.unwrap()).unwrap())
        .collect();
    assert_eq!(records.len(), PEOPLE);
    let found: BTreeSet<String> = records.iter().filter_map(super::email_in).collect();
    let emails: BTreeSet<String> = site
        .people
        .iter()
        .map(|person| person.email.clone())
        .collect();
    assert_eq!(found, emails);
}
