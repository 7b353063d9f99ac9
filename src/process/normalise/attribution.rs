//! Attribution: opaque values, whose case matters.

use std::collections::BTreeMap;

use super::context::NormaliseContext;
use super::{placeholder, text};

/// Click ids are the longest: some hundred characters.
const MAX_CHARS: usize = 500;

/// The most values of one submission that are kept.
const MAX_VALUES: usize = 100;

const MAX_NAME_CHARS: usize = 100;

/// Trims values and drops blank ones and templates that nobody filled in (`{{campaign.name}}`).
pub(super) fn normalise(
    raw: BTreeMap<String, String>,
    context: &NormaliseContext,
) -> BTreeMap<String, String> {
    raw.into_iter()
        .filter(|(name, _)| name.chars().count() <= MAX_NAME_CHARS)
        .filter_map(|(name, value)| {
            let value = text::clean_opaque(&value, MAX_CHARS);
            let says_something = !text::is_blank(&value) && !placeholder::is_template(&value);
            let replaced = context.replace(&name, &value);
            says_something.then(|| (name, replaced.unwrap_or_else(|| value.into_owned())))
        })
        .take(MAX_VALUES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_kept_and_templates_dropped() {
        let raw = [
            ("gclid", " Cj0KCQ_TeSt "),
            ("utm_source", "{{site_source_name}}"),
            ("utm_term", "{keyword}"),
            ("utm_medium", "  "),
            ("utm_campaign", "Spring & Summer"),
        ];
        let raw = raw
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let kept: Vec<(String, String)> = normalise(raw, &NormaliseContext::default())
            .into_iter()
            .collect();
        let expect = [
            ("gclid", "Cj0KCQ_TeSt"),
            ("utm_campaign", "Spring & Summer"),
        ];
        assert_eq!(
            kept,
            expect.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn long_values_are_cut() {
        let raw = [("gclid".to_owned(), "a".repeat(10_000))]
            .into_iter()
            .collect();
        assert_eq!(
            normalise(raw, &NormaliseContext::default())["gclid"].len(),
            MAX_CHARS
        );
    }
}
