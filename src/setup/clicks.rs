//! The same by hand. Pure.

use crate::salesforce::TextField;

/// What no API does. Without it a Contact that comes of a conversion does not hold our key, and is
/// found by its e-mail address only.
pub const MAP_FIELDS: &str =
    "Setup > Object Manager > Lead > Fields & Relationships > Map Lead Fields";

/// The clicks that make `fields` and let the users of `permission_set` write them; our key is mapped
/// from Lead to Contact last.
pub fn clicks(fields: &[TextField], permission_set: Option<&str>) -> Vec<String> {
    let mut clicks: Vec<String> = fields.iter().map(make).collect();
    let set = permission_set.unwrap_or("the integration user's permission set");
    for object in ["Lead", "Contact"] {
        let names: Vec<&str> = fields
            .iter()
            .filter(|field| field.object == object)
            .map(|field| field.name.as_str())
            .collect();
        if !names.is_empty() {
            clicks.push(format!(
                "Setup > Permission Sets > {set} > Object Settings > {object}s > Edit: tick Read Access \
                 and Edit Access for {}; leave them off page layouts, or read-only for people",
                names.join(", ")
            ));
        }
    }
    clicks.extend(map_key(fields));
    clicks
}

/// The click that no API does, if there is a key on both.
pub(super) fn map_key(fields: &[TextField]) -> Option<String> {
    let key = fields.iter().find(|field| field.is_key)?;
    Some(format!(
        "{MAP_FIELDS}: map {} of Lead to {} of Contact, so that the key survives conversion",
        key.label, key.label
    ))
}

fn make(field: &TextField) -> String {
    let bare = field.name.strip_suffix("__c").unwrap_or(&field.name);
    let key = if field.is_key {
        ", tick External ID and Unique, \"Treat \"ABC\" and \"abc\" as duplicate values (case \
         insensitive)\""
    } else {
        ""
    };
    format!(
        "Setup > Object Manager > {} > Fields & Relationships > New > Text > Next: Field Label {}, Length \
         {}, Field Name {bare}{key} > Next: visible for nobody but the integration user > Next: on no \
         page layout > Save",
        field.object, field.label, field.length
    )
}
