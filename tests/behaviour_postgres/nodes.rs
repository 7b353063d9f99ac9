//! Several nodes on one database.

use leadstream::model::End;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::harness::{ANNA, TestDaemon, form_with};

#[tokio::test]
async fn two_nodes_share_one_store_and_make_one_lead_of_one_person() {
    let test = TestDaemon::start().await;
    let second = test.try_run().await.unwrap();
    let url = format!("http://{}/hooks/demo", second.address());
    let mut posts = Vec::new();
    for number in 0..20 {
        let email = format!("person.{number}@acme.example");
        let form = form_with(ANNA, &[("email", &email), ("phone", "")]);
        let body: std::collections::BTreeMap<_, _> = form.iter().copied().collect();
        let body = serde_json::to_string(&body).unwrap();
        let there = test
            .http
            .post(&url)
            .header("content-type", "application/json")
            .body(body);
        posts.push(async move { there.send().await.unwrap().status() });
        // The same person at the same time.
        let (here, there) = tokio::join!(test.post(&form), posts.pop().unwrap());
        assert!(!here.is_empty());
        assert!(there.is_success());
    }
    test.drained().await;
    assert_eq!(test.leads().len(), 20);
    let ended = test.ends(End::Synced).await + test.ends(End::Merged).await;
    assert_eq!(ended, 40);
    second.stop().await;
}

#[tokio::test]
async fn a_settlement_that_the_database_took_back_is_made_again() {
    let test = TestDaemon::start().await;
    test.post_and_end(ANNA, End::Synced).await;
    // As a server that crashed comes back: the claim waited for the disk, what became of it did not.
    let mut connection = PgConnection::connect(&test.config().store.url)
        .await
        .unwrap();
    let taken_back = "UPDATE submission SET outcome = NULL; UPDATE delivery SET state = 'sending', \
         ended_at = NULL, claimed_by = (SELECT token * 256 + slot FROM node WHERE name <> '')";
    sqlx::raw_sql(taken_back)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(test.outbox().await, 1);
    test.drained().await;
    let ended = test.ends(End::Synced).await + test.ends(End::Merged).await;
    assert_eq!(ended, 1);
    assert_eq!(test.leads().len(), 1);
}

#[tokio::test]
async fn a_character_that_the_database_cannot_hold_stops_nothing() {
    let test = TestDaemon::start().await;
    let odd = form_with(ANNA, &[("submission_id", "a\0b"), ("city", "Ber\0lin")]);
    test.post_and_end(&odd, End::Synced).await;
    test.post_and_end(&odd, End::Merged).await;
    test.post_and_end(&[("email", "other@acme.example")], End::Synced)
        .await;
}
