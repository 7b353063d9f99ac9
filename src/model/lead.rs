use std::collections::BTreeMap;

use super::{EventId, LeadId, Millis};

/// The golden record of one person, merged from submissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Its id, from which its external id in Salesforce is made before it is first sent.
    pub id: LeadId,
    /// When its first submission was processed.
    pub created_at: Millis,
    /// The best known value of each lead field.
    pub record: BTreeMap<String, Held>,
    /// The 18-character id of its record in Salesforce, once known.
    pub salesforce_id: Option<String>,
}

/// A value and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The value.
    pub value: String,
    /// When the person gave it: an older submission never overwrites a newer one.
    pub at: Millis,
    /// The event that brought it.
    pub event: EventId,
}
