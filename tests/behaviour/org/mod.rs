//! People who are in Salesforce already, by whatever way, and what happens to them there.

mod bulk;
mod campaigns;
mod existing;
mod follow;
mod frugal;
mod import;

use std::time::Duration;

use serde_json::{Map, Value};

use crate::harness::TestDaemon;

/// Longer than the mirror's interval and than its being fresh.
const LATER: Duration = Duration::from_secs(120);

impl TestDaemon {
    /// Somebody in the org makes a record; gives its id.
    fn makes(&self, object: &str, fields: &Value) -> String {
        let id = self.sandbox.create(object, fields.as_object().unwrap());
        id.unwrap().to_string()
    }

    /// The org's records of an object.
    fn all(&self, object: &str) -> Vec<Map<String, Value>> {
        self.sandbox.records(object)
    }

    /// The only one.
    fn only(&self, object: &str) -> Map<String, Value> {
        let mut all = self.all(object);
        assert_eq!(all.len(), 1, "{object}: {all:?}");
        all.remove(0)
    }

    /// The index of the org has been read once.
    async fn mirrored(&self) {
        self.until("the org has been read", async || {
            let store = self.daemon().store();
            let lead = store.mirror_state("Lead").await.unwrap();
            let contact = store.mirror_state("Contact").await.unwrap();
            lead.is_complete && contact.is_complete
        })
        .await;
    }

    /// Kinds of the lines of the only lead's timeline.
    async fn told(&self) -> Vec<String> {
        let lead = self.only("Lead");
        let key = lead["Leadstream_Id__c"].as_str().unwrap();
        let store = self.daemon().store();
        let lead = store.lead_of_external_id(key).unwrap();
        let lines = store.timeline(lead).await.unwrap();
        lines.into_iter().map(|(_, _, kind, _)| kind).collect()
    }
}
