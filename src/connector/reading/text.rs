//! Texts as they were sent, and one value out of several.

use std::borrow::Cow;

use super::form::Field;
use super::mark::is_no;
use crate::model::field::{self, Kind};

/// A field's values, clean, without blanks.
pub fn texts(field: &Field) -> impl Iterator<Item = Cow<'_, str>> {
    field
        .values
        .iter()
        .map(|value| clean(value))
        .filter(|value| !value.is_empty())
}

/// A text trimmed, with line breaks as `\n` and without other control characters.
pub fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if !text.bytes().any(|byte| byte.is_ascii_control()) {
        return Cow::Borrowed(text);
    }
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// One value out of several: the first e-mail address that looks like one; of a yes-or-no field the
/// first yes (a hidden `0` before a checkbox is how frameworks send its absence); else all, each
/// once, joined by `;`.
pub fn choose<'f>(target: &str, values: impl Iterator<Item = Cow<'f, str>>) -> Option<String> {
    let is_yes_or_no =
        target == "consent" || field::find(target).is_some_and(|field| field.kind == Kind::OptOut);
    let mut values: Vec<Cow<'f, str>> = values.collect();
    let preferred = if target == "email" {
        values.iter().position(|value| looks_like_email(value))
    } else if is_yes_or_no {
        values.iter().position(|value| !is_no(value))
    } else {
        if values.len() > 1 {
            let mut distinct = Vec::with_capacity(values.len());
            for value in values {
                if !distinct.contains(&value) {
                    distinct.push(value);
                }
            }
            return Some(distinct.join(";"));
        }
        None
    };
    let index = preferred.unwrap_or(0);
    (index < values.len()).then(|| values.swap_remove(index).into_owned())
}

/// Whether a text could be an e-mail address. Normalising judges it; this only tells a hidden
/// field's rubbish from what a person typed.
pub fn looks_like_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.contains('@')
            && !text.contains(char::is_whitespace)
            && domain
                .split_once('.')
                .is_some_and(|(host, rest)| !host.is_empty() && !rest.is_empty())
    })
}
