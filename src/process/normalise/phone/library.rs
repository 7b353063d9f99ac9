//! All that we ask of the phone number library: it is young and has one maintainer, so that it can
//! be replaced here. It only ever sees an optional `+` and at most [`MAX_DIGITS`] ASCII digits.

use rlibphonenumber::{NumberLengthType, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

use super::super::place::Country;

/// E.164 has 15 digits; prefixes to dial abroad come before.
pub(super) const MAX_DIGITS: usize = 20;

/// The number, if its digits can be one: in the international form, or as dialled within `country`.
pub(super) fn parse(digits: &str, country: Option<Country>) -> Option<PhoneNumber> {
    let region = country.and_then(|country| country.code().parse::<Region>().ok());
    let number = PhoneNumber::parse(digits, region).ok()?;
    // Possible by its length is enough: number plans move faster than the library's tables. Only
    // locally possible (without its area code) is not.
    matches!(
        number.is_possible_with_reason(),
        Ok(NumberLengthType::IsPossible)
    )
    .then_some(number)
}

/// `+`, country code and national number, without separators.
pub(super) fn e164(number: &PhoneNumber) -> String {
    number.format_as(PhoneNumberFormat::E164).into_owned()
}

/// Whether the number is assigned to mobile phones only, as far as the tables know.
pub(super) fn is_mobile(number: &PhoneNumber) -> bool {
    number.get_type() == PhoneNumberType::Mobile
}

/// Whether the tables hold the number's range as assigned.
pub(super) fn is_assigned(number: &PhoneNumber) -> bool {
    number.is_valid()
}
