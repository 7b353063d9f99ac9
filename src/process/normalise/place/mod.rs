//! Countries and regions: read from codes and names, written as Salesforce takes them by default.

mod country;
mod region;

pub use country::Country;
pub use region::Region;

use super::draft::Draft;

/// The fields beside `country` and `state` that hold their codes, also as forms send them.
pub(super) const CODES: [&str; 2] = ["country_code", "state_code"];

/// Country and state, each as its English name, with its code beside it (`country_code`,
/// `state_code`). What cannot be read is kept as typed, and noted.
///
/// A country is never guessed from a phone number or a domain. `default` only tells how to read
/// a state that came without a country.
pub(super) fn normalise(draft: &mut Draft, default: Option<Country>) {
    let country = normalise_country(draft);
    normalise_state(draft, country, default);
}

fn normalise_country(draft: &mut Draft) -> Option<Country> {
    // The code is what a select sends; it counts only where the name does not.
    let code = draft.take("country_code");
    let by_code = code.as_deref().and_then(Country::read);
    let by_name = draft.get("country").and_then(Country::read);
    if let Some(country) = by_name.or(by_code) {
        draft.set("country", country.name());
        draft.set("country_code", country.code());
        return Some(country);
    }
    if draft.get("country").is_none()
        && let Some(code) = code
    {
        draft.set("country", &code);
    }
    if draft.get("country").is_some() {
        draft.note(
            "country.unknown",
            "country",
            "country is neither an ISO 3166 code nor a name that we know; kept as typed",
        );
    }
    None
}

fn normalise_state(draft: &mut Draft, country: Option<Country>, default: Option<Country>) {
    let code = draft.take("state_code");
    let read = |text: &str| match (country, default) {
        (Some(country), _) => Region::read(text, country),
        (None, Some(default)) => {
            Region::read(text, default).or_else(|| Region::read_anywhere(text))
        }
        (None, None) => Region::read_anywhere(text),
    };
    // An unreadable country says that we do not know how to read its states either.
    if country.is_none() && draft.get("country").is_some() {
        if let Some(code) = code {
            draft.set_if_blank("state", &code);
        }
        return;
    }
    let by_code = code.as_deref().and_then(read);
    let by_name = draft.get("state").and_then(read);
    if let Some(region) = by_name.or(by_code) {
        draft.set("state", region.name);
        draft.set("state_code", region.code);
    } else if let Some(code) = code {
        // A code of a country whose states we do not know by name.
        if draft.get("state").is_none() {
            draft.set("state", &code);
        }
        draft.set("state_code", &code);
    }
}
