use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DeliveryId, EventId, LeadId, Millis};

/// Where a delivery goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A Salesforce Lead.
    SalesforceLead,
}

impl Destination {
    /// The name in the store, in logs and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::SalesforceLead => "salesforce.lead",
        }
    }
}

/// A campaign that a person is to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// The member status; the configured one if the submission said none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<String>,
    /// The status that we asked for the last time; none if this is the first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
    /// Whether we have asked for this campaign before.
    #[serde(default)]
    pub again: bool,
}

/// One intended change at a destination, kept in the outbox until its end is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id; deliveries of one lead are sent in the order of their ids.
    pub id: DeliveryId,
    /// Whose change it is.
    pub lead: LeadId,
    /// Where it goes.
    pub destination: Destination,
    /// The destination's fields to set, before write policies are applied.
    pub fields: BTreeMap<String, Value>,
    /// The campaigns to join, by name or id.
    pub campaigns: BTreeMap<String, Joining>,
    /// The source whose submission its owner is to be told of, should the person be a Contact.
    pub told_of: Option<String>,
    /// Which goes first when calls run short: the higher.
    pub priority: i64,
    /// How many times it has been sent before.
    pub attempts: u32,
    /// An earlier sending may have been carried out although we never saw its answer: look before
    /// writing again.
    pub unsure: bool,
    /// When the person gave the newest of its values.
    pub submitted_at: Millis,
    /// When it was decided.
    pub created_at: Millis,
}

/// An event or delivery that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event that stopped, or whose delivery did.
    pub event: EventId,
    /// The lead, if it got that far.
    pub lead: Option<LeadId>,
    /// The delivery, if it got that far.
    pub delivery: Option<DeliveryId>,
    /// Stable reason code.
    pub code: String,
    /// What it has in common with others that one fix cures: the code, and what it is about. No
    /// personal data.
    pub cause: String,
    /// What is wrong, in plain words; for deliveries the destination's own message.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// When it stopped.
    pub at: Millis,
}
