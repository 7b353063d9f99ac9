//! What a wrong name was most likely meant to be. Pure.

use crate::config::closest;
use crate::salesforce::{Describe, Field};

/// The most values of a list that are named in a hint.
const MOST_NAMED: usize = 8;

/// The field that may be written and whose API name or label is nearest to `name`.
pub(super) fn field<'a>(object: &'a Describe, name: &str) -> Option<&'a Field> {
    let writable = || {
        object
            .fields
            .iter()
            .filter(|field| (field.createable || field.updateable) && !field.is_computed())
    };
    let bare = bare(name);
    let by_name = closest(name, writable().map(|field| field.name.as_str()))
        .or_else(|| closest(bare, writable().map(|field| self::bare(&field.name))));
    by_name
        .and_then(|near| {
            writable().find(|field| field.name == near || self::bare(&field.name) == near)
        })
        .or_else(|| {
            let near = closest(bare, writable().map(|field| field.label.as_str()))?;
            writable().find(|field| field.label == near)
        })
}

/// The name without `__c` and without a package's prefix.
fn bare(name: &str) -> &str {
    let name = name.strip_suffix("__c").unwrap_or(name);
    name.split_once("__").map_or(name, |(_, name)| name)
}

/// The value that can be chosen and is nearest to `text`, by itself or by its label.
pub(super) fn choice<'a>(field: &'a Field, text: &str) -> Option<&'a str> {
    closest(text, field.choices().map(|choice| choice.value.as_str())).or_else(|| {
        let label = closest(text, field.choices().map(|choice| choice.label.as_str()))?;
        field
            .choices()
            .find(|choice| choice.label == label)
            .map(|choice| choice.value.as_str())
    })
}

/// "did you mean `X`?", else the first values that can be chosen.
pub(super) fn choices_hint(field: &Field, text: &str) -> String {
    if let Some(near) = choice(field, text) {
        return format!("did you mean `{near}`?");
    }
    let named: Vec<String> = field
        .choices()
        .take(MOST_NAMED)
        .map(|choice| format!("`{}`", choice.value))
        .collect();
    match named.is_empty() {
        true => "its list is empty".to_owned(),
        false if field.choices().nth(MOST_NAMED).is_some() => {
            format!("its list begins with {}", named.join(", "))
        }
        false => format!("its list is {}", named.join(", ")),
    }
}
