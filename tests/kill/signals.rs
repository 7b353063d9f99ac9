//! The signals that ask before they kill.

use std::time::{Duration, Instant};

use super::books;
use super::dice;
use super::load::{Doors, Posted, bursting};
use super::program::Site;
use super::wait;

const MOMENT: Duration = Duration::from_secs(10);

/// The configured `shutdown_timeout_seconds`, and some for a busy machine.
const STOPPED: Duration = Duration::from_secs(8);

#[test]
fn a_term_under_load_ends_in_order_and_loses_nothing() {
    let seed = dice::seed("term");
    let site = Site::new(&["--latency-ms", "100"]);
    let posted = Posted::default();
    let daemon = site.run();
    let (status, log) = bursting(&posted, &Doors::one(daemon.address), seed, |burst| {
        wait::until("posts are acknowledged", MOMENT, || {
            (burst.answered() > 50).then_some(())
        });
        daemon.signal("TERM");
        let ended = daemon.ended(STOPPED);
        burst.stop();
        ended
    });
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("\"stopped\""),
        "it gave up on something: {log}"
    );

    let daemon = site.run();
    books::drain(&site, &daemon);
    books::check(&site, &posted);
}

#[test]
fn a_sender_who_never_finishes_cannot_hold_up_the_end() {
    use std::io::Write as _;
    let site = Site::new(&[]);
    let daemon = site.run();
    let mut slow = std::net::TcpStream::connect(daemon.address).unwrap();
    slow.write_all(b"POST /hooks/demo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
        .unwrap();
    // Answered after the other has been accepted.
    assert_eq!(daemon.get("/healthz").unwrap().status, 200);
    daemon.signal("TERM");
    // Its own time, and as much again for the loops.
    let (status, log) = daemon.ended(STOPPED * 2);
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    let seed = dice::seed("second signal");
    let site = Site::new(&[]);
    let posted = Posted::default();
    let daemon = site.run();
    wait::until("signed in", MOMENT, || {
        (daemon.get("/readyz")?.status == 200).then_some(())
    });
    // From here on a call takes longer than the shutdown may.
    site.sandbox.set_faults(r#"{ "latency_ms": 60000 }"#);
    bursting(&posted, &Doors::one(daemon.address), seed, |burst| {
        wait::until("a call is under way", MOMENT, || {
            (daemon.metric("leadstream_salesforce_calls_total", "upsert")? > 0.0).then_some(())
        });
        burst.stop();
    });
    daemon.signal("TERM");
    wait::until("the first signal is heard", MOMENT, || {
        daemon.log().contains("stopping").then_some(())
    });
    let asked = Instant::now();
    daemon.signal("INT");
    let (status, log) = daemon.ended(Duration::from_secs(4));
    assert!(asked.elapsed() < Duration::from_secs(4));
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("ended at once"), "{log}");

    site.sandbox.set_faults("{}");
    let daemon = site.run();
    books::drain(&site, &daemon);
    books::check(&site, &posted);
}

#[test]
fn a_daemon_that_was_frozen_during_a_call_makes_nobody_twice() {
    const LATENCY: Duration = Duration::from_millis(200);
    let seed = dice::seed("frozen");
    let site = Site::new(&["--latency-ms", &LATENCY.as_millis().to_string()]);
    let posted = Posted::default();
    let daemon = site.run();
    bursting(&posted, &Doors::one(daemon.address), seed, |burst| {
        let mut calls = 0.0;
        wait::until("a call is carried out for nobody", MOMENT, || {
            let now = daemon.metric("leadstream_salesforce_calls_total", "upsert")?;
            if now <= calls {
                return None;
            }
            calls = now;
            daemon.signal("STOP");
            let before = site.sandbox.leads();
            // The answer reaches a process that does not read it. But a call is counted before it
            // is sent: if it was not yet, the next one may be.
            wait::pass(2 * LATENCY);
            let carried_out = site.sandbox.leads() > before;
            if !carried_out {
                daemon.signal("CONT");
            }
            carried_out.then_some(())
        });
        daemon.signal("CONT");
        burst.stop();
    });
    books::drain(&site, &daemon);
    books::check(&site, &posted);
}
