//! Durable acknowledgements a second, and how long one takes, against the references.

use std::fmt::Write as _;
use std::io::Result;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::load::{self, Run};
use crate::place::{Place, Stores};
use crate::server::Server;
use crate::{reference, say};

const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(3);
const CONNECTIONS: [usize; 2] = [64, 256];

struct Measured {
    name: &'static str,
    run: Run,
    processor_us: f64,
}

/// Five rounds of all in turn, for each number of connections; medians of the rounds' ratios.
pub fn run(runtime: &Runtime, rounds: u64, place: Place) -> Result<()> {
    let stores = Stores::of(place)?;
    let names = reference::names(place);
    for connections in CONNECTIONS {
        say(&format!(
            "\n## acknowledge over {}, {connections} connections, {rounds} rounds",
            place.name()
        ));
        let mut by_round = Vec::new();
        for round in 1..=rounds {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
            let probe = fdatasync_probe(directory.path())?;
            let mut line = format!("round {round}: fdatasync {probe:.0} µs");
            let mut measured = Vec::new();
            for name in names.into_iter().chain(["leadstream"]) {
                let one = one(runtime, name, &stores, directory.path(), connections)?;
                let _ = write!(
                    line,
                    " | {name} {:.0}/s p50 {} p99 {} µs, processor {:.1} µs",
                    one.run.rate(),
                    one.run.percentile(50),
                    one.run.percentile(99),
                    one.processor_us
                );
                measured.push(one);
            }
            say(&line);
            by_round.push(measured);
        }
        for name in names {
            let rate = |all: &[Measured], name: &str| {
                all.iter()
                    .find(|one| one.name == name)
                    .map_or(f64::NAN, |one| one.run.rate())
            };
            let ratios = by_round
                .iter()
                .map(|all| rate(all, "leadstream") / rate(all, name))
                .collect();
            say(&format!("leadstream / {name}: {:.2}", median(ratios)));
        }
        half_rate(runtime, &stores, connections, &by_round, rounds)?;
    }
    Ok(())
}

/// The time of an answer at half of leadstream's highest rate, at fixed times, against *bare*.
fn half_rate(
    runtime: &Runtime,
    stores: &Stores,
    connections: usize,
    by_round: &[Vec<Measured>],
    rounds: u64,
) -> Result<()> {
    let rates = by_round
        .iter()
        .flatten()
        .filter(|one| one.name == "leadstream")
        .map(|one| one.run.rate())
        .collect();
    let rate = median(rates) / 2.0;
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let mut p99 = Vec::new();
        for name in ["bare", "leadstream"] {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
            let (server, _sandbox) = start(name, stores, directory.path())?;
            let next = Arc::new(AtomicU64::new(0));
            runtime.block_on(load::open(
                server.port,
                connections,
                rate,
                WARM_UP,
                Arc::clone(&next),
            ))?;
            p99.push(
                runtime
                    .block_on(load::open(server.port, connections, rate, MEASURED, next))?
                    .percentile(99),
            );
        }
        say(&format!(
            "at {rate:.0}/s, round {round}: p99 bare {} µs, leadstream {} µs",
            p99[0], p99[1]
        ));
        ratios.push(f64::from(p99[1]) / f64::from(p99[0]));
    }
    say(&format!(
        "p99 at half rate, leadstream / bare: {:.2}",
        median(ratios)
    ));
    Ok(())
}

fn start(name: &str, stores: &Stores, directory: &Path) -> Result<(Server, Option<Server>)> {
    if name == "leadstream" {
        let sandbox = Server::sandbox(&[])?;
        let server = Server::leadstream(directory, &stores.url(directory), sandbox.port)?;
        return Ok((server, Some(sandbox)));
    }
    let store = match name {
        "limit-postgres" => stores.url(directory),
        _ => directory.join("limit.db").display().to_string(),
    };
    Ok((Server::reference(name, &store)?, None))
}

fn one(
    runtime: &Runtime,
    name: &'static str,
    stores: &Stores,
    directory: &Path,
    connections: usize,
) -> Result<Measured> {
    let (server, _sandbox) = start(name, stores, directory)?;
    let next = Arc::new(AtomicU64::new(0));
    runtime.block_on(load::closed(
        server.port,
        connections,
        WARM_UP,
        Arc::clone(&next),
    ))?;
    let before = server.processor_seconds()?;
    let run = runtime.block_on(load::closed(server.port, connections, MEASURED, next))?;
    let processor_us = (server.processor_seconds()? - before) * 1e6 / run.answered as f64;
    Ok(Measured {
        name,
        run,
        processor_us,
    })
}

/// Median microseconds of writing 16 KiB and `fdatasync`: the disk's speed drifts.
fn fdatasync_probe(directory: &Path) -> Result<f64> {
    let file = std::fs::File::create(directory.join("probe"))?;
    let block = [7u8; 16 * 1024];
    let mut times = Vec::new();
    for index in 0..200 {
        let start = Instant::now();
        file.write_all_at(&block, (index % 64) * block.len() as u64)?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(times))
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
