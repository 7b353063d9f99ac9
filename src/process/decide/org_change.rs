//! What somebody changed in Salesforce, told on the lead's timeline; an opt-out counts here as well.
//! Pure.

use serde_json::{Value, json};

use super::{Decided, row};
use crate::model::{End, Event, Followed, Held, OrgChange};
use crate::store::TimelineEntry;

/// Bits of `OrgChange::opted_out`, and the lead fields that they stand for.
const OPT_OUTS: [(i64, &str); 3] = [(1, "email_opt_out"), (2, "fax_opt_out"), (4, "do_not_call")];

/// Decides a change that was read in the org.
pub(super) fn decide(event: &Event, change: &OrgChange, decided: &mut Decided<'_>) {
    let mut row = row(event, decided.rules);
    let Some(known) = decided.known.leads.get_mut(&change.lead) else {
        let row = row.ended(End::Filtered, "its lead is not known");
        decided.changes.submissions.push(row);
        return;
    };
    row.lead = Some(change.lead);
    let lead = &mut known.lead;
    // Read twice, after a crash or by two nodes. Of one second, as the stamps are, only what differs is
    // told.
    if lead.followed.at > Some(change.at) {
        let row = row.ended(End::Merged, "nothing to change");
        decided.changes.submissions.push(row);
        return;
    }
    let before = std::mem::replace(
        &mut lead.followed,
        Followed {
            status: change.status.clone(),
            owner: change.owner.clone(),
            contact: change.contact.clone(),
            is_deleted: change.is_deleted,
            at: Some(change.at),
        },
    );
    let mut told = differences(&before, change);
    let mut opted_out = Vec::new();
    for (bit, field) in OPT_OUTS {
        let is_known = lead
            .record
            .get(field)
            .is_some_and(|held| held.value == "true");
        if change.opted_out & bit != 0 && !is_known {
            let held = Held {
                value: "true".to_owned(),
                at: change.at,
                event: event.id,
            };
            lead.record.insert(field.to_owned(), held);
            opted_out.push(field);
        }
    }
    if !opted_out.is_empty() {
        told.push(("opted_out", json!({ "fields": opted_out })));
    }
    decided.known.changed.insert(change.lead);
    let reason = if told.is_empty() {
        "nothing to change"
    } else {
        "changed in Salesforce"
    };
    for (kind, mut detail) in told {
        detail["salesforce_id"] = json!(change.record);
        detail["source"] = json!(&*event.source);
        decided.changes.timeline.push(TimelineEntry {
            lead: change.lead,
            event: Some(event.id),
            at: decided.now,
            kind,
            detail: detail.to_string(),
        });
    }
    let row = row.ended(End::Merged, reason);
    decided.changes.submissions.push(row);
}

/// What is told: kinds of lines of the timeline, and their details.
fn differences(before: &Followed, change: &OrgChange) -> Vec<(&'static str, Value)> {
    let mut told = Vec::new();
    let mut differs = |kind, was: Option<&String>, is: Option<&String>| {
        if let (Some(was), Some(is)) = (was, is)
            && was != is
        {
            told.push((kind, json!({ "from": was, "to": is })));
        }
    };
    let was = before.status.as_ref().or(change.status_before.as_ref());
    differs("status_changed", was, change.status.as_ref());
    let was = before.owner.as_ref().or(change.owner_before.as_ref());
    differs("owner_changed", was, change.owner.as_ref());
    if change.contact.is_some() && change.contact != before.contact {
        told.push(("converted", json!({ "contact": change.contact })));
    }
    if change.is_deleted != before.is_deleted {
        told.push(match (change.is_deleted, &change.master) {
            (true, Some(master)) => ("merged_in_salesforce", json!({ "into": master })),
            (true, None) => ("deleted_in_salesforce", json!({})),
            (false, _) => ("restored_in_salesforce", json!({})),
        });
    }
    told
}
