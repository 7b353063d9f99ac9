//! What people write into a phone field, taken apart: numbers, extensions, what is between.

use super::library::MAX_DIGITS;

/// One number as it was written, in ASCII digits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Written {
    /// Digits, after a `+` if it was written with one.
    pub digits: String,
    /// The extension's digits.
    pub extension: Option<String>,
}

/// What stands before an extension, letters only, lower case.
const EXTENSION_LABELS: &[&str] = &[
    "anexo",
    "apparat",
    "app",
    "dw",
    "durchwahl",
    "ext",
    "extension",
    "extn",
    "int",
    "interno",
    "nst",
    "poste",
    "ramal",
    "toestel",
    "tst",
    "wew",
    "x",
    "доб",
    "内線",
    "内线",
    "內線",
    "분기",
];

/// The fewest digits of a number that is one of two in a field. Fewer after a separator belong to
/// the number before it (`030/1234-56`).
const MIN_DIGITS: usize = 7;

/// The most digits of an extension.
const MAX_EXTENSION_DIGITS: usize = 7;

/// The numbers in `text`, in the order written; empty if it holds what no number has.
pub(super) fn scan(text: &str) -> Vec<Written> {
    let mut numbers: Vec<Written> = Vec::new();
    let mut current = Written::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if let Some(digit) = ascii_digit(c) {
            // `+49 (0)30`: the zero is only dialled at home. Italy's belongs to the number.
            if digit == '0' && is_trunk_zero(text, rest, &current.digits) {
                rest = after;
                continue;
            }
            current.digits.push(digit);
        } else if matches!(c, '+' | '＋') {
            if count(&current.digits) >= MIN_DIGITS {
                numbers.push(std::mem::take(&mut current));
            }
            if current.digits.is_empty() {
                current.digits.push('+');
            } else {
                return Vec::new();
            }
        } else if matches!(c, '/' | ',' | ';' | '|' | '&' | '\n') {
            if let Some((extension, end)) = extension_at(rest)
                && count(&current.digits) >= MIN_DIGITS - 2
            {
                current.extension = Some(extension);
                rest = end;
                continue;
            }
            if count(&current.digits) >= MIN_DIGITS && digits_ahead(after) >= MIN_DIGITS {
                numbers.push(std::mem::take(&mut current));
            }
        } else if c.is_alphabetic() || c == '#' {
            if count(&current.digits) >= MIN_DIGITS - 2
                && let Some((extension, end)) = extension_at(rest)
            {
                current.extension = Some(extension);
                rest = end;
                continue;
            }
            if let Some(number) = vanity(&current.digits, rest) {
                current.digits = number;
                numbers.push(current);
                return numbers;
            }
            let word_end = rest
                .find(|c: char| !c.is_alphabetic())
                .unwrap_or(rest.len());
            let ahead = digits_ahead_any(&rest[word_end..]);
            let between_numbers = count(&current.digits) >= MIN_DIGITS && ahead >= MIN_DIGITS;
            if between_numbers {
                numbers.push(std::mem::take(&mut current));
            } else if count(&current.digits) > 0 && ahead > 0 {
                return Vec::new();
            }
            rest = if c == '#' { after } else { &rest[word_end..] };
            continue;
        }
        rest = after;
    }
    if !current.digits.is_empty() {
        numbers.push(current);
    }
    numbers.retain(|number| (1..=MAX_DIGITS).contains(&count(&number.digits)));
    numbers
}

/// The ASCII digit of a decimal digit of any script in use: Arabic-Indic, full-width, and so on.
fn ascii_digit(c: char) -> Option<char> {
    /// The zeros of Unicode's blocks of decimal digits; nine more follow each.
    const ZEROS: &[u32] = &[
        0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66,
        0xDE6, 0xE50, 0xED0, 0xF20, 0x1040, 0x17E0, 0x1810, 0xFF10,
    ];
    let code = c as u32;
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

fn count(digits: &str) -> usize {
    digits.bytes().filter(u8::is_ascii_digit).count()
}

/// Digits from here to the next separator of numbers or letter.
fn digits_ahead(text: &str) -> usize {
    text.chars()
        .take_while(|c| !matches!(c, ',' | ';' | '|' | '\n') && !c.is_alphabetic())
        .filter(|c| ascii_digit(*c).is_some())
        .count()
}

/// Digits from here on, whatever is between.
fn digits_ahead_any(text: &str) -> usize {
    text.chars().filter(|c| ascii_digit(*c).is_some()).count()
}

fn is_trunk_zero(text: &str, rest: &str, digits: &str) -> bool {
    let before = &text[..text.len() - rest.len()];
    let international = digits.starts_with('+') || digits.starts_with("00");
    let italian = matches!(digits, "+39" | "0039");
    let bracketed = before.trim_end().ends_with(['(', '（', '[']);
    let closed = rest
        .chars()
        .nth(1)
        .is_some_and(|c| matches!(c, ')' | '）' | ']'));
    bracketed && closed && international && !italian && count(digits) <= 5
}

/// The extension that `text` starts with (`ext. 12`, `x12`, `#12`, `;ext=12`), and the rest.
fn extension_at(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([',', ';', ' ']);
    let after = if let Some(after) = text.strip_prefix('#') {
        after
    } else {
        let end = text
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(text.len());
        let label = text[..end].to_lowercase();
        if !EXTENSION_LABELS.contains(&label.as_str()) {
            return None;
        }
        &text[end..]
    };
    let after = after.trim_start_matches(['.', ':', '=', ' ', '#']);
    let end = after
        .find(|c| ascii_digit(c).is_none())
        .unwrap_or(after.len());
    let digits: String = after[..end].chars().filter_map(ascii_digit).collect();
    (1..=MAX_EXTENSION_DIGITS)
        .contains(&digits.len())
        .then_some((digits, &after[end..]))
}

/// `1-800-FLOWERS` in digits: letters of a keypad that complete a number of at least ten digits.
fn vanity(before: &str, letters: &str) -> Option<String> {
    /// The key of each letter from A to Z. Source: ITU-T E.161.
    const KEYS: &[u8; 26] = b"22233344455566677778889999";
    let mut digits = before.to_owned();
    for c in letters.chars() {
        if c.is_ascii_uppercase() {
            digits.push(char::from(KEYS[usize::from(c as u8 - b'A')]));
        } else if let Some(digit) = ascii_digit(c) {
            digits.push(digit);
        } else if !matches!(c, '-' | '.' | ' ') {
            return None;
        }
    }
    (count(before) >= 3 && (10..=14).contains(&count(&digits))).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, Option<&str>)]) {
        let expect: Vec<Written> = expect
            .iter()
            .map(|(digits, extension)| Written {
                digits: (*digits).to_owned(),
                extension: extension.map(str::to_owned),
            })
            .collect();
        assert_eq!(scan(text), expect, "{text}");
    }

    #[test]
    fn numbers_are_taken_apart() {
        check("+49 (0)30 123456-78", &[("+493012345678", None)]);
        check("0049 (0) 30 1234567", &[("0049301234567", None)]);
        check("+39 (0)6 12345678", &[("+390612345678", None)]);
        check("030/1234567", &[("0301234567", None)]);
        check("030/1234-56", &[("030123456", None)]);
        check("Tel.: 030 1234567", &[("0301234567", None)]);
        check("(212) 555-2368 x12", &[("2125552368", Some("12"))]);
        check("2125552368 ext. 12", &[("2125552368", Some("12"))]);
        check("2125552368;ext=12", &[("2125552368", Some("12"))]);
        check("2125552368 #12", &[("2125552368", Some("12"))]);
        check("8 495 123-45-67 доб. 12", &[("84951234567", Some("12"))]);
        check("030 1234567 Durchwahl 12", &[("0301234567", Some("12"))]);
        check("+81-3-1234-5678 内線 12", &[("+81312345678", Some("12"))]);
        check("٠١٢٣٤٥٦٧٨٩", &[("0123456789", None)]);
        check("＋８１ ３ １２３４ ５６７８", &[("+81312345678", None)]);
        check("1-800-FLOWERS", &[("18003569377", None)]);
        check(
            "030 1234567 / 0171 1234567",
            &[("0301234567", None), ("01711234567", None)],
        );
        check(
            "+49 30 1234567, +49 171 1234567",
            &[("+49301234567", None), ("+491711234567", None)],
        );
        check(
            "030 1234567 oder 0171 1234567",
            &[("0301234567", None), ("01711234567", None)],
        );
        check(
            "Tel 030 1234567 Mobil 0171 1234567",
            &[("0301234567", None), ("01711234567", None)],
        );
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "call me", "12 or 13", "a1b2c3", "1+2", &"1".repeat(30)] {
            check(text, &[]);
        }
    }
}
