//! Every value and where it came from, for `config show`.

use serde_json::{Value as Json, json};

use super::mask;
use super::schema::{self, OwnConnectors, SCHEMAS};
use super::tree::{Node, Table, Value};

/// One value of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The tables around it: `["sources", "demo_request", "fields"]`.
    pub table: Vec<String>,
    /// Its key.
    pub key: String,
    /// What is in effect; `***` for a secret. None: not set without a default, or not usable.
    pub value: Option<Json>,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is written in a file.
    File {
        /// The file, as the user named it.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// It is written in a file, and put together from environment variables.
    Variables {
        /// Their names; with false, the default in the file was taken.
        names: Vec<(String, bool)>,
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// It is a secret, kept elsewhere; only where is known.
    Secret {
        /// "environment variable X" or "file X".
        kept_in: String,
        /// The file that says so.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// Nothing is written.
    Default,
}

impl Origin {
    /// In words, for a comment.
    pub fn in_words(&self) -> String {
        match self {
            Self::File { file, line } => format!("{file}:{line}"),
            Self::Variables { names, file, line } => {
                let names: Vec<String> = names
                    .iter()
                    .map(|(name, is_set)| {
                        if *is_set {
                            format!("environment variable {name}")
                        } else {
                            format!("default for environment variable {name}, which is not set")
                        }
                    })
                    .collect();
                format!("{} ({file}:{line})", names.join(", "))
            }
            Self::Secret {
                kept_in,
                file,
                line,
            } => format!("{kept_in} ({file}:{line})"),
            Self::Default => "default".to_owned(),
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Json {
        match self {
            Self::File { file, line } => json!({ "kind": "file", "file": file, "line": line }),
            Self::Variables { names, file, line } => json!({
                "kind": "environment",
                "variables": names
                    .iter()
                    .map(|(name, is_set)| json!({ "name": name, "is_set": is_set }))
                    .collect::<Vec<_>>(),
                "file": file,
                "line": line,
            }),
            Self::Secret {
                kept_in,
                file,
                line,
            } => {
                json!({ "kind": "secret", "kept_in": kept_in, "file": file, "line": line })
            }
            Self::Default => json!({ "kind": "default" }),
        }
    }
}

/// All values that are written, and all that are not, as their defaults; by table, plain keys first.
pub(super) fn settings(root: &Table, own: &OwnConnectors) -> Vec<Setting> {
    let mut settings = Vec::new();
    let empty = Table::default();
    for section in ["server", "store", "salesforce"] {
        let table = root.table(section).unwrap_or(&empty);
        let schema = &SCHEMAS.root["properties"][section];
        add_table(table, schema, &[section.to_owned()], &mut settings);
    }
    for (name, entry) in root
        .table("sources")
        .into_iter()
        .flat_map(|all| &all.entries)
    {
        let Some(source) = entry.node.as_table() else {
            continue;
        };
        let schema = source
            .text("connector")
            .and_then(|(connector, _)| own.get(connector).or_else(|| SCHEMAS.source(connector)));
        let path = ["sources".to_owned(), name.clone()];
        add_table(source, schema.unwrap_or(&Json::Null), &path, &mut settings);
    }
    settings
}

fn add_table(table: &Table, table_schema: &Json, path: &[String], settings: &mut Vec<Setting>) {
    let table_schema = SCHEMAS.resolve(table_schema);
    let properties = table_schema["properties"].as_object();
    let known: Vec<(&String, &Json)> = properties.into_iter().flatten().collect();
    let others = table
        .entries
        .keys()
        .filter(|key| !known.iter().any(|(name, _)| name == key))
        .map(|key| (key, &table_schema["additionalProperties"]));
    let mut inner_tables = Vec::new();
    for (key, property) in known.iter().copied().chain(others) {
        let node = table.get(key);
        let is_secret = schema::is_secret(property);
        if let Some(node) = node {
            match node.as_table() {
                Some(inner) if !is_secret => inner_tables.push((key, inner, property)),
                _ => settings.push(Setting {
                    table: path.to_vec(),
                    key: key.clone(),
                    value: shown(node, key, is_secret, property.is_object()),
                    origin: origin(node, is_secret),
                }),
            }
        } else {
            let resolved = SCHEMAS.resolve(property);
            let default = property.get("default").or_else(|| resolved.get("default"));
            let is_map = resolved["type"] == "object" && !is_secret;
            if !is_map {
                settings.push(Setting {
                    table: path.to_vec(),
                    key: key.clone(),
                    value: default.cloned(),
                    origin: Origin::Default,
                });
            }
        }
    }
    for (key, inner, property) in inner_tables {
        let mut path = path.to_vec();
        path.push(key.clone());
        add_table(inner, property, &path, settings);
    }
}

/// The value, unless it is a secret, or could be one that stands where it should not.
fn shown(node: &Node, key: &str, is_secret: bool, is_known: bool) -> Option<Json> {
    let value = match &node.value {
        _ if is_secret => "***".into(),
        Value::Unknown | Value::Moment | Value::TooLarge => return None,
        Value::Text(_) if mask::is_secret_key(key) => "***".into(),
        Value::Text(_) if !is_known && node.spot.shown().contains("***") => "***".into(),
        Value::Text(_) if node.spot.has_several_lines() => "***".into(),
        Value::Text(text) => mask::without_url_password(text).into(),
        Value::List(items) => items
            .iter()
            .filter_map(|item| shown(item, key, false, is_known))
            .collect(),
        _ => node.to_json(),
    };
    Some(value)
}

fn origin(node: &Node, is_secret: bool) -> Origin {
    let place = node.spot.place();
    let file = place.file.display().to_string();
    let (line, _) = place.line_and_column();
    if is_secret
        && let Some(reference) = node.as_table()
        && let Some(kept_in) = kept_in(reference)
    {
        return Origin::Secret {
            kept_in,
            file,
            line,
        };
    }
    if node.variables.is_empty() {
        return Origin::File { file, line };
    }
    let names = node
        .variables
        .iter()
        .map(|variable| (variable.name.clone(), variable.is_set))
        .collect();
    Origin::Variables { names, file, line }
}

fn kept_in(reference: &Table) -> Option<String> {
    let shown = |kind: &str, (_, node): (&str, &Node)| format!("{kind} {}", node.spot.shown());
    reference
        .text("env")
        .map(|found| shown("environment variable", found))
        .or_else(|| reference.text("file").map(|found| shown("file", found)))
}
