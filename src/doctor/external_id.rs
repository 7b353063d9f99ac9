//! The field that holds our key.

use super::did_you_mean;
use crate::diagnostic::Diagnostic;
use crate::salesforce::Describe;
use crate::store::EXTERNAL_ID_CHARS;

/// What keeps records of `object` from being found and upserted by the field `name`.
pub fn check_external_id(object: &Describe, name: &str) -> Vec<Diagnostic> {
    let label = &object.name;
    let place = format!("Setup > Object Manager > {label} > Fields & Relationships > {name}");
    let Some(field) = object.field(name) else {
        let message = format!("{label} has no field `{name}`, or it is hidden from the user");
        let bare = name.strip_suffix("__c").unwrap_or(name);
        let hint = format!(
            "`leadstream salesforce setup` makes it; by hand: Setup > Object Manager > {label} > Fields \
             & Relationships > New > Text: length 64, name {bare}, tick External ID and Unique (case \
             insensitive); then Setup > Permission Sets > the integration user's > Object Settings > \
             {label}s: tick Read and Edit Access for it{}",
            did_you_mean(name, object.fields.iter().map(|field| field.name.as_str()))
        );
        return vec![Diagnostic::error("doctor.external_id_missing", message).hint(hint)];
    };
    let mut found = Vec::new();
    let mut problem = |code, what: &str, hint: String| {
        let message = format!("the external id field `{name}` of {label} {what}");
        found.push(Diagnostic::error(code, message).hint(hint));
    };
    if !field.external_id {
        problem(
            "doctor.external_id_not_external",
            "is not marked as External ID, so that nothing can be upserted by it",
            format!("{place} > Edit: tick External ID"),
        );
    }
    if !field.unique {
        problem(
            "doctor.external_id_not_unique",
            "is not unique, so that two leads can be made at once for one person",
            format!("{place} > Edit: tick Unique, case insensitive"),
        );
    }
    if !field.createable || !field.updateable {
        problem(
            "doctor.external_id_read_only",
            "may not be written by the integration user",
            format!(
                "Setup > Permission Sets > the integration user's > Object Settings > {label}s: tick \
                 Edit Access for {name}"
            ),
        );
    }
    if field.r#type != "string" || field.length < EXTERNAL_ID_CHARS {
        problem(
            "doctor.external_id_type",
            &format!("is not a text of at least {EXTERNAL_ID_CHARS} characters"),
            format!("{place} > Edit: make it a Text of length 64"),
        );
    }
    found
}
