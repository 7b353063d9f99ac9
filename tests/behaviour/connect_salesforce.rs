//! `leadstream connect salesforce`, and what becomes of the tokens: over real HTTP to the sandbox.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;

use leadstream::config::{self, Config};
use leadstream::edge::clock::SystemClock;
use leadstream::edge::http::ReqwestHttp;
use leadstream::org_tokens;
use leadstream::salesforce::{Client, allowed_hosts};
use leadstream::sandbox::{Faults, SandboxOptions};
use leadstream::store::{Access, Store};
use leadstream::telemetry::Metrics;

use crate::cli_run::{Running, Site, until};
use crate::harness::{ANNA, Setup, form_with};
use crate::tools::{http_client, leadstream};

const BY_CONSENT: &str = "auth = \"authorization_code\"";

async fn site(sandbox: SandboxOptions) -> Site {
    Site::new(Setup {
        sandbox,
        salesforce: BY_CONSENT,
        ..Setup::default()
    })
    .await
}

/// `leadstream connect salesforce`, waiting for its answer, and the page that it names.
async fn asking(site: &Site) -> (Child, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut command = leadstream(site.directory.path());
    let mut process = command
        .args(["connect", "salesforce", "--no-browser", "--port", &port])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = process.stdout.take().unwrap();
    let (process, url) = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let url = lines.find(|line| line.trim().starts_with("http://127.0.0.1"));
        process.stdout = None;
        // What it says from here on is read by nobody, so its pipe stays open.
        std::thread::spawn(move || lines.for_each(drop));
        (process, url)
    })
    .await
    .unwrap();
    (process, url.unwrap().trim().to_owned())
}

/// A browser of which it is seen where it is sent.
#[expect(
    clippy::disallowed_methods,
    reason = "tests stand outside of the program and its door for outgoing requests"
)]
fn http_client_that_stays() -> reqwest::Client {
    // An error means that another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Opens the page, and goes where it leads; gives what the browser shows at last.
async fn browse(url: &str) -> String {
    let page = http_client_that_stays().get(url).send().await.unwrap();
    assert_eq!(page.status(), 302);
    let back = page.headers()["location"].to_str().unwrap().to_owned();
    let shown = http_client().get(back).send().await.unwrap();
    shown.text().await.unwrap()
}

async fn ended(process: Child) -> (Option<i32>, String) {
    let output = tokio::task::spawn_blocking(move || process.wait_with_output().unwrap());
    let output = output.await.unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

async fn connect(site: &Site) {
    let (process, url) = asking(site).await;
    assert!(browse(&url).await.contains("leadstream is connected"));
    let (code, said) = ended(process).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn an_org_that_was_connected_takes_leads_and_its_access_renews_itself() {
    let site = site(SandboxOptions {
        requires_pkce: true,
        ..SandboxOptions::default()
    })
    .await;
    connect(&site).await;
    let daemon = Running::start(site.directory.path(), "trace,hyper=debug,sqlx=debug").await;
    assert_eq!(daemon.post(ANNA).await.status(), 200);
    until("the lead arrives", || site.sandbox.count("Lead") == 1).await;
    let tokens = site.sandbox.calls().count("token");
    assert_eq!(tokens, 1, "the daemon goes on with the token of connect");

    site.sandbox.expire_tokens();
    let other = form_with(
        ANNA,
        &[("email", "other@acme.example"), ("last_name", "Other")],
    );
    assert_eq!(daemon.post(&other).await.status(), 200);
    until("the second lead arrives", || {
        site.sandbox.count("Lead") == 2
    })
    .await;
    assert_eq!(site.sandbox.calls().count("token"), 2);

    let (code, log) = daemon.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(
        !log.contains("Bearer") && !log.contains("!AQ") && !log.contains("5Aep"),
        "{log}"
    );
    let kept = std::fs::read(site.directory.path().join("leads.db")).unwrap();
    assert!(
        !kept.windows(3).any(|part| part == b"!AQ"),
        "tokens are sealed"
    );
}

#[tokio::test]
async fn an_org_that_was_not_connected_or_no_longer_is_says_what_to_run() {
    let site = site(SandboxOptions::default()).await;
    let doctor = async || {
        let output = site.command(&["doctor"]).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = doctor().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("leadstream connect salesforce"), "{said}");

    connect(&site).await;
    let (code, said) = doctor().await;
    assert_eq!(code, Some(0), "{said}");

    site.sandbox.revoke_approvals();
    let (code, said) = doctor().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("expired access/refresh token")
            && said.contains("leadstream connect salesforce"),
        "{said}"
    );
    connect(&site).await;
    let (code, said) = doctor().await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn a_person_who_denies_connects_nothing() {
    let site = site(SandboxOptions::default()).await;
    site.sandbox.set_faults(Faults {
        deny_approval: true,
        ..Faults::default()
    });
    let (process, url) = asking(&site).await;
    assert!(browse(&url).await.contains("was not connected"));
    let (code, said) = ended(process).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("access_denied"), "{said}");
}

#[tokio::test]
async fn a_way_to_sign_in_that_asks_nobody_has_nothing_to_connect() {
    let site = Site::new(Setup::default()).await;
    let output = site
        .command(&["connect", "salesforce", "--no-browser"])
        .await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("authorization_code"), "{said}");
}

/// A node of its own over `store`.
fn node(config: &Config, store: &Arc<Store>) -> Client {
    let org = &config.salesforce;
    let http = Arc::new(ReqwestHttp::new(allowed_hosts(org)));
    let client = Client::new(http, Arc::new(SystemClock), org.clone(), Metrics::new());
    client.keeping(org_tokens::keep(Arc::clone(store), &config.store))
}

/// Salesforce ends a consent of which an old refresh token is sent: a race would show.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_over_one_store_renew_once_and_never_send_an_old_refresh_token() {
    let site = site(SandboxOptions::default()).await;
    connect(&site).await;
    let file = site.directory.path().join("leadstream.toml");
    let config = config::load_with_process_env(&file).config.unwrap();
    let store = Store::open(&config.store, Access::Command).await.unwrap();
    let nodes = [0; 3].map(|_| Arc::new(node(&config, &store)));
    for round in 1..=5 {
        site.sandbox.expire_tokens();
        let calls = nodes.iter().chain(&nodes).map(|node| {
            let node = Arc::clone(node);
            tokio::spawn(async move { node.limits().await.map(drop) })
        });
        for call in futures_util::future::join_all(calls).await {
            call.unwrap()
                .unwrap_or_else(|error| panic!("{round}: {error}"));
        }
        let tokens = site.sandbox.calls().count("token");
        assert_eq!(tokens, 1 + round, "one renewal a round");
    }
    // Those that are told that another request is under way try again.
    site.sandbox.expire_tokens();
    site.sandbox.set_faults(Faults {
        busy_refresh_rate: 1.0,
        at_most: Some(1),
        ..Faults::default()
    });
    nodes[0].limits().await.unwrap();
    assert_eq!(site.sandbox.fault_counts().busy_refreshes, 1);
    drop(nodes);
    store.close().await;
}
