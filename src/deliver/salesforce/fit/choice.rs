//! A value of a list.

use serde_json::Value;

use super::super::near;
use super::value::{Fit, plain, text_of};
use super::{Misfit, PICKLIST_VALUE};
use crate::salesforce::{Class, Field};

/// One value. The same, in another case, or what people read for it; others only if the list is not
/// restricted: Salesforce then stores any text.
pub(super) fn one(field: &Field, text: &str) -> Fit {
    if let Some(choice) = field.choice(text) {
        return Fit::Value(choice.value.as_str().into());
    }
    if field.restricted_picklist {
        return Fit::Not(not_in_list(field, text));
    }
    plain(field, text)
}

/// Several, each by itself. Salesforce wants them with semicolons between.
pub(super) fn several(field: &Field, value: &Value, drops: bool) -> Fit {
    let (mut kept, mut lost): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for text in parts(field, value) {
        match one(field, &text) {
            Fit::Value(Value::String(text)) | Fit::Altered(Value::String(text), ..) => {
                if !kept.contains(&text) {
                    kept.push(text);
                }
            }
            Fit::Not(misfit) if drops => {
                drop(misfit);
                lost.push(text);
            }
            Fit::Not(misfit) => return Fit::Not(misfit),
            Fit::Value(_) | Fit::Altered(..) | Fit::Nothing => {}
        }
    }
    match (kept.is_empty(), lost.len()) {
        (true, 0) => Fit::Nothing,
        (true, _) => Fit::Not(not_in_list(field, &lost.join(";"))),
        (false, 0) => Fit::Value(kept.join(";").into()),
        (false, lost) => {
            let what = format!("lost {lost} of its values, which are not in its list");
            Fit::Altered(kept.join(";").into(), PICKLIST_VALUE, what)
        }
    }
}

/// The single values: of a list its members, of a text what is between semicolons, or commas where
/// that alone makes values of the list.
fn parts(field: &Field, value: &Value) -> Vec<String> {
    let clean = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        text.trim().to_owned()
    };
    let split = |text: &str, at: char| -> Vec<String> {
        let parts = text.split(at).map(clean);
        parts.filter(|part| !part.is_empty()).collect()
    };
    if let Value::Array(values) = value {
        return values
            .iter()
            .flat_map(|value| split(&text_of(value), ';'))
            .collect();
    }
    let text = text_of(value);
    let parts = split(&text, ';');
    match parts.as_slice() {
        [only] if only.contains(',') && field.choice(only).is_none() => {
            let by_comma = split(only, ',');
            if by_comma.iter().any(|part| field.choice(part).is_some()) {
                by_comma
            } else {
                parts
            }
        }
        _ => parts,
    }
}

/// Why a text is none of the list's values.
pub(super) fn not_in_list(field: &Field, text: &str) -> Misfit {
    let name = &field.name;
    let folded = text.to_lowercase();
    let is_inactive = field
        .picklist_values
        .iter()
        .any(|choice| !choice.active && choice.value.to_lowercase() == folded);
    let (what, hint) = if is_inactive {
        (
            "is in the list, but no longer active",
            format!(
                "activate it in Salesforce, or map it with `values`; {}",
                near::choices_hint(field, text)
            ),
        )
    } else {
        (
            "is not in its list",
            format!(
                "{}; add the value in Salesforce, map it with `values`, or set on_invalid = \
                 \"drop_field\"",
                near::choices_hint(field, text)
            ),
        )
    };
    Misfit {
        code: PICKLIST_VALUE,
        class: Class::FixData,
        message: format!("`{text}` does not go into `{name}`: it {what}"),
        reason: format!("the value {what}"),
        hint,
    }
}
