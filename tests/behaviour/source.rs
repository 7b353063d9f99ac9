//! A source out of TOML as users write it, without its `[sources.<name>]` line.

use leadstream::config::SourceConfig;
use leadstream::connector::ConnectorOptions;
use leadstream::connector::custom::web_form::WebFormOptions;

/// What all connectors have in common; the rest of the table is the connector's.
const COMMON: &[&str] = &[
    "connector",
    "default_country",
    "lead_source",
    "campaign",
    "base_url",
    "fields",
];

/// A web-form source with these settings.
pub fn web_form(toml: &str) -> SourceConfig {
    let mut common: toml::Table = toml.parse().unwrap();
    common.insert("connector".to_owned(), "web-form".into());
    let mut options = toml::Table::new();
    common.retain(|key, value| {
        let is_common = COMMON.contains(&key);
        if !is_common {
            options.insert(key.to_owned(), value.clone());
        }
        is_common
    });
    let mut source: SourceConfig = common.try_into().unwrap();
    let options: WebFormOptions = options.try_into().unwrap();
    source.options = ConnectorOptions::WebForm(Box::new(options));
    source
}
