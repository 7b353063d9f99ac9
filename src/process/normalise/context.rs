use std::collections::BTreeMap;

use super::place::Country;
use crate::config::SourceConfig;

/// What a source says about values that its payloads leave open. Made once for each source.
#[derive(Debug, Clone, Default)]
pub struct NormaliseContext {
    /// The country of phone numbers and states that name none.
    pub default_country: Option<Country>,
    /// `lead_source` where the payload has none.
    pub lead_source: Option<String>,
    /// `campaign` where the payload has none.
    pub campaign: Option<String>,
    /// By lead field: values to replace, as sent, and by what.
    pub values: BTreeMap<String, BTreeMap<String, String>>,
}

impl NormaliseContext {
    /// The context of a configured source.
    pub fn of(source: &SourceConfig) -> Self {
        Self {
            default_country: source
                .default_country
                .as_deref()
                .and_then(Country::from_code),
            lead_source: source.lead_source.clone(),
            campaign: source.campaign.clone(),
            values: source
                .fields
                .iter()
                .filter(|(_, mapping)| !mapping.values.is_empty())
                .map(|(field, mapping)| (field.clone(), mapping.values.clone()))
                .collect(),
        }
    }

    /// What stands in place of `sent` in `field`: each of several values by itself. Case counts
    /// only where two replacements differ by nothing else.
    pub(super) fn replace(&self, field: &str, sent: &str) -> Option<String> {
        let values = self.values.get(field)?;
        if let Some(whole) = find(values, sent) {
            return Some(whole.to_owned());
        }
        if !sent.contains(';') {
            return None;
        }
        let mut any = false;
        let parts: Vec<&str> = sent
            .split(';')
            .map(str::trim)
            .map(|part| {
                find(values, part).map_or(part, |replacement| {
                    any = true;
                    replacement
                })
            })
            .collect();
        any.then(|| parts.join(";"))
    }
}

fn find<'a>(values: &'a BTreeMap<String, String>, sent: &str) -> Option<&'a str> {
    values
        .get(sent)
        .or_else(|| {
            let lower = sent.to_lowercase();
            values
                .iter()
                .find(|(key, _)| key.to_lowercase() == lower)
                .map(|(_, value)| value)
        })
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_whole_or_one_by_one() {
        let values = [("a", "Starter"), ("b", "Pro"), ("A", "Advanced")]
            .map(|(sent, value)| (sent.to_owned(), value.to_owned()));
        let context = NormaliseContext {
            values: [("plan".to_owned(), values.into_iter().collect())]
                .into_iter()
                .collect(),
            ..NormaliseContext::default()
        };
        for (field, sent, expect) in [
            ("plan", "a", Some("Starter")),
            ("plan", "A", Some("Advanced")),
            ("plan", "B", Some("Pro")),
            ("plan", "a; c;b", Some("Starter;c;Pro")),
            ("plan", "c", None),
            ("plan", "c;d", None),
            ("other", "a", None),
        ] {
            assert_eq!(
                context.replace(field, sent).as_deref(),
                expect,
                "{field} {sent}"
            );
        }
    }
}
