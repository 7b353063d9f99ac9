//! What passes by itself: nothing is given up, nothing is made twice, and it goes on.

use std::time::Duration;

use leadstream::config::Secret;
use leadstream::edge::clock::Clock as _;
use leadstream::model::End;
use leadstream::sandbox::{Faults, SandboxOptions};

use crate::harness::{ANNA, LONG_FRESH, SECRET, Setup, TestDaemon, form_with};

const MINUTES: Duration = Duration::from_secs(16 * 60);

async fn arrives_in_spite_of(faults: Faults) -> TestDaemon {
    let test = TestDaemon::start().await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    test.sandbox.set_faults(faults);
    test.post_and_end(ANNA, End::Synced).await;
    assert_eq!(test.lead()["Title"], "Head of Growth");
    test
}

#[tokio::test]
async fn a_row_lock_is_waited_out() {
    let test = arrives_in_spite_of(Faults {
        row_lock_rate: 1.0,
        at_most: Some(3),
        ..Faults::default()
    })
    .await;
    assert_eq!(test.sandbox.fault_counts().row_locks, 3);
}

#[tokio::test]
async fn server_errors_are_waited_out() {
    let test = arrives_in_spite_of(Faults {
        server_error_rate: 1.0,
        at_most: Some(4),
        ..Faults::default()
    })
    .await;
    assert_eq!(test.sandbox.fault_counts().server_errors, 4);
}

#[tokio::test]
async fn an_ended_token_is_renewed_once_and_nobody_notices() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    assert_eq!(test.calls("token"), 1);
    test.sandbox.expire_tokens();
    test.post_and_end(&form_with(ANNA, &[("city", "Berlin")]), End::Synced)
        .await;
    assert_eq!(test.calls("token"), 2);
    assert_eq!(test.lead()["City"], "Berlin");
}

#[tokio::test]
async fn with_the_daily_limit_used_up_everything_waits_and_nothing_is_dead() {
    let test = TestDaemon::start().await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    test.sandbox.set_daily_limit(0);
    for number in 0..3 {
        test.post(&[("email", &format!("person{number}@acme.example"))])
            .await;
    }
    // The look for who is there already comes before the write.
    let tried = || test.calls("composite") + test.calls("limits");
    test.until("it has been tried", async || tried() >= 1).await;
    // However long it lasts: far more tries than `max_attempts`.
    for _ in 0..25 {
        let before = tried();
        test.clock.advance(MINUTES);
        test.until("it is tried again", async || tried() > before)
            .await;
    }
    assert_eq!(test.dead_letters().await, []);
    assert_eq!(test.audit().await.values().next().unwrap().delivering, 3);

    test.sandbox.set_daily_limit(100_000);
    test.clock.advance(MINUTES);
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, 3);
}

#[tokio::test]
async fn an_outage_of_salesforce_kills_no_lead_however_long_it_lasts() {
    let test = TestDaemon::start().await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    test.sandbox.set_faults(Faults {
        server_error_rate: 1.0,
        ..Faults::default()
    });
    for number in 0..3 {
        test.post(&[("email", &format!("person{number}@acme.example"))])
            .await;
    }
    // Far more tries than `max_attempts`.
    for _ in 0..30 {
        let before = test.sandbox.fault_counts().server_errors;
        test.clock.advance(MINUTES);
        test.until("it is tried again", async || {
            test.sandbox.fault_counts().server_errors > before
        })
        .await;
    }
    assert_eq!(test.dead_letters().await, []);

    test.sandbox.set_faults(Faults::default());
    test.clock.advance(MINUTES);
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, 3);
}

#[tokio::test]
async fn with_a_wrong_secret_leads_are_kept_until_it_is_put_right() {
    let sandbox = SandboxOptions {
        client_secret: Some(Secret::new("another")),
        ..SandboxOptions::default()
    };
    let test = TestDaemon::with(Setup {
        sandbox,
        ..Setup::default()
    })
    .await;
    test.until("the sign-in fails", async || {
        test.get("/readyz").await.1.contains("hint")
    })
    .await;
    let (status, body) = test.get("/readyz").await;
    assert_eq!(status, 503);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ready"], false);
    assert_eq!(body["store"], "writable");
    assert!(
        body["salesforce"]["hint"]
            .as_str()
            .unwrap()
            .contains("client_secret"),
        "{body}"
    );
    assert!(!body.to_string().contains(SECRET));

    test.post(ANNA).await;
    test.outbox_holds(1).await;
    for _ in 0..25 {
        test.clock.advance(MINUTES);
        test.until_at_once("it is tried", async || test.outbox().await == 1)
            .await;
    }
    assert_eq!(test.dead_letters().await, []);
    assert_eq!(
        test.get("/healthz").await.0,
        200,
        "a restart would not help"
    );

    std::fs::write(test.directory().join("secret"), "another\n").unwrap();
    test.clock.advance(MINUTES);
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, 1);
    assert_eq!(test.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn once_the_secret_is_put_right_leads_wait_no_longer() {
    let sandbox = SandboxOptions {
        client_secret: Some(Secret::new(SECRET)),
        ..SandboxOptions::default()
    };
    let test = TestDaemon::with(Setup {
        sandbox,
        ..Setup::default()
    })
    .await;
    test.until("signed in", async || test.get("/readyz").await.0 == 200)
        .await;
    let secret = test.directory().join("secret");
    std::fs::write(&secret, "mistyped").unwrap();
    test.sandbox.expire_tokens();
    test.post(ANNA).await;
    test.outbox_holds(1).await;
    // So long that a quarter of an hour lies between two tries.
    for _ in 0..10 {
        let tries = test.calls("token");
        test.clock.advance(MINUTES);
        test.until("it is tried", async || test.calls("token") > tries)
            .await;
    }
    std::fs::write(&secret, SECRET).unwrap();
    let mended = test.clock.now();
    test.drained().await;
    assert_eq!(test.ends(End::Synced).await, 1);
    let waited = test.clock.now().since(mended);
    assert!(waited < Duration::from_secs(3 * 60), "{waited:?}");
}

#[tokio::test]
async fn what_was_on_its_way_at_a_stop_goes_on_at_the_next_start() {
    let mut test = TestDaemon::with(Setup {
        salesforce: LONG_FRESH,
        ..Setup::default()
    })
    .await;
    test.at_home().await;
    test.sandbox.set_faults(Faults {
        lost_answer_rate: 1.0,
        ..Faults::default()
    });
    test.post(ANNA).await;
    test.until("it was sent", async || test.leads().len() == 1)
        .await;
    test.stop().await;
    test.sandbox.set_faults(Faults::default());
    test.run().await;
    test.drained().await;
    assert_eq!(test.leads().len(), 1);
    assert_eq!(test.dead_letters().await, []);
}
