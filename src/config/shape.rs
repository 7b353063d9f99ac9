//! The tree against the schema: unknown keys, types, missing keys, allowed values, ranges.

use serde_json::Value as Json;

use super::report::Report;
use super::schema::{SCHEMAS, Schemas};
use super::suggest;
use super::tree::{Entry, Node, Table, Value};
use crate::connector;
use crate::diagnostic::{Diagnostic, Place};

/// Values that exist elsewhere, and what to write here.
const KNOWN_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "auth",
        "authorization_code",
        "this version cannot sign in as a person: use `client_credentials` (with `client_secret`) or \
         `jwt_bearer` (with `username` and `private_key`)",
    ),
    (
        "auth",
        "password",
        "Salesforce retires user name and password: use `client_credentials` or `jwt_bearer`",
    ),
];

/// Checks all sections. `start` is the place to which missing sections are put.
pub(super) fn check(root: &Table, start: Option<&Place>, report: &mut Report) {
    let schemas: &Schemas = &SCHEMAS;
    for (key, entry) in &root.entries {
        if key == "sources" {
            check_sources(entry, report);
            continue;
        }
        let path = Path {
            table: &[],
            last: key,
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

fn check_sources(entry: &Entry, report: &mut Report) {
    let Some(sources) = entry.node.as_table() else {
        report.add(
            wrong_type(&entry.node, "`sources` is a table of sources")
                .hint("write `[sources.<name>]`, with single brackets and a name"),
        );
        return;
    };
    for (name, source) in &sources.entries {
        report.in_source(name, |report| check_source(name, source, report));
    }
}

fn check_source(name: &str, entry: &Entry, report: &mut Report) {
    let table_path = ["sources".to_owned(), name.to_owned()];
    let Some(table) = entry.node.as_table() else {
        report.add(
            wrong_type(&entry.node, format!("`{name}` in [sources] is a table")).hint(
                swallowed(name, &[]).unwrap_or_else(|| {
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
                connector::NAMES.first().unwrap_or(&"…")
            )),
        );
        return;
    };
    let Some(text) = connector.as_text() else {
        report.add(wrong_type(connector, "`connector` is text"));
        return;
    };
    let Some(schema) = SCHEMAS.source(text) else {
        let names = suggest::list(connector::NAMES.iter().copied());
        let hint = match suggest::closest(text, connector::NAMES.iter().copied()) {
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

/// Where a value is: the keys of its table, and its own key.
#[derive(Clone, Copy)]
struct Path<'a> {
    table: &'a [String],
    last: &'a str,
}

impl Path<'_> {
    fn whole(self) -> Vec<String> {
        let mut whole = self.table.to_vec();
        whole.push(self.last.to_owned());
        whole
    }
}

/// `[a.b]`, or words for the top of the file.
fn table_name(path: &[String]) -> String {
    if path.is_empty() {
        "the top of the file".to_owned()
    } else {
        format!("[{}]", path.join("."))
    }
}

fn check_node(node: &Node, schema: &Json, path: Path<'_>, report: &mut Report) {
    let is_secret = SCHEMAS.is_secret(schema);
    if is_secret && !matches!(node.value, Value::Table(_)) {
        report.add(inline_secret(node, path.last));
        return;
    }
    let schema = SCHEMAS.resolve(schema);
    match (&node.value, schema["type"].as_str()) {
        (Value::Table(table), Some("object")) => {
            if is_secret && let Some(problem) = secret_form(node, table, path.last) {
                report.add(problem);
                return;
            }
            check_table(node, table, schema, &path.whole(), report);
        }
        (Value::List(items), Some("array")) => {
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
        (Value::Boolean(_), Some("boolean")) => {}
        (_, expected) => {
            let expected = expected.unwrap_or("string");
            let diagnostic = wrong_type(
                node,
                format!("`{}` is {}", path.last, kind_in_words(expected)),
            );
            report.add(match type_hint(node, expected, schema, path) {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            });
        }
    }
}

fn check_table(node: &Node, table: &Table, schema: &Json, path: &[String], report: &mut Report) {
    let rest = &schema["additionalProperties"];
    for (key, entry) in &table.entries {
        let inner = Path {
            table: path,
            last: key,
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
                .hint(help(key, &schema["properties"][key])),
            );
        }
    }
}

/// A key's own help, with its example.
fn help(key: &str, property: &Json) -> String {
    let description = property["description"].as_str().unwrap_or_default();
    let first = description
        .split_inclusive(". ")
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches('.');
    match property["examples"].get(0).map(to_toml) {
        Some(example) => format!("{first}: `{key} = {example}`"),
        None => first.to_owned(),
    }
}

/// A value as one would write it in TOML.
pub fn to_toml(value: &Json) -> String {
    match value {
        Json::Object(object) => {
            let entries: Vec<String> = object
                .iter()
                .map(|(key, value)| format!("{} = {}", key_to_toml(key), to_toml(value)))
                .collect();
            if entries.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {} }}", entries.join(", "))
            }
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(to_toml).collect();
            format!("[{}]", items.join(", "))
        }
        Json::String(text) => toml::Value::from(text.as_str()).to_string(),
        other => other.to_string(),
    }
}

/// A key as one would write it in TOML: quoted only if it must be.
pub fn key_to_toml(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}

fn check_text(node: &Node, text: &str, schema: &Json, path: Path<'_>, report: &mut Report) {
    let key = path.last;
    if schema["minLength"].as_u64().is_some() && text.trim().is_empty() {
        report.add(
            Diagnostic::error("config.blank", format!("`{key}` is blank"))
                .at(node.spot.place())
                .hint(help(key, schema)),
        );
        return;
    }
    let allowed = allowed_values(schema);
    if !allowed.is_empty() && !allowed.contains(&text) {
        let known = KNOWN_ELSEWHERE
            .iter()
            .find(|(of, value, _)| *of == key && *value == text);
        let hint = match (known, suggest::closest(text, allowed.iter().copied())) {
            (Some((_, _, hint)), _) => (*hint).to_owned(),
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
        Some("uri") => {
            if let Err(error) = url::Url::parse(text) {
                let hint = if text.contains("://") {
                    "write the whole address, for example `https://www.example.com`".to_owned()
                } else {
                    "an address begins with `https://`".to_owned()
                };
                report.add(
                    Diagnostic::error("config.bad_value", format!("`{key}` is no URL: {error}"))
                        .at(node.spot.place())
                        .hint(hint),
                );
            }
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

fn check_range(node: &Node, number: f64, schema: &Json, path: Path<'_>, report: &mut Report) {
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

fn type_hint(node: &Node, expected: &str, schema: &Json, path: Path<'_>) -> Option<String> {
    let key = key_to_toml(path.last);
    match (&node.value, expected) {
        (_, "object") => {
            if let Some(hint) = swallowed(path.last, path.table) {
                return Some(hint);
            }
            // A table whose one required key can take the value: `plan = "x"` for `plan = { from = "x" }`.
            let required = schema["required"].as_array().map(Vec::as_slice);
            if let (Value::Text(_), Some([only])) = (&node.value, required) {
                let inner = only.as_str()?;
                let shown = node.spot.shown();
                return Some(format!("write `{key} = {{ {inner} = \"{shown}\" }}`"));
            }
            Some(format!(
                "write `[{}]`, or `{key} = {{ … }}`",
                path.whole().join(".")
            ))
        }
        (Value::Text(text), "integer" | "number") if text.trim().parse::<f64>().is_ok() => {
            Some(format!(
                "write the number without quotes: `{key} = {}`",
                node.spot.shown()
            ))
        }
        (Value::Text(text), "boolean") => {
            let meant = match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => "true",
                "false" | "no" | "off" | "0" => "false",
                _ => return Some("write `true` or `false`, without quotes".to_owned()),
            };
            Some(format!("write it without quotes: `{key} = {meant}`"))
        }
        (Value::Text(_), "array") => Some(format!(
            "put it in brackets: `{key} = [\"{}\"]`",
            node.spot.shown()
        )),
        (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Moment, "string") => {
            swallowed(path.last, path.table).or_else(|| {
                Some(format!(
                    "put it in quotes: `{key} = \"{}\"`",
                    node.spot.shown()
                ))
            })
        }
        _ => None,
    }
}

fn unknown_key(entry: &Entry, path: Path<'_>, schema: &Json) -> Diagnostic {
    let key = path.last;
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect();
    let diagnostic = Diagnostic::error("config.unknown_key", format!("unknown key `{key}`"))
        .at(entry.key.place())
        .label(format!("not a key of {}", table_name(path.table)));
    if let Some(hint) = swallowed(key, path.table) {
        diagnostic.hint(hint)
    } else if let Some(near) = suggest::closest(key, known.iter().copied()) {
        diagnostic.hint(format!("did you mean `{near}`?"))
    } else if known.is_empty() {
        diagnostic
    } else {
        diagnostic.hint(format!("known here: {}", suggest::list(known)))
    }
}

/// Where a key that stands in the wrong table belongs: TOML gives every key to the last header above
/// it, so a line that was written too far down changes its meaning.
fn swallowed(key: &str, table: &[String]) -> Option<String> {
    let top = SCHEMAS.root["properties"].as_object()?;
    if table.is_empty() {
        // Nothing is above the top, but a key of a section may stand outside of it.
        let section = section_of(key)?;
        return Some(format!(
            "`{key}` belongs to [{section}]: write it below that header"
        ));
    }
    // The nearest table around this one that knows the key.
    for depth in (1..table.len()).rev() {
        let outer = &table[..depth];
        if keys_of(outer).any(|known| known == key) {
            return Some(format!(
                "`{key}` is a key of [{outer}]: move it above [{inner}]",
                outer = outer.join("."),
                inner = table.join("."),
            ));
        }
    }
    if top.contains_key(key) {
        return Some(if key == "include" {
            "`include` belongs to the top of the file: move it above the first [table]".to_owned()
        } else {
            format!(
                "[{key}] is a table of its own, not a part of {}",
                table_name(table)
            )
        });
    }
    let section = section_of(key)?;
    (section != table[0]).then(|| format!("`{key}` belongs to [{section}]"))
}

/// The section that has this key, if it is one only.
fn section_of(key: &str) -> Option<&'static str> {
    let mut found = ["server", "store", "salesforce"]
        .into_iter()
        .filter(|section| keys_of(&[(*section).to_owned()]).any(|known| known == key));
    let first = found.next();
    match (first, found.next()) {
        (Some(section), None) => Some(section),
        _ => None,
    }
}

/// The keys that a table may have by its path, as far as they are fixed.
fn keys_of(path: &[String]) -> impl Iterator<Item = &'static str> {
    let mut schema: &'static Json = &SCHEMAS.root;
    for key in path {
        let property = &schema["properties"][key];
        let next = if property.is_null() {
            &schema["additionalProperties"]
        } else {
            property
        };
        schema = SCHEMAS.resolve(next);
        // Several connectors: any of them will do for a hint.
        if let Some(first) = schema["oneOf"].get(0).filter(|_| schema["type"].is_null()) {
            schema = SCHEMAS.resolve(first);
        }
    }
    schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str))
}

/// A secret as text, or anything else that is no table. Never shows the value.
fn inline_secret(node: &Node, key: &str) -> Diagnostic {
    let variable = match &node.variables[..] {
        [only] => only.name.clone(),
        _ => key
            .to_uppercase()
            .replace(|letter: char| !letter.is_ascii_alphanumeric(), "_"),
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

/// Neither or both of `env` and `file`.
fn secret_form(node: &Node, table: &Table, key: &str) -> Option<Diagnostic> {
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
            key.to_uppercase()
        )),
    )
}
