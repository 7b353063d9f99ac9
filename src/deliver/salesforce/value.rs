//! A lead's text as a value that Salesforce takes. Pure.

use serde_json::{Number, Value};

use crate::model::field::Kind;

/// The most characters of any text: a long text area's.
pub(super) const LONGEST_TEXT: usize = 131_072;

/// The most characters of an e-mail address.
const LONGEST_EMAIL: usize = 80;

/// A value, or why there is none. The reason names no value.
pub(super) enum Typed {
    /// Fit to be sent.
    Value(Value),
    /// Fit to be sent, after something was done to it.
    Altered(Value, String),
    /// There is nothing to send: an opt-out that was not chosen.
    Nothing,
    /// It cannot be read.
    Unreadable(&'static str),
}

/// `text` as a value of `kind`, cut to `max_chars` (0: no limit but Salesforce's own).
pub(super) fn typed(text: &str, kind: Kind, max_chars: usize) -> Typed {
    match kind {
        Kind::Text => {
            let clean: String = text.trim().chars().filter(|c| is_printable(*c)).collect();
            let max_chars = if max_chars == 0 {
                LONGEST_TEXT
            } else {
                max_chars
            };
            let kept = cut(&clean, max_chars);
            if kept.len() == clean.len() {
                return Typed::Value(clean.into());
            }
            let lost = clean.chars().count() - kept.chars().count();
            let note = format!("takes {max_chars} characters; the last {lost} were cut");
            Typed::Altered(kept.into(), note)
        }
        Kind::Integer => match number(text) {
            Some(number) if number.fract() == 0.0 && (0.0..2_147_483_648.0).contains(&number) => {
                Typed::Value((number as i64).into())
            }
            _ => Typed::Unreadable("is not a whole number"),
        },
        Kind::Decimal => match number(text) {
            Some(number) if number.abs() < 1e15 => Typed::Value(decimal(number)),
            _ => Typed::Unreadable("is not a number"),
        },
        Kind::OptOut => match yes_or_no(text) {
            Some(true) => Typed::Value(true.into()),
            Some(false) => Typed::Nothing,
            None => Typed::Unreadable("is neither yes nor no"),
        },
    }
}

pub(super) fn is_printable(character: char) -> bool {
    !character.is_control() || matches!(character, '\n' | '\r' | '\t')
}

/// The start of `text` that fits into `max_chars`.
///
/// Salesforce counts characters; whether those beyond the Basic Multilingual Plane (emoji, rare
/// ideographs) count once or twice its sources do not say, so they count twice here.
pub(super) fn cut(text: &str, max_chars: usize) -> &str {
    let mut length = 0;
    for (position, character) in text.char_indices() {
        length += character.len_utf16();
        if length > max_chars {
            return text[..position].trim_end();
        }
    }
    text
}

pub(super) fn decimal(number: f64) -> Value {
    if number.fract() == 0.0 {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Reads a number as people write it: `1,200`, `1.200,50`, `1 200`, `$1200`. None for a range, a
/// word, and for what can be read in two ways, such as `1.234` (a thousand in German).
pub(super) fn number(text: &str) -> Option<f64> {
    let digits: String = text
        .trim()
        .trim_start_matches(['$', '€', '£', '¥'])
        .trim_end_matches(['$', '€', '£', '¥'])
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '\'' | '’' | '_'))
        .collect();
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, digits.as_str()),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let last_separator = digits.rfind([',', '.']);
    let (whole, fraction) = match last_separator {
        None => (digits.to_owned(), ""),
        Some(at) => {
            let separator = &digits[at..=at];
            let (before, after) = (&digits[..at], &digits[at + 1..]);
            let other = if separator == "," { "." } else { "," };
            let groups: Vec<&str> = digits.split(separator).collect();
            let grouped = |parts: &[&str]| {
                parts[0].len() <= 3 && parts[1..].iter().all(|part| part.len() == 3)
            };
            if groups.len() > 2 {
                // 1,200,000
                if digits.contains(other) || !grouped(&groups) {
                    return None;
                }
                (groups.concat(), "")
            } else if before.contains(other) {
                // 1.200,50 and 1,200.50
                let groups: Vec<&str> = before.split(other).collect();
                if !grouped(&groups) {
                    return None;
                }
                (groups.concat(), after)
            } else if after.len() == 3 && before.len() <= 3 && before != "0" {
                // A comma here groups thousands in English, and German writes few numbers with
                // three decimals; a point may be either.
                if separator == "." {
                    return None;
                }
                (groups.concat(), "")
            } else {
                (before.to_owned(), after)
            }
        }
    };
    if !is_digits(&whole) || !(is_digits(fraction) || fraction.is_empty()) {
        return None;
    }
    let number: f64 = format!("{whole}.{fraction}0").parse().ok()?;
    Some(sign * number)
}

pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" | "t" | "x" => Some(true),
        "false" | "0" | "no" | "n" | "off" | "f" | "" => Some(false),
        _ => None,
    }
}

/// `email` as Salesforce stores it, its domain in ASCII; none if Salesforce's check refuses it:
/// ASCII before the `@`, a dot in the domain, no dot at an edge or doubled, at most 80 characters.
pub(super) fn email(email: &str) -> Option<String> {
    let (local, domain) = email.trim().rsplit_once('@')?;
    let domain = idna::domain_to_ascii(domain).ok()?;
    let local_is_fine = dotted(local, |byte| {
        byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte)
    });
    let domain_is_fine = domain.contains('.')
        && dotted(&domain, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !domain
            .split('.')
            .any(|label| label.starts_with('-') || label.ends_with('-'));
    let email = format!("{local}@{domain}");
    (local_is_fine && domain_is_fine && email.len() <= LONGEST_EMAIL).then_some(email)
}

/// Whether all parts between dots are there, and made of what `allowed` allows.
fn dotted(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(&allowed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(text: &str, kind: Kind, expect: Option<Value>) {
        let value = match typed(text, kind, 0) {
            Typed::Value(value) | Typed::Altered(value, _) => Some(value),
            Typed::Nothing | Typed::Unreadable(_) => None,
        };
        assert_eq!(value, expect, "{text}");
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expect) in [
            ("1200", Some(1200)),
            (" 1,200 ", Some(1200)),
            ("1 200", Some(1200)),
            ("1'200", Some(1200)),
            ("1,200,000", Some(1_200_000)),
            ("1.200.000", Some(1_200_000)),
            ("12.0", Some(12)),
            ("1.200", None),
            ("1.5", None),
            ("50-100", None),
            ("-5", None),
            ("50+", None),
            ("1,20,000", None),
            ("many", None),
            ("", None),
            ("99999999999", None),
            ("١٢", None),
        ] {
            check(text, Kind::Integer, expect.map(Value::from));
        }
        for (text, expect) in [
            ("$1,200.50", Some(json!(1200.5))),
            ("1.200,50 €", Some(json!(1200.5))),
            ("1200", Some(json!(1200))),
            ("-1,5", Some(json!(-1.5))),
            ("0.125", Some(json!(0.125))),
            ("1e9", None),
            ("NaN", None),
            ("1.200,50.3", None),
        ] {
            check(text, Kind::Decimal, expect);
        }
    }

    #[test]
    fn an_opt_out_is_true_or_nothing() {
        for text in ["true", "1", "YES", "on"] {
            check(text, Kind::OptOut, Some(json!(true)));
        }
        for text in ["false", "0", "no", "off", "", "maybe"] {
            check(text, Kind::OptOut, None);
        }
    }

    #[test]
    fn a_text_is_cut_by_characters_with_a_margin_for_rare_ones() {
        assert_eq!(cut("Größe", 4), "Größ");
        assert_eq!(cut("Größe", 5), "Größe");
        assert_eq!(cut("ab 😀", 4), "ab");
        assert_eq!(cut("ab 😀", 5), "ab 😀");
    }

    #[test]
    fn control_characters_are_dropped_and_lines_kept() {
        check("a\u{0}b\nc\u{7}", Kind::Text, Some(json!("ab\nc")));
    }

    #[test]
    fn an_address_that_salesforce_refuses_is_known_before() {
        for good in ["jane@acme.com", "j.o'hara+x@a-b.co.uk"] {
            assert_eq!(email(good).as_deref(), Some(good));
        }
        let punycode = email("jane@bücher.example");
        assert_eq!(punycode.as_deref(), Some("jane@xn--bcher-kva.example"));
        for bad in [
            "jane",
            "jane@acme",
            "jané@acme.com",
            "jane@@x.com",
            ".jane@acme.com",
            "jane.@acme.com",
            "ja..ne@acme.com",
            "jane@acme..com",
            "jane@acme.com.",
            "jane@-acme.com",
            "ja ne@acme.com",
            "\"jane\"@acme.com",
        ] {
            assert_eq!(email(bad), None, "{bad}");
        }
        let long = format!("{}@acme.com", "j".repeat(72));
        assert_eq!(email(&long), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_is_longer_than_its_field(text: String, max in 1_usize..50) {
            for kind in [Kind::Text, Kind::Integer, Kind::Decimal, Kind::OptOut] {
                if let Typed::Value(Value::String(text)) | Typed::Altered(Value::String(text), _) =
                    typed(&text, kind, max)
                {
                    prop_assert!(text.encode_utf16().count() <= max);
                }
            }
            email(&text);
        }
    }
}
