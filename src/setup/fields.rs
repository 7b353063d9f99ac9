//! Which fields are wanted. Pure.

use crate::salesforce::TextField;
use crate::store::EXTERNAL_ID_CHARS;

/// Characters of the field that holds our key.
const KEY_CHARS: usize = 64;
const _: () = assert!(KEY_CHARS >= EXTERNAL_ID_CHARS, "our keys must fit");

/// Characters of UTM parameters and click ids: the most that a text field has.
const ATTRIBUTION_CHARS: usize = 255;

/// Fields for attribution: API name, label, and the lead field that goes there. There are no standard
/// ones; Google's own import from Salesforce looks for `GCLID__c`.
/// Source: Google Ads Help, "Set up Google Ads conversion import for Salesforce".
pub const ATTRIBUTION: [(&str, &str, &str); 9] = [
    ("UTM_Source__c", "UTM Source", "utm_source"),
    ("UTM_Medium__c", "UTM Medium", "utm_medium"),
    ("UTM_Campaign__c", "UTM Campaign", "utm_campaign"),
    ("UTM_Term__c", "UTM Term", "utm_term"),
    ("UTM_Content__c", "UTM Content", "utm_content"),
    ("GCLID__c", "GCLID", "gclid"),
    ("GBRAID__c", "GBRAID", "gbraid"),
    ("WBRAID__c", "WBRAID", "wbraid"),
    ("fbclid__c", "fbclid", "fbclid"),
];

/// The key on Lead and Contact, and on Lead the fields for attribution if they are asked for.
pub fn wanted(external_id_field: &str, attribution: bool) -> Vec<TextField> {
    let bare = external_id_field
        .strip_suffix("__c")
        .unwrap_or(external_id_field);
    let mut fields: Vec<TextField> = ["Lead", "Contact"]
        .map(|object| TextField {
            object: object.to_owned(),
            name: external_id_field.to_owned(),
            label: bare.replace('_', " "),
            length: KEY_CHARS,
            is_key: true,
        })
        .into();
    if attribution {
        fields.extend(ATTRIBUTION.iter().map(|(name, label, _)| TextField {
            object: "Lead".to_owned(),
            name: (*name).to_owned(),
            label: (*label).to_owned(),
            length: ATTRIBUTION_CHARS,
            is_key: false,
        }));
    }
    fields
}

/// Lines of `[salesforce.lead]` for the fields for attribution that `is_mapped` does not know.
pub fn mapping_lines(is_mapped: impl Fn(&str) -> bool) -> Vec<String> {
    ATTRIBUTION
        .iter()
        .filter(|(name, _, _)| !is_mapped(name))
        .map(|(name, _, from)| format!("{name} = {{ from = \"{from}\" }}"))
        .collect()
}
