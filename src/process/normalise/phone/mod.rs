//! Phone numbers: E.164 where they can be read, as typed where not. No lead is dropped for its
//! phone.

mod library;
mod scan;

use std::borrow::Cow;

use super::draft::Draft;
use super::place::Country;
use scan::Written;

/// One number, read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number {
    e164: String,
    extension: Option<String>,
    mobile: bool,
}

/// Why a number could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// Nobody's: one repeated digit, `1234567890`, 555-01xx.
    Placeholder,
    /// It names no country, and nothing else does.
    NoCountry,
    /// It has too few or too many digits for the country, or is no number.
    Unreadable,
}

/// Normalises `phone`, `mobile` and `fax`. `country` is the one whose numbers are written without a
/// country code: that of the lead's address, else the source's default.
///
/// Of two numbers in `phone` the mobile one becomes `mobile`, if that is blank.
pub(super) fn normalise(draft: &mut Draft, country: Option<Country>) {
    normalise_field(draft, "mobile", country);
    normalise_field(draft, "fax", country);
    normalise_field(draft, "phone", country);
}

/// The E.164 number in `text`, for matching. `None` for what was kept as typed.
pub fn key(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('+')?;
    (digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// Whether a person could dial what is in the field, read or not.
pub fn can_be_dialled(text: &str) -> bool {
    text.chars().filter(|c| c.is_numeric()).count() >= 5
}

fn normalise_field(draft: &mut Draft, field: &str, country: Option<Country>) {
    let Some(typed) = draft.take(field) else {
        return;
    };
    match read(&typed, country) {
        Ok(numbers) => place(draft, field, numbers),
        Err(Unread::Placeholder) => {
            draft.placeholder_contact |= field != "fax";
            draft.note(
                "phone.placeholder",
                field,
                "the number is nobody's (such as 1234567890); taken as blank",
            );
        }
        Err(Unread::NoCountry) => {
            draft.set(field, &typed);
            draft.note(
                "phone.no_country",
                field,
                "the number has no country code, and neither the lead's country nor the source's default_country says one; kept as typed, not matched on",
            );
        }
        Err(Unread::Unreadable) => {
            draft.set(field, &typed);
            let place = country.map_or(String::new(), |country| format!(" in {}", country.code()));
            let message = format!(
                "this cannot be a phone number{place}: too few or too many digits, or other text; kept as typed, not matched on"
            );
            draft.note("phone.unreadable", field, &message);
        }
    }
}

/// Puts the numbers found in one field where they belong.
fn place(draft: &mut Draft, field: &str, numbers: Vec<Number>) {
    let several = numbers.len() > 1;
    let mut numbers = numbers.into_iter();
    let Some(mut first) = numbers.next() else {
        return;
    };
    if let Some(mut second) = numbers.next()
        && field == "phone"
        && draft.get("mobile").is_none()
    {
        if first.mobile && !second.mobile {
            std::mem::swap(&mut first, &mut second);
        }
        draft.set("mobile", &second.e164);
        draft.note(
            "phone.second",
            "mobile",
            "two numbers were given in phone; the second is here",
        );
    } else if several {
        draft.note(
            "phone.several",
            field,
            "several numbers were given; the first is used",
        );
    }
    if let Some(extension) = &first.extension {
        let name = format!("{field}_extension");
        draft.set(&name, extension);
        draft.note(
            "phone.extension",
            field,
            "the extension is kept apart from the number",
        );
    }
    draft.set(field, &first.e164);
}

/// The numbers in `text`: at least one, or why not.
fn read(text: &str, country: Option<Country>) -> Result<Vec<Number>, Unread> {
    let written = scan::scan(text);
    if written.is_empty() {
        return Err(Unread::Unreadable);
    }
    let mut numbers: Vec<Number> = Vec::new();
    let mut problem = Unread::Unreadable;
    let with_types = written.len() > 1;
    for one in written {
        match read_one(&one, country, with_types) {
            Ok(number) if numbers.iter().all(|other| other.e164 != number.e164) => {
                numbers.push(number);
            }
            Ok(_) => {}
            Err(why) => problem = why,
        }
    }
    if numbers.is_empty() {
        Err(problem)
    } else {
        Ok(numbers)
    }
}

fn read_one(
    written: &Written,
    country: Option<Country>,
    with_type: bool,
) -> Result<Number, Unread> {
    if is_filler(written.digits.trim_start_matches('+')) {
        return Err(Unread::Placeholder);
    }
    let Some(parsed) = parse(&written.digits, country) else {
        let plausible = written.digits.len() >= 7 && !written.digits.starts_with('+');
        return Err(if country.is_none() && plausible {
            Unread::NoCountry
        } else {
            Unread::Unreadable
        });
    };
    let e164 = library::e164(&parsed);
    if is_filler(&e164[1..]) || is_reserved_for_fiction(&e164) {
        return Err(Unread::Placeholder);
    }
    Ok(Number {
        e164,
        extension: written.extension.clone(),
        mobile: with_type && library::is_mobile(&parsed),
    })
}

/// Hints in order: `+`, `00`, the country, `011`.
fn parse(digits: &str, country: Option<Country>) -> Option<rlibphonenumber::PhoneNumber> {
    if digits.starts_with('+') {
        return library::parse(&without_old_mobile_prefix(digits), None);
    }
    let abroad = |prefix: &str| {
        let rest = digits.strip_prefix(prefix)?;
        library::parse(&without_old_mobile_prefix(&format!("+{rest}")), None)
    };
    if let Some(number) = abroad("00") {
        return Some(number);
    }
    let national = country.and_then(|country| library::parse(digits, Some(country)));
    match national {
        Some(number) if library::is_assigned(&number) => Some(number),
        // 011 is the way abroad from North America, and the start of area codes elsewhere (Leeds).
        other => abroad("011").or(other),
    }
}

/// Mexico's mobile numbers had a 1 after +52 until August 2019; people still write it.
fn without_old_mobile_prefix(digits: &str) -> Cow<'_, str> {
    match digits.strip_prefix("+521") {
        Some(national) if national.len() == 10 => Cow::Owned(format!("+52{national}")),
        _ => Cow::Borrowed(digits),
    }
}

/// One repeated digit, or the keypad from left to right.
fn is_filler(digits: &str) -> bool {
    const KEYPAD: &[&str] = &[
        "0123456789",
        "01234567890",
        "12345",
        "123456",
        "1234567",
        "12345678",
        "123456789",
        "1234567890",
        "9876543210",
        "987654321",
    ];
    let mut bytes = digits.bytes();
    let first = bytes.next();
    (digits.len() >= 4 && bytes.all(|b| Some(b) == first)) || KEYPAD.contains(&digits)
}

/// North America's 555-0100 to 555-0199, which no line has. Source: ATIS-0300115.
fn is_reserved_for_fiction(e164: &str) -> bool {
    e164.len() == 12 && e164.starts_with("+1") && &e164[5..10] == "55501"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(text: &str, country: &str) -> Result<String, Unread> {
        let numbers = read(text, Country::from_code(country))?;
        Ok(numbers[0].e164.clone())
    }

    fn check(text: &str, country: &str, expect: &str) {
        assert_eq!(
            first(text, country),
            Ok(expect.to_owned()),
            "{text} in {country}"
        );
    }

    #[test]
    fn numbers_are_read_by_country() {
        for (text, country, expect) in [
            ("+49 30 901820", "", "+4930901820"),
            ("+49 (0)30 901820", "US", "+4930901820"),
            ("0049 30 901820", "", "+4930901820"),
            ("030 901820", "DE", "+4930901820"),
            ("030/90-18-20", "DE", "+4930901820"),
            ("49 30 901820", "DE", "+4930901820"),
            ("(212) 736-5000", "US", "+12127365000"),
            ("1-800-356-9377", "US", "+18003569377"),
            ("1-800-FLOWERS", "US", "+18003569377"),
            ("011 49 30 901820", "US", "+4930901820"),
            ("011 49 30 901820", "", "+4930901820"),
            ("0113 496 0000", "GB", "+441134960000"),
            ("+44 (0)20 7946 0958", "", "+442079460958"),
            ("06 1234 5678", "IT", "+390612345678"),
            ("+39 06 1234 5678", "", "+390612345678"),
            ("01 42 68 53 00", "FR", "+33142685300"),
            ("03-3211-1111", "JP", "+81332111111"),
            ("０３－３２１１－１１１１", "JP", "+81332111111"),
            ("8 (495) 123-45-67", "RU", "+74951234567"),
            ("+7 495 123-45-67", "", "+74951234567"),
            ("٠١٠٠١٢٣٤٥٦٧", "EG", "+201001234567"),
            ("(11) 96123-4567", "BR", "+5511961234567"),
            ("+52 1 55 1234 5678", "", "+525512345678"),
            ("055 123 4567", "AE", "+971551234567"),
            ("0212 345 67 89", "TR", "+902123456789"),
            ("06 30 123 4567", "HU", "+36301234567"),
            ("010-1234-5678", "KR", "+821012345678"),
        ] {
            check(text, country, expect);
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, country, expect) in [
            ("030 901820", "", Unread::NoCountry),
            ("736-5000", "US", Unread::Unreadable),
            ("12", "DE", Unread::Unreadable),
            ("call me", "DE", Unread::Unreadable),
            ("+999 123", "", Unread::Unreadable),
            ("0000000", "DE", Unread::Placeholder),
            ("123456789", "DE", Unread::Placeholder),
            ("+1 111 111 1111", "", Unread::Placeholder),
            ("(212) 555-0123", "US", Unread::Placeholder),
        ] {
            assert_eq!(first(text, country), Err(expect), "{text} in {country}");
        }
    }

    fn draft_of(phone: &str) -> Draft {
        let mut draft = Draft::default();
        draft.set("phone", phone);
        normalise(&mut draft, Country::from_code("DE"));
        draft
    }

    #[test]
    fn of_two_numbers_the_mobile_one_goes_to_mobile() {
        for phone in ["0171 1234567 / 030 901820", "030 901820 oder 0171 1234567"] {
            let draft = draft_of(phone);
            assert_eq!(draft.get("phone"), Some("+4930901820"));
            assert_eq!(draft.get("mobile"), Some("+491711234567"));
        }
        let alone = draft_of("0171 1234567");
        assert_eq!(
            (alone.get("phone"), alone.get("mobile")),
            (Some("+491711234567"), None)
        );
    }

    #[test]
    fn an_extension_is_kept_apart() {
        let draft = draft_of("030 901820 Durchwahl 12");
        assert_eq!(draft.get("phone"), Some("+4930901820"));
        assert_eq!(draft.get("phone_extension"), Some("12"));
        assert_eq!(draft.notes[0].code, "phone.extension");
    }

    #[test]
    fn an_unreadable_number_stays_as_typed() {
        let draft = draft_of("call 12");
        assert_eq!(draft.get("phone"), Some("call 12"));
        assert_eq!(draft.notes[0].code, "phone.unreadable");
        assert_eq!(key("call 12"), None);
        assert_eq!(key("+4930901820"), Some("+4930901820"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[0-9+()/.,;# xXext٠-٩０-９A-Z-]{0,30}|\\PC{0,40}") {
            for country in ["", "DE", "US", "IT", "MX"] {
                let country = Country::from_code(country);
                for number in read(&text, country).unwrap_or_default() {
                    let again = read(&number.e164, country).unwrap();
                    prop_assert_eq!(&again[0].e164, &number.e164);
                }
            }
        }
    }
}
