//! What a record tells of a person.

use std::collections::BTreeMap;

use crate::process::resolve::OrgFacts;
use crate::salesforce::Map;

/// Lead field and the fields of Lead or Contact that hold it.
const FACTS: [(&str, &[&str]); 6] = [
    ("email", &["Email"]),
    ("first_name", &["FirstName"]),
    ("last_name", &["LastName"]),
    ("phone", &["Phone"]),
    ("mobile", &["MobilePhone"]),
    ("country", &["Country", "MailingCountry"]),
];

/// The fields that are read to tell who a record is, of either object.
pub const FIELDS_OF_PERSON: [&str; 5] = ["Email", "FirstName", "LastName", "Phone", "MobilePhone"];

/// The person of a Lead or Contact.
pub fn facts_of(record: &Map) -> OrgFacts {
    let text = |names: &[&str]| {
        let named = |(name, _): &(&String, &serde_json::Value)| {
            names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let value = record.iter().find(named)?.1.as_str()?;
        (!value.trim().is_empty()).then(|| value.to_owned())
    };
    let fields: BTreeMap<String, String> = FACTS
        .iter()
        .filter_map(|(field, names)| Some(((*field).to_owned(), text(names)?)))
        .collect();
    OrgFacts::of(fields)
}
