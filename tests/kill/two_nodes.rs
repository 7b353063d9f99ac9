//! Two nodes on one PostgreSQL: one or the other is killed, or sleeps past its lease.

use std::time::{Duration, Instant};

use super::books;
use super::dice::{self, Dice};
use super::load::{Doors, Posted, bursting};
use super::moment::Moment;
use super::nodes::Nodes;
use super::postgres;
use super::program::{LEASE, Site};
use super::wait;

const KILLS: u64 = 26;

const SLEEPS: u64 = 3;

/// Beyond its lease, until the other has done what a sleeping node had begun, on a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(20);

const FAULTS: [&str; 8] = [
    "--latency-ms",
    "30",
    "--fault-lost",
    "0.05",
    "--fault-5xx",
    "0.05",
    "--fault-lock",
    "0.02",
];

#[test]
fn two_nodes_that_are_killed_in_turn_lose_nobody_and_make_nobody_twice() {
    let Some(url) = postgres::database() else {
        return;
    };
    let seed = dice::seed("two nodes killed");
    let mut dice = Dice::of(seed);
    let site = Site::over(url, &[&FAULTS[..], &["--seed", &seed.to_string()]].concat());
    let (posted, doors) = (Posted::default(), Doors::shut(2));
    let mut nodes = Nodes::start(&site, &doors);
    let mut kills = 0;
    for turn in 0.. {
        if kills >= KILLS {
            break;
        }
        let moment = Moment::of(turn, &mut dice);
        let (chosen, both) = (dice.roll(2) as usize, dice.roll(6) == 0);
        bursting(&posted, &doors, seed ^ turn, |burst| {
            let victim = moment.wait(&nodes.both(), &burst).unwrap_or(chosen);
            eprintln!("turn {turn}: {moment:?}, kills node {victim}, both: {both}");
            nodes.kill(victim);
            kills += 1;
            if both {
                nodes.kill(1 - victim);
                kills += 1;
            }
            nodes.start_missing();
            burst.join();
        });
    }
    assert_eq!(posted.unavailable(), 0, "the database was there");
    books::drain(&site, nodes.node(0));
    books::check(&site, &posted);
    assert!(posted.receipts().len() > 1000, "too little was under way");
}

#[test]
fn a_node_that_sleeps_past_its_lease_is_taken_over_and_wakes_up_harmless() {
    let Some(url) = postgres::database() else {
        return;
    };
    let seed = dice::seed("two nodes frozen");
    let mut dice = Dice::of(seed);
    let site = Site::over(url, &["--latency-ms", "60"]);
    let (posted, doors) = (Posted::default(), Doors::shut(2));
    let nodes = Nodes::start(&site, &doors);
    for turn in 0..SLEEPS {
        // In a call most of all: what it wrote it cannot note.
        let moment = if turn % 2 == 0 {
            Moment::Call
        } else {
            Moment::of(turn + 1, &mut dice)
        };
        let chosen = dice.roll(2) as usize;
        bursting(&posted, &doors, seed ^ turn, |burst| {
            let sleeper = moment.wait(&nodes.both(), &burst).unwrap_or(chosen);
            let awake = nodes.node(1 - sleeper);
            eprintln!("turn {turn}: {moment:?}, node {sleeper} sleeps");
            nodes.freeze(sleeper);
            let asleep = Instant::now();
            burst.join();
            // The other alone brings everything to its end, what the sleeper had begun too.
            wait::until_or(
                "the other takes over",
                LEASE + TAKEN_OVER,
                || format!("{:?}\n{}", books::audit(&site), awake.log()),
                || {
                    let pending = awake.metric("leadstream_outbox_pending", "")?;
                    (pending <= 0.0 && books::audit(&site)["in_flight"] == 0).then_some(())
                },
            );
            eprintln!("taken over after {:?}", asleep.elapsed());
            wait::pass((LEASE + Duration::from_millis(500)).saturating_sub(asleep.elapsed()));
            // It wakes up into work that others do.
            bursting(&posted, &doors, seed ^ turn ^ 0x5151, |second| {
                wait::pass(Duration::from_millis(dice.roll(100)));
                nodes.thaw(sleeper);
                second.join();
            });
            nodes.wait_until_ready();
        });
    }
    books::drain(&site, nodes.node(0));
    books::check(&site, &posted);
    for daemon in nodes.both() {
        let accepted = daemon.metric("leadstream_events_accepted", "demo").unwrap();
        assert!(accepted > 0.0, "only one of them took posts");
    }
}
