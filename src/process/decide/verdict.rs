//! Submissions that make no lead: what was sent to try, what is to be fetched first, who no longer
//! wants to hear from us.

use std::collections::BTreeMap;

use super::Decision;
use super::MOST_LEADS_A_KEY;
use crate::model::{End, KeyKind, LeadId, Note, Submission, Verdict};
use crate::process::resolve::{Changed, Resolution, contradicts, merge};
use crate::store::{NewFetch, NewKey, StoredSubmission};

/// All that an opt-out changes of a lead.
const OF_OPT_OUTS: [&str; 4] = ["email_opt_out", "fax_opt_out", "do_not_call", "consent"];

const UNKNOWN_PERSON: &str = "opted out, and no lead of theirs is known";

impl Decision<'_> {
    /// Notes that the vendor's record has come in, whatever becomes of it. One that was only named
    /// has not.
    pub(super) fn note_record(&mut self) {
        if let Some((id, version)) = self.person.record
            && !matches!(self.person.normalised.verdict, Verdict::Fetch(_))
        {
            self.changes.records.add(id, version);
        }
    }

    pub(super) fn filter(&mut self, row: StoredSubmission, reason: &str) {
        let row = row.ended(End::Filtered, reason);
        self.changes.submissions.push(row);
    }

    /// In flight until the fetch has ended.
    pub(super) fn fetch(&mut self, row: StoredSubmission, bindings: &BTreeMap<String, String>) {
        self.changes.fetches.push(NewFetch {
            event: row.event,
            ordinal: row.ordinal,
            source: row.source.clone(),
            bindings: bindings.clone(),
        });
        self.changes.submissions.push(row);
    }

    /// Changes nothing but the opt-outs and consent of a lead that is known. No touch: the person
    /// has turned away.
    pub(super) fn opt_out(&mut self, mut row: StoredSubmission, next_id: &mut dyn FnMut() -> i64) {
        if self.known.is_damaged(self.person) {
            self.bury_damaged(row);
            return;
        }
        let mut resolution = self.find().resolution;
        // The vendor may know a newer address than we do: whom it names is believed, since an
        // opt-out that is not heeded is worse than one too many.
        resolution.lead = resolution.lead.or_else(|| self.lead_of_vendor_id());
        let said = only_opt_outs(self.submission());
        let Some(id) = resolution.lead else {
            row.lead = self.remember(&said, next_id);
            self.filter(row, UNKNOWN_PERSON);
            return;
        };
        if self.is_only_remembered(id) {
            self.hold(id, &said);
            row.lead = Some(id);
            self.filter(row, UNKNOWN_PERSON);
            return;
        }
        let Some((changed, notes)) = self.fold(id, false, &said, None, &mut row, next_id) else {
            return;
        };
        self.write_down(id, "opted_out", &resolution, &changed, &notes);
        self.changes.submissions.push(row);
    }

    /// Keeps an opt-out of somebody who is not known, by their address: should they come by another way
    /// later, it counts. Nothing is sent of it.
    fn remember(&mut self, said: &Submission, next_id: &mut dyn FnMut() -> i64) -> Option<LeadId> {
        let email = self.submission().fields.get("email")?.clone();
        let key = self.submission().keys.iter();
        let key = key.clone().find(|key| key.kind == KeyKind::Email)?;
        let key = self.rules.keys.hash(key);
        let leads = self.known.by_key.entry(key).or_default();
        if leads.len() >= MOST_LEADS_A_KEY || said.fields.is_empty() {
            return None;
        }
        let nth = leads.len();
        let id = self.new_lead(LeadId(next_id()));
        self.known.by_key.entry(key).or_default().push(id);
        self.changes.keys.push(NewKey { key, nth, lead: id });
        let mut said = said.clone();
        said.fields.insert("email".to_owned(), email);
        self.hold(id, &said);
        self.write_down(
            id,
            "opted_out",
            &Resolution::default(),
            &Changed::new(),
            &[],
        );
        Some(id)
    }

    /// Merges into a lead without sending anything.
    fn hold(&mut self, id: LeadId, said: &Submission) {
        if let Some(known) = self.known.leads.get_mut(&id) {
            merge(&mut known.lead, said);
            self.known.changed.insert(id);
        }
    }

    /// Whether nothing is known of a lead but that they opted out: it was never sent, and has nothing
    /// beside an address and opt-outs.
    fn is_only_remembered(&self, id: LeadId) -> bool {
        let is_decided = self.known.decided.contains_key(&id);
        self.known.leads.get(&id).is_some_and(|known| {
            let mut names = known.lead.record.keys();
            !is_decided
                && known.delivering.is_none()
                && known.lead.salesforce_id.is_none()
                && names.all(|name| name == "email" || OF_OPT_OUTS.contains(&name.as_str()))
        })
    }

    /// Tells the lead's timeline that the vendor has the record no more; the lead stays.
    pub(super) fn withdraw(&mut self, mut row: StoredSubmission, why: &str) {
        if let Some(id) = self.lead_of_vendor_id() {
            let mut told = Resolution::default();
            Note::add(&mut told.notes, "record.withdrawn", "vendor_id", why);
            self.write_down(id, "withdrawn", &told, &Changed::new(), &[]);
            row.lead = Some(id);
        }
        self.filter(row, &format!("withdrawn: {why}"));
    }

    /// The lead that had this very submission before; rather one that it does not contradict.
    fn lead_of_vendor_id(&self) -> Option<LeadId> {
        let named = self.known.leads_of_vendor_id(self.person);
        let known = named.iter().filter_map(|lead| self.known.leads.get(lead));
        let known = known.map(|known| &known.lead);
        known
            .min_by_key(|lead| contradicts(lead, self.submission()))
            .map(|lead| lead.id)
    }
}

fn only_opt_outs(submission: &Submission) -> Submission {
    let fields = submission.fields.iter();
    let fields = fields.filter(|(name, _)| OF_OPT_OUTS.contains(&name.as_str()));
    Submission {
        fields: fields
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        attribution: BTreeMap::new(),
        keys: Vec::new(),
        notes: Vec::new(),
        ..submission.clone()
    }
}
