//! A local index of the org's Leads and Contacts, so that finding a person costs no call: match keys
//! as hashes, status, owner, conversion, opt-outs. It is read from the org ([`Mirror::step`]) by
//! `SystemModstamp`, and asked before a record is made ([`Mirror::candidates`]).
//!
//! What it says is never believed: whoever writes reads the record itself first, and decides on that.

mod columns;
mod facts;
mod import;
mod read;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::edge::clock::SharedClock;
use crate::model::Millis;
use crate::process::resolve::KeyHasher;
use crate::salesforce::{CallError, Client};
use crate::store::{Store, StoreError};
use columns::Columns;

pub use facts::{FIELDS_OF_PERSON, facts_of};
pub use import::ImportProgress;
pub use read::{Found, Part};
pub use rows::Read;

/// Who may read the org into the index: one node.
pub const LEASE: &str = "salesforce mirror";

/// The objects that people are.
pub const OBJECTS: [&str; 2] = ["Lead", "Contact"];

/// The index.
#[derive(Debug)]
pub struct Mirror {
    store: Arc<Store>,
    client: Arc<Client>,
    clock: SharedClock,
    keys: KeyHasher,
    columns: Mutex<Columns>,
    /// When the org was last asked who has come or changed, by anybody else's doing.
    fresh_at: Mutex<Option<Millis>>,
    /// One asks, and whoever waits for the same finds it done.
    asking: tokio::sync::Mutex<()>,
}

/// Why the org could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Salesforce gave up a query job.
    #[error("Salesforce gave up the query job that reads its records; it is begun anew")]
    JobFailed,
}

impl Mirror {
    /// The index in `store` of the org of `client`.
    pub fn new(store: Arc<Store>, client: Arc<Client>, clock: SharedClock) -> Self {
        let columns = Columns::new(&client.config().external_id_field);
        Self {
            keys: KeyHasher::new(store.key_secret()),
            store,
            client,
            clock,
            columns: Mutex::new(columns),
            fresh_at: Mutex::new(None),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// The store that it is kept in.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The org that it is an index of.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Whether the org was asked less than `age` ago.
    fn is_fresh(&self, age: Duration) -> bool {
        let now = self.clock.now();
        self.fresh_at
            .lock()
            .is_some_and(|at| at == now || at.was_within(age, now))
    }
}
