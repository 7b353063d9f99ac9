//! Names: split, put in order, in their own case; honorifics to the salutation. Where no rule is
//! sure the name stays as typed, whole, as the family name.

mod case;
mod split;
mod words;

use super::draft::Draft;
use super::place::Country;
use super::text::{self, Lines};
use super::{email, fold, mailbox, placeholder};
use crate::model::Note;
use case::Alphabet;
use split::Split;

/// What tells in which order and alphabet a name is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Hints {
    /// The country of the lead's address, else the source's default.
    pub country: Option<Country>,
    /// The primary subtag of the lead's language: `de`.
    pub language: Option<String>,
}

impl Hints {
    fn is(&self, country: &str, language: &str) -> bool {
        self.has_one_of(&[country], language)
    }

    fn has_one_of(&self, countries: &[&str], language: &str) -> bool {
        self.country
            .is_some_and(|country| countries.contains(&country.code()))
            || self.language.as_deref() == Some(language)
    }
}

/// The longest name that is kept, in characters.
pub(super) const MAX_CHARS: usize = 200;

/// The code of the note that says so.
const SPLIT: &str = "name.split";

/// Whether first and last name are what we made of one of the two, by the notes of normalising: a
/// guess, where the sender might have meant a family name of two words (García Márquez).
pub fn was_name_split(notes: &[Note]) -> bool {
    notes.iter().any(|note| note.code == SPLIT)
}

const FIELDS: [&str; 3] = ["full_name", "first_name", "last_name"];

/// Moves an e-mail address typed into a name field to `email`, if that holds none.
///
/// Before `email` is normalised.
pub(super) fn move_emails(draft: &mut Draft) {
    for field in FIELDS {
        let Some(address) = draft
            .get(field)
            .filter(|text| text.contains('@'))
            .and_then(email::parse)
        else {
            continue;
        };
        let known = draft.get("email").and_then(email::parse);
        match known.filter(|known| !mailbox::is_placeholder(known)) {
            None => {
                if let Some(unreadable) = draft.take("email") {
                    draft.set("email_as_typed", &unreadable);
                }
                draft.set("email", &address);
                draft.note(
                    "name.email_moved",
                    field,
                    "an e-mail address was in this field; moved to email",
                );
            }
            Some(known) if known == address => {}
            Some(_) => continue,
        }
        draft.take(field);
    }
}

/// Normalises `salutation`, `first_name`, `last_name` and `full_name`, which is split where the
/// others are blank.
///
/// Splitting can lay bare what the earlier steps look for (`{{x}} Anna Miller`), so they are
/// repeated until nothing changes; nearly always that is the second time.
pub(super) fn normalise(draft: &mut Draft, hints: &Hints) {
    const MAX_ROUNDS: usize = 6;
    for _ in 0..MAX_ROUNDS {
        let before = FIELDS.map(|field| draft.get(field).map(str::to_owned));
        normalise_once(draft, hints);
        if before == FIELDS.map(|field| draft.get(field).map(str::to_owned)) {
            break;
        }
    }
}

fn normalise_once(draft: &mut Draft, hints: &Hints) {
    drop_placeholders(draft);
    normalise_salutation(draft);
    for field in FIELDS {
        strip_honorifics(draft, field);
    }
    take_honorific_alone(draft);
    bring_together(draft, hints);
    repair_case(draft, hints);
}

/// Null, None, Test and Na are surnames too: blank only if another field is a placeholder as well.
fn drop_placeholders(draft: &mut Draft) {
    let is_placeholder =
        |draft: &Draft, field: &str| draft.get(field).is_some_and(placeholder::is_placeholder);
    let others_agree = draft.placeholder_contact
        || is_placeholder(draft, "first_name")
        || is_placeholder(draft, "company");
    for field in FIELDS {
        let Some(text) = draft.get(field) else {
            continue;
        };
        let may_be_real =
            field != "first_name" && placeholder::may_be_surname(text) && !others_agree;
        if placeholder::is_placeholder(text) && !may_be_real {
            draft.take(field);
            draft.note(
                "value.placeholder",
                field,
                "the value stands in place of an answer; taken as blank",
            );
        }
    }
}

fn normalise_salutation(draft: &mut Draft) {
    let Some(typed) = draft.take("salutation") else {
        return;
    };
    let mut known: Option<&str> = None;
    for word in typed.split_whitespace() {
        let salutation = match words::folded(word).as_str() {
            "m" => Some("Mr."),
            _ => words::honorific(word),
        };
        let Some(salutation) = salutation else {
            draft.set("salutation_as_typed", &typed);
            draft.note(
                "salutation.unknown",
                "salutation",
                "salutation is none of Salesforce's; kept in salutation_as_typed",
            );
            return;
        };
        known = Some(known.map_or(salutation, |earlier| {
            words::better_salutation(earlier, salutation)
        }));
    }
    draft.set("salutation", known.unwrap_or_default());
}

fn strip_honorifics(draft: &mut Draft, field: &str) {
    let Some(name) = draft.take(field) else {
        return;
    };
    // A part may be decodable where the whole was not.
    let cleaned = text::clean(trim(&name), MAX_CHARS, Lines::Join).text;
    let (rest, salutation) = words::strip_honorifics(text::said_once(trim(&cleaned)));
    draft.set(field, trim(rest));
    if let Some(salutation) = salutation {
        note_honorific(draft, field, salutation);
    }
}

/// Separators at the ends are left over from other fields or from splitting.
fn trim(name: &str) -> &str {
    name.trim_matches([' ', ',', ';'])
}

fn note_honorific(draft: &mut Draft, field: &str, salutation: &str) {
    draft.set_if_blank("salutation", salutation);
    draft.note(
        "name.honorific",
        field,
        "an honorific was taken off the name; salutation holds it if Salesforce has it",
    );
}

/// `Dr.` alone in the first name's field.
fn take_honorific_alone(draft: &mut Draft) {
    let Some(salutation) = draft
        .get("first_name")
        .filter(|name| {
            name.ends_with('.') || words::folded(name) == "dr" || words::folded(name) == "prof"
        })
        .and_then(words::honorific)
    else {
        return;
    };
    if draft.get("last_name").is_some() || draft.get("full_name").is_some() {
        draft.take("first_name");
        note_honorific(draft, "first_name", salutation);
    }
}

/// Makes first and last name of what there is.
fn bring_together(draft: &mut Draft, hints: &Hints) {
    let full = draft.take("full_name");
    let first = draft.take("first_name");
    let last = draft.take("last_name");
    match (first, last, full) {
        (None, None, None) => {}
        (None, None, Some(full)) => set_split(draft, split_whole(&full, hints), "full_name"),
        (Some(first), None, None) => split_sole(draft, "first_name", first, hints),
        (None, Some(last), None) => split_sole(draft, "last_name", last, hints),
        (Some(first), Some(last), full) => {
            if first.contains(' ') && fold::letters(&first) == fold::letters(&last) {
                // The whole name in both fields.
                split_sole(draft, "last_name", last, hints);
                return;
            }
            // A full name that says something else is kept for people to see.
            if let Some(full) = full
                && !same_words(&full, &format!("{first} {last}"))
            {
                draft.set("full_name", &full);
            }
            draft.set("first_name", &first);
            draft.set("last_name", &last);
        }
        (Some(first), None, Some(full)) => {
            if let Some(last) = without_words(&full, &first) {
                set_split(draft, Split { first, last }, "full_name");
            } else {
                draft.set("full_name", &full);
                draft.set("first_name", &first);
            }
        }
        (None, Some(last), Some(full)) => {
            if let Some(first) = without_words(&full, &last) {
                set_split(draft, Split { first, last }, "full_name");
            } else {
                draft.set("full_name", &full);
                draft.set("last_name", &last);
            }
        }
    }
}

/// What of the whole name is not the known part of it. `None` if the known part is not in it.
fn without_words(full: &str, known: &str) -> Option<String> {
    let mut rest: Vec<&str> = full.split(' ').map(|word| word.trim_matches(',')).collect();
    for word in known.split(' ') {
        let at = rest
            .iter()
            .position(|other| fold::letters(other) == fold::letters(word))?;
        rest.remove(at);
    }
    Some(rest.join(" "))
}

fn same_words(one: &str, other: &str) -> bool {
    let sorted = |name: &str| {
        let mut words: Vec<String> = fold::name_words(name).collect();
        words.sort_unstable();
        words
    };
    sorted(one) == sorted(other)
}

/// A name in one field while the other is blank: split if a rule is sure, else left in its field.
fn split_sole(draft: &mut Draft, field: &str, name: String, hints: &Hints) {
    let parts = split_whole(&name, hints);
    if parts.first.is_empty() {
        draft.set(field, &name);
    } else {
        draft.note(
            SPLIT,
            field,
            "the whole name was in this field; split into first and last name",
        );
        set_split(draft, parts, field);
    }
}

fn split_whole(name: &str, hints: &Hints) -> Split {
    let bare = words::strip_degrees(name);
    let mut parts = split::split(bare, hints);
    // Capitals that only marked the surname (`DUPONT Jean`) have done their work.
    if parts.first.chars().any(char::is_lowercase)
        && !parts.last.chars().any(char::is_lowercase)
        && let Some((_, last)) = case::repair("", &parts.last, alphabet(&parts.last, hints))
    {
        parts.last = last;
    }
    parts
}

fn set_split(draft: &mut Draft, parts: Split, field: &str) {
    draft.set("first_name", &parts.first);
    draft.set("last_name", &parts.last);
    if parts.first.is_empty() && parts.last.contains(' ') {
        draft.note(
            "name.unsplit",
            field,
            "no rule is sure how to split this name; the whole is the last name",
        );
    }
    // `Müller, Dr. Anna`
    strip_honorifics(draft, "first_name");
    strip_honorifics(draft, "last_name");
}

fn repair_case(draft: &mut Draft, hints: &Hints) {
    let first = draft.get("first_name").unwrap_or_default();
    let last = draft.get("last_name").unwrap_or_default();
    let alphabet = alphabet(&format!("{first}{last}"), hints);
    if let Some((first, last)) = case::repair(first, last, alphabet) {
        draft.set("first_name", &first);
        draft.set("last_name", &last);
        draft.note(
            "name.case",
            "last_name",
            "the name came in one case; written with capitals",
        );
    }
}

fn alphabet(name: &str, hints: &Hints) -> Alphabet {
    let turkic_letters = name.contains(['ı', 'İ', 'ğ', 'Ğ']);
    if turkic_letters || hints.is("TR", "tr") || hints.is("AZ", "az") {
        Alphabet::Turkic
    } else {
        Alphabet::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(fields: &[(&str, &str)]) -> Draft {
        let mut draft = Draft::default();
        for (field, value) in fields {
            draft.set(field, value);
        }
        move_emails(&mut draft);
        normalise(&mut draft, &Hints::default());
        draft
    }

    fn check(fields: &[(&str, &str)], expect: &[(&str, &str)]) {
        let draft = normalised(fields);
        let found: Vec<(&str, &str)> = draft
            .fields
            .iter()
            .map(|(field, value)| (field.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expect, "{fields:?}");
    }

    #[test]
    fn a_whole_name_is_split_wherever_it_was_typed() {
        let expect = [("first_name", "Anna"), ("last_name", "Miller")];
        for fields in [
            &[("full_name", "Anna Miller")][..],
            &[("first_name", "Anna Miller")],
            &[("last_name", "Anna Miller")],
            &[("first_name", "Anna Miller"), ("last_name", "-")],
            &[("first_name", "Anna Miller"), ("last_name", "Anna Miller")],
            &[("first_name", "Anna"), ("full_name", "Anna Miller")],
            &[("last_name", "Miller"), ("full_name", "Anna Miller")],
            &[
                ("first_name", "Anna"),
                ("last_name", "Miller"),
                ("full_name", "Anna Miller"),
            ],
            &[("full_name", "MILLER Anna")],
            &[("full_name", "anna miller, PhD")],
        ] {
            check(fields, &expect);
        }
        check(&[("full_name", "Madonna")], &[("last_name", "Madonna")]);
        check(&[("first_name", "Anna")], &[("first_name", "Anna")]);
    }

    #[test]
    fn honorifics_become_the_salutation() {
        for (fields, expect) in [
            (
                &[("full_name", "Herr Prof. Dr. Jürgen Müller")][..],
                &[
                    ("first_name", "Jürgen"),
                    ("last_name", "Müller"),
                    ("salutation", "Prof."),
                ][..],
            ),
            (
                &[("first_name", "Dr."), ("last_name", "Miller")],
                &[("last_name", "Miller"), ("salutation", "Dr.")],
            ),
            (
                &[("salutation", "Frau"), ("last_name", "Huber")],
                &[("last_name", "Huber"), ("salutation", "Ms.")],
            ),
            (
                &[("salutation", "M."), ("last_name", "Dupont")],
                &[("last_name", "Dupont"), ("salutation", "Mr.")],
            ),
            (
                &[("full_name", "Müller, Dr. Anna")],
                &[
                    ("first_name", "Anna"),
                    ("last_name", "Müller"),
                    ("salutation", "Dr."),
                ],
            ),
            (
                &[("salutation", "Firma"), ("last_name", "Huber")],
                &[("last_name", "Huber"), ("salutation_as_typed", "Firma")],
            ),
        ] {
            check(fields, expect);
        }
    }

    #[test]
    fn placeholders_that_are_surnames_need_a_second_sign() {
        check(
            &[("first_name", "Christopher"), ("last_name", "Null")],
            &[("first_name", "Christopher"), ("last_name", "Null")],
        );
        check(&[("first_name", "Test"), ("last_name", "Test")], &[]);
        check(
            &[("first_name", "asdf"), ("last_name", "Miller")],
            &[("last_name", "Miller")],
        );
        check(
            &[("last_name", "Na"), ("company", "n/a")],
            &[("company", "n/a")],
        );
    }

    #[test]
    fn an_address_in_a_name_field_moves() {
        check(
            &[("last_name", "anna@acme.example")],
            &[("email", "anna@acme.example")],
        );
        check(
            &[
                ("full_name", "anna@acme.example"),
                ("email", "Anna@acme.example"),
            ],
            &[("email", "Anna@acme.example")],
        );
        check(
            &[
                ("last_name", "Miller"),
                ("full_name", "b@acme.example"),
                ("email", "a@acme.example"),
            ],
            &[
                ("email", "a@acme.example"),
                ("full_name", "b@acme.example"),
                ("last_name", "Miller"),
            ],
        );
    }
}
