use std::collections::BTreeMap;

use super::names::{is_source_name, source_name_like};
use super::{check_encrypted, error_at, file_drop, manifest_source, web_form};
use crate::config::interpolate::Environment;
use crate::config::report::Report;
use crate::config::suggest;
use crate::config::tree::{Entry, Node, Table};
use crate::connector::Catalog;
use crate::diagnostic::Diagnostic;
use crate::model::field;

/// All `[sources.<name>]`, each by itself and then together.
pub(super) fn check_all(
    root: &Table,
    catalog: &Catalog,
    env: &Environment<'_>,
    report: &mut Report,
) {
    let Some(sources) = root.table("sources").filter(|all| !all.entries.is_empty()) else {
        if root
            .get("sources")
            .is_none_or(|node| node.as_table().is_some())
        {
            report.add(
                Diagnostic::warning(
                    "config.no_sources",
                    "no source is configured: no lead can come in",
                )
                .hint("add one: `[sources.demo_request]` with `connector = \"web-form\"`"),
            );
        }
        return;
    };
    let mapped = mapped_names(root);
    let mut org_ids: BTreeMap<&str, (&str, &Node)> = BTreeMap::new();
    for (name, entry) in &sources.entries {
        report.in_source(name, |report| {
            check_name(name, entry, report);
            let Some(source) = entry.node.as_table() else {
                return;
            };
            check_source(source, &mapped, report);
            if let Some(("web-form", _)) = source.text("connector") {
                web_form::check(source, env, report);
            }
            if let Some(("file-drop", _)) = source.text("connector") {
                file_drop::check(source, report);
            }
            if let Some((connector, node)) = source.text("connector")
                && let Some(manifest) = catalog.get(connector)
            {
                manifest_source::check(name, source, node, manifest, env, report);
            }
            if let Some((org_id, node)) = source.text("org_id") {
                // 15 and 18 characters name the same org.
                let key = org_id.get(..15).unwrap_or(org_id);
                if let Some((other, first)) = org_ids.get(key) {
                    report.add(
                        error_at(node, "config.duplicate_org_id", format!("[sources.{other}] has this org id, too"))
                            .label(format!("first at {}", first.spot.place().file_and_line()))
                            .hint("Web-to-Lead posts find their source by the org id: keep it in one source"),
                    );
                } else {
                    org_ids.insert(key, (name, node));
                }
            }
        });
    }
}

/// What `[salesforce.lead]` takes values from.
fn mapped_names(root: &Table) -> Vec<&str> {
    root.table("salesforce")
        .and_then(|salesforce| salesforce.table("lead"))
        .into_iter()
        .flat_map(|lead| lead.entries.values())
        .filter_map(|entry| entry.node.as_table()?.text("from"))
        .map(|(from, _)| from)
        .collect()
}

fn check_name(name: &str, entry: &Entry, report: &mut Report) {
    if !is_source_name(name) {
        report.add(
            Diagnostic::error("config.bad_name", "this cannot be the name of a source")
                .at(entry.key.place())
                .label("letters, digits, `_` and `-`, at most 64")
                .hint(format!(
                    "write for example `[sources.{}]`",
                    source_name_like(name)
                )),
        );
    }
}

fn check_source(source: &Table, mapped: &[&str], report: &mut Report) {
    check_encrypted(source, "base_url", report);
    if let Some((country, node)) = source.text("default_country")
        && rust_iso3166::from_alpha2(country).is_none()
    {
        let hint = match country_like(country) {
            Some(code) => format!("did you mean `{code}`?"),
            None => "write the two letters of ISO 3166, for example `DE`, `GB`, `US`".to_owned(),
        };
        report.add(
            error_at(
                node,
                "config.bad_value",
                format!("there is no country `{}`", node.spot.shown()),
            )
            .hint(hint),
        );
    }
    for (name, entry) in source
        .table("fields")
        .into_iter()
        .flat_map(|fields| &fields.entries)
    {
        check_field(name, entry, mapped, report);
    }
}

fn check_field(name: &str, entry: &Entry, mapped: &[&str], report: &mut Report) {
    let is_name = (1..=80).contains(&name.len())
        && !name
            .chars()
            .any(|letter| letter.is_control() || letter.is_whitespace());
    if !is_name {
        report.add(
            Diagnostic::error("config.bad_name", "this cannot be the name of a lead field")
                .at(entry.key.place())
                .hint("give it a name without spaces; the form's own name for it goes into `from`"),
        );
    } else if field::find(name).is_none() && !mapped.contains(&name) {
        let standard = field::FIELDS.iter().map(|field| field.name);
        if let Some(near) =
            suggest::closest(name, standard.chain(field::ATTRIBUTION.iter().copied()))
                .filter(|near| *near != name)
        {
            report.add(
                Diagnostic::warning("config.unknown_field", format!("`{name}` is no standard lead field, and nothing uses it"))
                    .at(entry.key.place())
                    .label(format!("did you mean `{near}`?"))
                    .hint(format!("to write it to Salesforce, add it to [salesforce.lead]: `{} = {{ from = \"{name}\" }}`", api_name_like(name))),
            );
        }
    }
}

fn api_name_like(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => format!("{}{}__c", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// The code of a country that was written otherwise.
fn country_like(written: &str) -> Option<&'static str> {
    // The names that people use where the standard has a longer or another one.
    const USUAL: &[(&str, &str)] = &[
        ("UK", "GB"),
        ("ENGLAND", "GB"),
        ("UNITED KINGDOM", "GB"),
        ("USA", "US"),
        ("UNITED STATES", "US"),
        ("DEUTSCHLAND", "DE"),
        ("NETHERLANDS", "NL"),
        ("CZECH REPUBLIC", "CZ"),
        ("RUSSIA", "RU"),
        ("SOUTH KOREA", "KR"),
        ("TURKEY", "TR"),
        ("VIETNAM", "VN"),
    ];
    let upper = written.trim().to_uppercase();
    let usual = USUAL.iter().find(|(name, _)| *name == upper);
    usual
        .map(|(_, code)| *code)
        .or_else(|| rust_iso3166::from_alpha2(&upper).map(|country| country.alpha2))
        .or_else(|| rust_iso3166::from_alpha3(&upper).map(|country| country.alpha2))
        .or_else(|| {
            rust_iso3166::ALL_ALPHA2
                .iter()
                .filter_map(|code| rust_iso3166::from_alpha2(code))
                .find(|country| country.name.to_uppercase() == upper)
                .map(|country| country.alpha2)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_known_by_its_other_names() {
        for (written, code) in [
            ("de", Some("DE")),
            ("UK", Some("GB")),
            ("DEU", Some("DE")),
            ("Germany", Some("DE")),
            ("usa", Some("US")),
            ("Atlantis", None),
        ] {
            assert_eq!(country_like(written), code, "{written}");
        }
    }
}
