use std::time::Duration;

use super::attribution;
use super::context::NormaliseContext;
use super::draft::Draft;
use super::keys::match_keys;
use super::name::{self, Hints};
use super::place::{self, Country};
use super::text::{self, Lines};
use super::{company, consent, email, language, phone, placeholder, website};
use crate::model::{Event, Extracted, Millis, Submission, Verdict, field};

/// A normalised submission, and whether it is a lead at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The data.
    pub submission: Submission,
    /// What the connector said, unless the data shows a genuine submission to be a test.
    pub verdict: Verdict,
}

/// Fields in which a word such as `n/a` or `unknown` is no answer. Elsewhere it may be one: a
/// picklist's value, a form's own question.
const NO_ANSWER_IN: &[&str] = &[
    "email",
    "phone",
    "mobile",
    "fax",
    "salutation",
    "company",
    "title",
    "website",
    "street",
    "city",
    "state",
    "postal_code",
    "country",
    "country_code",
    "state_code",
    "message",
];

/// Fields of text in lines.
const WITH_LINES: &[&str] = &["street", "message"];

/// Fields that may hold several values, or tell them apart by themselves.
const MAY_REPEAT: &[&str] = &[
    "email",
    "phone",
    "mobile",
    "fax",
    "consent",
    "email_opt_out",
    "fax_opt_out",
    "do_not_call",
    "street",
    "message",
];

/// Limits of what is kept beside the standard fields.
const MAX_OTHER_FIELDS: usize = 200;
const MAX_OTHER_CHARS: usize = 32_000;
const MAX_ALL_OTHER_BYTES: usize = 256 * 1024;
const MAX_FIELD_NAME_CHARS: usize = 100;

/// How far ahead of ours a sender's clock may be.
const MAX_AHEAD: Duration = Duration::from_secs(5 * 60);

/// Normalises what a connector found in `event`.
pub fn normalise(event: &Event, extracted: Extracted, context: &NormaliseContext) -> Normalised {
    let mut draft = Draft::default();
    clean_all(&mut draft, extracted.fields, context);
    drop_blanks(&mut draft);
    name::move_emails(&mut draft);
    place::normalise(&mut draft, context.default_country);
    language::normalise(&mut draft, event.meta.accept_language.as_deref());
    email::normalise(&mut draft);
    let country = draft
        .get("country_code")
        .and_then(Country::from_code)
        .or(context.default_country);
    phone::normalise(&mut draft, country);
    let hints = Hints {
        country,
        language: draft
            .get("language")
            .and_then(|tag| tag.split('-').next())
            .map(str::to_owned),
    };
    name::normalise(&mut draft, &hints);
    drop_placeholder(&mut draft, "company");
    company::normalise(&mut draft);
    website::normalise(&mut draft);
    consent::normalise(&mut draft);
    draft.set_if_blank(
        "lead_source",
        context.lead_source.as_deref().unwrap_or_default(),
    );
    draft.set_if_blank("campaign", context.campaign.as_deref().unwrap_or_default());
    let at = moment(&mut draft, extracted.at, event.received_at);
    Normalised {
        verdict: judge(extracted.verdict, &draft),
        submission: Submission {
            event: event.id,
            ordinal: extracted.ordinal,
            source: event.source.clone(),
            at,
            vendor_id: extracted.vendor_id,
            attribution: attribution::normalise(extracted.attribution),
            keys: match_keys(&draft.fields),
            fields: draft.fields,
            notes: draft.notes,
        },
    }
}

/// The rules for all text, then the source's own replacements. The names of other fields are text,
/// too.
fn clean_all(
    draft: &mut Draft,
    raw: std::collections::BTreeMap<String, String>,
    context: &NormaliseContext,
) {
    let (mut others, mut bytes) = (0, 0);
    for (sent_name, sent) in raw {
        let name = text::clean(&sent_name, MAX_FIELD_NAME_CHARS, Lines::Join);
        if name.cut || text::is_blank(&name.text) {
            draft.note(
                "fields.name",
                "",
                "a field whose name is blank or longer than 100 characters was left out",
            );
            continue;
        }
        let name = name.text.as_ref();
        let standard = field::find(name).is_some();
        let (limit, lines) = limits(name, standard);
        let value = text::clean(&sent, limit, lines);
        if text::is_blank(&value.text) || draft.get(name).is_some() {
            continue;
        }
        if !standard {
            others += 1;
            bytes += value.text.len();
            if others > MAX_OTHER_FIELDS || bytes > MAX_ALL_OTHER_BYTES {
                draft.note("fields.too_many", "", "more than 200 fields, or 256 KiB, beside the standard ones: the rest was left out; the event has them all");
                continue;
            }
        }
        if value.encoding_repaired {
            draft.note(
                "text.encoding",
                name,
                "the text had been encoded twice; undone",
            );
        }
        if value.cut {
            let message = format!("the text was longer than {limit} characters; cut");
            draft.note("text.cut", name, &message);
        }
        let value = if standard && !MAY_REPEAT.contains(&name) {
            said_once(&value.text)
        } else {
            &value.text
        };
        match context.replace(name, value) {
            Some(replacement) => draft.set(name, &replacement),
            None => draft.set(name, value),
        }
    }
}

/// How much of a field is kept, in characters, and whether its lines are.
fn limits(name: &str, standard: bool) -> (usize, Lines) {
    let limit = match name {
        "email" => 320,
        "full_name" | "first_name" | "last_name" | "salutation" => 200,
        "phone" | "mobile" | "fax" => 64,
        "message" => 32_000,
        "street" | "website" | "consent" => 1_000,
        _ if standard => 300,
        _ => MAX_OTHER_CHARS,
    };
    let lines = if !standard || WITH_LINES.contains(&name) {
        Lines::Keep
    } else {
        Lines::Join
    };
    (limit, lines)
}

/// One value that a form sent several times (a hidden field beside a visible one).
fn said_once(value: &str) -> &str {
    let mut parts = value
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    match parts.next() {
        Some(first) if value.contains(';') && parts.all(|part| part == first) => first,
        _ => value,
    }
}

/// Templates that nobody filled in are blank everywhere, words without an answer where an answer
/// was asked for. Names and the company wait until they can be seen together.
fn drop_blanks(draft: &mut Draft) {
    let templates: Vec<String> = draft
        .fields
        .iter()
        .filter(|(_, value)| placeholder::is_template(value))
        .map(|(name, _)| name.clone())
        .collect();
    for name in templates {
        draft.take(&name);
        draft.note(
            "value.template",
            &name,
            "the value is a template that was not filled in; taken as blank",
        );
    }
    for name in NO_ANSWER_IN.iter().filter(|name| **name != "company") {
        drop_placeholder(draft, name);
    }
}

fn drop_placeholder(draft: &mut Draft, name: &str) {
    let Some(value) = draft.get(name) else {
        return;
    };
    // A message of signs only (👍) is one.
    let signs_only =
        !value.chars().any(char::is_alphanumeric) && value.chars().any(|c| !c.is_ascii());
    if placeholder::is_placeholder(value) && !(name == "message" && signs_only) {
        draft.take(name);
        draft.note(
            "value.placeholder",
            name,
            "the value stands in place of an answer; taken as blank",
        );
    }
}

/// When the person sent it: by the payload, unless that lies in our future.
fn moment(draft: &mut Draft, said: Option<Millis>, received: Millis) -> Millis {
    match said {
        Some(said) if said > received.after(MAX_AHEAD) => {
            draft.note("time.future", "", "the payload's time is more than five minutes ahead of ours; the time of receipt counts");
            received
        }
        Some(said) => said,
        None => received,
    }
}

/// A submission whose only contact is made up was sent to try the form out.
fn judge(verdict: Verdict, draft: &Draft) -> Verdict {
    let can_be_called = ["phone", "mobile"]
        .iter()
        .filter_map(|field| draft.get(field))
        .any(phone::can_be_dialled);
    if verdict == Verdict::Genuine
        && draft.placeholder_contact
        && draft.get("email").is_none()
        && !can_be_called
    {
        return Verdict::Test(
            "the only e-mail or phone is made up (such as test@test.com)".to_owned(),
        );
    }
    verdict
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{EventId, EventMeta, NewEvent, SourceName};

    fn event() -> Event {
        Event {
            id: EventId(1),
            received: NewEvent {
                source: SourceName::new("demo"),
                received_at: Millis(1_000_000_000),
                content_type: String::new(),
                meta: EventMeta {
                    accept_language: Some("de-DE,de;q=0.9,en;q=0.8".to_owned()),
                    ..EventMeta::default()
                },
                body: Bytes::new(),
            },
        }
    }

    fn context() -> NormaliseContext {
        NormaliseContext {
            default_country: Country::from_code("DE"),
            lead_source: Some("Web".to_owned()),
            campaign: None,
            values: BTreeMap::new(),
        }
    }

    fn extracted(fields: BTreeMap<String, String>) -> Extracted {
        Extracted {
            fields,
            ..Extracted::default()
        }
    }

    fn run(fields: &[(&str, &str)]) -> Normalised {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        normalise(&event(), extracted(fields), &context())
    }

    fn shown(normalised: &Normalised) -> String {
        let mut lines = String::new();
        for (name, value) in &normalised.submission.fields {
            lines.push_str(&format!("{name} = {value:?}\n"));
        }
        for key in &normalised.submission.keys {
            lines.push_str(&format!("key {:?} {}\n", key.kind, key.value));
        }
        for note in &normalised.submission.notes {
            lines.push_str(&format!("note {} {}\n", note.field, note.code));
        }
        lines
    }

    #[test]
    fn a_german_lead() {
        insta::assert_snapshot!(shown(&run(&[
            ("email", " J.Mueller@BÜCHER.example "),
            ("full_name", "Herr Dr. Jürgen MÃ¼ller"),
            ("phone", "030/901820"),
            ("company", "Bücher &amp; Söhne GmbH"),
            ("country", "Deutschland"),
            ("state", "Berlin"),
            ("website", "Bücher.example/Über"),
            ("message", "Guten Tag,\r\n\r\nbitte Angebot."),
            ("consent", "Ja"),
            ("email_opt_out", "0"),
            ("plan", "Pro"),
        ])), @r#""#);
    }

    #[test]
    fn a_lead_of_the_united_states() {
        insta::assert_snapshot!(shown(&run(&[
            ("email", "anna@gmial.com"),
            ("first_name", "ANNA"),
            ("last_name", "O'BRIEN"),
            ("phone", "(212) 736-5000 x12; 917-555-2368"),
            ("country", "USA"),
            ("state", "ny"),
            ("company", "n/a"),
            ("do_not_call", "on"),
            ("lead_source", "Trade Show"),
            ("language", "English"),
        ])), @r#""#);
    }

    #[test]
    fn a_lead_that_cannot_be_read_keeps_what_was_typed() {
        insta::assert_snapshot!(shown(&run(&[
            ("email", "anna at home"),
            ("full_name", "山田太郎様"),
            ("phone", "call me"),
            ("country", "Middle Earth"),
            ("state", "Shire"),
            ("website", "none yet"),
            ("title", "{{title}}"),
        ])), @r#""#);
    }

    #[test]
    fn only_a_made_up_contact_makes_a_test() {
        for (fields, is_test) in [
            (
                &[("email", "test@test.com"), ("last_name", "Test")][..],
                true,
            ),
            (&[("phone", "1234567890")], true),
            (
                &[("email", "test@test.com"), ("phone", "030 901820")],
                false,
            ),
            (&[("email", "n/a")], false),
            (
                &[("email", "anna@acme.example"), ("phone", "0000000")],
                false,
            ),
        ] {
            let verdict = run(fields).verdict;
            assert_eq!(matches!(verdict, Verdict::Test(_)), is_test, "{fields:?}");
        }
        let spam = Extracted {
            verdict: Verdict::Spam("honeypot".to_owned()),
            fields: [("email".to_owned(), "test@test.com".to_owned())]
                .into_iter()
                .collect(),
            ..Extracted::default()
        };
        assert!(matches!(
            normalise(&event(), spam, &context()).verdict,
            Verdict::Spam(_)
        ));
    }

    #[test]
    fn a_time_ahead_of_ours_does_not_count() {
        let at = |said: i64| {
            let extracted = Extracted {
                at: Some(Millis(said)),
                ..Extracted::default()
            };
            normalise(&event(), extracted, &context()).submission.at
        };
        assert_eq!(at(5), Millis(5));
        assert_eq!(at(1_000_200_000), Millis(1_000_200_000));
        assert_eq!(at(1_000_400_000), Millis(1_000_000_000));
    }

    #[test]
    fn other_fields_are_kept_within_limits() {
        let many = (0..300)
            .map(|n| (format!("q{n:03}"), "yes".to_owned()))
            .collect();
        let submission = normalise(&event(), extracted(many), &context()).submission;
        assert_eq!(
            submission
                .fields
                .keys()
                .filter(|name| name.starts_with('q'))
                .count(),
            200
        );
        assert_eq!(submission.notes[0].code, "fields.too_many");
        let other = run(&[("budget", "unknown"), ("topics", "crm;ads")]);
        assert_eq!(other.submission.fields["budget"], "unknown");
        assert_eq!(other.submission.fields["topics"], "crm;ads");
    }

    #[test]
    fn a_value_sent_twice_is_one() {
        let fields = run(&[
            ("last_name", "Miller;Miller"),
            ("email", ";a@acme.example"),
            ("company", "A;B"),
        ])
        .submission
        .fields;
        assert_eq!(fields["last_name"], "Miller");
        assert_eq!(fields["email"], "a@acme.example");
        assert_eq!(fields["company"], "A;B");
    }

    /// Values that meet the rules' edges far more often than random text does.
    fn value() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "Anna",
            "Müller",
            "MILLER",
            "jean",
            "van",
            "der",
            "Dr.",
            "Herr",
            "Jr.",
            "PhD",
            "Test",
            "Null",
            "n/a",
            "-",
            "x",
            "山田",
            "太郎",
            "様",
            "김민준",
            "محمد",
            "بن",
            "Иван",
            "Иванович",
            "ıŞIK",
            "Nguyễn",
            "+49",
            "030",
            "901820",
            "0171",
            "1234567",
            "555-0123",
            "ext",
            "a@b.example",
            "test@test.com",
            "@",
            "CA",
            "Georgia",
            "US",
            "Texas",
            "NA",
            "https://",
            "Acme.example",
            "{{x}}",
            ",",
            ";",
            "/",
            "&amp;",
            "Ã¼",
            "\u{200D}",
            "\n",
            "0",
            "1",
            "on",
            "no",
            "de",
            "la",
            "O'",
            "mc",
            "II",
            "・",
            "(",
            ")",
            "[at]",
            "private",
            "Prof",
            "<",
            ">",
            "é",
            "e\u{301}",
        ]);
        let joined = (
            prop::collection::vec(words, 0..5),
            prop::sample::select(vec!["", " ", " ", "; "]),
        )
            .prop_map(|(words, separator)| words.join(separator));
        prop_oneof![4 => joined, 1 => any::<String>()]
    }

    fn fields() -> impl Strategy<Value = BTreeMap<String, String>> {
        let names: Vec<String> = field::FIELDS
            .iter()
            .map(|field| field.name.to_owned())
            .chain(
                [
                    "country_code",
                    "state_code",
                    "phone_extension",
                    "email_as_typed",
                    "plan",
                ]
                .map(str::to_owned),
            )
            .collect();
        let name = prop_oneof![20 => prop::sample::select(names), 1 => any::<String>()];
        prop::collection::btree_map(name, value(), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn normalising_what_was_normalised_changes_nothing(fields in fields()) {
            let once = normalise(&event(), extracted(fields), &context()).submission;
            for (name, value) in &once.fields {
                prop_assert!(!text::is_blank(value), "{} is blank", name);
            }
            let twice = normalise(&event(), extracted(once.fields.clone()), &context()).submission;
            prop_assert_eq!(&twice.fields, &once.fields);
            prop_assert_eq!(&twice.keys, &once.keys);
        }

        #[test]
        fn notes_hold_no_values(fields in fields()) {
            let submission = normalise(&event(), extracted(fields.clone()), &context()).submission;
            for note in &submission.notes {
                for value in fields.values().filter(|value| value.contains('@') && value.len() > 3) {
                    prop_assert!(!note.message.contains(value.as_str()) || note.message.contains("such as"));
                }
            }
        }
    }
}
