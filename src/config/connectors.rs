//! Sources of connectors that are manifests: what the tree needs before it is checked, and after.

use url::Url;

use super::report::Report;
use super::tree::{Node, Table, Value};
use super::{SourceConfig, check};
use crate::connector::manifest::Manifest;
use crate::connector::mechanism::signature::Verifier;
use crate::connector::reader::Reader;
use crate::connector::{Catalog, ConnectorOptions, Options};
use crate::diagnostic::Diagnostic;

/// Gives options that go by another of their names the one that all else knows.
pub(super) fn rename_aliases(root: &mut Table, catalog: &Catalog, report: &mut Report) {
    let Some(Value::Table(sources)) = root
        .entries
        .get_mut("sources")
        .map(|entry| &mut entry.node.value)
    else {
        return;
    };
    for (name, entry) in &mut sources.entries {
        let Value::Table(source) = &mut entry.node.value else {
            continue;
        };
        let connector = source.text("connector").map(|(connector, _)| connector);
        if let Some(manifest) = connector.and_then(|connector| catalog.get(connector)) {
            let manifest = std::sync::Arc::clone(manifest);
            report.in_source(name, |report| rename(source, &manifest, report));
        }
    }
}

fn rename(source: &mut Table, manifest: &Manifest, report: &mut Report) {
    for (option, spec) in &manifest.options {
        for alias in &spec.aliases {
            let Some(entry) = source.entries.remove(alias) else {
                continue;
            };
            if source.entries.contains_key(option) {
                report.add(
                    Diagnostic::error(
                        "config.duplicate",
                        format!("`{alias}` and `{option}` are the same option"),
                    )
                    .at(entry.key.place())
                    .hint("keep one of them"),
                );
            } else {
                source.entries.insert(option.clone(), entry);
            }
        }
    }
}

/// Makes a source's manifest ready, as a start does, and tells what does not fit; whether all does.
pub(super) fn check_ready(
    source: &SourceConfig,
    node: &Node,
    public_url: Option<&Url>,
    report: &mut Report,
) -> bool {
    let ConnectorOptions::Manifest(of) = &source.options else {
        return true;
    };
    let table = node.as_table();
    let mut problems = Vec::new();
    if let Err(found) = Reader::new(&of.manifest, &of.options, source) {
        problems.extend(found.iter().map(ToString::to_string));
    }
    if let Some(webhook) = &of.manifest.webhook
        && let Err(error) = Verifier::new(webhook, &of.options, public_url)
    {
        problems.push(error.to_string());
    }
    for problem in &problems {
        let place = table
            .and_then(|table| table.get("connector"))
            .unwrap_or(node);
        report.add(
            Diagnostic::error("config.bad_option", problem.clone())
                .at(place.spot.place())
                .hint(format!(
                    "`leadstream connectors show {}` says what each option is",
                    source.connector
                )),
        );
    }
    problems.is_empty()
}

/// Makes the paths of secret files relative to the file that they stand in.
pub(super) fn anchor_secrets(options: &mut Options, table: &Table) {
    let mut seen = std::collections::HashMap::new();
    for (option, kept) in options.secret_refs_mut() {
        let index = seen.entry(option.to_owned()).or_insert(0_usize);
        let node = table.get(option).and_then(|node| match &node.value {
            Value::List(items) => items.get(*index),
            _ => Some(node),
        });
        *index += 1;
        let written = node
            .and_then(Node::as_table)
            .and_then(|kept| kept.text("file"));
        if let (Some(file), Some((path, node))) = (&mut kept.file, written) {
            *file = check::beside(node, path);
        }
    }
}
