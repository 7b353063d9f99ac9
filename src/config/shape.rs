//! The tree against the schema: unknown keys, types, missing keys, allowed values, ranges.

use serde_json::Value as Json;

use super::hint::{self, KeyPath, table_name};
use super::report::Report;
use super::schema::{self, OwnConnectors, SCHEMAS, Schemas};
use super::suggest;
use super::tree::{Entry, Node, Table, Value};
use super::written::key_to_toml;
use crate::connector::{self, Catalog};
use crate::diagnostic::{Diagnostic, Place};

/// Checks all sections. `start` is the place to which missing sections are put.
pub(super) fn check(root: &Table, start: Option<&Place>, own: &OwnConnectors, report: &mut Report) {
    let schemas: &Schemas = &SCHEMAS;
    for (key, entry) in &root.entries {
        if key == "sources" {
            check_sources(entry, own, report);
            continue;
        }
        let path = KeyPath {
            table: &[],
            last: key,
            is_item: false,
        };
        match schemas.root["properties"].get(key) {
            Some(schema) => check_node(&entry.node, schema, path, report),
            None => report.add(unknown_key(entry, path, &schemas.root)),
        }
    }
    for required in schemas.root["required"].as_array().into_iter().flatten() {
        let Some(section) = required.as_str() else {
            continue;
        };
        if root.get(section).is_none() {
            let diagnostic = Diagnostic::error(
                "config.missing_section",
                format!("[{section}] is missing"),
            )
            .hint("`leadstream init` writes a file that has it; config/leadstream.toml explains each key");
            report.add(match start {
                Some(place) => diagnostic.at(place.clone()),
                None => diagnostic,
            });
        }
    }
}

fn check_sources(entry: &Entry, own: &OwnConnectors, report: &mut Report) {
    let Some(sources) = entry.node.as_table() else {
        report.add(
            wrong_type(&entry.node, "`sources` is a table of sources")
                .hint("write `[sources.<name>]`, with single brackets and a name"),
        );
        return;
    };
    for (name, source) in &sources.entries {
        report.in_source(name, |report| check_source(name, source, own, report));
    }
}

fn check_source(name: &str, entry: &Entry, own: &OwnConnectors, report: &mut Report) {
    let table_path = ["sources".to_owned(), name.to_owned()];
    let Some(table) = entry.node.as_table() else {
        report.add(
            wrong_type(&entry.node, format!("`{name}` in [sources] is a table")).hint(
                hint::swallowed(name, &[]).unwrap_or_else(|| {
                    format!("write `[sources.{name}]` with the keys of the source below it")
                }),
            ),
        );
        return;
    };
    let Some(connector) = table.get("connector") else {
        report.add(
            Diagnostic::error(
                "config.missing_key",
                format!("`connector` is missing in [sources.{name}]"),
            )
            .at(entry.node.spot.place())
            .hint(format!(
                "name what the leads come from: `connector = \"{}\"`",
                connector::RUST.first().unwrap_or(&"…")
            )),
        );
        return;
    };
    if matches!(connector.value, Value::Unknown) {
        return;
    }
    let Some(text) = connector.as_text() else {
        report.add(wrong_type(connector, "`connector` is text"));
        return;
    };
    let Some(schema) = own.get(text).or_else(|| SCHEMAS.source(text)) else {
        let catalog = Catalog::embedded();
        let programs = catalog.all().map(|manifest| manifest.name.as_str());
        let known: Vec<&str> = connector::RUST
            .iter()
            .copied()
            .chain(programs)
            .chain(own.keys().map(String::as_str))
            .collect();
        let names = suggest::list(known.iter().copied());
        let hint = match suggest::closest(text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("this version knows {names}"),
        };
        report.add(
            Diagnostic::error(
                "config.unknown_connector",
                format!("there is no connector `{}`", connector.spot.shown()),
            )
            .at(connector.spot.place())
            .hint(hint),
        );
        return;
    };
    check_table(&entry.node, table, schema, &table_path, report);
}

fn check_node(node: &Node, schema: &Json, path: KeyPath<'_>, report: &mut Report) {
    let is_secret = schema::is_secret(schema);
    if is_secret && let (Value::List(items), Some(several)) = (&node.value, schema["anyOf"].get(1))
    {
        for item in items {
            check_node(item, &several["items"], path, report);
        }
        return;
    }
    if is_secret && !matches!(node.value, Value::Table(_)) {
        report.add(inline_secret(node, path.last, schema));
        return;
    }
    let secret_schema = schema;
    let schema = fitting(node, schema);
    match (&node.value, schema["type"].as_str()) {
        (Value::Table(table), Some("object")) => {
            if is_secret && let Some(problem) = secret_form(node, table, path.last, secret_schema) {
                report.add(problem);
                return;
            }
            check_table(node, table, schema, &path.whole(), report);
        }
        (Value::List(items), Some("array")) => {
            let path = KeyPath {
                is_item: true,
                ..path
            };
            for item in items {
                check_node(item, &schema["items"], path, report);
            }
        }
        (Value::Text(text), Some("string") | None) => {
            check_text(node, text, schema, path, report);
        }
        (Value::Integer(integer), Some("integer" | "number")) => {
            check_range(node, *integer as f64, schema, path, report);
        }
        (Value::Float(float), Some("number")) => {
            check_range(node, *float, schema, path, report);
        }
        (Value::Boolean(_), Some("boolean")) | (Value::Unknown, _) => {}
        (_, expected) => {
            let expected = expected.unwrap_or("string");
            let each = if path.is_item { "each item of " } else { "" };
            let diagnostic = wrong_type(
                node,
                format!("{each}`{}` is {}", path.last, kind_in_words(expected)),
            );
            report.add(match hint::for_type(node, expected, schema, path) {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            });
        }
    }
}

/// Of several shapes that a value may have, the one that it has; the first if it has none of them.
fn fitting<'s>(node: &Node, schema: &'s Json) -> &'s Json {
    let schema = SCHEMAS.resolve(schema);
    let Some(choices) = schema["anyOf"].as_array() else {
        return schema;
    };
    let fits = |choice: &&Json| match (&node.value, choice["type"].as_str()) {
        (Value::Text(_), kind) => matches!(kind, Some("string")),
        (Value::Integer(_), kind) => matches!(kind, Some("integer" | "number")),
        (Value::List(_), kind) => kind == Some("array"),
        (Value::Table(_), kind) => kind == Some("object"),
        _ => false,
    };
    let mut resolved = choices.iter().map(|choice| SCHEMAS.resolve(choice));
    let first = resolved.clone().next().unwrap_or(schema);
    resolved.find(fits).unwrap_or(first)
}

fn check_table(node: &Node, table: &Table, schema: &Json, path: &[String], report: &mut Report) {
    let rest = &schema["additionalProperties"];
    for (key, entry) in &table.entries {
        let inner = KeyPath {
            table: path,
            last: key,
            is_item: false,
        };
        match schema["properties"].get(key) {
            Some(property) => check_node(&entry.node, property, inner, report),
            None if rest.is_object() => check_node(&entry.node, rest, inner, report),
            None => report.add(unknown_key(entry, inner, schema)),
        }
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        let Some(key) = required.as_str() else {
            continue;
        };
        if table.get(key).is_none() {
            report.add(
                Diagnostic::error(
                    "config.missing_key",
                    format!("`{key}` is missing in {}", table_name(path)),
                )
                .at(node.spot.place())
                .hint(hint::help(key, &schema["properties"][key])),
            );
        }
    }
}

fn check_text(node: &Node, text: &str, schema: &Json, path: KeyPath<'_>, report: &mut Report) {
    let key = path.last;
    if schema["minLength"].as_u64().is_some() && text.trim().is_empty() {
        report.add(
            Diagnostic::error("config.blank", format!("`{key}` is blank"))
                .at(node.spot.place())
                .hint(hint::help(key, schema)),
        );
        return;
    }
    let allowed = allowed_values(schema);
    if !allowed.is_empty() && !allowed.contains(&text) {
        let near = suggest::closest(text, allowed.iter().copied());
        let hint = match (hint::elsewhere(key, text), near) {
            (Some(hint), _) => hint.to_owned(),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => format!("write {}", suggest::list(allowed.iter().copied())),
        };
        report.add(
            Diagnostic::error(
                "config.bad_value",
                format!("`{key}` cannot be `{}`", node.spot.shown()),
            )
            .at(node.spot.place())
            .label(format!(
                "expected {}",
                suggest::list(allowed.iter().copied())
            ))
            .hint(hint),
        );
        return;
    }
    match schema["x-format"].as_str() {
        Some("uri") if url::Url::parse(text).is_err() => {
            report.add(no_web_address(node, key, text));
        }
        Some("ip") if text.parse::<std::net::IpAddr>().is_err() => {
            report.add(
                Diagnostic::error(
                    "config.bad_value",
                    format!("`{}` is no IP address", node.spot.shown()),
                )
                .at(node.spot.place())
                .hint("write each address by itself, for example `10.0.0.1`; names and networks are not taken"),
            );
        }
        _ => {}
    }
}

fn no_web_address(node: &Node, key: &str, text: &str) -> Diagnostic {
    let is_host = url::Url::parse(&format!("https://{text}"))
        .is_ok_and(|url| url.domain().is_some_and(|host| host.contains('.')));
    let hint = if is_host && node.variables.is_empty() {
        format!("write `{key} = \"https://{}\"`", node.spot.shown())
    } else {
        "write the whole address, for example `https://www.example.com/thanks`".to_owned()
    };
    Diagnostic::error("config.bad_value", format!("`{key}` is no web address"))
        .at(node.spot.place())
        .hint(hint)
}

/// The values that an enum takes: schemars writes those with docs as `oneOf` of constants.
fn allowed_values(schema: &Json) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let documented = schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|choice| {
            let several = choice["enum"].as_array().into_iter().flatten();
            several.chain(choice.get("const"))
        });
    listed.chain(documented).filter_map(Json::as_str).collect()
}

fn check_range(node: &Node, number: f64, schema: &Json, path: KeyPath<'_>, report: &mut Report) {
    let least = schema["minimum"].as_f64();
    let most = schema["maximum"].as_f64();
    if least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most) {
        return;
    }
    let bounds = match (least, most) {
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, Some(most)) => format!("{most} or less"),
        (None, None) => return,
    };
    report.add(
        Diagnostic::error(
            "config.out_of_range",
            format!("`{}` is out of range", path.last),
        )
        .at(node.spot.place())
        .label(format!("expected {bounds}")),
    );
}

fn wrong_type(node: &Node, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("config.wrong_type", message)
        .at(node.spot.place())
        .label(format!("this is {}", node.kind()))
}

fn kind_in_words(schema_type: &str) -> &'static str {
    match schema_type {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "text",
    }
}

fn unknown_key(entry: &Entry, path: KeyPath<'_>, schema: &Json) -> Diagnostic {
    let key = path.last;
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect();
    let diagnostic = Diagnostic::error("config.unknown_key", format!("unknown key `{key}`"))
        .at(entry.key.place())
        .label(format!("not a key of {}", table_name(path.table)));
    if let Some(hint) = hint::swallowed(key, path.table) {
        diagnostic.hint(hint)
    } else if let Some(near) = suggest::closest(key, known.iter().copied()) {
        diagnostic.hint(format!("did you mean `{near}`?"))
    } else if known.is_empty() {
        diagnostic
    } else {
        diagnostic.hint(format!("known here: {}", suggest::list(known)))
    }
}

/// A secret as text, or anything else that is no table. Never shows the value.
fn inline_secret(node: &Node, key: &str, schema: &Json) -> Diagnostic {
    let variable = match &node.variables[..] {
        [only] => only.name.clone(),
        _ => usual_variable(key, schema),
    };
    let key = key_to_toml(key);
    let message = if node.variables.is_empty() {
        format!("`{key}` is a secret and may not stand in the file")
    } else {
        format!("`{key}` is a secret and is not put together from text")
    };
    let mut hint = format!(
        "write `{key} = {{ env = \"{variable}\" }}` or `{key} = {{ file = \"/run/secrets/…\" }}`"
    );
    if node.variables.is_empty() {
        hint.push_str("; if the file was shared or committed, replace the secret, too");
    }
    Diagnostic::error("config.inline_secret", message)
        .at(node.spot.place())
        .hint(hint)
}

/// The variable that the key's example keeps it in, or one named like the key.
fn usual_variable(key: &str, schema: &Json) -> String {
    schema["examples"][0]["env"]
        .as_str()
        .map_or_else(|| key.to_uppercase(), str::to_owned)
}

/// Neither or both of `env` and `file`.
fn secret_form(node: &Node, table: &Table, key: &str, schema: &Json) -> Option<Diagnostic> {
    let held = ["env", "file"]
        .iter()
        .filter(|kind| table.get(kind).is_some())
        .count();
    if held == 1 || (held == 0 && !table.entries.is_empty()) {
        return None; // Unknown keys are told by the table's own check.
    }
    Some(
        Diagnostic::error(
            "config.secret_form",
            format!("`{key}` needs one place where the secret is kept"),
        )
        .at(node.spot.place())
        .label(if held == 0 {
            "this names none"
        } else {
            "this names two"
        })
        .hint(format!(
            "write `{{ env = \"{}\" }}` or `{{ file = \"/run/secrets/…\" }}`",
            usual_variable(key, schema)
        )),
    )
}
