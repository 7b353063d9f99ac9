//! SIGKILL, ten times over.

use std::time::Duration;

use super::books;
use super::dice::{self, Dice};
use super::load::{Burst, Posted, bursting};
use super::program::{DaemonProcess, Site};
use super::wait;

const KILLS: u64 = 10;

/// The longest that a moment is waited for.
const MOMENT: Duration = Duration::from_secs(10);

/// When the daemon is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Some milliseconds after the burst began.
    After(Duration),
    /// As soon as so many posts are acknowledged: the next are being committed.
    Ingest(u64),
    /// When deliveries are decided and others are not yet.
    Process,
    /// While a call to Salesforce is under way.
    Call,
}

impl Moment {
    /// All kinds come in turn, so that every run covers each.
    fn of(kill: u64, dice: &mut Dice) -> Self {
        match kill % 4 {
            0 => Self::Ingest(1 + dice.roll(200)),
            1 => Self::Call,
            2 => Self::Process,
            _ => Self::After(Duration::from_millis(dice.roll(400))),
        }
    }

    fn wait(self, daemon: &DaemonProcess, burst: &Burst<'_>) {
        match self {
            Self::After(time) => wait::pass(time),
            Self::Ingest(count) => {
                wait::until("posts are acknowledged", MOMENT, || {
                    (burst.answered() >= count).then_some(())
                });
            }
            Self::Process => wait::until("deliveries are decided", MOMENT, || {
                (daemon.metric("leadstream_outbox_pending", "")? > 0.0).then_some(())
            }),
            // Counted before it is sent; the sandbox answers a while later.
            Self::Call => wait::until("a call is under way", MOMENT, || {
                let calls = daemon.metric("leadstream_salesforce_calls_total", "upsert")?;
                (calls > 0.0).then_some(())
            }),
        }
    }
}

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
        bursting(&posted, daemon.address, seed ^ kill, |burst| {
            moment.wait(&daemon, &burst);
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
fn what_was_acknowledged_survives_ten_kills_and_is_there_once() {
    kill_again_and_again("ten kills", &["--latency-ms", "60"]);
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
    kill_again_and_again("ten kills with faults", &faults);
}
