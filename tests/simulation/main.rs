//! The fault harness: the whole of it in one process, on a clock of its own, with everything going
//! wrong that can. After each run nothing that was acknowledged may be missing, nobody may be there
//! twice, and no older value may have replaced a newer one.
//!
//! A seed decides a schedule: who posts what, which task goes on at each turn (`world.rs`), and what
//! fails where (`schedule.rs`). The loops' `step`s run from one named point to the next
//! (`leadstream::edge::fault`), so that a crash, a failure or another loop's turn can come between.
//!
//! It is done to one node over files, which fail with it, and to two nodes over one PostgreSQL: there
//! nodes also outlive their leases. They stand still in a transaction, before a send, before they
//! settle, while the other takes over, and then go on from where they stood. The database itself
//! never fails here; `tests/kill/` sees to that.
//!
//! Over files a seed is the same schedule to the last line. Over PostgreSQL it is so nearly: when a
//! transaction that was given up is taken back, and who of two that wait for each other is refused,
//! is the server's to say. That a task waits for what another has locked is asked of the server, and
//! then the others go on (`World::let_run`).
//!
//! - `LEADSTREAM_SIMULATION_STORE=postgres` runs those of two nodes, `=sqlite` the others.
//! - `LEADSTREAM_SIMULATION_SEED=<n>` runs one schedule and prints what it did.
//! - `LEADSTREAM_SIMULATION_SEEDS=<count>` runs so many, from `LEADSTREAM_SIMULATION_FROM` on.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "clippy.toml allows it in test functions only, not in what they share"
)]

mod check;
mod clock;
mod database;
mod dice;
mod disk;
mod ground;
mod history;
mod network;
mod node;
mod points;
#[path = "../support/postgres.rs"]
mod postgres;
mod schedule;
mod tally;
mod world;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use leadstream::config::{self, Config};
use parking_lot::Mutex;

use disk::Template;
use ground::Site;
use network::Lateness;
use schedule::{Fault, PlannedFault, RequestFault, Schedule};
use tally::Tally;
use world::Report;

/// Schedules in a plain `cargo test`.
const SEEDS: u64 = 200;

/// The same of two nodes over PostgreSQL.
const SEEDS_OF_NODES: u64 = 30;

/// In so many schedules a node outlives its lease at some of `SLEEPS`.
const SLEEPS_WITHIN: u64 = 100;

/// In a transaction, before a send, before it settles: where it is worst.
const SLEEPS: [&str; 6] = [
    "process.before_write",
    "process.before_commit",
    "claim.before_commit",
    "claim.after_commit",
    "deliver.after_send",
    "settle.before_commit",
];

/// In so many schedules each point is crashed at, and fails.
const ALL_POINTS_WITHIN: u64 = 2_000;

/// Schedules that fail before no more are tried.
const MOST_FAILURES: usize = 3;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

fn load(folder: &Path) -> Config {
    let text = r#"
        [store]
        url = "sqlite:leads.db"
        [salesforce]
        login_url = "http://127.0.0.1:9"
        client_id = "key"
        client_secret = { file = "secret" }
        max_attempts = 1000
        campaigns = { create = true }
        mirror = { max_age_seconds = 0 }
        [salesforce.lead]
        Title = { from = "title", write = "always" }
        Company = { from = "company", write = "always" }
        [sources.demo]
        connector = "web-form"
        default_country = "DE"
    "#;
    std::fs::write(folder.join("leadstream.toml"), text).unwrap();
    std::fs::write(folder.join("secret"), "s3cr3t-of-the-app").unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.join("secret"), owner_only).unwrap();
    let loaded = config::load(&folder.join("leadstream.toml"), &|_| None);
    loaded
        .config
        .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Runs the schedules that `plan` makes of `seeds` on all cores, until `is_enough` says so of a
/// report.
fn simulate(
    site: &Site,
    seeds: std::ops::Range<u64>,
    plan: impl Fn(u64) -> Schedule + Sync,
    lateness: Lateness,
    is_enough: impl Fn(u64, Report) -> bool + Sync,
) {
    let folder = tempfile::tempdir().unwrap();
    let config = load(folder.path());
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = runtime();
                let mut ground = runtime.block_on(site.ground());
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let report = runtime.block_on(async {
                        ground.clear(site).await;
                        world::run(&config, &mut ground, plan(seed), lateness).await
                    });
                    if is_enough(seed, report) {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

fn files() -> Site {
    Site::Files(runtime().block_on(Template::new()))
}

/// Whether the schedules that were asked for, if any were, are of this store.
fn is_asked_for(store: &str) -> bool {
    let asked = std::env::var("LEADSTREAM_SIMULATION_STORE");
    let any = ["SEED", "SEEDS", "FROM"]
        .iter()
        .any(|name| number(&format!("LEADSTREAM_SIMULATION_{name}")).is_some());
    match asked {
        Ok(asked) => asked == store,
        Err(_) => !any || store == "sqlite",
    }
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_whatever_fails() {
    if !is_asked_for("sqlite") {
        return;
    }
    let tally = nothing_may_break(&files(), "sqlite", SEEDS, Schedule::of);
    if tally.of("schedules") >= ALL_POINTS_WITHIN {
        for point in points::STORE {
            assert!(tally.of(&format!("crash at {point}")) > 0, "{point}");
            assert!(tally.of(&format!("store fails at {point}")) > 0, "{point}");
        }
    }
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_by_two_nodes_over_one_postgresql() {
    if !is_asked_for("postgres") {
        return;
    }
    let Some(server) = database::server() else {
        return;
    };
    let site = Site::Server(server);
    let tally = nothing_may_break(&site, "postgres", SEEDS_OF_NODES, Schedule::of_nodes);
    if tally.of("schedules") >= SLEEPS_WITHIN {
        let sleeps = SLEEPS.map(|point| tally.of(&format!("sleep at {point}")));
        assert!(sleeps.iter().sum::<u64>() > 0, "{tally}");
    }
}

/// Runs as many schedules as are asked for, else `usual`.
fn nothing_may_break(
    site: &Site,
    store: &str,
    usual: u64,
    plan: impl Fn(u64) -> Schedule + Sync,
) -> Tally {
    let one = number("LEADSTREAM_SIMULATION_SEED");
    let first = one.or(number("LEADSTREAM_SIMULATION_FROM")).unwrap_or(0);
    let count = match one {
        Some(_) => 1,
        None => number("LEADSTREAM_SIMULATION_SEEDS").unwrap_or(usual),
    };
    let started = Instant::now();
    let tally = Mutex::new(Tally::default());
    let failures = Mutex::new(Vec::new());
    simulate(
        site,
        first..first + count,
        &plan,
        Lateness::BeforeTheNextWrite,
        |seed, report| {
            tally.lock().add(&report.tally);
            let is_to_be_told = one.is_some() || report.broken.is_some();
            if is_to_be_told {
                eprintln!("{:?}\n{}", plan(seed), report.trace.join("\n"));
            }
            let mut failures = failures.lock();
            if let Some(broken) = report.broken {
                eprintln!(
                    "\nseed {seed}: {broken}\nthe same again: LEADSTREAM_SIMULATION_STORE={store} \
                     LEADSTREAM_SIMULATION_SEED={seed} cargo test --test simulation -- --nocapture nothing_is_lost\n"
                );
                failures.push((seed, broken));
            }
            failures.len() >= MOST_FAILURES
        },
    );
    let tally = tally.into_inner();
    let failures = failures.into_inner();
    eprintln!(
        "{} schedules from seed {first} in {:.1} s, {} crashes:\n{tally}",
        tally.of("schedules"),
        started.elapsed().as_secs_f64(),
        tally.of("crash by Kill") + tally.of("crash by PowerLoss"),
    );
    assert!(failures.is_empty(), "{failures:#?}");
    tally
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let traces = [(); 2].map(|()| {
        let traces = Mutex::new(std::collections::BTreeMap::new());
        simulate(
            &files(),
            0..12,
            Schedule::of,
            Lateness::BeforeTheNextWrite,
            |seed, report| {
                traces.lock().insert(seed, report.trace);
                false
            },
        );
        traces.into_inner()
    });
    let [first, second] = traces;
    for (seed, trace) in first {
        for (line, again) in trace.iter().zip(&second[&seed]) {
            assert_eq!(line, again, "seed {seed}");
        }
        assert_eq!(trace.len(), second[&seed].len(), "seed {seed}");
    }
}

/// The checks are not blind: against a network that holds a write back until a newer one has been
/// carried out, nothing helps.
#[test]
fn an_older_value_that_replaces_a_newer_one_is_noticed() {
    let plan = |seed| {
        let copied = |nth| PlannedFault {
            point: points::REQUEST,
            nth,
            fault: Fault::Request(RequestFault::CopiedLate),
        };
        let mut schedule = Schedule::of(seed);
        schedule.faults = (1..=20).map(copied).collect();
        schedule
    };
    let noticed = Mutex::new(None);
    simulate(&files(), 0..200, plan, Lateness::AnyTime, |_, report| {
        if let Some(broken) = report.broken {
            *noticed.lock() = Some(broken);
        }
        noticed.lock().is_some()
    });
    let noticed = noticed.into_inner().unwrap();
    assert!(noticed.contains("went back to"), "{noticed}");
}
