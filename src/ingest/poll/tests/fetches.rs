use std::time::Duration;

use super::vendor::{Fault, retry};
use super::*;
use crate::connector::mechanism::call::Next;
use crate::model::Door;
use crate::store::NewFetch;

const MANIFEST: &str = r#"
    name = "stand-in"
    title = "x"
    help = "x"
    [[fetch]]
    name = "lead"
    as = { id = "id" }
    path = "/leads/{id}"
    query = { limit = "1", page = "1" }
    missing_minutes = 10
"#;

async fn ground(ids: &[&str]) -> (Ground, Node) {
    let ground = Ground::with(MANIFEST, Style::Page, rows(3, 1), serde_json::json!({}));
    let node = ground.start().await;
    let fetches = ids.iter().enumerate().map(|(ordinal, id)| NewFetch {
        event: EventId(1),
        ordinal: ordinal as u32,
        source: SourceName::new("demo"),
        bindings: [("id", *id), ("fetch", "lead")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    });
    let changes = Changes {
        fetches: fetches.collect(),
        ..Changes::default()
    };
    let mut write = node.store.write().await.unwrap();
    let ids = node.store.take_ids(NOW, changes.ids_needed());
    write.apply(&changes, ids, NOW).await.unwrap();
    write.commit().await.unwrap();
    (ground, node)
}

impl Node {
    async fn fetch(&self) -> Result<bool, Stop> {
        let (_trigger, shutdown) = shutdown::channel();
        self.poller.fetch_due(&shutdown).await
    }

    /// Those that are not at their end, whenever they are due.
    async fn open(&self) -> usize {
        let source = SourceName::new("demo");
        let due = self.store.due_fetches(&source, Millis(i64::MAX), 100);
        due.await.unwrap().len()
    }
}

#[tokio::test]
async fn what_a_webhook_named_is_asked_for_and_appended_with_what_it_was_asked_by() {
    let (ground, node) = ground(&["17", "a/b"]).await;
    assert_eq!(node.fetch().await, Ok(false));
    let events = node.store.events_after(EventId(0), 10).await.unwrap();
    assert_eq!(events.len(), 2);
    for (event, id) in events.iter().zip(["17", "a/b"]) {
        assert_eq!(event.meta.door, Door::Fetch);
        assert_eq!(event.meta.stream.as_deref(), Some("lead"));
        assert_eq!(event.meta.context.as_ref().unwrap()["id"], id);
        assert!(event.body.starts_with(b"{\"items\":"));
    }
    assert_eq!(node.open().await, 0);
    let asked = ground.vendor.state.lock().asked.clone();
    assert_eq!(
        asked,
        ["/leads/17?limit=1&page=1", "/leads/a%2Fb?limit=1&page=1"]
    );
    // Nothing is left to do, so that nobody is asked.
    node.fetch().await.unwrap();
    assert_eq!(ground.vendor.state.lock().calls, 2);
    node.die().await;
}

#[tokio::test]
async fn a_record_that_is_not_there_yet_is_asked_for_until_its_time_is_over() {
    let (ground, node) = ground(&["17"]).await;
    for call in 1..200 {
        let gone = Fault::Error(Next::Gone);
        ground.vendor.state.lock().faults.insert(call, gone);
    }
    let mut minutes = 0;
    while node.open().await > 0 {
        node.fetch().await.unwrap();
        ground.clock.advance(Duration::from_secs(60));
        minutes += 1;
        assert!(minutes < 30);
    }
    assert!((10..=12).contains(&minutes), "{minutes}");
    assert!(ground.vendor.state.lock().calls > 4);
    node.die().await;
}

#[tokio::test]
async fn one_that_is_refused_holds_up_no_other_and_is_told_of_in_the_end() {
    let (ground, node) = ground(&["17", "18"]).await;
    {
        let mut vendor = ground.vendor.state.lock();
        vendor.faults.insert(1, Fault::Error(Next::Pause));
        vendor.faults.insert(2, retry());
    }
    assert!(matches!(node.fetch().await, Err(Stop::Pause(_))));
    // The other one comes first now, fails, and comes after it.
    node.fetch().await.unwrap();
    assert_eq!(node.open().await, 2);
    ground.clock.advance(Duration::from_secs(60));
    node.fetch().await.unwrap();
    assert_eq!(node.open().await, 0);
    assert_eq!(
        node.store.events_after(EventId(0), 10).await.unwrap().len(),
        2
    );
    node.die().await;
}

#[tokio::test]
async fn one_that_fails_for_days_becomes_a_dead_letter() {
    let (ground, node) = ground(&["17"]).await;
    for call in 1..500 {
        ground.vendor.state.lock().faults.insert(call, retry());
    }
    let mut hours = 0;
    while node.open().await > 0 {
        node.fetch().await.unwrap();
        ground.clock.advance(Duration::from_secs(3_600));
        hours += 1;
        assert!(hours < 100);
    }
    assert!(hours > 72, "{hours}");
    let letters = node.store.dead_letters(Some("demo"), 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].code, "vendor.stand_in");
    node.die().await;
}
