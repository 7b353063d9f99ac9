//! One value, by the type of its field.

use serde_json::Value;

use super::super::moment;
use super::super::value::{LONGEST_TEXT, cut, decimal, email, is_printable, number, yes_or_no};
use super::{Misfit, choice};
use crate::salesforce::{Class, Field, to_18};

/// What of a value goes into its field.
#[derive(Debug, Clone, PartialEq)]
pub enum Fit {
    /// This.
    Value(Value),
    /// This, which is not quite what was given: a note's code, and what was done, after the name.
    Altered(Value, &'static str, String),
    /// There is nothing to send.
    Nothing,
    /// None of it.
    Not(Misfit),
}

/// Digits that any number field can have at most. Source: Salesforce Help, "Custom Field Types".
const MOST_DIGITS: u32 = 18;

/// `value` as `field` takes it. `drops`: of several values those that do not fit are left out.
pub(super) fn fit(field: &Field, value: &Value, drops: bool) -> Fit {
    let text = text_of(value);
    let text = text.trim();
    if text.is_empty() {
        return Fit::Nothing;
    }
    match field.r#type.as_str() {
        "boolean" => checkbox(field, text),
        "int" | "long" => match whole(field, value, text) {
            Some(number) => Fit::Value(number.into()),
            None => unreadable(field, text, "is not a whole number that the field holds"),
        },
        "double" | "currency" | "percent" => fraction(field, value, text),
        "date" => read(field, text, moment::date),
        "datetime" => read(field, text, moment::moment),
        "time" => read(field, text, moment::time_of_day),
        "email" => match email(text).filter(|email| fits(field, email)) {
            Some(email) => Fit::Value(email.into()),
            None => Fit::Not(Misfit {
                code: "salesforce.invalid_email",
                class: Class::FixData,
                message: format!("`{text}` is no address that `{}` takes", field.name),
                reason: "Salesforce does not take this address".to_owned(),
                hint: "Salesforce wants plain letters before the @, and a domain with a dot: mend \
                       the address, or set on_invalid = \"drop_field\""
                    .to_owned(),
            }),
        },
        "reference" | "id" => match record_id(text) {
            Some(id) => Fit::Value(id.into()),
            None => unreadable(field, text, "is not the id of a record"),
        },
        "picklist" => choice::one(field, text),
        "multipicklist" => choice::several(field, value, drops),
        "url" if !fits(field, text) => Fit::Not(Misfit {
            code: "salesforce.too_long",
            class: Class::FixData,
            message: format!(
                "the address for `{}` is longer than its {} characters",
                field.name, field.length
            ),
            reason: "half an address leads nowhere".to_owned(),
            hint: "lengthen the field in Salesforce, or set on_invalid = \"drop_field\"".to_owned(),
        }),
        // Made of parts, or of bytes: nothing of ours writes them.
        "address" | "location" | "base64" => Fit::Value(value.clone()),
        _ => plain(field, text),
    }
}

/// The value as text; of a list, its texts one after the other.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(text_of).collect();
            texts.join("; ")
        }
        Value::Null | Value::Object(_) => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Text of any kind, cut to what the field holds.
pub(super) fn plain(field: &Field, text: &str) -> Fit {
    let clean: String = text.chars().filter(|c| is_printable(*c)).collect();
    let clean = clean.trim();
    let most = longest(field);
    let kept = cut(clean, most);
    if kept.is_empty() {
        return Fit::Nothing;
    }
    if kept.len() == clean.len() {
        return Fit::Value(clean.into());
    }
    let lost = clean.chars().count() - kept.chars().count();
    let what = format!("takes {most} characters; the last {lost} were cut");
    Fit::Altered(kept.into(), "salesforce.cut", what)
}

fn longest(field: &Field) -> usize {
    match field.length {
        0 => LONGEST_TEXT,
        length => length,
    }
}

/// Whether `text` goes in whole, whichever way Salesforce counts rare characters.
fn fits(field: &Field, text: &str) -> bool {
    cut(text, longest(field)).len() == text.len()
}

/// A value that is not of the field's type.
fn unreadable(field: &Field, text: &str, why: &str) -> Fit {
    Fit::Not(Misfit {
        code: "salesforce.wrong_type",
        class: Class::FixData,
        message: format!("`{text}` for `{}` {why}", field.name),
        reason: format!("the value {why}"),
        hint: format!(
            "`{}` is a field of type {}: map another, mend the value with `values`, or set \
             on_invalid = \"drop_field\"",
            field.name, field.r#type
        ),
    })
}

fn read(field: &Field, text: &str, read: impl Fn(&str) -> Result<String, &'static str>) -> Fit {
    match read(text) {
        Ok(written) => Fit::Value(written.into()),
        Err(why) => unreadable(field, text, why),
    }
}

fn checkbox(field: &Field, text: &str) -> Fit {
    let flag = yes_or_no(text).or_else(|| match text.to_lowercase().as_str() {
        "checked" | "ja" | "oui" | "si" | "sí" | "sim" => Some(true),
        "unchecked" | "nein" | "nee" | "non" | "não" => Some(false),
        _ => None,
    });
    match flag {
        Some(flag) => Fit::Value(flag.into()),
        None => unreadable(field, text, "is neither yes nor no"),
    }
}

fn whole(field: &Field, value: &Value, text: &str) -> Option<i64> {
    let number = value.as_f64().or_else(|| number(text))?;
    let limit = match field.digits {
        0 => f64::from(i32::MAX),
        digits => 10_f64
            .powi(digits.min(MOST_DIGITS) as i32)
            .min(f64::from(i32::MAX)),
    };
    let limit = if field.r#type == "long" { 1e15 } else { limit };
    (number.fract() == 0.0 && number.abs() < limit).then_some(number as i64)
}

fn fraction(field: &Field, value: &Value, text: &str) -> Fit {
    let digits = text.trim_end_matches('%');
    let Some(given) = value.as_f64().or_else(|| number(digits)) else {
        return unreadable(field, text, "is not a number");
    };
    let (precision, scale) = match field.precision {
        0 => (MOST_DIGITS, field.scale.min(MOST_DIGITS)),
        precision => (precision.min(MOST_DIGITS), field.scale.min(precision)),
    };
    let factor = 10_f64.powi(scale as i32);
    let scaled = given * factor;
    // Beyond 2^53 a number of this kind has no digits behind the point to be rounded.
    let number = if scaled.abs() < 9e15 {
        scaled.round() / factor
    } else {
        given
    };
    if number.abs() >= 10_f64.powi((precision - scale) as i32) {
        let why = "has more digits before the point than the field";
        return unreadable(field, text, why);
    }
    if (number - given).abs() <= f64::EPSILON * given.abs() {
        return Fit::Value(decimal(number));
    }
    let what = format!("takes {scale} digits behind the point; the value was rounded");
    Fit::Altered(decimal(number), "salesforce.rounded", what)
}

/// The 18 characters of an id. Those of 18 may be in any case: the last three tell the right one.
fn record_id(text: &str) -> Option<String> {
    let id = to_18(text)?;
    let (own, check) = id.split_at_checked(15)?;
    let mut mended = String::with_capacity(15);
    for (block, check) in own.as_bytes().chunks(5).zip(check.bytes()) {
        let bits = match check.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'0'..=b'5' => digit - b'0' + 26,
            _ => return None,
        };
        for (place, byte) in block.iter().enumerate() {
            let is_upper = bits >> place & 1 == 1;
            if is_upper && !byte.is_ascii_alphabetic() {
                return None;
            }
            let byte = if is_upper {
                byte.to_ascii_uppercase()
            } else {
                byte.to_ascii_lowercase()
            };
            mended.push(char::from(byte));
        }
    }
    to_18(&mended)
}
