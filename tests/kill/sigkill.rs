//! SIGKILL, again and again.

use super::books;
use super::dice::{self, Dice};
use super::load::{Doors, Posted, bursting};
use super::moment::Moment;
use super::program::Site;

const KILLS: u64 = 14;

fn kill_again_and_again(name: &str, sandbox_arguments: &[&str]) {
    let seed = dice::seed(name);
    let mut dice = Dice::of(seed);
    let sandbox_seed = seed.to_string();
    let site = Site::new(&[sandbox_arguments, &["--seed", &sandbox_seed]].concat());
    let posted = Posted::default();
    for kill in 0..KILLS {
        let daemon = site.run();
        let moment = Moment::of(kill, &mut dice);
        eprintln!("kill {kill}: {moment:?}");
        bursting(&posted, &Doors::one(daemon.address), seed ^ kill, |burst| {
            moment.wait(&[&daemon], &burst);
            daemon.kill();
            burst.join();
        });
    }
    let daemon = site.run();
    books::drain(&site, &daemon);
    books::check(&site, &posted);
    assert!(
        posted.receipts().len() > 100,
        "too little was under way to show anything"
    );
}

#[test]
fn what_was_acknowledged_survives_every_kill_and_is_there_once() {
    kill_again_and_again("kills", &["--latency-ms", "60"]);
}

#[test]
fn it_does_so_while_salesforce_fails_and_loses_answers() {
    let faults = [
        "--latency-ms",
        "30",
        "--fault-lost",
        "0.05",
        "--fault-5xx",
        "0.05",
        "--fault-lock",
        "0.02",
    ];
    kill_again_and_again("kills with faults", &faults);
}
