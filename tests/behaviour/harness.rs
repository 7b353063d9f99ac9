//! A daemon in this process, a Salesforce sandbox beside it, and the time of both in the test's
//! hands.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leadstream::config::{self, Config};
use leadstream::daemon::{Daemon, StartError};
use leadstream::edge::clock::{Clock as _, ManualClock};
use leadstream::model::{End, Millis, SourceName};
use leadstream::sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use leadstream::store::{AuditLine, OpenDeadLetter, Store};
use reqwest::StatusCode;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::tools::http_client;

/// 2026-03-01T10:00:00Z
const START: Millis = Millis(1_772_359_200_000);

/// The longest that a condition is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far the clock is moved on between two looks, at first.
const TICK: Duration = Duration::from_millis(50);

/// Looks after which the steps double: some waits are of minutes.
const DOUBLE_AFTER: u32 = 100;

/// Twelve doublings: steps of three minutes.
const MOST_DOUBLINGS: u32 = 12;

/// Fields of a form.
pub type Form<'a> = &'a [(&'a str, &'a str)];

/// What is special about a daemon. The default is a fresh org and one source, `demo`.
#[derive(Debug, Default)]
pub struct Setup<'a> {
    pub sandbox: SandboxOptions,
    /// Further lines of `[server]`.
    pub server: &'a str,
    /// Further lines of `[salesforce]`.
    pub salesforce: &'a str,
    /// Lines of `[salesforce.lead]`.
    pub lead: &'a str,
    /// Further sections.
    pub more: &'a str,
    /// Where the first start keeps all; else where this test binary does.
    pub store: Option<&'a str>,
}

/// A daemon, its org and its folder.
#[derive(Debug)]
pub struct TestDaemon {
    pub sandbox: Sandbox,
    pub clock: Arc<ManualClock>,
    pub http: reqwest::Client,
    daemon: Option<Daemon>,
    org: RunningSandbox,
    directory: TempDir,
}

/// Writes a configuration whose org is at `url`, and the secret that it names.
pub fn write_config(directory: &Path, url: &str, setup: &Setup<'_>) {
    let store = directory.join("store");
    if !store.exists() {
        let url = setup.store.map_or_else(crate::store::url, str::to_owned);
        std::fs::write(&store, url).unwrap();
    }
    let store = std::fs::read_to_string(store).unwrap();
    let config = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        {}
        [store]
        url = "{store}"
        lease_seconds = 2
        [salesforce]
        login_url = "{url}"
        client_id = "key"
        client_secret = {{ file = "secret" }}
        {}
        [salesforce.lead]
        {}
        [sources.demo]
        connector = "web-form"
        default_country = "DE"
        {}
        "#,
        setup.server, setup.salesforce, setup.lead, setup.more
    );
    std::fs::write(directory.join("leadstream.toml"), config).unwrap();
    let secret = directory.join("secret");
    if !secret.exists() {
        std::fs::write(&secret, SECRET).unwrap();
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(secret, owner_only).unwrap();
    }
}

/// The consumer secret, unless a test writes another.
pub const SECRET: &str = "s3cr3t-of-the-app";

impl TestDaemon {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START);
        let sandbox = Sandbox::new(setup.sandbox.clone(), clock.clone());
        let org = sandbox.start().await.unwrap();
        write_config(directory.path(), &org.url(), &setup);
        let mut test = Self {
            sandbox,
            clock,
            http: http_client(),
            daemon: None,
            org,
            directory,
        };
        test.run().await;
        test
    }

    /// Stops the daemon and starts it with another configuration.
    pub async fn restart(&mut self, setup: Setup<'_>) {
        self.stop().await;
        write_config(self.directory.path(), &self.org.url(), &setup);
        self.run().await;
    }

    /// Starts the daemon.
    pub async fn run(&mut self) {
        self.daemon = Some(self.try_run().await.unwrap());
    }

    /// The same, if it starts.
    pub async fn try_run(&self) -> Result<Daemon, StartError> {
        Daemon::start(&self.config(), self.clock.clone()).await
    }

    /// Stops the daemon; what it has not finished stays in its store.
    pub async fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
    }

    pub fn config(&self) -> Config {
        let loaded = config::load(&self.directory().join("leadstream.toml"), &|_| None);
        loaded
            .config
            .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The daemon's store.
    pub fn store(&self) -> &Store {
        self.daemon().store()
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// Posts JSON to the source `demo`; gives the receipt.
    pub async fn post(&self, form: Form<'_>) -> String {
        let (status, body) = self.post_to("demo", form).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn post_to(&self, source: &str, form: Form<'_>) -> (StatusCode, Value) {
        let body: Map<String, Value> = form
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let request = self
            .http
            .post(self.url(&format!("/hooks/{source}")))
            .header("content-type", "application/json")
            .body(Value::from(body).to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
        )
    }

    /// Posts and waits for its end, which must be this one.
    pub async fn post_and_end(&self, form: Form<'_>, end: End) -> String {
        let before = self.ends(end).await;
        let receipt = self.post(form).await;
        self.drained().await;
        assert_eq!(
            self.ends(end).await,
            before + 1,
            "{end:?} {:?}",
            self.dead_letters().await
        );
        receipt
    }

    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.daemon().address())
    }

    /// Moves the clock on until `look` is content, in steps that grow.
    pub async fn until(&self, what: &str, mut look: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        let mut looks = 0;
        while !look().await {
            assert!(
                started.elapsed() < PATIENCE,
                "in vain: {what}\n{}",
                self.state().await
            );
            self.clock
                .advance(TICK * (1 << (looks / DOUBLE_AFTER).min(MOST_DOUBLINGS)));
            looks += 1;
            breathe().await;
        }
    }

    /// The same while the clock stands still.
    pub async fn until_at_once(&self, what: &str, mut look: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !look().await {
            assert!(
                started.elapsed() < PATIENCE,
                "in vain: {what}\n{}",
                self.state().await
            );
            breathe().await;
        }
    }

    /// Waits, while the clock stands still, until all that was accepted has been processed: no batch
    /// goes meanwhile before it is full.
    pub async fn decided(&self) {
        self.until_at_once("all are decided", async || {
            self.audit().await.values().all(|line| line.waiting == 0)
        })
        .await;
    }

    /// Waits until the daemon knows the org: what its objects are made of, and who is in it. What it
    /// asks from then on is about leads.
    pub async fn at_home(&self) {
        self.until("the org is known", async || {
            let store = self.daemon().store();
            let marks = store.describe_marks().await.unwrap();
            let mut complete = true;
            for object in ["Lead", "Contact"] {
                complete &= marks.iter().any(|mark| mark.object == object);
                complete &= store.mirror_state(object).await.unwrap().is_complete;
            }
            complete
        })
        .await;
    }

    /// Waits until all that was accepted has come to its end.
    pub async fn drained(&self) {
        self.until("everything is at its end", async || {
            self.audit()
                .await
                .values()
                .all(|line| line.in_flight() == 0)
        })
        .await;
    }

    /// Waits, with a clock that stands still, until so many deliveries wait in the outbox.
    pub async fn outbox_holds(&self, count: u64) {
        self.until_at_once("the outbox fills", async || self.outbox().await == count)
            .await;
    }

    /// Deliveries that are not at their end.
    pub async fn outbox(&self) -> u64 {
        self.daemon().store().outbox_size().await.unwrap().0
    }

    /// The books, which must balance at any time.
    pub async fn audit(&self) -> BTreeMap<SourceName, AuditLine> {
        let books = self.daemon().store().audit().await.unwrap();
        for (source, line) in &books {
            assert_eq!(line.difference(), 0, "{source}: {line:?}");
        }
        books
    }

    /// Events that came to this end.
    pub async fn ends(&self, end: End) -> u64 {
        self.audit()
            .await
            .values()
            .filter_map(|line| line.ends.get(&end))
            .sum()
    }

    pub async fn dead_letters(&self) -> Vec<OpenDeadLetter> {
        self.daemon()
            .store()
            .dead_letters(None, 1000)
            .await
            .unwrap()
    }

    /// The only dead letter.
    pub async fn dead_letter(&self) -> OpenDeadLetter {
        let mut letters = self.dead_letters().await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters.remove(0)
    }

    /// The org's leads.
    pub fn leads(&self) -> Vec<Map<String, Value>> {
        self.sandbox.records("Lead")
    }

    /// The org's only lead.
    pub fn lead(&self) -> Map<String, Value> {
        let mut leads = self.leads();
        assert_eq!(leads.len(), 1, "{leads:?}");
        leads.remove(0)
    }

    /// The org's lead of that address.
    pub fn lead_of(&self, email: &str) -> Option<Map<String, Value>> {
        self.leads().into_iter().find(|lead| lead["Email"] == email)
    }

    /// A person in the org edits the only lead.
    pub fn edit(&self, fields: Value) {
        let id = self.lead()["Id"].as_str().unwrap().to_owned();
        self.sandbox
            .edit("Lead", &id, fields.as_object().unwrap())
            .unwrap();
    }

    /// Requests that the org got of that kind.
    pub fn calls(&self, kind: &str) -> u64 {
        self.sandbox.calls().count(kind)
    }

    /// Runs a command of the binary beside the daemon.
    pub async fn command(&self, arguments: &[&str]) -> Output {
        let mut command = crate::tools::leadstream(self.directory());
        command.args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// For a failure's message.
    async fn state(&self) -> String {
        let mut text = format!("at {:?}\n", self.clock.now());
        for (source, line) in self.audit().await {
            writeln!(text, "{source}: {line:?}").unwrap();
        }
        writeln!(text, "dead letters: {:?}", self.dead_letters().await).unwrap();
        writeln!(text, "calls: {:?}", self.sandbox.calls()).unwrap();
        text
    }
}

/// A daemon that, once it is at home, asks for nobody who may have come since.
pub const LONG_FRESH: &str = "mirror = { max_age_seconds = 86400, interval_seconds = 86400 }";

/// Lets the other tasks and threads run for a moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the store's threads and the network run by the machine's clock"
)]
async fn breathe() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Anna, as her form sends her.
pub const ANNA: Form<'static> = &[
    ("email", "Anna.Berg@acme.example"),
    ("first_name", "Anna"),
    ("last_name", "Berg"),
    ("company", "Acme"),
    ("phone", "030 9018201"),
    ("title", "Head of Growth"),
];

/// `form` with `more`, which wins.
pub fn form_with<'a>(form: Form<'a>, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = form
        .iter()
        .filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    kept.chain(more).copied().collect()
}
