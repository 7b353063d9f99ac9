//! Leads a second from the inbox to the sandbox, memory, Salesforce calls, time to be ready.

use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::load::{self, Run};
use crate::place::{Place, Stores};
use crate::say;
use crate::server::{Server, get};

/// Sends `leads` persons as fast as they are acknowledged, and waits until all are in the sandbox.
pub fn run(runtime: &Runtime, leads: u64, place: Place, nodes: u64) -> Result<()> {
    let name = place.name();
    say(&format!(
        "\n## end to end over {name}, {nodes} node(s), {leads} leads"
    ));
    let stores = Stores::of(place)?;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let sandbox = Server::sandbox(&[])?;
    let url = stores.url(directory.path());
    let servers = (0..nodes)
        .map(|_| Server::leadstream(directory.path(), &url, sandbox.port))
        .collect::<Result<Vec<_>>>()?;
    let server = &servers[0];
    say(&format!(
        "ready after {:.0} ms",
        server.ready.as_secs_f64() * 1e3
    ));
    say(&format!(
        "resident at the start: {:.1} MiB",
        server.memory_mib("VmRSS")?
    ));
    let calls_before = stat(&sandbox, "/calls/api")?;
    let start = Instant::now();
    let share = leads / nodes;
    let leads = share * nodes;
    let posts = (0..).zip(&servers).map(|(index, server)| {
        let first = Arc::new(AtomicU64::new(index * share));
        load::count(server.port, (64 / nodes) as usize, share, first)
    });
    let sent = runtime.block_on(futures_util::future::try_join_all(posts))?;
    say(&format!(
        "acknowledged: {:.0}/s, p99 {} µs",
        sent.iter().map(Run::rate).sum::<f64>(),
        sent.iter().map(|run| run.percentile(99)).max().unwrap_or(0)
    ));
    let acknowledged = start.elapsed();
    loop {
        let arrived = stat(&sandbox, "/records/Lead")?;
        if arrived >= leads as f64 {
            break;
        }
        if start.elapsed() > Duration::from_secs(600) {
            return Err(Error::other(format!(
                "only {arrived} of {leads} leads arrived"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let all = start.elapsed();
    let calls = stat(&sandbox, "/calls/api")? - calls_before;
    say(&format!(
        "in the sandbox: {:.0}/s from the first post to the last record ({:.1} s, of which {:.1} s posts came in)",
        leads as f64 / all.as_secs_f64(),
        all.as_secs_f64(),
        acknowledged.as_secs_f64()
    ));
    say(&format!(
        "salesforce calls: {calls:.0}, {:.2} for 1,000 leads",
        calls * 1000.0 / leads as f64
    ));
    say(&format!(
        "resident: {:.1} MiB at the end, {:.1} MiB at most",
        server.memory_mib("VmRSS")?,
        server.memory_mib("VmHWM")?
    ));
    say(&format!(
        "processor: {:.0} µs a lead",
        servers
            .iter()
            .map(Server::processor_seconds)
            .sum::<Result<f64>>()?
            * 1e6
            / leads as f64
    ));
    Ok(())
}

/// A number in the sandbox's statistics.
fn stat(sandbox: &Server, pointer: &str) -> Result<f64> {
    let answer = get(sandbox.port, "/sandbox/stats")?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body)
        .unwrap_or_default();
    let stats: serde_json::Value = serde_json::from_str(body)?;
    stats
        .pointer(pointer)
        .and_then(serde_json::Value::as_f64)
        .ok_or_else(|| Error::other(format!("no {pointer}")))
}
