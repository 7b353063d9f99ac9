use std::collections::BTreeMap;

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
