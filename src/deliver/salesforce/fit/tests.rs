use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::salesforce::testing::config;

/// A Lead with one field of each type, `on_invalid` of which is `rule`.
fn object(more: Value) -> Describe {
    let field = |name: &str, kind: &str, more: Value| {
        let mut field = json!({
            "name": name, "label": name.trim_end_matches("__c"), "type": kind, "length": 0,
            "createable": true, "updateable": true, "nillable": true,
        });
        let all = field.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        field
    };
    let list = |restricted| {
        json!({ "length": 255, "restrictedPicklist": restricted, "picklistValues": [
            { "value": "Banking", "label": "Bank & Finance", "active": true },
            { "value": "Media", "label": "Media", "active": true },
            { "value": "Old", "label": "Old", "active": false },
        ] })
    };
    let mut fields = vec![
        field(
            "LastName",
            "string",
            json!({ "length": 8, "nillable": false }),
        ),
        field("Email", "email", json!({ "length": 80 })),
        field("Text__c", "string", json!({ "length": 5 })),
        field("Url__c", "url", json!({ "length": 10 })),
        field("Flag__c", "boolean", json!({})),
        field("Int__c", "int", json!({ "digits": 4 })),
        field("Sum__c", "currency", json!({ "precision": 6, "scale": 2 })),
        field("Day__c", "date", json!({})),
        field("At__c", "datetime", json!({})),
        field("Boss__c", "reference", json!({ "referenceTo": ["User"] })),
        field("Industry", "picklist", list(true)),
        field("Free__c", "picklist", list(false)),
        field("Topics__c", "multipicklist", list(true)),
        field(
            "Made__c",
            "string",
            json!({ "length": 9, "calculated": true, "createable": false, "updateable": false }),
        ),
        field(
            "First__c",
            "string",
            json!({ "length": 9, "updateable": false }),
        ),
        field(
            "Seen__c",
            "string",
            json!({ "length": 9, "createable": false, "updateable": false }),
        ),
        field(
            "Leadstream_Id__c",
            "string",
            json!({ "length": 64, "externalId": true, "unique": true, "updateable": false }),
        ),
    ];
    fields.extend(more.as_array().unwrap().iter().cloned());
    serde_json::from_value(json!({ "name": "Lead", "fields": fields })).unwrap()
}

/// All custom fields by `rule`; `Text__c` has the default `ab`, the lists `Media`.
fn mapping(rule: &str) -> Mapping {
    let mut config = config();
    let line =
        |default: Option<&str>| json!({ "from": "x", "on_invalid": rule, "default": default });
    let mut lead = serde_json::Map::new();
    for name in [
        "Url__c", "Flag__c", "Int__c", "Sum__c", "Day__c", "At__c", "Boss__c", "Made__c",
        "First__c", "Seen__c", "Gone__c", "Txet__c", "Email",
    ] {
        lead.insert(name.to_owned(), line(None));
    }
    for (name, default) in [
        ("Text__c", "ab"),
        ("Industry", "Media"),
        ("Free__c", "Media"),
        ("Topics__c", "Media"),
    ] {
        lead.insert(name.to_owned(), line(Some(default)));
    }
    config.lead = serde_json::from_value(Value::Object(lead)).unwrap();
    Mapping::new(&config)
}

fn fitted(rule: &str, values: Value, creating: bool) -> Fitted {
    let values = values.as_object().unwrap().clone();
    fit(values, &object(json!([])), &mapping(rule), creating)
}

fn codes(fitted: &Fitted) -> Vec<&str> {
    fitted.notes.iter().map(|note| note.code.as_str()).collect()
}

/// What becomes of a value by the rule `drop_field`: what is sent, or nothing and a code.
fn check(name: &str, value: Value, expect: Result<Value, &str>) {
    let fitted = fitted("drop_field", json!({ name: value }), true);
    assert_eq!(fitted.refused, None);
    let found = match fitted.values.get(name) {
        Some(value) => Ok(value.clone()),
        None => Err(codes(&fitted).first().copied().unwrap_or("nothing")),
    };
    assert_eq!(found, expect, "{name} {value}");
}

#[test]
fn values_are_read_by_their_fields_type() {
    let wrong = Err("salesforce.wrong_type");
    for (name, value, expect) in [
        ("Text__c", json!("Größer"), Ok(json!("Größe"))),
        ("Text__c", json!("ab 😀"), Ok(json!("ab 😀"))),
        ("Text__c", json!("abc😀😀"), Ok(json!("abc😀"))),
        ("Text__c", json!(12), Ok(json!("12"))),
        ("Text__c", json!(" "), Err("nothing")),
        ("Flag__c", json!("Yes"), Ok(json!(true))),
        ("Flag__c", json!("nein"), Ok(json!(false))),
        ("Flag__c", json!("perhaps"), wrong.clone()),
        ("Int__c", json!("1,234"), Ok(json!(1234))),
        ("Int__c", json!("12.5"), wrong.clone()),
        ("Int__c", json!("12345"), wrong.clone()),
        ("Sum__c", json!("1.200,509"), Ok(json!(1200.51))),
        ("Sum__c", json!("$99"), Ok(json!(99))),
        ("Sum__c", json!("9999.999"), wrong.clone()),
        ("Sum__c", json!("10k"), wrong.clone()),
        ("Day__c", json!("1 March 2026"), Ok(json!("2026-03-01"))),
        ("Day__c", json!("2026-03-01T23:30:00Z"), wrong.clone()),
        (
            "At__c",
            json!("2026-03-01T11:00:00+01:00"),
            Ok(json!("2026-03-01T10:00:00.000Z")),
        ),
        ("At__c", json!("2026-03-01T11:00:00"), wrong.clone()),
        (
            "Boss__c",
            json!("005xx000001SwiU"),
            Ok(json!("005xx000001SwiUAAS")),
        ),
        (
            "Boss__c",
            json!("005XX000001SWIUAAS"),
            Ok(json!("005xx000001SwiUAAS")),
        ),
        ("Boss__c", json!("Jane"), wrong.clone()),
        ("Email", json!("jane@acme.com"), Ok(json!("jane@acme.com"))),
        (
            "Email",
            json!("jané@acme.com"),
            Err("salesforce.invalid_email"),
        ),
        (
            "Url__c",
            json!("http://a.b/long"),
            Err("salesforce.too_long"),
        ),
        ("Industry", json!("banking"), Ok(json!("Banking"))),
        ("Industry", json!("bank & finance"), Ok(json!("Banking"))),
        ("Industry", json!("Old"), Err(PICKLIST_VALUE)),
        ("Industry", json!("Blockchain"), Err(PICKLIST_VALUE)),
        ("Free__c", json!("media"), Ok(json!("Media"))),
        ("Free__c", json!("Blockchain"), Ok(json!("Blockchain"))),
        (
            "Topics__c",
            json!("media; Bank & Finance;Media"),
            Ok(json!("Media;Banking")),
        ),
        (
            "Topics__c",
            json!(["Media", "Banking"]),
            Ok(json!("Media;Banking")),
        ),
        (
            "Topics__c",
            json!("Media, Banking"),
            Ok(json!("Media;Banking")),
        ),
        ("Topics__c", json!("Media;Crypto"), Ok(json!("Media"))),
        ("Topics__c", json!("Crypto"), Err(PICKLIST_VALUE)),
        ("Gone__c", json!("x"), Err(UNKNOWN_FIELD)),
        ("Made__c", json!("x"), Err(READ_ONLY)),
        ("Seen__c", json!("x"), Err(READ_ONLY)),
    ] {
        check(name, value, expect);
    }
}

#[test]
fn each_rule_does_what_it_says_and_the_neighbours_go_on() {
    let values = || json!({ "LastName": "Lee", "Industry": "Blockchain", "Int__c": "9" });
    let dropped = fitted("drop_field", values(), true);
    assert_eq!(
        json!(dropped.values),
        json!({ "LastName": "Lee", "Int__c": 9 })
    );
    assert_eq!(codes(&dropped), [PICKLIST_VALUE]);
    let message = &dropped.notes[0].message;
    assert!(!message.contains("Blockchain"), "{message}");

    let replaced = fitted("default", values(), true);
    assert_eq!(
        json!(replaced.values),
        json!({ "LastName": "Lee", "Industry": "Media", "Int__c": 9 })
    );

    let held = fitted("hold", values(), true).refused.unwrap();
    assert_eq!(
        (held.code.as_str(), held.class),
        (PICKLIST_VALUE, Class::FixData)
    );
    assert_eq!(held.cause(), "salesforce.picklist_value Lead.Industry");
    assert!(
        held.message
            .contains("`Blockchain` does not go into `Industry`"),
        "{}",
        held.message
    );
    assert!(
        held.hint.contains("its list is `Banking`, `Media`"),
        "{}",
        held.hint
    );

    let near = fitted("hold", json!({ "Industry": "Bankin" }), true)
        .refused
        .unwrap();
    assert!(
        near.hint.starts_with("did you mean `Banking`?"),
        "{}",
        near.hint
    );
}

#[test]
fn a_field_that_is_not_there_is_named_with_its_nearest() {
    let held = fitted("hold", json!({ "Txet__c": "x", "Industry": "Nope" }), true);
    let held = held.refused.unwrap();
    assert_eq!(held.cause(), "salesforce.unknown_field Lead.Txet__c");
    assert!(
        held.hint.contains("did you mean `Text__c`"),
        "{}",
        held.hint
    );
    assert!(
        held.message.contains("; `Nope` does not go"),
        "{}",
        held.message
    );
}

#[test]
fn only_a_value_of_the_configuration_is_part_of_the_cause() {
    let mut config = config();
    config.lead = serde_json::from_value(json!({
        "Industry": { "from": "industry", "on_invalid": "hold", "values": { "b": "Block" } },
    }))
    .unwrap();
    let mapping = Mapping::new(&config);
    for (value, cause) in [
        ("Block", "Lead.Industry = Block"),
        ("Typed", "Lead.Industry"),
    ] {
        let values = json!({ "Industry": value }).as_object().unwrap().clone();
        let held = fit(values, &object(json!([])), &mapping, true)
            .refused
            .unwrap();
        assert_eq!(held.about, [cause]);
    }
}

#[test]
fn what_can_be_set_once_is_left_out_of_updates() {
    let values = || json!({ "First__c": "x", "Leadstream_Id__c": "KEY" });
    let all = json!({ "First__c": "x", "Leadstream_Id__c": "KEY" });
    assert_eq!(json!(fitted("hold", values(), true).values), all);
    let update = fitted("hold", values(), false);
    assert_eq!(json!(update.values), json!({ "Leadstream_Id__c": "KEY" }));
    assert_eq!(codes(&update), ["salesforce.create_only"]);
    assert_eq!(update.refused, None);
}

#[test]
fn what_the_fields_say_nothing_of_is_left_as_it_is() {
    let values = json!({ "Id": "00Q", "Campaign": { "Key__c": "x" }, "Text__c": null });
    let left = fitted("hold", values.clone(), false);
    assert_eq!(json!(left.values), values);
    assert_eq!((left.notes, left.refused), (vec![], None));
}

/// An org with the lists of states and countries: Bavaria is not there, Texas is of the US.
fn places() -> Value {
    let of = |bits: u8| STANDARD.encode([bits]);
    let text = |name: &str| json!({ "name": name, "type": "string", "length": 80, "createable": true, "updateable": true });
    let mut countries = text("CountryCode");
    countries["type"] = "picklist".into();
    countries["restrictedPicklist"] = true.into();
    countries["picklistValues"] = json!([
        { "value": "DE", "label": "Germany", "active": true },
        { "value": "US", "label": "United States", "active": true },
        { "value": "CA", "label": "Canada", "active": true },
    ]);
    let mut states = text("StateCode");
    states["type"] = "picklist".into();
    states["restrictedPicklist"] = true.into();
    states["picklistValues"] = json!([
        { "value": "TX", "label": "Texas", "active": true, "validFor": of(0b0100_0000) },
        { "value": "ON", "label": "Ontario", "active": true, "validFor": of(0b0010_0000) },
    ]);
    json!([text("Country"), countries, text("State"), states])
}

#[test]
fn states_and_countries_go_by_the_orgs_own_codes() {
    let mapping = Mapping::new(&config());
    let check = |values: Value, creating, expect: Value, note: &[&str]| {
        let object = object(places());
        let values = values.as_object().unwrap().clone();
        let fitted = fit(values.clone(), &object, &mapping, creating);
        assert_eq!(json!(fitted.values), expect, "{values:?}");
        assert_eq!(codes(&fitted), note, "{values:?}");
        assert_eq!(fitted.refused, None);
        let again = fit(fitted.values.clone(), &object, &mapping, creating);
        assert_eq!((again.values, again.notes), (fitted.values, vec![]));
    };
    let texas = json!({ "CountryCode": "US", "StateCode": "TX" });
    check(
        json!({ "Country": "united states", "State": "texas" }),
        true,
        texas.clone(),
        &[],
    );
    check(json!({ "Country": "US", "State": "TX" }), false, texas, &[]);
    let germany = json!({ "CountryCode": "DE" });
    check(
        json!({ "Country": "Germany", "State": "Bavaria" }),
        true,
        germany.clone(),
        &[PICKLIST_VALUE],
    );
    check(
        json!({ "Country": "Germany", "State": "Texas" }),
        true,
        germany,
        &[PICKLIST_VALUE],
    );
    check(
        json!({ "Country": "Atlantis" }),
        true,
        json!({}),
        &[PICKLIST_VALUE],
    );
    check(
        json!({ "State": "Texas" }),
        true,
        json!({}),
        &["salesforce.state_without_country"],
    );
    check(
        json!({ "State": "texas" }),
        false,
        json!({ "State": "Texas" }),
        &[],
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        "[0-9.,:TZ/ +-]{0,24}".prop_map(Value::from),
        "(Media|Banking|Old|x|;|, ){1,5}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12).prop_map(|number: f64| json!(number)),
        any::<bool>().prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn what_was_fitted_fits_and_is_not_touched_again(
        values in prop::collection::vec(any_value(), 17),
        creating: bool,
        rule in prop_oneof![Just("hold"), Just("drop_field"), Just("default")],
    ) {
        let object = object(json!([]));
        let mapping = mapping(rule);
        let values: Map = object.fields.iter().map(|field| field.name.clone()).zip(values).collect();
        let once = fit(values, &object, &mapping, creating);
        let twice = fit(once.values.clone(), &object, &mapping, creating);
        prop_assert_eq!(&twice.values, &once.values);
        prop_assert_eq!(twice.notes, vec![]);
        prop_assert_eq!(twice.refused, None);
    }
}
