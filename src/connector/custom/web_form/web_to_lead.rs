//! What forms made for Salesforce's Web-to-Lead send. Most names are plain aliases; here is what
//! only such forms have. Source: help.salesforce.com, Web-to-Lead; the forms that it generates.

use std::collections::BTreeMap;
use std::fmt;

use crate::connector::reading::Form;

/// Characters of an id that identify: the three more of the long form are a check sum for systems
/// that ignore case.
const ID_LENGTH: usize = 15;

/// A Salesforce org id in its short form, so that both forms are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrgId(String);

impl OrgId {
    /// Names of the fields, and query parameters, that hold it; the first that is there counts.
    pub const NAMES: &[&str] = &["oid", "orgId"];

    /// Reads an id of 15 or 18 characters; `00D5g00000EXAMP` and its long form are equal.
    pub fn parse(text: &str) -> Option<Self> {
        short_id(text.trim(), "00D").map(|id| Self(id.to_owned()))
    }

    /// The id in a query string: newer forms have it in their address.
    pub fn in_query(query: &str) -> Option<Self> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        Self::NAMES.iter().find_map(|name| {
            let (_, value) = pairs
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Self::parse(value)
        })
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names, lower case, that steer Salesforce's own endpoint and say nothing about the person.
const CONTROL: &[&str] = &[
    "captcha_settings",
    "debug",
    "debugemail",
    "encoding",
    "external",
    "oid",
    "orgid",
];

/// Whether a field of a Web-to-Lead form steers Salesforce's own endpoint.
pub fn is_control(name: &str) -> bool {
    CONTROL.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether the form was made for Web-to-Lead.
pub fn is_web_to_lead(form: &Form) -> bool {
    form.first("oid")
        .is_some_and(|id| OrgId::parse(id).is_some())
}

/// The configured name of a custom field that is sent by its id. An id that the configuration does
/// not know is no reason to lose its value: it stays under the id.
pub fn custom_field<'c>(
    name: &str,
    custom_fields: &'c BTreeMap<String, String>,
) -> Option<&'c str> {
    let id = short_id(name, "00N")?;
    custom_fields
        .iter()
        .find(|(known, _)| short_id(known, "00N") == Some(id))
        .map(|(_, field)| field.as_str())
}

/// The short form of an id of one object's kind, which its first three characters tell.
fn short_id<'a>(text: &'a str, kind: &str) -> Option<&'a str> {
    let is_id = (text.len() == ID_LENGTH || text.len() == ID_LENGTH + 3)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.starts_with(kind);
    is_id.then(|| &text[..ID_LENGTH])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_and_the_long_form_of_an_id_are_equal() {
        let short = OrgId::parse("00D5g00000EXAMP").unwrap();
        assert_eq!(OrgId::parse(" 00D5g00000EXAMPEA2 "), Some(short.clone()));
        assert_ne!(OrgId::parse("00D5g00000examp"), Some(short.clone()));
        assert_eq!(
            OrgId::in_query("encoding=UTF-8&orgId=00D5g00000EXAMP"),
            Some(short)
        );
        for text in [
            "",
            "00D5g00000EXAM",
            "00D5g00000EXAMPX",
            "00N5g00000EXAMP",
            "00D5g00000EXAM%",
        ] {
            assert_eq!(OrgId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_custom_field_is_found_by_either_form_of_its_id() {
        let known = BTreeMap::from([("00N5g000004XyZa".to_owned(), "plan".to_owned())]);
        assert_eq!(custom_field("00N5g000004XyZa", &known), Some("plan"));
        assert_eq!(custom_field("00N5g000004XyZaEAK", &known), Some("plan"));
        assert_eq!(custom_field("00N5g000004XyZb", &known), None);
        assert_eq!(custom_field("plan", &known), None);
    }
}
