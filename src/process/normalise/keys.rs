//! What a normalised submission can be matched by.

use std::collections::BTreeMap;

use super::name::was_name_split;
use super::{fold, phone};
use crate::model::{KeyKind, MatchKey, Note};

/// The match keys of normalised fields.
///
/// `PhoneAndLastName` is `+4930901820|muller`: the number in E.164 and [`fold::last_name`]. Numbers
/// that could not be read are no key, and neither is a name without a letter. If `notes` say that a
/// lone name was split, the whole is a last name as well.
pub fn match_keys(fields: &BTreeMap<String, String>, notes: &[Note]) -> Vec<MatchKey> {
    let mut keys = Vec::new();
    if let Some(address) = fields.get("email") {
        keys.push(MatchKey {
            kind: KeyKind::Email,
            value: address.clone(),
        });
    }
    let mut last_names: Vec<String> = Vec::new();
    if let Some(last) = fields.get("last_name") {
        last_names.push(fold::last_name(last));
        if let Some(first) = fields.get("first_name").filter(|_| was_name_split(notes)) {
            last_names.push(fold::last_name(&format!("{first} {last}")));
        }
    }
    last_names.retain(|name| !name.is_empty());
    for field in ["phone", "mobile"] {
        let Some(number) = fields.get(field).and_then(|typed| phone::key(typed)) else {
            continue;
        };
        for last_name in &last_names {
            let key = MatchKey {
                kind: KeyKind::PhoneAndLastName,
                value: format!("{number}|{last_name}"),
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, &str)], expect: &[&str]) {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let keys: Vec<String> = match_keys(&fields, &[])
            .into_iter()
            .map(|key| key.value)
            .collect();
        assert_eq!(keys, expect);
    }

    #[test]
    fn keys_are_email_and_each_number_with_the_last_name() {
        check(
            &[
                ("email", "anna@acme.example"),
                ("phone", "+4930901820"),
                ("mobile", "+491711234567"),
                ("last_name", "von Müller"),
            ],
            &[
                "anna@acme.example",
                "+4930901820|muller",
                "+491711234567|muller",
            ],
        );
        check(
            &[
                ("phone", "+4930901820"),
                ("mobile", "+4930901820"),
                ("last_name", "Mueller"),
            ],
            &["+4930901820|muller"],
        );
        check(&[("phone", "030 901820"), ("last_name", "Müller")], &[]);
        check(&[("phone", "+4930901820"), ("last_name", "…")], &[]);
        check(&[("phone", "+4930901820")], &[]);
    }
}
