use bytes::Bytes;

use super::*;
use crate::connector::{ConnectorOptions, connector_of};
use crate::model::{EventId, EventMeta, Millis, NewEvent, SourceName, Verdict};

/// The sample of a Windows export, two lines above its header.
const EXPO: &[u8] = include_bytes!("../../../../connectors/file-drop/samples/techexpo.csv");

fn source(common: &str, own: &str) -> SourceConfig {
    let mut source: SourceConfig =
        toml::from_str(&format!("connector = 'file-drop'\n{common}")).unwrap();
    source.options = ConnectorOptions::FileDrop(Box::new(options::options(own)));
    source
}

fn table(name: &str, bytes: &[u8], source: &SourceConfig) -> Result<Table, FileError> {
    let ConnectorOptions::FileDrop(options) = &source.options else {
        panic!("another connector");
    };
    read(name, bytes, source, options)
}

fn rows(name: &str, bytes: &[u8], source: &SourceConfig) -> Vec<Extracted> {
    let table = table(name, bytes, source).unwrap();
    let connector = connector_of(source);
    let events = table.rows.iter().map(|row| Event {
        id: EventId(1),
        received: NewEvent {
            source: SourceName::new("expo"),
            received_at: Millis(1_774_000_000_000),
            content_type: ROW_CONTENT_TYPE.to_owned(),
            meta: EventMeta::default(),
            body: Bytes::from(table.body(row)),
        },
    });
    events
        .flat_map(|event| connector.extract(&event).unwrap())
        .collect()
}

#[test]
fn the_reference_export_gives_three_rows_of_two_people_with_all_notes() {
    let source = source("", "timezone = 'Europe/Berlin'\nshow = 'techexpo-2026'");
    let table = table("techexpo.csv", EXPO, &source).unwrap();
    assert_eq!(table.header_row, 3);
    assert!(table.faults.is_empty(), "{:?}", table.faults);
    let codes: Vec<&str> = table.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["file.spoiled_phones"]);
    let rows = rows("techexpo.csv", EXPO, &source);
    let field = |index: usize, name: &str| rows[index].fields.get(name).map(String::as_str);
    assert_eq!(rows.len(), 3);
    assert_eq!(field(0, "company"), Some("Pied Piper \"EU\" GmbH"));
    assert_eq!(
        (field(0, "mobile"), field(0, "mobile_spoiled")),
        (None, Some("4,8221E+11"))
    );
    assert_eq!(
        field(0, "notes"),
        Some("2026-03-14 10:41, techexpo-2026: Wants a demo\nin April; hot")
    );
    assert_eq!(
        field(2, "notes"),
        Some("2026-03-15 09:12, techexpo-2026: second talk 👍")
    );
    assert_eq!(field(1, "notes"), None);
    assert_eq!(field(0, "consent"), None);
    let at: Vec<String> = rows.iter().map(|row| row.at.unwrap().to_string()).collect();
    assert_eq!(at[0], "2026-03-14T09:41:00.000Z");
    assert_eq!(
        rows[2].vendor_id.as_deref(),
        Some("id:TX-00417@techexpo-2026@2026-03-15T08:12:00.000Z")
    );
}

#[test]
fn the_same_list_packed_otherwise_is_the_same_list() {
    let source = source("", "");
    let expect = rows("a.csv", EXPO, &source);
    let zip = unpack::tests::zipped(&[("show/a.csv", EXPO)]);
    assert_eq!(rows("a.zip", &zip, &source), expect);
    assert_eq!(
        rows("A.CSV.GZ", &unpack::tests::gzipped(EXPO), &source),
        expect
    );
}

#[test]
fn date_and_time_in_two_columns_are_one_moment() {
    let source = source("", "date_order = 'mdy'");
    for header in ["Scan Date,Scan Time", "Date,Time"] {
        let text = format!("Email,{header}\na@b.example,03/04/2026,10:41 AM\n");
        let rows = rows("a.csv", text.as_bytes(), &source);
        let at = rows[0].at.map(|at| at.to_string());
        assert_eq!(at.as_deref(), Some("2026-03-04T10:41:00.000Z"), "{header}");
    }
}

#[test]
fn what_only_lists_call_so_is_known_and_what_the_configuration_names_goes_first() {
    let source = source(
        "fields.title = { from = 'Tier' }\nfields.rating = { from = 'Temperature', values = { h = 'Hot' } }",
        "member_status = 'Visited booth'\nexclude_domains = ['us.example']",
    );
    let text = "Attendee,Account,E-mail,Tier,Temperature,Phone,Phone,Follow-up,Notes,Booth\n\
        Anna Berg,Acme,a@acme.example,CTO,h,1,2,call,demo,B12\n\
        Own Staff,Us,x@mail.us.example,,,,,,,\n";
    let rows = rows("a.csv", text.as_bytes(), &source);
    let field = |name: &str| rows[0].fields.get(name).map(String::as_str);
    assert_eq!(field("full_name"), Some("Anna Berg"));
    assert_eq!(field("company"), Some("Acme"));
    assert_eq!(field("title"), Some("CTO"));
    assert_eq!(field("rating"), Some("h"));
    assert_eq!(field("phone"), Some("1;2"));
    assert_eq!(field("notes"), Some("expo: call\ndemo"));
    assert_eq!(field("Booth"), Some("B12"));
    assert_eq!(field("member_status"), Some("Visited booth"));
    assert_eq!(rows[0].verdict, Verdict::Genuine);
    assert_ne!(rows[1].verdict, Verdict::Genuine);
}

#[test]
fn a_list_without_the_consent_column_or_any_contact_is_refused() {
    let mut source = source("", "");
    let code = |source: &SourceConfig, text: &str| {
        table("a.csv", text.as_bytes(), source).unwrap_err().code
    };
    assert_eq!(
        code(&source, "First Name,Company\na,b\n"),
        "file.no_contact_column"
    );
    let ConnectorOptions::FileDrop(options) = &mut source.options else {
        panic!("another connector");
    };
    options.consent = ConsentRule {
        column: Some("Opt-in".to_owned()),
        ..ConsentRule::default()
    };
    assert_eq!(
        code(&source, "Email,Name\na@b.example,b\n"),
        "file.no_consent_column"
    );
    let rows = rows(
        "a.csv",
        b"Email,OPT IN\na@b.example,Ja\nb@b.example,\n",
        &source,
    );
    assert_eq!(rows[0].fields["consent"], "true");
    assert_eq!(rows[1].fields.get("consent"), None);
}

#[test]
fn what_is_read_wrongly_by_a_guess_is_warned_of() {
    let source = source("fields.plan = { from = 'Plan' }", "id_column = 'Badge'");
    let text = "Email,Consent,Date\na@b.example,Y,03/04/2026\nb@b.example,Y,soon\n";
    let table = table("a.csv", text.as_bytes(), &source).unwrap();
    let codes: Vec<&str> = table.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(
        codes,
        [
            "file.missing_column",
            "file.missing_column",
            "file.consent_not_used",
            "file.ambiguous_dates",
            "file.unreadable_dates"
        ]
    );
}

#[test]
fn types_that_are_not_read_are_told_with_advice() {
    let source = source("", "");
    for (name, code) in [
        ("a.pdf", "file.unknown_type"),
        ("a", "file.unknown_type"),
        ("a.csv.gpg", "file.encrypted"),
        ("a.xlsx", "file.damaged"),
    ] {
        assert_eq!(table(name, b"x", &source).unwrap_err().code, code, "{name}");
    }
}
