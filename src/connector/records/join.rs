//! Lists beside the records whose entries belong to them (side-loading).

use std::collections::HashMap;

use super::{Page, RecordsError, pick};
use crate::connector::manifest::Join;
use crate::connector::path::{Path, PathError};

/// A [`Join`], made ready.
#[derive(Debug, Clone)]
pub struct Joiner {
    list: Path,
    key: Path,
    equals: Path,
    name: String,
}

impl Joiner {
    /// Parses its paths.
    pub fn new(join: &Join) -> Result<Self, PathError> {
        Ok(Self {
            list: Path::parse(&join.list)?,
            key: Path::parse(&join.key)?,
            equals: Path::parse(&join.equals)?,
            name: join.name.clone(),
        })
    }
}

/// The entries of a page's lists, by the record that they name.
#[derive(Debug)]
pub struct Joins<'j> {
    lists: Vec<(&'j Joiner, HashMap<String, Vec<String>>)>,
}

impl<'j> Joins<'j> {
    /// Reads the lists of a page.
    pub fn of(joiners: &'j [Joiner], page: &Page<'_>) -> Result<Self, RecordsError> {
        let mut lists = Vec::with_capacity(joiners.len());
        for joiner in joiners {
            let mut by_key: HashMap<String, Vec<String>> = HashMap::new();
            for entry in page.records(&joiner.list)? {
                let key = pick(&entry, &[&joiner.key]).pop().flatten();
                if let Some(key) = key {
                    by_key.entry(key).or_default().push(entry.into_owned());
                }
            }
            lists.push((joiner, by_key));
        }
        Ok(Self { lists })
    }

    /// Whether there is nothing to join.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The record with its entries, as members of their own. A record that has a member of that name
    /// (ids of the entries) has the entries in its place: of two members the last counts.
    pub fn joined(&self, record: &str) -> String {
        // A record is an object: its own brace is the last.
        let inner = record.trim_end();
        let mut joined = inner.strip_suffix('}').unwrap_or(inner).to_owned();
        let mut is_empty = joined.trim() == "{";
        for (joiner, by_key) in &self.lists {
            let key = pick(record, &[&joiner.equals]).pop().flatten();
            let entries = key.and_then(|key| by_key.get(&key));
            if !is_empty {
                joined.push(',');
            }
            is_empty = false;
            joined.push_str(&serde_json::Value::from(joiner.name.as_str()).to_string());
            joined.push_str(":[");
            joined.push_str(&entries.map(|entries| entries.join(",")).unwrap_or_default());
            joined.push(']');
        }
        joined.push('}');
        joined
    }
}
