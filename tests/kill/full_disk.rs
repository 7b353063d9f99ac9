//! A disk without room: senders are told to try again, and when they do, all is as if nothing had been.

use std::time::Duration;

use super::books;
use super::dice::{self, Dice};
use super::http::{Answer, Connection};
use super::load::Posted;
use super::people::{Guise, Post};
use super::program::{DaemonProcess, Site};
use super::wait;

const MOMENT: Duration = Duration::from_secs(10);

/// Posts before the disk is full, while it is, and after.
const POSTS: usize = 40;

fn newcomers(posted: &Posted, dice: &mut Dice) -> Vec<Post> {
    let newcomer = |_| {
        let person = posted.someone_new();
        person.post(Guise::First, posted.number(), dice)
    };
    (0..POSTS).map(newcomer).collect()
}

/// Posts, and remembers the receipt if there is one.
fn post(posted: &Posted, connection: &mut Connection, post: &Post) -> Answer {
    let answer = connection.post("/hooks/demo", post.content_type, &post.body);
    let answer = answer.unwrap();
    if answer.status == 200 {
        posted.acknowledge(post, &answer);
    }
    answer
}

fn all_are_taken(posted: &Posted, daemon: &DaemonProcess, posts: &[Post]) {
    let mut connection = Connection::open(daemon.address).unwrap();
    for post in posts {
        let answer = self::post(posted, &mut connection, post);
        assert_eq!(answer.status, 200, "{}", daemon.log());
    }
}

/// Posts all. Returns those that are refused.
fn refused(posted: &Posted, daemon: &DaemonProcess, posts: &[Post]) -> Vec<Post> {
    let mut connection = Connection::open(daemon.address).unwrap();
    let mut refused = Vec::new();
    for post in posts {
        let answer = self::post(posted, &mut connection, post);
        if answer.status != 200 {
            assert_eq!(answer.status, 503);
            assert_eq!(answer.json()["error"]["code"], "inbox.unavailable");
            assert_eq!(answer.retry_after, Some(5));
            refused.push(post.clone());
        }
    }
    refused
}

#[test]
fn a_full_disk_refuses_loses_nothing_and_is_got_over_without_a_restart() {
    let mut dice = Dice::of(dice::seed("full disk"));
    let site = Site::new(&[]);
    let posted = Posted::default();
    let daemon = site.run_on_small_disk();
    all_are_taken(&posted, &daemon, &newcomers(&posted, &mut dice));

    daemon.fill_disk(Some(0));
    let waiting = newcomers(&posted, &mut dice);
    assert_eq!(refused(&posted, &daemon, &waiting).len(), POSTS);
    assert_eq!(daemon.get("/healthz").unwrap().status, 200);
    let ready = daemon.get("/readyz").unwrap().json();
    assert!(ready["store"]["error"].is_string(), "{ready}");
    let told = daemon.log().matches("the inbox cannot be written").count();
    assert_eq!(told, 1, "a log that grows with each request fills the disk");

    daemon.fill_disk(None);
    all_are_taken(&posted, &daemon, &waiting);
    all_are_taken(&posted, &daemon, &newcomers(&posted, &mut dice));
    wait::until("it says so", MOMENT, || {
        let log = daemon.log();
        log.contains("the inbox can be written again").then_some(())
    });
    books::drain(&site, &daemon);
    books::check(&site, &posted);
    assert_eq!(
        books::audit(&site)["accepted"],
        3 * POSTS,
        "refused is not stored"
    );
}

#[test]
fn a_disk_that_fills_up_within_a_commit_and_a_kill_leave_nobody_out_and_nobody_twice() {
    let mut dice = Dice::of(dice::seed("full within a commit"));
    let site = Site::new(&[]);
    let posted = Posted::default();
    let log = site.directory.path().join("leads.db-inbox-wal");
    for _ in 0..5 {
        let daemon = site.run_on_small_disk();
        all_are_taken(&posted, &daemon, &newcomers(&posted, &mut dice)[..5]);
        let size = std::fs::metadata(&log).unwrap().len();
        daemon.fill_disk(Some(size + dice.roll(3 * 4096)));
        // As long as the log's old pages can be written over, there is room.
        let again = wait::until("the disk is full", MOMENT, || {
            let again = refused(&posted, &daemon, &newcomers(&posted, &mut dice));
            (!again.is_empty()).then_some(again)
        });
        daemon.kill();

        // Whether or not a start finds a refused event whole in the log: its sender tries again.
        let daemon = site.run();
        all_are_taken(&posted, &daemon, &again);
        daemon.kill();
    }
    let daemon = site.run();
    books::drain(&site, &daemon);
    books::check(&site, &posted);
}
