use std::collections::BTreeMap;

use super::merge::{KNOWN_EMAILS, KNOWN_PHONES};
use super::name::Name;
use crate::model::{Held, KeyKind, Lead, LeadId, MatchKey, Note, Submission};
use crate::process::normalise::mailbox;

/// Which lead a submission belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolution {
    /// The lead, or `None` for a new person.
    pub lead: Option<LeadId>,
    /// What they were matched by.
    pub by: Option<KeyKind>,
    /// What a person might wonder about, for the timeline. No values.
    pub notes: Vec<Note>,
}

/// Finds the lead that `submission` belongs to: by e-mail, then by phone with last name.
///
/// `known` gives the leads under a match key; those whose own values do not agree are left out,
/// since keys are looked up by hash. Of several leads the oldest, which has the lowest id, is taken.
///
/// A phone is not a person: father and son, or a couple at one line, stay apart if their given
/// names or generations contradict. So do the people behind a role's mailbox (`info@`).
pub fn resolve<'k, F, L>(submission: &Submission, known: F) -> Resolution
where
    F: Fn(&MatchKey) -> L,
    L: IntoIterator<Item = &'k Lead>,
{
    let mut resolution = Resolution::default();
    let mut keys: Vec<&MatchKey> = submission.keys.iter().collect();
    keys.sort_by_key(|key| key.kind);
    for key in keys {
        let mut same: Vec<LeadId> = Vec::new();
        for lead in known(key) {
            if !has_key(&lead.record, key) {
                continue;
            }
            if is_another_person(&lead.record, submission, key) {
                resolution.note(
                    "resolve.another_person",
                    key.kind,
                    "another lead shares this, but its name says that it is another person",
                );
            } else {
                same.push(lead.id);
            }
        }
        same.sort_unstable();
        same.dedup();
        let Some(oldest) = same.first() else {
            continue;
        };
        match resolution.lead {
            None => {
                resolution.lead = Some(*oldest);
                resolution.by = Some(key.kind);
                if same.len() > 1 {
                    resolution.note(
                        "resolve.several",
                        key.kind,
                        "several leads share this; the oldest is taken",
                    );
                }
            }
            Some(lead) if !same.contains(&lead) => {
                resolution.note(
                    "resolve.other_lead",
                    key.kind,
                    "another lead shares this, but a stronger match decides",
                );
            }
            Some(_) => {}
        }
    }
    resolution
}

/// Whether e-mail or name of `submission` say that it is not from the person of `lead`: both have
/// one, and they differ. The sender's own id of a submission is not believed against that: a page
/// may send one fixed value for everybody.
pub fn contradicts(lead: &Lead, submission: &Submission) -> bool {
    let record = &lead.record;
    let is_other_email = submission.fields.get("email").is_some_and(|email| {
        record.contains_key("email") && !has_value(record, &["email"], KNOWN_EMAILS, email)
    });
    is_other_email || names_contradict(record, submission)
}

/// Whether the names contradict, however they are read.
fn names_contradict(record: &BTreeMap<String, Held>, submission: &Submission) -> bool {
    let (held, given) = (Name::of_record(record), Name::of_submission(submission));
    !held
        .iter()
        .any(|held| given.iter().any(|given| !held.contradicts(given)))
}

impl Resolution {
    /// Notes that the sender's id of the submission is another person's, too.
    pub fn note_reused_id(&mut self) {
        Note::add(
            &mut self.notes,
            "resolve.reused_id",
            "submission_id",
            "another person's submission had the same id, so it says nothing: e-mail and phone \
             decided. Have the page make a new one for each submission",
        );
    }

    fn note(&mut self, code: &str, kind: KeyKind, message: &str) {
        let field = match kind {
            KeyKind::Email => "email",
            KeyKind::PhoneAndLastName => "phone",
        };
        Note::add(&mut self.notes, code, field, message);
    }
}

/// Whether the lead's own values make the key.
fn has_key(record: &BTreeMap<String, Held>, key: &MatchKey) -> bool {
    match key.kind {
        KeyKind::Email => has_value(record, &["email"], KNOWN_EMAILS, &key.value),
        KeyKind::PhoneAndLastName => {
            key.value
                .split_once('|')
                .is_some_and(|(number, last_name)| {
                    has_value(record, &["phone", "mobile"], KNOWN_PHONES, number)
                        && Name::of_record(record)
                            .iter()
                            .any(|name| name.has_last_name(last_name))
                })
        }
    }
}

fn has_value(record: &BTreeMap<String, Held>, fields: &[&str], known: &str, wanted: &str) -> bool {
    fields.iter().any(|field| value(record, field) == wanted)
        || value(record, known)
            .split(';')
            .any(|earlier| earlier == wanted)
}

/// Whether the name says that it is another person who shares the key.
fn is_another_person(
    record: &BTreeMap<String, Held>,
    submission: &Submission,
    key: &MatchKey,
) -> bool {
    match key.kind {
        KeyKind::Email => {
            mailbox::is_role_address(&key.value) && names_contradict(record, submission)
        }
        KeyKind::PhoneAndLastName => {
            let last_name = last_name_of(key);
            let of_key = |name: &Name| name.has_last_name(last_name);
            let mut held = Name::of_record(record);
            held.retain(of_key);
            let mut given = Name::of_submission(submission);
            given.retain(of_key);
            !held.iter().any(|held| {
                given
                    .iter()
                    .any(|given| !held.contradicts_beside_last_name(given))
            })
        }
    }
}

/// The folded last name of a key of phone and last name.
fn last_name_of(key: &MatchKey) -> &str {
    key.value
        .split_once('|')
        .map_or("", |(_, last_name)| last_name)
}

fn value<'a>(record: &'a BTreeMap<String, Held>, field: &str) -> &'a str {
    record
        .get(field)
        .map(|held| held.value.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, Millis, SourceName};
    use crate::process::normalise::match_keys;
    use crate::process::resolve::merge;

    fn submission(fields: &[(&str, &str)]) -> Submission {
        let fields: BTreeMap<String, String> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Submission {
            event: EventId(1),
            ordinal: 0,
            source: SourceName::new("demo"),
            at: Millis(1),
            vendor_id: None,
            keys: match_keys(&fields, &[]),
            fields,
            attribution: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// The same, with first and last name as we split them.
    fn split(fields: &[(&str, &str)]) -> Submission {
        let mut submission = submission(fields);
        Note::add(&mut submission.notes, "name.split", "last_name", "split");
        submission.keys = match_keys(&submission.fields, &submission.notes);
        submission
    }

    fn lead(id: i64, fields: &[(&str, &str)]) -> Lead {
        let mut lead = Lead {
            id: LeadId(id),
            created_at: Millis(0),
            record: BTreeMap::new(),
            salesforce_id: None,
            campaigns: BTreeMap::new(),
            followed: crate::model::Followed::default(),
        };
        merge(&mut lead, &submission(fields));
        lead
    }

    /// Every lead is offered under every key, as if all hashes collided.
    fn run(leads: &[Lead], fields: &[(&str, &str)]) -> Resolution {
        resolve(&submission(fields), |_| leads)
    }

    fn check(leads: &[Lead], fields: &[(&str, &str)], expect: Option<(i64, KeyKind)>) {
        let resolution = run(leads, fields);
        let found = resolution.lead.map(|lead| lead.0).zip(resolution.by);
        assert_eq!(found, expect, "{fields:?}");
    }

    const PHONE: (&str, &str) = ("phone", "+4930901820");

    #[test]
    fn an_email_decides_whatever_the_name() {
        let leads = [lead(
            1,
            &[
                ("email", "anna@acme.example"),
                ("first_name", "Anna"),
                ("last_name", "Miller"),
            ],
        )];
        check(
            &leads,
            &[("email", "anna@acme.example"), ("last_name", "Schmidt")],
            Some((1, KeyKind::Email)),
        );
        check(
            &leads,
            &[("email", "bernd@acme.example"), ("last_name", "Miller")],
            None,
        );
    }

    #[test]
    fn a_phone_decides_with_the_last_name_in_any_spelling() {
        let leads = [lead(
            1,
            &[PHONE, ("first_name", "Jürgen"), ("last_name", "Müller")],
        )];
        for (first, last, same) in [
            ("Juergen", "Mueller", true),
            ("", "MULLER", true),
            ("J.", "von Müller", true),
            ("Jürgen", "Schmidt", false),
        ] {
            let found = same.then_some((1, KeyKind::PhoneAndLastName));
            let mut fields = vec![("mobile", PHONE.1), ("last_name", last)];
            if !first.is_empty() {
                fields.push(("first_name", first));
            }
            check(&leads, &fields, found);
        }
    }

    #[test]
    fn people_at_one_phone_stay_apart() {
        let couple = [lead(
            1,
            &[PHONE, ("first_name", "Anna"), ("last_name", "Miller")],
        )];
        check(
            &couple,
            &[PHONE, ("first_name", "Bernd"), ("last_name", "Miller")],
            None,
        );
        check(
            &couple,
            &[PHONE, ("first_name", "Hanna"), ("last_name", "Miller")],
            None,
        );
        check(
            &couple,
            &[PHONE, ("first_name", "Annie"), ("last_name", "Miller")],
            Some((1, KeyKind::PhoneAndLastName)),
        );
        let note = &run(
            &couple,
            &[PHONE, ("first_name", "Bernd"), ("last_name", "Miller")],
        )
        .notes[0];
        assert_eq!(
            (note.code.as_str(), note.field.as_str()),
            ("resolve.another_person", "phone")
        );
        let father = [lead(
            1,
            &[PHONE, ("first_name", "John"), ("last_name", "Miller Sr.")],
        )];
        check(
            &father,
            &[PHONE, ("first_name", "John"), ("last_name", "Miller Jr.")],
            None,
        );
        check(
            &father,
            &[PHONE, ("first_name", "John"), ("last_name", "Miller")],
            Some((1, KeyKind::PhoneAndLastName)),
        );
    }

    #[test]
    fn a_roles_mailbox_needs_an_agreeing_name() {
        let leads = [lead(
            1,
            &[
                ("email", "info@acme.example"),
                ("first_name", "Anna"),
                ("last_name", "Miller"),
            ],
        )];
        let with = |first: &'static str, last: &'static str| {
            [
                ("email", "info@acme.example"),
                ("first_name", first),
                ("last_name", last),
            ]
        };
        check(&leads, &with("Anna", "Miller"), Some((1, KeyKind::Email)));
        check(&leads, &with("Bernd", "Miller"), None);
        check(&leads, &with("Anna", "Schmidt"), None);
        check(
            &leads,
            &[("email", "info@acme.example")],
            Some((1, KeyKind::Email)),
        );
    }

    #[test]
    fn what_both_have_and_differs_contradicts() {
        let anna = lead(
            1,
            &[
                ("email", "anna@acme.example"),
                ("first_name", "Anna"),
                ("last_name", "Miller"),
            ],
        );
        for (fields, expect) in [
            (&[("email", "anna@acme.example")][..], false),
            (&[("email", "ben@acme.example")], true),
            (&[("last_name", "MILLER")], false),
            (&[("last_name", "Tal")], true),
            (&[("first_name", "Annie"), ("last_name", "Miller")], false),
            (&[("first_name", "Ben"), ("last_name", "Miller")], true),
            (
                &[("email", "anna@acme.example"), ("last_name", "Tal")],
                true,
            ),
            (&[PHONE], false),
        ] {
            assert_eq!(
                contradicts(&anna, &submission(fields)),
                expect,
                "{fields:?}"
            );
        }
        let nameless = lead(1, &[PHONE]);
        let other = submission(&[("email", "ben@acme.example"), ("last_name", "Tal")]);
        assert!(!contradicts(&nameless, &other));
    }

    #[test]
    fn of_several_the_oldest_is_taken_and_noted() {
        let email = ("email", "anna@acme.example");
        let leads = [
            lead(9, &[email]),
            lead(3, &[email]),
            lead(5, &[PHONE, ("last_name", "Miller")]),
        ];
        let resolution = run(&leads, &[email, PHONE, ("last_name", "Miller")]);
        assert_eq!(resolution.lead, Some(LeadId(3)));
        let codes: Vec<&str> = resolution
            .notes
            .iter()
            .map(|note| note.code.as_str())
            .collect();
        assert_eq!(codes, ["resolve.several", "resolve.other_lead"]);
    }

    #[test]
    fn a_lead_is_known_by_an_earlier_address() {
        let mut one = lead(
            1,
            &[("email", "a@acme.example"), PHONE, ("last_name", "Miller")],
        );
        let mut later = submission(&[("email", "b@acme.example"), PHONE, ("last_name", "Miller")]);
        later.at = Millis(2);
        merge(&mut one, &later);
        let leads = [one];
        for email in ["a@acme.example", "b@acme.example"] {
            check(&leads, &[("email", email)], Some((1, KeyKind::Email)));
        }
    }

    #[test]
    fn a_family_name_of_two_words_finds_its_lead_though_we_have_split_it() {
        let whole = &[
            PHONE,
            ("first_name", "Gabriel"),
            ("last_name", "García Márquez"),
        ];
        let lone = &[PHONE, ("first_name", "García"), ("last_name", "Márquez")];
        let found = Some((LeadId(1), KeyKind::PhoneAndLastName));
        let find = |leads: &[Lead], submission: &Submission| {
            let resolution = resolve(submission, |_| leads);
            resolution.lead.zip(resolution.by)
        };
        let mut known = lead(1, whole);
        assert_eq!(find(&[known.clone()], &split(lone)), found);
        merge(&mut known, &split(lone));
        assert_eq!(known.record["first_name"].value, "Gabriel");
        assert_eq!(find(&[known], &submission(whole)), found);

        let mut guessed = lead(1, &[]);
        merge(&mut guessed, &split(lone));
        assert_eq!(find(&[guessed.clone()], &split(lone)), found);
        assert_eq!(find(&[guessed.clone()], &submission(whole)), found);
        assert!(!contradicts(&guessed, &submission(whole)));
        // As the sender's own words, García is a given name.
        assert_eq!(find(&[lead(1, lone)], &submission(whole)), None);
        let other = &[PHONE, ("first_name", "Ana"), ("last_name", "Márquez")];
        assert_eq!(find(&[guessed], &submission(other)), None);
    }

    #[test]
    fn a_collision_of_hashes_matches_nobody() {
        let leads = [lead(
            1,
            &[
                ("email", "anna@acme.example"),
                PHONE,
                ("last_name", "Miller"),
            ],
        )];
        check(
            &leads,
            &[
                ("email", "x@other.example"),
                ("phone", "+4930999999"),
                ("last_name", "Miller"),
            ],
            None,
        );
    }
}
