//! Too many requests.

use std::time::Duration;

use leadstream::config::ServerConfig;

use super::door::{Door, FORM, SCRIPT, open, open_with};

async fn post_from(door: &Door, forwarded_for: &str) -> u16 {
    let headers = [("Content-Type", FORM), ("X-Forwarded-For", forwarded_for)];
    door.post(&headers, "a=1").await.status
}

#[tokio::test]
async fn a_source_takes_so_many_a_second_and_says_when_to_come_back() {
    let door = open("rate_limit_per_second = 2").await;
    door.post(SCRIPT, "a=1").await.receipt();
    door.post(SCRIPT, "a=1").await.receipt();
    let answer = door.post(SCRIPT, "a=1").await;
    answer.expect_refused(429, "hook.rate_source");
    assert_eq!(answer.header("retry-after"), Some("1"));
    door.clock.advance(Duration::from_millis(500));
    door.post(SCRIPT, "a=1").await.receipt();
    door.post(SCRIPT, "a=1")
        .await
        .expect_refused(429, "hook.rate_source");
}

#[tokio::test]
async fn an_address_sends_so_many_a_minute_whatever_it_claims() {
    let door = open("rate_limit_per_address_per_minute = 2").await;
    assert_eq!(post_from(&door, "192.0.2.1").await, 200);
    assert_eq!(post_from(&door, "192.0.2.2").await, 200);
    assert_eq!(post_from(&door, "192.0.2.3").await, 429);
    let answer = door.post(SCRIPT, "a=1").await;
    answer.expect_refused(429, "hook.rate_address");
    assert_eq!(answer.header("retry-after"), Some("30"));
    door.clock.advance(Duration::from_secs(30));
    door.post(SCRIPT, "a=1").await.receipt();
}

#[tokio::test]
async fn behind_a_trusted_proxy_addresses_are_those_that_it_names() {
    let server = ServerConfig {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..ServerConfig::default()
    };
    let door = open_with(&[("demo", "rate_limit_per_address_per_minute = 1")], server).await;
    assert_eq!(post_from(&door, "192.0.2.1").await, 200);
    assert_eq!(post_from(&door, "192.0.2.2").await, 200);
    assert_eq!(post_from(&door, "203.0.113.9, 192.0.2.1").await, 429);
    assert_eq!(post_from(&door, "192.0.2.1, 127.0.0.1").await, 429);
}

#[tokio::test]
async fn what_one_address_sends_too_much_takes_nothing_from_the_source() {
    let server = ServerConfig {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..ServerConfig::default()
    };
    let demo = "rate_limit_per_second = 2\nrate_limit_per_address_per_minute = 1";
    let door = open_with(&[("demo", demo)], server).await;
    assert_eq!(post_from(&door, "192.0.2.1").await, 200);
    for _ in 0..5 {
        assert_eq!(post_from(&door, "192.0.2.1").await, 429);
    }
    assert_eq!(post_from(&door, "192.0.2.2").await, 200);
}
