//! Why a delivery stopped, as a text that all have in common that one fix cures: the code, the field,
//! and the value if the configuration wrote it. Pure.

use std::fmt::Write as _;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use crate::config::WritePolicy;
use crate::salesforce::{Describe, Explanation};

use super::Mapping;

/// Codes of what the org's fields explain: a change of the org may cure it.
const OF_SCHEMA: [&str; 19] = [
    "salesforce.field_integrity_exception",
    "salesforce.inactive_owner_or_user",
    "salesforce.insufficient_access_or_readonly",
    "salesforce.invalid_field",
    "salesforce.invalid_field_for_insert_update",
    "salesforce.invalid_or_null_for_restricted_picklist",
    "salesforce.invalid_type",
    "salesforce.invalid_type_on_field_in_record",
    "salesforce.json_parser_error",
    "salesforce.number_outside_valid_range",
    "salesforce.picklist_value",
    "salesforce.read_only_field",
    "salesforce.required_field_missing",
    "salesforce.state_without_country",
    "salesforce.string_too_long",
    "salesforce.too_long",
    "salesforce.unavailable_recordtype_exception",
    "salesforce.unknown_field",
    "salesforce.wrong_type",
];

/// Those of them that Salesforce itself says: what we knew of the org was out of date.
const OF_STALE_SCHEMA: [&str; 8] = [
    "salesforce.inactive_owner_or_user",
    "salesforce.insufficient_access_or_readonly",
    "salesforce.invalid_field",
    "salesforce.invalid_field_for_insert_update",
    "salesforce.invalid_or_null_for_restricted_picklist",
    "salesforce.invalid_type",
    "salesforce.required_field_missing",
    "salesforce.string_too_long",
];

/// A rule of the org, which its text names and its code does not.
const VALIDATION_RULE: &str = "salesforce.field_custom_validation_exception";

/// A cause, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause<'a> {
    /// The code.
    pub code: &'a str,
    /// The object, where that is known.
    pub object: Option<&'a str>,
    /// The field.
    pub field: Option<&'a str>,
    /// The value, if the configuration wrote it.
    pub value: Option<&'a str>,
}

/// The cause of a delivery's end. A validation rule is told from others by a keyed hash of its text.
pub fn of(why: &Explanation, secret: [u8; 16]) -> String {
    let mut cause = why.cause();
    if why.code == VALIDATION_RULE {
        let mut hasher = SipHasher24::new_with_key(&secret);
        hasher.write(why.message.as_bytes());
        // Writing to a String cannot fail.
        let _ = write!(cause, " #{:08x}", hasher.finish() as u32);
    }
    cause
}

/// Whether what stopped with `code` may go on once the org, or what we know of it, has changed.
pub fn is_of_schema(code: &str) -> bool {
    OF_SCHEMA.binary_search(&code).is_ok()
}

/// Whether `code` says that what we know of the org is out of date.
pub fn is_of_stale_schema(code: &str) -> bool {
    OF_STALE_SCHEMA.binary_search(&code).is_ok()
}

impl<'a> Cause<'a> {
    /// Takes a cause apart. Of several fields the first counts.
    pub fn parse(cause: &'a str) -> Self {
        let (code, about) = cause.split_once(' ').unwrap_or((cause, ""));
        let (about, value) = match about.split_once(" = ") {
            Some((about, value)) => (about, Some(value)),
            None => (about.split(", ").next().unwrap_or_default(), None),
        };
        let (object, field) = match about.split_once('.') {
            Some((object, field)) => (Some(object), Some(field)),
            None if about.is_empty() || about.starts_with('#') => (None, None),
            None => (None, Some(about)),
        };
        Self {
            code,
            object,
            field,
            value,
        }
    }

    /// One sentence for people; none where only the destination's own words tell.
    pub fn sentence(&self) -> Option<String> {
        let field = self.field?;
        let value = match self.value {
            Some(value) => format!("`{value}`"),
            None => "the value".to_owned(),
        };
        Some(match self.code {
            "salesforce.picklist_value" | "salesforce.invalid_or_null_for_restricted_picklist" => {
                format!("{field}: {value} is not in the picklist")
            }
            "salesforce.unknown_field" | "salesforce.invalid_field" => {
                format!("{field} is not there, or hidden from the integration user")
            }
            "salesforce.read_only_field" | "salesforce.invalid_field_for_insert_update" => {
                format!("{field} may not be written by the integration user")
            }
            "salesforce.required_field_missing" => {
                format!("{field} is demanded by the org, and blank")
            }
            "salesforce.string_too_long" | "salesforce.too_long" => {
                format!("{field}: the text is too long")
            }
            "salesforce.wrong_type"
            | "salesforce.invalid_type_on_field_in_record"
            | "salesforce.json_parser_error" => {
                format!("{field}: the value is not of the field's type")
            }
            "salesforce.number_outside_valid_range" => {
                format!("{field}: the number is too large or too small")
            }
            "salesforce.invalid_email" | "salesforce.invalid_email_address" => {
                format!("{field}: Salesforce does not take the address")
            }
            "salesforce.duplicate_value" => {
                format!("{field}: another record holds the same value")
            }
            _ => return None,
        })
    }

    /// Whether what stopped for this may go now: the org had `before` and has `now`. Nothing of its
    /// field has changed: no.
    pub fn may_go(&self, before: Option<&Describe>, now: &Describe, mapping: &Mapping) -> bool {
        if !is_of_schema(self.code) {
            return false;
        }
        // What was never known before has not changed.
        let Some(before) = before.filter(|before| *before != now) else {
            return false;
        };
        let Some(name) = self.field else {
            return true;
        };
        let is_written = mapping
            .field(name)
            .is_some_and(|mapped| mapped.write != WritePolicy::Never);
        let (before, now) = (before.field(name), now.field(name));
        if before == now {
            return false;
        }
        let Some(now) = now else {
            // Nobody demands it any more, or nothing of ours goes there.
            return !is_written || self.code == "salesforce.required_field_missing";
        };
        match self.code {
            "salesforce.unknown_field" | "salesforce.invalid_field" => now.createable,
            "salesforce.read_only_field" | "salesforce.invalid_field_for_insert_update" => {
                now.createable && now.updateable
            }
            "salesforce.picklist_value" | "salesforce.invalid_or_null_for_restricted_picklist" => {
                !now.restricted_picklist
                    || match self.value {
                        Some(value) => now.choice(value).is_some(),
                        None => now.choices().any(|choice| {
                            !before.is_some_and(|before| before.takes(&choice.value))
                        }),
                    }
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::salesforce::ApiError;
    use crate::salesforce::testing::config;

    fn error(json: Value) -> Explanation {
        let error: ApiError = serde_json::from_value(json).unwrap();
        Explanation::of(200, &[error]).on("Lead")
    }

    #[test]
    fn a_cause_names_code_and_field_and_no_value() {
        for (answer, cause) in [
            (
                json!({ "statusCode": "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "fields": ["Industry"],
                    "message": "Industry: bad value for restricted picklist field: jane@acme.com" }),
                "salesforce.invalid_or_null_for_restricted_picklist Lead.Industry",
            ),
            (
                json!({ "statusCode": "INVALID_FIELD", "message": "No such column 'Foo__c' on sobject of type Lead" }),
                "salesforce.invalid_field Lead.Foo__c",
            ),
            (
                json!({ "statusCode": "REQUIRED_FIELD_MISSING", "fields": ["LastName", "Company"],
                    "message": "Required fields are missing: [LastName, Company]" }),
                "salesforce.required_field_missing Lead.Company, Lead.LastName",
            ),
            (
                json!({ "statusCode": "DUPLICATE_VALUE", "fields": [],
                    "message": "duplicate value found: Key__c duplicates value on record with id: 00Q5g000001AbCd" }),
                "salesforce.duplicate_value Lead.Key__c",
            ),
            (
                json!({ "statusCode": "STORAGE_LIMIT_EXCEEDED", "message": "storage limit exceeded" }),
                "salesforce.storage_limit_exceeded",
            ),
        ] {
            assert_eq!(of(&error(answer), [0; 16]), cause);
        }
    }

    #[test]
    fn validation_rules_are_told_apart_by_a_keyed_hash() {
        let rule = |text: &str| {
            error(json!({ "statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": text }))
        };
        let one = of(&rule("Phone or e-mail, please"), [0; 16]);
        assert!(
            one.starts_with("salesforce.field_custom_validation_exception #"),
            "{one}"
        );
        assert_eq!(one, of(&rule("Phone or e-mail, please"), [0; 16]));
        assert_ne!(one, of(&rule("Budget missing"), [0; 16]));
        assert_ne!(one, of(&rule("Phone or e-mail, please"), [1; 16]));
        assert_eq!(Cause::parse(&one).field, None);
    }

    #[test]
    fn the_lists_are_in_order() {
        assert!(OF_SCHEMA.is_sorted());
        assert!(OF_STALE_SCHEMA.is_sorted());
        assert!(OF_STALE_SCHEMA.iter().all(|code| is_of_schema(code)));
        assert!(!is_of_schema("salesforce.duplicate_value"));
    }

    fn lead(plan: Value) -> Describe {
        let mut field = json!({ "name": "Plan__c", "type": "picklist", "createable": true, "updateable": true,
            "restrictedPicklist": true, "picklistValues": [{ "value": "Pro", "active": true }] });
        field
            .as_object_mut()
            .unwrap()
            .extend(plan.as_object().unwrap().clone());
        let fields = if plan["gone"] == true {
            json!([])
        } else {
            json!([field])
        };
        serde_json::from_value(json!({ "name": "Lead", "fields": fields })).unwrap()
    }

    #[test]
    fn what_was_held_goes_when_its_own_field_has_come_right() {
        let mut config = config();
        config.lead = serde_json::from_value(json!({ "Plan__c": { "from": "plan" } })).unwrap();
        let mapping = Mapping::new(&config);
        let whole = || json!({});
        let gone = || json!({ "gone": true });
        let hidden = || json!({ "createable": false, "updateable": false });
        let more = || json!({ "picklistValues": [{ "value": "Pro", "active": true }, { "value": "Max", "active": true }] });
        let less = || json!({ "picklistValues": [] });
        for (cause, before, now, goes) in [
            (
                "salesforce.unknown_field Lead.Plan__c",
                gone(),
                whole(),
                true,
            ),
            (
                "salesforce.unknown_field Lead.Plan__c",
                whole(),
                gone(),
                false,
            ),
            (
                "salesforce.invalid_field Lead.Plan__c",
                whole(),
                whole(),
                false,
            ),
            (
                "salesforce.read_only_field Lead.Plan__c",
                hidden(),
                whole(),
                true,
            ),
            (
                "salesforce.picklist_value Lead.Plan__c",
                whole(),
                more(),
                true,
            ),
            (
                "salesforce.picklist_value Lead.Plan__c",
                whole(),
                less(),
                false,
            ),
            (
                "salesforce.picklist_value Lead.Plan__c = Max",
                whole(),
                more(),
                true,
            ),
            (
                "salesforce.picklist_value Lead.Plan__c = Mini",
                whole(),
                more(),
                false,
            ),
            (
                "salesforce.required_field_missing Lead.Plan__c",
                whole(),
                gone(),
                true,
            ),
            (
                "salesforce.picklist_value Lead.Other__c",
                whole(),
                more(),
                false,
            ),
            (
                "salesforce.duplicate_value Lead.Plan__c",
                whole(),
                more(),
                false,
            ),
        ] {
            let (before, now) = (lead(before), lead(now));
            let found = Cause::parse(cause).may_go(Some(&before), &now, &mapping);
            assert_eq!(found, goes, "{cause}");
        }
    }

    #[test]
    fn a_cause_reads_as_a_sentence() {
        for (cause, sentence) in [
            (
                "salesforce.picklist_value Lead.Industry",
                "Industry: the value is not in the picklist",
            ),
            (
                "salesforce.picklist_value Lead.Plan__c = Gold Plus",
                "Plan__c: `Gold Plus` is not in the picklist",
            ),
            (
                "salesforce.required_field_missing Lead.Company, Lead.LastName",
                "Company is demanded by the org, and blank",
            ),
        ] {
            assert_eq!(Cause::parse(cause).sentence().as_deref(), Some(sentence));
        }
        assert_eq!(
            Cause::parse("salesforce.storage_limit_exceeded").sentence(),
            None
        );
    }
}
