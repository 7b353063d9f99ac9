//! Whole submissions, by way of [`normalise`].

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use proptest::prelude::*;

use super::keys::match_keys;
use super::{Country, NormaliseContext, Normalised, normalise, text, was_name_split};
use crate::model::{
    Event, EventId, EventMeta, Extracted, Millis, NewEvent, SourceName, Verdict, field,
};

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
        writeln!(lines, "{name} = {value:?}").unwrap();
    }
    for key in &normalised.submission.keys {
        writeln!(lines, "key {:?} {}", key.kind, key.value).unwrap();
    }
    for note in &normalised.submission.notes {
        writeln!(lines, "note {} {}", note.field, note.code).unwrap();
    }
    lines
}

#[test]
fn a_german_lead() {
    insta::assert_snapshot!(shown(&run(&[
        ("email", " J.Mueller@BÜCHER.example "),
        ("full_name", "Herr Dr. JÃ¼rgen MÃ¼ller"),
        ("phone", "030/901820"),
        ("company", "Bücher &amp; Söhne GmbH"),
        ("country", "Deutschland"),
        ("state", "Berlin"),
        ("website", "Bücher.example/Über"),
        ("message", "Guten Tag,\r\n\r\nbitte Angebot."),
        ("consent", "Ja"),
        ("email_opt_out", "0"),
        ("plan", "Pro"),
    ])), @r#"
    company = "Bücher & Söhne GmbH"
    consent = "true"
    country = "Germany"
    country_code = "DE"
    email = "j.mueller@xn--bcher-kva.example"
    first_name = "Jürgen"
    language = "de-DE"
    last_name = "Müller"
    lead_source = "Web"
    message = "Guten Tag,\n\nbitte Angebot."
    phone = "+4930901820"
    plan = "Pro"
    salutation = "Dr."
    state = "Berlin"
    website = "https://xn--bcher-kva.example/%C3%9Cber"
    key Email j.mueller@xn--bcher-kva.example
    key PhoneAndLastName +4930901820|muller
    note full_name text.encoding
    note full_name name.honorific
    "#);
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
    ])), @r#"
    country = "United States"
    country_code = "US"
    do_not_call = "true"
    email = "anna@gmial.com"
    first_name = "Anna"
    language = "en"
    last_name = "O'Brien"
    lead_source = "Trade Show"
    mobile = "+19175552368"
    phone = "+12127365000"
    phone_extension = "12"
    state = "New York"
    state_code = "NY"
    key Email anna@gmial.com
    key PhoneAndLastName +12127365000|obrien
    key PhoneAndLastName +19175552368|obrien
    note email email.typo
    note mobile phone.second
    note phone phone.extension
    note last_name name.case
    note company value.placeholder
    "#);
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
    ])), @r#"
    country = "Middle Earth"
    email_as_typed = "anna at home"
    language = "de-DE"
    last_name = "山田太郎"
    lead_source = "Web"
    phone = "call me"
    state = "Shire"
    website = "none yet"
    note title value.template
    note country country.unknown
    note email email.invalid
    note phone phone.unreadable
    note full_name name.honorific
    note website website.invalid
    "#);
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
    #[test]
    fn normalising_what_was_normalised_changes_nothing(fields in fields()) {
        let once = normalise(&event(), extracted(fields), &context()).submission;
        for (name, value) in &once.fields {
            prop_assert!(!text::is_blank(value), "{} is blank", name);
        }
        let twice = normalise(&event(), extracted(once.fields.clone()), &context()).submission;
        prop_assert_eq!(&twice.fields, &once.fields);
        // That a lone name was split stands in the notes: fields that come back in parts do not tell.
        if was_name_split(&once.notes) {
            prop_assert_eq!(&once.keys, &match_keys(&once.fields, &once.notes));
            prop_assert_eq!(&twice.keys, &match_keys(&once.fields, &[]));
            prop_assert!(twice.keys.iter().all(|key| once.keys.contains(key)));
        } else {
            prop_assert_eq!(&twice.keys, &once.keys);
        }
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
