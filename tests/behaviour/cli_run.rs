//! The binary as the engineer on call meets it: what it says at the start, in its log and when it
//! does not start; and `doctor`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use leadstream::config::Secret;
use leadstream::edge::clock::SystemClock;
use leadstream::sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::assert_private;
use crate::harness::{ANNA, Setup, form_with, write_config};
use crate::tools::http_client;
use crate::tools::leadstream;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Site {
    pub sandbox: Sandbox,
    pub directory: TempDir,
    pub org: RunningSandbox,
}

impl Site {
    pub async fn new(setup: Setup<'_>) -> Self {
        let sandbox = Sandbox::new(setup.sandbox.clone(), Arc::new(SystemClock));
        let org = sandbox.start().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        write_config(directory.path(), &org.url(), &setup);
        Self {
            sandbox,
            directory,
            org,
        }
    }

    /// The configuration with `from` replaced by `to`.
    pub fn change(&self, from: &str, to: &str) {
        let file = self.directory.path().join("leadstream.toml");
        let config = fs::read_to_string(&file).unwrap();
        assert!(config.contains(from));
        fs::write(file, config.replace(from, to)).unwrap();
    }

    /// A command that ends by itself.
    pub async fn command(&self, arguments: &[&str]) -> Output {
        let mut command = leadstream(self.directory.path());
        command.args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// `run`, which is expected to end with 1 at once; gives what it says.
    async fn refused(&self) -> String {
        let output = self.command(&["run"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }
}

/// `leadstream run`.
pub struct Running {
    address: SocketAddr,
    process: Child,
    lines: Receiver<String>,
    log: String,
}

impl Running {
    pub async fn start(directory: &Path, level: &str) -> Self {
        let mut command = leadstream(directory);
        let mut process = command
            .arg("run")
            .env("LEADSTREAM_LOG", level)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Whoever no longer listens has seen enough.
                let _ = sender.send(line);
            }
        });
        let (line, lines, log) = tokio::task::spawn_blocking(move || {
            let mut log = String::new();
            loop {
                let line = lines
                    .recv_timeout(PATIENCE)
                    .unwrap_or_else(|_| panic!("it starts: {log}"));
                log.push_str(&line);
                log.push('\n');
                if line.contains("leadstream takes leads") {
                    return (line, lines, log);
                }
            }
        })
        .await
        .unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = line["fields"]["address"].as_str().unwrap().parse().unwrap();
        Self {
            address,
            process,
            lines,
            log,
        }
    }

    pub async fn post(&self, form: &[(&str, &str)]) -> reqwest::Response {
        let url = format!("http://{}/hooks/demo?utm_source=anna-berg", self.address);
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = http_client()
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded");
        request.body(body).send().await.unwrap()
    }

    /// Asks it to stop, and gives its exit code and all that it logged.
    pub async fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.process.id().to_string();
        let sent = std::process::Command::new("sh")
            .args(["-c", "kill -s TERM \"$0\"", &pid])
            .status();
        assert!(sent.unwrap().success());
        tokio::task::spawn_blocking(move || {
            // The end of its log is the end of the process.
            while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
                self.log.push_str(&line);
                self.log.push('\n');
            }
            (
                self.process.wait().unwrap().code(),
                std::mem::take(&mut self.log),
            )
        })
        .await
        .unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process is waited for, on its own clock"
)]
pub async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let started = Instant::now();
    while !look() {
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_single_lead_is_there_within_seconds_and_a_term_ends_in_order() {
    let site = Site::new(Setup::default()).await;
    let daemon = Running::start(site.directory.path(), "info").await;
    let posted = Instant::now();
    assert_eq!(daemon.post(ANNA).await.status(), 200);
    until("the lead arrives", || site.sandbox.count("Lead") == 1).await;
    // Within a second on a machine with time to spare; this one may have none.
    assert!(
        posted.elapsed() < Duration::from_secs(5),
        "{:?}",
        posted.elapsed()
    );
    let (code, log) = daemon.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"stopped\""), "{log}");
}

#[tokio::test]
async fn the_most_talkative_log_holds_no_personal_data_and_no_secret() {
    let plan = "Lead.Plan__c:picklist(Starter|Pro)".parse().unwrap();
    let sandbox = SandboxOptions {
        custom_fields: vec![plan],
        ..SandboxOptions::default()
    };
    let lead = r#"Plan__c = { from = "plan" }"#;
    let site = Site::new(Setup {
        sandbox,
        lead,
        ..Setup::default()
    })
    .await;
    let daemon = Running::start(site.directory.path(), "trace,hyper=debug,sqlx=debug").await;
    assert_eq!(daemon.post(ANNA).await.status(), 200);
    until("a lead arrives", || site.sandbox.count("Lead") == 1).await;
    // A second post, an update that is refused, a body that cannot be read, a source that is not there.
    let refused = form_with(ANNA, &[("plan", "Anna's own"), ("city", "Berg")]);
    assert_eq!(daemon.post(&refused).await.status(), 200);
    until("the update is refused", || {
        site.sandbox.calls().count("collection_read") == 1
    })
    .await;
    let url = format!("http://{}/hooks/demo", daemon.address);
    let unreadable = http_client()
        .post(&url)
        .header("content-type", "application/json");
    let unreadable = unreadable
        .body(r#"{"email":"anna.berg@acme.example""#)
        .send()
        .await
        .unwrap();
    assert_eq!(unreadable.status(), 400);
    let unknown = http_client()
        .post(format!("{url}-anna-berg"))
        .send()
        .await
        .unwrap();
    assert_eq!(unknown.status(), 404);

    let (code, log) = daemon.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"DEBUG\""), "it was to be talkative: {log}");
    assert_private("the log", &log);
    assert!(!log.contains("Bearer"), "{log}");
}

#[tokio::test]
async fn strict_start_refuses_what_would_be_fenced_off() {
    let more = "[sources.broken]\nconnector = \"web-form\"\ncolour = \"red\"\n";
    let site = Site::new(Setup {
        more,
        ..Setup::default()
    })
    .await;
    site.change("[server]", "[server]\nstrict_start = true");
    let said = site.refused().await;
    assert!(
        said.contains("config.unknown_key") && said.contains("colour"),
        "{said}"
    );
    assert!(
        !site.directory.path().join("leads.db").exists(),
        "it was not to touch anything"
    );
}

#[tokio::test]
async fn a_second_run_on_one_store_is_refused() {
    let site = Site::new(Setup::default()).await;
    let daemon = Running::start(site.directory.path(), "info").await;
    let said = site.refused().await;
    assert!(said.contains("error: another leadstream runs on"), "{said}");
    assert_eq!(daemon.post(ANNA).await.status(), 200, "the first goes on");
}

#[tokio::test]
async fn a_store_that_cannot_be_made_is_a_clear_error() {
    let site = Site::new(Setup::default()).await;
    // A file where a folder has to be: no user may write there, not even root.
    fs::write(site.directory.path().join("no-folder"), "").unwrap();
    site.change("sqlite:leads.db", "sqlite:no-folder/leads.db");
    let said = site.refused().await;
    assert!(
        said.contains("error: cannot open") && said.contains("no-folder"),
        "{said}"
    );
}

#[tokio::test]
async fn a_store_that_is_no_database_is_a_clear_error() {
    let site = Site::new(Setup::default()).await;
    fs::write(
        site.directory.path().join("leads.db"),
        "this is a letter to my aunt, no database",
    )
    .unwrap();
    let said = site.refused().await;
    assert!(
        said.contains("error:") && said.contains("not a database"),
        "{said}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_error() {
    let site = Site::new(Setup::default()).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    site.change("127.0.0.1:0", &address);
    let said = site.refused().await;
    assert!(
        said.contains(&format!("error: cannot listen on {address}")),
        "{said}"
    );
}

async fn doctor(site: &Site) -> (Option<i32>, String) {
    let output = site.command(&["doctor"]).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn doctor_finds_a_healthy_org_well() {
    let site = Site::new(Setup::default()).await;
    let (code, said) = doctor(&site).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("all is well"), "{said}");
    assert_eq!(site.sandbox.count("Lead"), 0);
}

#[tokio::test]
async fn doctor_misses_the_external_id_field() {
    let sandbox = SandboxOptions {
        external_id_field: "Other_Id__c".to_owned(),
        ..SandboxOptions::default()
    };
    let site = Site::new(Setup {
        sandbox,
        ..Setup::default()
    })
    .await;
    let (code, said) = doctor(&site).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("Leadstream_Id__c") && said.contains("help:"),
        "{said}"
    );
}

#[tokio::test]
async fn doctor_misses_a_mapped_field_and_says_which_was_meant() {
    let plan = "Lead.Plan__c".parse().unwrap();
    let sandbox = SandboxOptions {
        custom_fields: vec![plan],
        ..SandboxOptions::default()
    };
    let lead = r#"Plann__c = { from = "plan" }"#;
    let site = Site::new(Setup {
        sandbox,
        lead,
        ..Setup::default()
    })
    .await;
    let (code, said) = doctor(&site).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("Plann__c") && said.contains("`Plan__c`"),
        "{said}"
    );
}

#[tokio::test]
async fn doctor_is_told_a_wrong_secret() {
    let sandbox = SandboxOptions {
        client_secret: Some(Secret::new("another")),
        ..SandboxOptions::default()
    };
    let site = Site::new(Setup {
        sandbox,
        ..Setup::default()
    })
    .await;
    let (code, said) = doctor(&site).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("doctor.sign_in") && said.contains("client_secret"),
        "{said}"
    );
    assert_private("what it says", &said.replace(site.org.url().as_str(), ""));
}
