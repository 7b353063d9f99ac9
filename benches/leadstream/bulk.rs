//! Many new leads by bulk jobs into the sandbox: leads a second, calls, and whether memory grows
//! with the number of leads.

use std::io::{Error, Result};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use leadstream::config;
use leadstream::deliver::bulk::{BulkLoader, LoadTarget, RowEnd};
use leadstream::edge::clock::SystemClock;
use leadstream::edge::http::{AllowedHosts, ReqwestHttp};
use leadstream::edge::shutdown;
use leadstream::salesforce::{Client, Map};
use leadstream::store::{Access, Store};
use leadstream::telemetry::Metrics;
use serde_json::json;

use crate::say;
use crate::server::{Server, memory_mib_of};

/// Leads handed over at once, as the deliver loop claims them.
const CLAIM: u64 = 10_000;

const KEY: &str = "Leadstream_Id__c";

/// Runs the load in a process of its own: the sandbox's memory, and this one's, are not its.
pub fn run(leads: u64) -> Result<()> {
    say(&format!("\n## bulk, {leads} new leads"));
    let sandbox = Server::sandbox(&[])?;
    let status = std::process::Command::new(std::env::current_exe()?)
        .args(["bulk-one", &sandbox.port.to_string(), &leads.to_string()])
        .env("BENCH_SECRET", "bench")
        .status()?;
    if !status.success() {
        return Err(Error::other("the run failed"));
    }
    Ok(())
}

/// Loads `leads` leads into the sandbox at `port`.
pub async fn run_one(port: u16, leads: u64) -> Result<()> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = directory.path().join("leadstream.toml");
    std::fs::write(
        &file,
        format!(
            "[store]\nurl = \"sqlite:leads.db\"\n[salesforce]\nlogin_url = \"http://127.0.0.1:{port}\"\n\
             client_id = \"bench\"\nclient_secret = {{ env = \"BENCH_SECRET\" }}\n\
             [sources.bench]\nconnector = \"web-form\"\n"
        ),
    )?;
    let secret = |name: &str| (name == "BENCH_SECRET").then(|| "secret".to_owned());
    let config = config::load(&file, &secret)
        .config
        .ok_or_else(|| Error::other("the bench's configuration is wrong"))?;
    let store = Store::open(&config.store, Access::Daemon)
        .await
        .map_err(Error::other)?;
    let clock = Arc::new(SystemClock);
    let http = Arc::new(ReqwestHttp::new(AllowedHosts::default().loopback()));
    let client = Client::new(http, clock.clone(), config.salesforce, Metrics::new());
    let client = Arc::new(client);
    let loader = BulkLoader::new(Arc::clone(&store), Arc::clone(&client), clock);
    let target = LoadTarget {
        object: "Lead",
        external_id_field: KEY,
        assignment_rule_id: None,
    };
    let (_trigger, shutdown) = shutdown::channel();
    let may_write = || -> BoxFuture<'_, bool> { Box::pin(async { true }) };

    let before = memory_mib_of("self", "VmRSS")?;
    let started = Instant::now();
    let mut after_first = 0.0;
    let mut created = 0;
    for from in (0..leads).step_by(CLAIM as usize) {
        let rows: Vec<Map> = (from..leads.min(from + CLAIM)).map(row).collect();
        let loaded = loader
            .load(&target, &rows, &may_write, shutdown.clone())
            .await
            .map_err(Error::other)?;
        if let Some(trouble) = loaded.trouble {
            return Err(Error::other(trouble.message));
        }
        let is_new = |end: &&RowEnd| matches!(end, RowEnd::Saved(saved) if saved.created);
        created += loaded.ends.iter().filter(is_new).count();
        if from == 0 {
            after_first = memory_mib_of("self", "VmHWM")?;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let calls: u64 = client.calls_made().by_hour().values().sum();
    say(&format!(
        "{created} of {leads} created in {seconds:.1} s, {calls} calls ({:.2} per 1,000); \
         memory: {before:.1} MiB at first, at most {after_first:.1} in the first 10,000 leads, {:.1} in all",
        calls as f64 * 1_000.0 / leads as f64,
        memory_mib_of("self", "VmHWM")?,
    ));
    store.close().await;
    Ok(())
}

fn row(number: u64) -> Map {
    let fields = json!({
        KEY: format!("BENCH{number:016}"),
        "FirstName": "Anna",
        "LastName": format!("Müller {number}"),
        "Company": format!("Company {} GmbH & Co. KG", number % 9_973),
        "Email": format!("anna.{number}@company-{}.example", number % 9_973),
        "Phone": format!("+49 30 {:08}", number % 100_000_000),
        "City": "Berlin",
        "PostalCode": "10115",
        "LeadSource": "Web",
        "Description": "Asked for a demo of the large plan; saw us at the fair in spring, \"stand 4\".",
    });
    match fields {
        serde_json::Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
