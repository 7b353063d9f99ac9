//! What to write instead: the second half of a message, from the schema.

use serde_json::Value as Json;

use super::schema::SCHEMAS;
use super::tree::{Node, Value};
use super::written::{key_to_toml, to_toml};

/// Values that exist elsewhere, and what to write here.
const KNOWN_ELSEWHERE: &[(&str, &str, &str)] = &[(
    "auth",
    "password",
    "Salesforce retires user name and password: use `client_credentials` or `jwt_bearer`",
)];

/// What to write in place of a value that other programs, or later versions, know.
pub(super) fn elsewhere(key: &str, value: &str) -> Option<&'static str> {
    KNOWN_ELSEWHERE
        .iter()
        .find(|(of, known, _)| *of == key && *known == value)
        .map(|(_, _, hint)| *hint)
}

/// Where a value is: the keys of its table, and its own key (or that of its list).
#[derive(Clone, Copy)]
pub(super) struct KeyPath<'a> {
    pub table: &'a [String],
    pub last: &'a str,
    /// It is one of a list.
    pub is_item: bool,
}

impl KeyPath<'_> {
    pub fn whole(self) -> Vec<String> {
        let mut whole = self.table.to_vec();
        whole.push(self.last.to_owned());
        whole
    }
}

/// `[a.b]`, or words for the top of the file.
pub(super) fn table_name(path: &[String]) -> String {
    if path.is_empty() {
        "the top of the file".to_owned()
    } else {
        format!("[{}]", path.join("."))
    }
}

/// A key's own help, with its example.
pub(super) fn help(key: &str, property: &Json) -> String {
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

/// How to write the value with the type that is expected.
pub(super) fn for_type(
    node: &Node,
    expected: &str,
    schema: &Json,
    path: KeyPath<'_>,
) -> Option<String> {
    let key = key_to_toml(path.last);
    if path.is_item {
        let quoted =
            matches!(expected, "string") && !matches!(node.value, Value::List(_) | Value::Table(_));
        return quoted.then(|| format!("put it in quotes: `\"{}\"`", node.spot.shown()));
    }
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

/// Where a key that stands in the wrong table belongs: TOML gives every key to the last header above
/// it, so a line that was written too far down changes its meaning.
pub(super) fn swallowed(key: &str, table: &[String]) -> Option<String> {
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
