//! What of a lead is written, given what Salesforce holds. Pure.
//!
//! People win: a blank never overwrites, an opt-out is never undone, owner and status are never
//! taken back, and each field is written when its policy says so.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Mapping;
use crate::config::WritePolicy;
use crate::model::Millis;
use crate::salesforce::{Map, same_record};

/// Set by people and by the org's own routing once a lead exists, whatever the configuration says.
const NEVER_ON_UPDATE: [&str; 2] = ["OwnerId", "Status"];

/// Opt-outs of every org: true or not written, whatever the configuration says.
const OPT_OUTS: [&str; 3] = ["HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"];

/// When the record was last changed: to be read along with the fields, for `if_newer`.
pub const LAST_MODIFIED: &str = "LastModifiedDate";

/// Who changed it: the same, for our own writes are no reason not to write.
pub const LAST_MODIFIED_BY: &str = "LastModifiedById";

/// The fields that several deliveries of one lead, in their order, want to set: the newest value of
/// each. Salesforce knows names in any case, and the configuration that wrote them may have changed
/// its own in between.
pub fn together<'a>(
    deliveries: impl IntoIterator<Item = &'a BTreeMap<String, Value>>,
) -> BTreeMap<String, Value> {
    let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
    for fields in deliveries {
        wanted.retain(|name, _| {
            fields.contains_key(name)
                || !fields.keys().any(|newer| newer.eq_ignore_ascii_case(name))
        });
        wanted.extend(fields.clone());
    }
    wanted
}

/// The fields to send so that Salesforce holds what of `wanted` may be written. Blank: nothing is
/// to be sent.
///
/// `held` is the record as Salesforce has it now, with every field of `wanted` (null where blank)
/// [`LAST_MODIFIED`] and [`LAST_MODIFIED_BY`]; none creates the record. A field that is missing from `held` counts as
/// unknown: it is written only by policies that do not ask what is there. `submitted_at` is when
/// the person gave the newest of the values, `our_user` the Salesforce user that we write as, if
/// it is known.
pub fn changes(
    wanted: &BTreeMap<String, Value>,
    held: Option<&Map>,
    submitted_at: Millis,
    our_user: Option<&str>,
    mapping: &Mapping,
) -> Map {
    let mut changes = Map::new();
    for (name, value) in wanted {
        let policy = mapping.policy(name);
        let Some(value) = sendable(name, value, policy) else {
            continue;
        };
        let send = match held {
            None => policy != WritePolicy::Never,
            Some(held) => may_update(name, &value, mapping, held, |held| {
                is_newer(held, submitted_at, our_user)
            }),
        };
        if send {
            changes.insert(name.clone(), value);
        }
    }
    changes
}

/// `value` as it would be sent; none for what is never sent at all.
fn sendable(name: &str, value: &Value, policy: WritePolicy) -> Option<Value> {
    if name.eq_ignore_ascii_case("Id") {
        return None;
    }
    let restricts = policy == WritePolicy::MostRestrictive || is_one_of(name, &OPT_OUTS);
    match value {
        Value::Bool(true) => Some(Value::Bool(true)),
        _ if restricts => None,
        Value::String(text) => {
            let text = text.trim();
            (!text.is_empty()).then(|| text.into())
        }
        Value::Number(_) | Value::Bool(false) => Some(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn may_update(
    name: &str,
    value: &Value,
    mapping: &Mapping,
    held: &Map,
    is_newer: impl Fn(&Map) -> bool,
) -> bool {
    if is_one_of(name, &NEVER_ON_UPDATE) {
        return false;
    }
    let current = get(held, name);
    if current.is_some_and(|current| same(value, current)) {
        return false;
    }
    let known_blank = current.is_some_and(is_blank);
    // What stands in for a value that was not given says nothing against one that is there, and
    // gives way to one that comes.
    if mapping.is_default(name, value) && !known_blank {
        return false;
    }
    match mapping.policy(name) {
        WritePolicy::IfBlank => {
            known_blank || current.is_some_and(|current| mapping.is_default(name, current))
        }
        WritePolicy::Always | WritePolicy::MostRestrictive => true,
        WritePolicy::IfNewer => is_newer(held),
        WritePolicy::CreateOnly | WritePolicy::Never => false,
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// The value of `name`: Salesforce answers in its own case, whatever the configuration's is.
pub(super) fn get<'a>(record: &'a Map, name: &str) -> Option<&'a Value> {
    record.get(name).or_else(|| {
        record
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// Whether what the person gave is newer than what anybody else has last done to the record. That
/// our own last write is later says nothing: deliveries of one lead go in their order.
fn is_newer(held: &Map, submitted_at: Millis, our_user: Option<&str>) -> bool {
    let by = get(held, LAST_MODIFIED_BY).and_then(Value::as_str);
    let is_ours = by.zip(our_user).is_some_and(|(by, us)| same_record(by, us));
    last_modified(held).is_some_and(|changed| is_ours || submitted_at > changed)
}

fn last_modified(held: &Map) -> Option<Millis> {
    let text = get(held, LAST_MODIFIED)?.as_str()?;
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Millis(moment.as_millisecond()))
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Whether Salesforce would store `value` as what it holds already.
fn same(value: &Value, held: &Value) -> bool {
    match (value, held) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::String(one), Value::String(other)) => lines(one).eq(lines(other)),
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => text
            .trim()
            .parse::<f64>()
            .ok()
            .is_some_and(|text| Some(text) == number.as_f64()),
        (Value::String(text), Value::Bool(flag)) | (Value::Bool(flag), Value::String(text)) => text
            .trim()
            .eq_ignore_ascii_case(if *flag { "true" } else { "false" }),
        (value, held) => value == held,
    }
}

/// The lines of a text: Salesforce trims texts and may end lines by either of the two ways.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.trim().lines()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::salesforce::testing::config;

    const POLICIES: [&str; 6] = [
        "if_blank",
        "always",
        "if_newer",
        "create_only",
        "most_restrictive",
        "never",
    ];

    /// `X__c` is written by `policy`.
    fn mapping(policy: &str) -> Mapping {
        let mut config = config();
        config.lead = serde_json::from_value(json!({
            "X__c": { "from": "x", "write": policy },
            "Status": { "from": "status", "write": "always" },
            "OwnerId": { "from": "owner", "write": "always" },
            "Company": { "from": "company", "write": "always" },
        }))
        .unwrap();
        Mapping::new(&config)
    }

    fn fields(value: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn map(value: Value) -> Map {
        serde_json::from_value(value).unwrap()
    }

    /// In its short form; records name it in its long one.
    const US: &str = "005xx000001SwiU";

    const NOON: Millis = Millis(1_772_366_400_000);

    fn update(policy: &str, wanted: Value, held: Value) -> Value {
        let changes = changes(
            &fields(wanted),
            Some(&map(held)),
            NOON,
            Some(US),
            &mapping(policy),
        );
        json!(changes)
    }

    fn check(policy: &str, held: Value, written: bool) {
        let wanted = json!({ "X__c": "new" });
        let expect = if written { wanted.clone() } else { json!({}) };
        let held_text = held.to_string();
        assert_eq!(update(policy, wanted, held), expect, "{policy} {held_text}");
    }

    #[test]
    fn of_several_deliveries_the_newest_value_goes_whatever_the_case_of_its_name() {
        let deliveries = [
            fields(json!({ "company": "Old", "Title": "CTO" })),
            fields(json!({ "Company": "New", "City": "Berlin" })),
            fields(json!({ "City": "Paris" })),
        ];
        let expect = json!({ "City": "Paris", "Company": "New", "Title": "CTO" });
        assert_eq!(json!(together(&deliveries)), expect);
    }

    #[test]
    fn each_policy_writes_when_it_says() {
        let older = "2026-03-01T11:59:59.000+0000";
        let newer = "2026-03-01T12:00:00.000+0000";
        for (policy, blank, other, unknown) in [
            ("if_blank", true, false, false),
            ("always", true, true, true),
            ("if_newer", true, true, true),
            ("create_only", false, false, false),
            ("never", false, false, false),
        ] {
            check(
                policy,
                json!({ "X__c": null, "LastModifiedDate": older }),
                blank,
            );
            check(
                policy,
                json!({ "X__c": " ", "LastModifiedDate": older }),
                blank,
            );
            check(
                policy,
                json!({ "x__C": "old", "LastModifiedDate": older }),
                other,
            );
            check(policy, json!({ "LastModifiedDate": older }), unknown);
        }
        check(
            "if_newer",
            json!({ "X__c": "old", "LastModifiedDate": newer }),
            false,
        );
        check(
            "if_newer",
            json!({ "X__c": null, "LastModifiedDate": newer }),
            false,
        );
        check("if_newer", json!({ "X__c": "old" }), false);
    }

    #[test]
    fn our_own_last_write_makes_no_submission_old() {
        let held = |by: &str| {
            json!({ "X__c": "old", "LastModifiedDate": "2026-03-01T13:00:00.000+0000",
                    "LastModifiedById": by })
        };
        check("if_newer", held("005xx000001SwiUAAS"), true);
        check("if_newer", held("005xx000001SwiuAAS"), false);
        check("if_blank", held("005xx000001SwiUAAS"), false);
    }

    #[test]
    fn a_new_record_gets_all_but_what_is_never_written() {
        let wanted =
            json!({ "X__c": "new", "Status": "Open", "OwnerId": "005", "Id": "00Q", "Y__c": "" });
        for policy in POLICIES {
            let created = changes(&fields(wanted.clone()), None, NOON, None, &mapping(policy));
            let mut expect = json!({ "OwnerId": "005", "Status": "Open", "X__c": "new" });
            if matches!(policy, "never" | "most_restrictive") {
                expect.as_object_mut().unwrap().remove("X__c");
            }
            assert_eq!(json!(created), expect, "{policy}");
        }
    }

    #[test]
    fn owner_and_status_are_never_taken_back() {
        let wanted = json!({ "status": "Open", "OwnerId": "005" });
        let held = json!({ "Status": null, "OwnerId": null });
        assert_eq!(update("always", wanted, held), json!({}));
    }

    #[test]
    fn an_opt_out_is_never_undone() {
        for (wanted, held, written) in [
            (true, json!(false), true),
            (true, json!(null), true),
            (true, json!(true), false),
            (false, json!(true), false),
            (false, json!(false), false),
        ] {
            for field in ["HasOptedOutOfEmail", "DoNotCall", "X__c"] {
                let wanted = json!({ field: wanted });
                let expect = if written { wanted.clone() } else { json!({}) };
                let held = json!({ field: held });
                assert_eq!(update("most_restrictive", wanted, held), expect);
            }
        }
        let never_created = changes(
            &fields(json!({ "DoNotCall": false })),
            None,
            NOON,
            None,
            &mapping("always"),
        );
        assert_eq!(json!(never_created), json!({}));
    }

    #[test]
    fn what_stands_in_for_a_value_overwrites_none() {
        let wanted = json!({ "Company": "[not provided]" });
        let held = json!({ "Company": "Acme" });
        assert_eq!(update("always", wanted.clone(), held), json!({}));
        let blank = json!({ "Company": null });
        assert_eq!(update("always", wanted.clone(), blank), wanted);
    }

    #[test]
    fn what_salesforce_would_store_alike_is_no_change() {
        for (wanted, held) in [
            (json!(" a \r\nb "), json!("a \nb")),
            (json!(1200), json!(1200.0)),
            (json!("1200"), json!(1200.0)),
            (json!("TRUE"), json!(true)),
            (json!(true), json!(true)),
        ] {
            let wanted = json!({ "X__c": wanted });
            assert_eq!(update("always", wanted, json!({ "X__c": held })), json!({}));
        }
        for (wanted, held) in [
            (json!("a"), json!("A")),
            (json!(1200), json!(1201)),
            (json!("12a"), json!(12)),
            (json!(false), json!(true)),
        ] {
            let wanted = json!({ "X__c": wanted });
            assert_eq!(
                update("always", wanted.clone(), json!({ "X__c": held })),
                wanted
            );
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            Just(json!([1])),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            "[ a\n]{0,3}".prop_map(Value::from),
            Just(json!("[not provided]")),
        ]
    }

    fn record() -> impl Strategy<Value = BTreeMap<String, Value>> {
        let name = prop::sample::select(vec![
            "X__c",
            "Company",
            "Phone",
            "Status",
            "OwnerId",
            "DoNotCall",
            "Unmapped__c",
            "Id",
        ]);
        prop::collection::btree_map(name.prop_map(str::to_owned), value(), 0..8)
    }

    proptest! {
        #[test]
        fn no_blank_is_written_and_a_second_time_nothing_at_all(
            wanted in record(), held in prop::option::of(record()),
            policy in prop::sample::select(POLICIES.to_vec()), age in -2_i64..2,
        ) {
            let mapping = mapping(policy);
            let held = held.map(|held| {
                let mut held: Map = held.into_iter().collect();
                held.insert(LAST_MODIFIED.to_owned(), "2026-03-01T12:00:00.000+0000".into());
                held
            });
            let at = Millis(NOON.0 + age);
            let written = changes(&wanted, held.as_ref(), at, None, &mapping);
            for (name, value) in &written {
                prop_assert!(!is_blank(value), "{name}");
                let before = held.as_ref().and_then(|held| held.get(name));
                prop_assert!(name != "Id");
                prop_assert!(name != "DoNotCall" || *value == true);
                if held.is_some() {
                    prop_assert!(name != "OwnerId" && name != "Status");
                    if mapping.policy(name) == WritePolicy::IfBlank {
                        prop_assert!(before.is_some_and(is_blank), "{name}");
                    }
                }
            }
            let mut after = held.unwrap_or_default();
            after.extend(written);
            prop_assert_eq!(changes(&wanted, Some(&after), at, None, &mapping).len(), 0);
        }
    }
}
