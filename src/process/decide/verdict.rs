//! Submissions that make no lead: what was sent to try, what is to be fetched first, who no longer
//! wants to hear from us.

use std::collections::BTreeMap;

use super::Decision;
use crate::model::{End, LeadId, Note, Submission, Verdict};
use crate::process::resolve::{Changed, Resolution, contradicts};
use crate::store::{NewFetch, StoredSubmission};

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
        let Some(id) = resolution.lead else {
            self.filter(row, UNKNOWN_PERSON);
            return;
        };
        let said = only_opt_outs(self.submission());
        let Some((changed, notes)) = self.fold(id, false, &said, &mut row, next_id) else {
            return;
        };
        self.write_down(id, "opted_out", &resolution, &changed, &notes);
        self.changes.submissions.push(row);
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
