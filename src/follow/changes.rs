//! What changed of a record that a lead of ours has, as an event.

use bytes::Bytes;

use crate::mirror::Read;
use crate::model::{EventMeta, LeadId, Millis, NewEvent, ORG_CHANGES, OrgChange, SourceName};
use crate::store::OrgPerson;

/// The event of `read`, of a record that `lead` has; `before` is what was known of it. None if there is
/// nothing to tell: it is the echo of what we wrote ourselves.
pub(super) fn event(
    lead: LeadId,
    read: &Read,
    before: Option<&OrgPerson>,
    now: Millis,
) -> Option<NewEvent> {
    let person = &read.person;
    // We set neither on a record that is there, convert nothing and delete nothing: whatever the last
    // change was, that one was somebody else's.
    let was_changed = before.is_some_and(|before| {
        (&before.status, &before.owner_id, &before.contact_id)
            != (&person.status, &person.owner_id, &person.contact_id)
            || before.is_deleted != person.is_deleted
            || before.opted_out & !person.opted_out != 0
    });
    if read.is_ours && !was_changed && !person.is_deleted {
        return None;
    }
    let change = OrgChange {
        lead,
        record: person.id.clone(),
        at: person.changed_at,
        status: person.status.clone(),
        status_before: before.and_then(|before| before.status.clone()),
        owner: person.owner_id.clone(),
        owner_before: before.and_then(|before| before.owner_id.clone()),
        contact: person.contact_id.clone(),
        master: person.master_id.clone(),
        is_deleted: person.is_deleted,
        opted_out: person.opted_out,
    };
    Some(NewEvent {
        source: SourceName::new(ORG_CHANGES),
        received_at: now,
        content_type: "application/json".to_owned(),
        meta: EventMeta::default(),
        // Texts and numbers are always JSON.
        body: Bytes::from(serde_json::to_vec(&change).unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(is_ours: bool, status: &str) -> Read {
        Read {
            person: OrgPerson {
                id: "00Q000000000001AAA".to_owned(),
                status: Some(status.to_owned()),
                ..OrgPerson::default()
            },
            is_ours,
        }
    }

    fn check(read: &Read, before: Option<&Read>, expect: bool) {
        let before = before.map(|before| &before.person);
        let event = event(LeadId(1), read, before, Millis(0));
        assert_eq!(event.is_some(), expect, "{read:?} {before:?}");
    }

    #[test]
    fn an_echo_of_our_own_writes_is_no_change() {
        let (ours, open) = (read(true, "Open"), read(true, "Open"));
        check(&ours, None, false);
        check(&ours, Some(&open), false);
        check(&read(false, "Open"), Some(&open), true);
        // Somebody changed it, and we wrote a field after them: the last change is ours.
        check(&read(true, "Working"), Some(&open), true);
        let mut deleted = read(true, "Open");
        deleted.person.is_deleted = true;
        check(&deleted, Some(&open), true);
    }
}
