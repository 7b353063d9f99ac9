//! The PostgreSQL under two nodes is killed, and comes back.

use std::time::Duration;

use super::books;
use super::dice::{self, Dice};
use super::http::Answer;
use super::load::{Doors, Posted, bursting};
use super::moment::Moment;
use super::nodes::Nodes;
use super::people::Guise;
use super::postgres;
use super::program::{DaemonProcess, Site};
use super::wait;

const LOSSES: u64 = 3;

/// How soon a sender is told to come back later.
const TOLD: Duration = Duration::from_secs(15);

/// How soon posts are taken again once the database is back.
const RECOVERED: Duration = Duration::from_secs(20);

#[test]
fn a_lost_database_is_answered_503_and_its_return_needs_nobody() {
    let Some(server) = postgres::Server::start() else {
        return;
    };
    let seed = dice::seed("lost database");
    let mut dice = Dice::of(seed);
    let site = Site::over(
        server.database(),
        &["--latency-ms", "30", "--fault-lost", "0.05"],
    );
    let (posted, doors) = (Posted::default(), Doors::shut(2));
    let nodes = Nodes::start(&site, &doors);
    for turn in 0..LOSSES {
        let moment = Moment::of(turn, &mut dice);
        eprintln!("turn {turn}: {moment:?}, the database is killed");
        bursting(&posted, &doors, seed ^ turn, |burst| {
            moment.wait(&nodes.both(), &burst);
            server.kill();
            for daemon in nodes.both() {
                let answer = wait::until_or(
                    "the sender is told",
                    TOLD,
                    || daemon.log(),
                    || post(daemon, &posted, &mut dice).filter(|answer| answer.status != 200),
                );
                assert_eq!(answer.status, 503);
                let seconds = answer.retry_after.expect("Retry-After");
                assert!((1..=120).contains(&seconds), "{seconds}");
                assert_eq!(daemon.get("/healthz").unwrap().status, 200);
            }
            if turn == 0 {
                // It takes its time: what it last said stands, and then it tries to connect.
                wait::until("it says that it is not ready", TOLD, || {
                    (nodes.node(0).get("/readyz")?.status == 503).then_some(())
                });
            }
            server.start_again();
            for daemon in nodes.both() {
                wait::until_or(
                    "posts are taken again",
                    RECOVERED,
                    || daemon.log(),
                    || post(daemon, &posted, &mut dice).filter(|answer| answer.status == 200),
                );
            }
            burst.join();
        });
        nodes.wait_until_ready();
    }
    assert!(posted.unavailable() > 0, "nobody noticed");
    books::drain(&site, nodes.node(0));
    books::check(&site, &posted);
}

/// Somebody new posts to a node, which is remembered if it is acknowledged.
fn post(daemon: &DaemonProcess, posted: &Posted, dice: &mut Dice) -> Option<Answer> {
    let post = posted
        .someone_new()
        .post(Guise::First, posted.number(), dice);
    let answer = daemon.post(post.content_type, &post.body)?;
    if answer.status == 200 {
        posted.acknowledge(&post, &answer);
    }
    Some(answer)
}
