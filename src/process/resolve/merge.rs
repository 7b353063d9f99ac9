//! Folds submissions into a lead's record.
//!
//! A fold over a set: any order of the same submissions, each any number of times, makes the same
//! record. So every rule is a choice between two values by a total order, with ties settled by
//! event id and then by the value itself.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::given_name;
use crate::model::{EventId, Held, Lead, Millis, Submission, field};
use crate::process::normalise::{phone, was_name_split};

/// Fields that say something together: a newer street beside an older city is no address.
///
/// A submission that gives an anchor replaces the whole group; one that gives only other members
/// adds to it.
struct Group {
    anchors: &'static [&'static str],
    members: &'static [&'static str],
}

const GROUPS: &[Group] = &[
    Group {
        anchors: &["street", "city"],
        members: &[
            "street",
            "city",
            "state",
            "state_code",
            "postal_code",
            "country",
            "country_code",
        ],
    },
    Group {
        anchors: &["phone"],
        members: &["phone", "phone_extension"],
    },
    Group {
        anchors: &["mobile"],
        members: &["mobile", "mobile_extension"],
    },
];

/// Once true they stay true.
const OPT_OUTS: &[&str] = &["email_opt_out", "fax_opt_out", "do_not_call"];

/// All values that a lead has had of fields that it is matched by, joined by `;`, once the
/// fields themselves do not say all of them: a lead that is found by an older one is known by it.
const KNOWN: &[(&str, &[&str])] = &[
    (KNOWN_EMAILS, &["email"]),
    (KNOWN_PHONES, &["phone", "mobile"]),
];

pub(super) const KNOWN_EMAILS: &str = "known_emails";
pub(super) const KNOWN_PHONES: &str = "known_phones";

const NAMES: [&str; 2] = ["first_name", "last_name"];

/// What was noted at each meeting: entries, a blank line between them. Each begins with its moment.
pub(crate) const NOTES: &str = "notes";

/// The most characters of them that are kept; the last by the alphabet, which are the newest.
const MAX_NOTES_CHARS: usize = 30_000;

/// Which of the two are held as we split a lone name, joined by `;`.
pub(super) const NAME_SPLIT: &str = "name_split";

/// The most of them that are kept; the first by the alphabet, so that the order of arrival does
/// not choose.
const MAX_KNOWN: usize = 20;

/// The fields whose values changed, by name, and what they were before.
pub type Changed = BTreeMap<String, Option<String>>;

/// Merges a submission into the lead's record. Returns what it changed.
///
/// Per field the newest value wins, and a blank never does. Except:
/// - An initial (`A.`) never replaces a given name (`Anna`), and what we made of a lone name of two
///   words never replaces one that was given in parts.
/// - Address fields move together when a submission has a street or city, a phone with its
///   extension.
/// - An opt-out is never taken back.
/// - Notes are all kept.
/// - Attribution keeps the first touch under its own names, the latest under `last_utm_source` and
///   so on; UTM parameters move together.
pub fn merge(lead: &mut Lead, submission: &Submission) -> Changed {
    let mut fold = Fold {
        record: &mut lead.record,
        at: submission.at,
        event: submission.event,
        changed: Changed::new(),
    };
    let known: Vec<BTreeSet<String>> = KNOWN
        .iter()
        .map(|(name, fields)| known_values(fold.record, name, fields, &submission.fields))
        .collect();
    for group in GROUPS {
        fold.merge_group(group, &submission.fields);
    }
    for (name, value) in &submission.fields {
        if is_merged_apart(name) {
            continue;
        }
        match name.as_str() {
            name if OPT_OUTS.contains(&name) => fold.merge_opt_out(name, value),
            NOTES => fold.merge_notes(value),
            name => fold.keep_newest(name, value),
        }
    }
    fold.merge_name(&submission.fields, was_name_split(&submission.notes));
    fold.merge_attribution(&submission.attribution);
    for ((name, fields), values) in KNOWN.iter().zip(known) {
        fold.remember(name, fields, values);
    }
    fold.changed
}

/// One submission on its way into a record.
struct Fold<'a> {
    record: &'a mut BTreeMap<String, Held>,
    at: Millis,
    event: EventId,
    changed: Changed,
}

impl Fold<'_> {
    fn rank(&self) -> (Millis, EventId) {
        (self.at, self.event)
    }

    fn held(&self, value: &str) -> Held {
        Held {
            value: value.to_owned(),
            at: self.at,
            event: self.event,
        }
    }

    fn put(&mut self, name: &str, new: Option<Held>) {
        let old = match (self.record.get_mut(name), new) {
            (Some(old), Some(new)) if old.value == new.value => {
                *old = new;
                return;
            }
            (Some(old), Some(new)) => Some(std::mem::replace(old, new)),
            (None, Some(new)) => self.record.insert(name.to_owned(), new),
            (Some(_), None) => self.record.remove(name),
            (None, None) => return,
        };
        // What a value was before all this is what it was before its first change.
        if !self.changed.contains_key(name) {
            let old = old.map(|held| held.value);
            self.changed.insert(name.to_owned(), old);
        }
    }

    fn keep_newest(&mut self, name: &str, value: &str) {
        let new = (self.rank(), value);
        if self
            .record
            .get(name)
            .is_none_or(|held| (rank(held), held.value.as_str()) < new)
        {
            self.put(name, Some(self.held(value)));
        }
    }

    fn keep_oldest(&mut self, name: &str, value: &str) {
        let new = (self.rank(), value);
        if self
            .record
            .get(name)
            .is_none_or(|held| (rank(held), held.value.as_str()) > new)
        {
            self.put(name, Some(self.held(value)));
        }
    }

    /// What was given in parts before what we have split, names before initials, then the newest.
    fn merge_name(&mut self, fields: &BTreeMap<String, String>, is_split: bool) {
        let told = self.record.get(NAME_SPLIT).map(|held| held.value.clone());
        let told = told.unwrap_or_default();
        let mut split: BTreeSet<&str> = NAMES
            .into_iter()
            .filter(|name| told.split(';').any(|split| split == *name))
            .collect();
        for name in NAMES {
            let Some(value) = fields.get(name) else {
                continue;
            };
            let is_name = |value: &str| name != "first_name" || !given_name::is_initials(value);
            let new = (!is_split, is_name(value), self.rank(), value.as_str());
            let loses = |held: &Held| {
                let (is_given, is_name) = (!split.contains(name), is_name(&held.value));
                (is_given, is_name, rank(held), held.value.as_str()) < new
            };
            if self.record.get(name).is_none_or(loses) {
                self.put(name, Some(self.held(value)));
                if is_split {
                    split.insert(name);
                } else {
                    split.remove(name);
                }
            }
        }
        let from = split.iter().filter_map(|name| self.record.get(*name));
        let now = from.map(rank).max().map(|(at, event)| Held {
            value: split.iter().copied().collect::<Vec<_>>().join(";"),
            at,
            event,
        });
        if now.is_some() || !told.is_empty() {
            self.put(NAME_SPLIT, now);
        }
    }

    /// The union of what was noted, each once. What is too much for one field loses its oldest: which
    /// these are does not depend on when the others came.
    fn merge_notes(&mut self, value: &str) {
        let held = self.record.get(NOTES);
        let known = held.map(|held| held.value.as_str()).unwrap_or_default();
        let entries: BTreeSet<&str> = known
            .split("\n\n")
            .chain(value.split("\n\n"))
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .collect();
        let mut room = MAX_NOTES_CHARS;
        let newest_first = entries.into_iter().rev().map_while(|entry| {
            room = room.checked_sub(entry.chars().count() + 2)?;
            Some(entry)
        });
        let mut kept: Vec<&str> = newest_first.collect();
        kept.reverse();
        let (at, event) = held.map_or(self.rank(), |held| rank(held).max(self.rank()));
        let value = kept.join("\n\n");
        if !value.is_empty() {
            self.put(NOTES, Some(Held { value, at, event }));
        }
    }

    /// The time that is kept is that of the first opt-out.
    fn merge_opt_out(&mut self, name: &str, value: &str) {
        if value == "true" {
            self.keep_oldest(name, value);
        }
    }

    fn merge_group(&mut self, group: &Group, fields: &BTreeMap<String, String>) {
        let given: Vec<Option<&str>> = group
            .anchors
            .iter()
            .map(|name| fields.get(*name).map(String::as_str))
            .collect();
        let held_rank = group
            .anchors
            .iter()
            .find_map(|name| self.record.get(*name))
            .map(rank);
        let order = match held_rank {
            None => Ordering::Greater,
            Some(held_rank) => {
                let held: Vec<Option<&str>> = group
                    .anchors
                    .iter()
                    .map(|name| self.record.get(*name).map(|held| held.value.as_str()))
                    .collect();
                (self.rank(), &given).cmp(&(held_rank, &held))
            }
        };
        let is_anchored = given.iter().any(Option::is_some);
        for name in group.members {
            let value = fields.get(*name);
            if !is_anchored {
                if let Some(value) = value
                    && held_rank.is_none_or(|held_rank| self.rank() > held_rank)
                {
                    self.keep_newest(name, value);
                }
                continue;
            }
            match order {
                Ordering::Less => {}
                Ordering::Equal => {
                    if let Some(value) = value {
                        self.keep_newest(name, value);
                    }
                }
                Ordering::Greater => {
                    // What a newer submission without an anchor added stays.
                    if self
                        .record
                        .get(*name)
                        .is_none_or(|held| rank(held) <= self.rank())
                    {
                        self.put(name, value.map(|value| self.held(value)));
                    }
                }
            }
        }
    }

    fn merge_attribution(&mut self, attribution: &BTreeMap<String, String>) {
        let known = attribution
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| field::ATTRIBUTION.contains(name));
        let (utm, others): (Vec<_>, Vec<_>) = known.partition(|(name, _)| is_utm(name));
        for (name, value) in others {
            self.keep_oldest(name, value);
            // The page's own memory of the first touch has no latest.
            if !name.starts_with("first_") {
                self.keep_newest(&last_name_of(name), value);
            }
        }
        self.merge_utm(&utm, |name| name.first, Ordering::Less);
        self.merge_utm(&utm, |name| &name.last, Ordering::Greater);
    }

    /// The source of one touch beside the campaign of another would be nobody's touch: all UTM
    /// parameters are of the one that compares as `wins`.
    ///
    /// `utm` is in the order of the names; `kept` says under which name a parameter is kept.
    fn merge_utm(
        &mut self,
        utm: &[(&str, &str)],
        kept: impl Fn(&'static UtmName) -> &'static str,
        wins: Ordering,
    ) {
        if utm.is_empty() {
            return;
        }
        let held: Vec<(&str, &Held)> = UTM_NAMES
            .iter()
            .filter_map(|name| Some((name.first, self.record.get(kept(name))?)))
            .collect();
        if let Some((_, first)) = held.first() {
            let values = held.iter().map(|(name, held)| (*name, held.value.as_str()));
            let order = self.rank().cmp(&rank(first));
            if order.then_with(|| utm.iter().copied().cmp(values)) != wins {
                return;
            }
        }
        for name in &*UTM_NAMES {
            let new = utm.iter().find(|(given, _)| *given == name.first);
            let new = new.map(|(_, value)| self.held(value));
            self.put(kept(name), new);
        }
    }

    /// Keeps what the lead is known by, unless its fields say all of it.
    fn remember(&mut self, name: &str, fields: &[&str], values: BTreeSet<String>) {
        let now: Vec<&Held> = fields
            .iter()
            .filter_map(|field| self.record.get(*field))
            .collect();
        let is_said = values
            .iter()
            .all(|value| now.iter().any(|held| held.value == *value));
        let newest = now.iter().map(|held| rank(held)).max();
        let known = newest.filter(|_| !is_said).map(|(at, event)| Held {
            value: values
                .into_iter()
                .take(MAX_KNOWN)
                .collect::<Vec<_>>()
                .join(";"),
            at,
            event,
        });
        if known.is_some() || self.record.contains_key(name) {
            self.put(name, known);
        }
    }
}

const LAST: &str = "last_";

/// An UTM parameter: its name as sent, under which the first touch is kept, and that of the latest.
struct UtmName {
    first: &'static str,
    last: String,
}

/// By name.
static UTM_NAMES: LazyLock<Vec<UtmName>> = LazyLock::new(|| {
    let names = field::ATTRIBUTION.iter().filter(|name| is_utm(name));
    let mut names: Vec<UtmName> = names
        .map(|name| UtmName {
            first: name,
            last: last_name_of(name),
        })
        .collect();
    names.sort_unstable_by_key(|name| name.first);
    names
});

fn last_name_of(attribution: &str) -> String {
    format!("{LAST}{attribution}")
}

fn is_utm(name: &str) -> bool {
    name.starts_with("utm_")
}

fn rank(held: &Held) -> (Millis, EventId) {
    (held.at, held.event)
}

/// Whether a field of that name is merged by its group, or the name is attribution's or ours.
fn is_merged_apart(name: &str) -> bool {
    GROUPS.iter().any(|group| group.members.contains(&name))
        || KNOWN.iter().any(|(known, _)| *known == name)
        || NAMES.contains(&name)
        || name == NAME_SPLIT
        || field::ATTRIBUTION.contains(&name.strip_prefix(LAST).unwrap_or(name))
}

/// What the record and the submission know of the fields, together.
fn known_values(
    record: &BTreeMap<String, Held>,
    name: &str,
    fields: &[&str],
    submitted: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let earlier = record
        .get(name)
        .map(|held| held.value.as_str())
        .unwrap_or_default();
    let now = fields.iter().flat_map(|field| {
        [
            record.get(*field).map(|held| held.value.as_str()),
            submitted.get(*field).map(String::as_str),
        ]
    });
    earlier
        .split(';')
        .chain(now.flatten())
        .filter(|value| value.contains('@') || phone::key(value).is_some())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{LeadId, Note, SourceName};

    fn submission(at: i64, event: i64, fields: &[(&str, &str)]) -> Submission {
        let (attribution, fields): (BTreeMap<String, String>, BTreeMap<String, String>) = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .partition(|(name, _)| field::ATTRIBUTION.contains(&name.as_str()));
        Submission {
            event: EventId(event),
            ordinal: 0,
            source: SourceName::new("demo"),
            at: Millis(at),
            vendor_id: None,
            fields,
            attribution,
            keys: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same, with first and last name as we split them.
    fn split(mut submission: Submission) -> Submission {
        Note::add(&mut submission.notes, "name.split", "last_name", "split");
        submission
    }

    fn lead() -> Lead {
        Lead {
            id: LeadId(1),
            created_at: Millis(0),
            record: BTreeMap::new(),
            salesforce_id: None,
            campaigns: BTreeMap::new(),
            followed: crate::model::Followed::default(),
        }
    }

    /// The names of what merging changes.
    fn changed(lead: &mut Lead, submission: &Submission) -> Vec<String> {
        merge(lead, submission).into_keys().collect()
    }

    fn fold<'a>(submissions: impl IntoIterator<Item = &'a Submission>) -> BTreeMap<String, Held> {
        let mut lead = lead();
        for submission in submissions {
            merge(&mut lead, submission);
        }
        lead.record
    }

    /// Merges in the order given and the other way round.
    fn check(submissions: &[Submission], expect: &[(&str, &str)]) {
        for record in [fold(submissions), fold(submissions.iter().rev())] {
            let values: Vec<(&str, &str)> = record
                .iter()
                .map(|(name, held)| (name.as_str(), held.value.as_str()))
                .collect();
            assert_eq!(values, expect);
        }
    }

    #[test]
    fn the_newest_value_wins_and_a_blank_never() {
        check(
            &[
                submission(1, 1, &[("title", "CTO"), ("company", "Acme")]),
                submission(2, 2, &[("title", "CEO")]),
            ],
            &[("company", "Acme"), ("title", "CEO")],
        );
        check(
            &[
                submission(5, 2, &[("title", "CEO")]),
                submission(5, 1, &[("title", "CTO")]),
            ],
            &[("title", "CEO")],
        );
    }

    #[test]
    fn an_initial_never_beats_a_given_name() {
        check(
            &[
                submission(1, 1, &[("first_name", "Anna"), ("last_name", "Miller")]),
                submission(2, 2, &[("first_name", "A."), ("last_name", "Miller")]),
            ],
            &[("first_name", "Anna"), ("last_name", "Miller")],
        );
    }

    #[test]
    fn a_name_that_we_split_never_beats_one_given_in_parts() {
        let parts = [("first_name", "Gabriel"), ("last_name", "García Márquez")];
        let guess = [("first_name", "García"), ("last_name", "Márquez")];
        check(
            &[submission(1, 1, &parts), split(submission(2, 2, &guess))],
            &parts,
        );
        check(
            &[
                submission(1, 1, &[("first_name", "G."), parts[1]]),
                split(submission(2, 2, &guess)),
            ],
            &[("first_name", "G."), parts[1]],
        );
        check(
            &[
                split(submission(1, 1, &[("first_name", "Ana"), guess[1]])),
                split(submission(2, 2, &guess)),
            ],
            &[guess[0], guess[1], ("name_split", "first_name;last_name")],
        );
        check(
            &[
                submission(1, 1, &[("first_name", "Gabriel")]),
                split(submission(2, 2, &guess)),
            ],
            &[parts[0], guess[1], ("name_split", "last_name")],
        );
    }

    #[test]
    fn no_form_says_that_we_have_split_a_name() {
        let parts = [("first_name", "Gabriel"), ("last_name", "García Márquez")];
        let sent = [parts[0], parts[1], ("name_split", "first_name;last_name")];
        check(&[submission(1, 1, &sent)], &parts);
    }

    #[test]
    fn an_address_moves_as_one() {
        check(
            &[
                submission(
                    1,
                    1,
                    &[
                        ("street", "Hauptstr. 1"),
                        ("city", "Berlin"),
                        ("country", "Germany"),
                        ("postal_code", "10115"),
                    ],
                ),
                submission(2, 2, &[("city", "Paris")]),
            ],
            &[("city", "Paris")],
        );
        check(
            &[
                submission(1, 1, &[("city", "Berlin"), ("country", "Germany")]),
                submission(2, 2, &[("postal_code", "10115")]),
            ],
            &[
                ("city", "Berlin"),
                ("country", "Germany"),
                ("postal_code", "10115"),
            ],
        );
        check(
            &[
                submission(1, 1, &[("phone", "+4930901820"), ("phone_extension", "12")]),
                submission(2, 2, &[("phone", "+4930901821")]),
            ],
            &[
                ("known_phones", "+4930901820;+4930901821"),
                ("phone", "+4930901821"),
            ],
        );
    }

    #[test]
    fn an_opt_out_stays() {
        let record = fold(&[
            submission(3, 3, &[("email_opt_out", "true")]),
            submission(1, 1, &[("email_opt_out", "true")]),
            submission(4, 4, &[("email_opt_out", "false")]),
        ]);
        assert_eq!(
            (
                record["email_opt_out"].value.as_str(),
                record["email_opt_out"].at
            ),
            ("true", Millis(1))
        );
    }

    #[test]
    fn notes_of_all_meetings_stay_in_their_order() {
        check(
            &[
                submission(2, 2, &[("notes", "2026-03-15: again")]),
                submission(1, 1, &[("notes", "2026-03-14: demo\nin April")]),
                submission(3, 3, &[("notes", "2026-03-15: again")]),
            ],
            &[("notes", "2026-03-14: demo\nin April\n\n2026-03-15: again")],
        );
    }

    #[test]
    fn the_first_touch_stays_and_the_latest_is_beside_it() {
        check(
            &[
                submission(1, 1, &[("referrer", "https://a.example")]),
                submission(2, 2, &[("utm_source", "google"), ("gclid", "AbC")]),
                submission(3, 3, &[("utm_source", "mail"), ("utm_campaign", "spring")]),
            ],
            &[
                ("gclid", "AbC"),
                ("last_gclid", "AbC"),
                ("last_referrer", "https://a.example"),
                ("last_utm_campaign", "spring"),
                ("last_utm_source", "mail"),
                ("referrer", "https://a.example"),
                ("utm_source", "google"),
            ],
        );
    }

    #[test]
    fn earlier_addresses_stay_known() {
        check(
            &[
                submission(1, 1, &[("email", "b@acme.example")]),
                submission(2, 2, &[("email", "a@acme.example")]),
            ],
            &[
                ("email", "a@acme.example"),
                ("known_emails", "a@acme.example;b@acme.example"),
            ],
        );
    }

    #[test]
    fn the_changed_fields_are_told() {
        let mut lead = lead();
        let first = submission(
            1,
            1,
            &[("title", "CTO"), ("city", "Berlin"), ("country", "Germany")],
        );
        assert_eq!(changed(&mut lead, &first), ["city", "country", "title"]);
        assert_eq!(changed(&mut lead, &first), [""; 0]);
        let second = submission(2, 2, &[("title", "CTO"), ("city", "Paris")]);
        assert_eq!(changed(&mut lead, &second), ["city", "country"]);
        assert_eq!(lead.record["title"].at, Millis(2));
        assert_eq!(
            changed(&mut lead, &submission(1, 3, &[("title", "CEO")])),
            [""; 0]
        );
    }

    fn any_submission() -> impl Strategy<Value = Submission> {
        let names = vec![
            "first_name",
            "last_name",
            "name_split",
            "title",
            "street",
            "city",
            "state",
            "country",
            "postal_code",
            "phone",
            "phone_extension",
            "mobile",
            "email",
            "email_opt_out",
            "utm_source",
            "utm_campaign",
            "gclid",
            "first_utm_source",
            "last_utm_source",
            "known_emails",
            "notes",
        ];
        let value = |name: &'static str| {
            let values: Vec<&'static str> = match name {
                "first_name" => vec!["Anna", "A.", "Bernd"],
                "email" | "known_emails" => vec!["a@a.example", "b@a.example", "c@a.example"],
                "phone" | "mobile" => vec!["+4930901820", "+4930901821", "call me"],
                "email_opt_out" => vec!["true", "false"],
                "notes" => vec!["1: a", "2: b\n\n1: c", "3: d"],
                _ => vec!["a", "b"],
            };
            prop::sample::select(values).prop_map(move |value| (name, value))
        };
        let fields = prop::collection::vec(prop::sample::select(names).prop_flat_map(value), 0..7);
        // Few moments and events, so that there are ties, even within one event.
        (0..3i64, 1..4i64, fields, any::<bool>()).prop_map(|(at, event, fields, is_split)| {
            let submission = submission(at, event, &fields);
            if is_split {
                split(submission)
            } else {
                submission
            }
        })
    }

    proptest! {
        #[test]
        fn any_order_makes_the_same_record(
            (some, shuffled) in prop::collection::vec(any_submission(), 0..6)
                .prop_flat_map(|some| (Just(some.clone()), Just(some).prop_shuffle()))
        ) {
            prop_assert_eq!(fold(&some), fold(&shuffled));
        }

        #[test]
        fn merging_again_changes_nothing(
            some in prop::collection::vec(any_submission(), 1..6),
            again in any::<prop::sample::Index>(),
        ) {
            let once = fold(&some);
            let twice = fold(some.iter().chain([&some[again.index(some.len())]]));
            prop_assert_eq!(once, twice);
        }
    }
}
