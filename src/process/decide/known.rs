//! What is known of the people whom a batch of events may concern.

use std::collections::{BTreeSet, HashMap};

use super::Person;
use crate::model::{KeyHash, LeadId, Submission};
use crate::process::resolve::{KeyHasher, Resolution, resolve};
use crate::store::KnownLead;

/// What is known of the people whom a batch of events may concern; grows as the batch is decided.
#[derive(Debug, Default)]
pub struct Known {
    pub(super) leads: HashMap<LeadId, KnownLead>,
    pub(super) by_key: HashMap<KeyHash, Vec<LeadId>>,
    /// Leads whose delivery was decided in this batch, and where it stands among the changes.
    pub(super) decided: HashMap<LeadId, usize>,
    pub(super) changed: BTreeSet<LeadId>,
    /// Those that the store cannot read back.
    damaged: BTreeSet<LeadId>,
}

impl Known {
    /// What the store says.
    pub fn new(
        leads: impl IntoIterator<Item = KnownLead>,
        keys: impl IntoIterator<Item = (KeyHash, LeadId)>,
        damaged: BTreeSet<LeadId>,
    ) -> Self {
        let mut known = Self {
            damaged,
            ..Self::default()
        };
        known
            .leads
            .extend(leads.into_iter().map(|lead| (lead.lead.id, lead)));
        for (key, lead) in keys {
            known.by_key.entry(key).or_default().push(lead);
        }
        known
    }

    /// The last of the deliveries that are on their way to these people; 0 if there are none.
    pub fn highest_delivery(&self) -> i64 {
        let open = self.leads.values().filter_map(|known| known.delivering);
        open.map(|delivery| delivery.0).max().unwrap_or(0)
    }

    /// The leads that changed, as they are now.
    pub fn into_changed_leads(mut self) -> Vec<KnownLead> {
        let leads = &mut self.leads;
        self.changed
            .iter()
            .filter_map(|id| leads.remove(id))
            .collect()
    }

    /// Whether this may be a person whose lead cannot be read back.
    pub(super) fn is_damaged(&self, person: &Person) -> bool {
        let leads = person.all_keys().filter_map(|key| self.by_key.get(&key));
        !self.damaged.is_empty() && leads.flatten().any(|lead| self.damaged.contains(lead))
    }

    /// The leads that had this very submission before, by the sender's own id of it.
    pub(super) fn leads_of_vendor_id(&self, person: &Person) -> &[LeadId] {
        let leads = person.vendor_key.and_then(|key| self.by_key.get(&key));
        leads.map_or(&[], Vec::as_slice)
    }

    pub(super) fn resolve(&self, submission: &Submission, keys: &KeyHasher) -> Resolution {
        resolve(submission, |key| {
            let leads = self.by_key.get(&keys.hash(key)).into_iter().flatten();
            leads
                .filter_map(|id| self.leads.get(id))
                .map(|known| &known.lead)
        })
    }
}
