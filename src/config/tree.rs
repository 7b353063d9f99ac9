//! A parsed file as a tree in which every key and value knows its place.
//!
//! The tree, not the typed configuration, is what is checked: it still holds what serde would refuse,
//! and each problem in it has a line.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::source_file::{SourceFile, Spot};

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The value.
    pub value: Value,
    /// Where it is written; for `[a.b]` the header.
    pub spot: Spot,
    /// The environment variables that its text was put together from.
    pub variables: Vec<Variable>,
}

/// An environment variable in a value.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    /// Its name.
    pub name: String,
    /// Whether it was set; otherwise the default in the file was taken.
    pub is_set: bool,
}

/// What TOML can hold.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Date or time; no key takes one.
    Moment,
    /// A number too large for a computer.
    TooLarge,
    /// Text that could not be put together; that was told, and nothing more can be said of it.
    Unknown,
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What people call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with decimals",
            Self::Boolean(_) => "true or false",
            Self::Moment => "a date or time",
            Self::TooLarge => "a number that is too large",
            Self::Unknown => "unknown",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Only the kind: a text may be a secret that stands where it should not.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(items) => items.fmt(f),
            Self::Table(table) => table.fmt(f),
            other => f.write_str(other.kind()),
        }
    }
}

/// A table, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub entries: BTreeMap<String, Entry>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where the key is written.
    pub key: Spot,
    pub node: Node,
}

impl Table {
    /// Takes over what was parsed of `file`.
    pub fn from_toml(table: &DeTable<'_>, file: &Arc<SourceFile>) -> Self {
        let entries = table
            .iter()
            .map(|(key, value)| {
                let entry = Entry {
                    key: spot(file, key.span()),
                    node: Node::from_toml(value.get_ref(), value.span(), file),
                };
                (key.get_ref().to_string(), entry)
            })
            .collect();
        Self { entries }
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|entry| &entry.node)
    }

    /// The table at `key`, if it is one.
    pub fn table(&self, key: &str) -> Option<&Table> {
        self.get(key).and_then(Node::as_table)
    }

    /// The text at `key`, if it is text, with its node.
    pub fn text(&self, key: &str) -> Option<(&str, &Node)> {
        let node = self.get(key)?;
        node.as_text().map(|text| (text, node))
    }

    /// The texts in the list at `key`.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = (&str, &Node)> {
        let items = match self.get(key).map(|node| &node.value) {
            Some(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        items
            .iter()
            .filter_map(|node| node.as_text().map(|text| (text, node)))
    }

    /// The node at the end of a path of keys, or the last one on the way that exists.
    pub fn deepest<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Node> {
        let mut table = self;
        let mut found = None;
        for key in path {
            let Some(node) = table.get(key) else { break };
            found = Some(node);
            match node.as_table() {
                Some(inner) => table = inner,
                None => break,
            }
        }
        found
    }

    /// The same as JSON, for serde.
    pub fn to_json(&self) -> Json {
        self.entries
            .iter()
            .map(|(key, entry)| (key.clone(), entry.node.to_json()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl Node {
    fn from_toml(value: &DeValue<'_>, span: Range<usize>, file: &Arc<SourceFile>) -> Self {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or(Value::TooLarge, Value::Integer),
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => Value::TooLarge,
            },
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Moment,
            DeValue::Array(list) => Value::List(
                list.iter()
                    .map(|item| Self::from_toml(item.get_ref(), item.span(), file))
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(Table::from_toml(table, file)),
        };
        Self {
            value,
            spot: spot(file, span),
            variables: Vec::new(),
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What people call this kind of value.
    pub fn kind(&self) -> &'static str {
        self.value.kind()
    }

    /// The same as JSON, for serde. What no key takes becomes null.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Text(text) => text.as_str().into(),
            Value::Integer(integer) => (*integer).into(),
            Value::Float(float) => (*float).into(),
            Value::Boolean(boolean) => (*boolean).into(),
            Value::Moment | Value::TooLarge | Value::Unknown => Json::Null,
            Value::List(list) => list.iter().map(Self::to_json).collect(),
            Value::Table(table) => table.to_json(),
        }
    }
}

fn spot(file: &Arc<SourceFile>, span: Range<usize>) -> Spot {
    Spot {
        file: Arc::clone(file),
        span,
    }
}
