//! How a source is doing, for people: stored, so that commands show it too.

use serde::{Deserialize, Serialize};

use super::{Tally, Trouble};
use crate::connector::mechanism::auth::CredentialFacts;
use crate::model::Millis;
use crate::store::{Store, StoreError};

/// How a source is doing. What this version does not know in it is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceState {
    /// It waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Held>,
    /// It is tried again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Held>,
    /// When all of its lists were last read to the end; when that began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<Millis>,
    /// When its credential was last used with success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Millis>,
    /// What the last poll brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Tally>,
    /// What is known of its credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialFacts>,
    /// The days before the credential's end at which there was a warning last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_warned_days: Option<i64>,
    /// When it is polled next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Millis>,
    /// What the last comparison with the vendor has found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciled: Option<Reconciled>,
    /// The days that were left at the last warning before the vendor deletes what was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warned_days: Option<u32>,
}

/// Why it does not go on, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What is wrong and what to do.
    #[serde(flatten)]
    pub trouble: Trouble,
    /// Since when.
    pub since: Millis,
    /// When it is tried again.
    pub next: Millis,
    /// How often it has failed in a row.
    pub times: u32,
}

/// What a comparison with the vendor has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// When it began.
    pub at: Millis,
    /// From when on the vendor was asked.
    pub since: Option<Millis>,
    /// How much there was, and how much of it was missing.
    #[serde(flatten)]
    pub tally: Tally,
}

impl SourceState {
    /// How a source is doing, as far as it was said.
    pub async fn load(
        store: &Store,
        source: &crate::model::SourceName,
    ) -> Result<Self, StoreError> {
        let text = store.source_state(source).await?;
        Ok(text
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }

    /// Says it.
    pub async fn save(
        &self,
        store: &Store,
        source: &crate::model::SourceName,
        now: Millis,
    ) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        store.put_source_state(source, &text, now).await
    }
}
