//! Lists of keys and values: answers to questions.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::compile::Compiler;
use crate::connector::manifest::{Choices, Of, Pivot, Titles};
use crate::connector::path::{Path, Step};
use crate::connector::reading::clean;
use crate::connector::select::{Pivots, Scope, add_texts};

/// The most entries of one list that are read. Real forms have dozens.
const MOST_ENTRIES: usize = 500;

/// The longest key or title, in characters.
const MOST_CHARS: usize = 300;

/// A [`Pivot`], made ready.
#[derive(Debug, Clone)]
pub struct PivotReader {
    /// As in paths: `answer`.
    pub name: String,
    /// Whether entries that nothing maps are kept.
    pub keep: bool,
    lists: Vec<Path>,
    of: Of,
    key: Vec<Path>,
    value: Vec<Path>,
    title: Vec<Path>,
    titles: Option<String>,
    titles_in: Option<TitlesReader>,
    separator: Option<String>,
    fold: bool,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The list's name.
    pub pivot: String,
    /// The key.
    pub key: String,
    /// What people call it.
    pub title: Option<String>,
    /// The values, none of them blank.
    pub values: Vec<String>,
    /// Whether it is kept where nothing maps it.
    pub keep: bool,
}

impl Entry {
    /// Whether `key` in a path means this entry.
    pub fn is_called(&self, key: &str) -> bool {
        let names = || std::iter::once(self.key.as_str()).chain(self.title.as_deref());
        let folded = bare(key);
        names().any(|name| name == key)
            || (!folded.is_empty() && names().any(|name| bare(name) == folded))
    }
}

#[derive(Debug, Clone)]
struct TitlesReader {
    lists: Vec<Path>,
    of: Of,
    key: Vec<Path>,
    value: Vec<Path>,
    choices: Option<ChoicesReader>,
}

#[derive(Debug, Clone)]
struct ChoicesReader {
    lists: Vec<Path>,
    key: Vec<Path>,
    value: Vec<Path>,
}

impl PivotReader {
    /// Parses its paths.
    pub fn new(name: &str, pivot: &Pivot, compiler: &mut Compiler<'_>) -> Self {
        let some = |paths: &Option<crate::connector::manifest::OneOrMany>,
                    compiler: &mut Compiler<'_>| {
            paths
                .as_ref()
                .map(|paths| compiler.paths(&paths.0))
                .unwrap_or_default()
        };
        Self {
            name: name.to_owned(),
            keep: pivot.keep,
            lists: compiler.paths(&pivot.list.0),
            of: pivot.of,
            key: some(&pivot.key, compiler),
            value: compiler.paths(&pivot.value.0),
            title: some(&pivot.title, compiler),
            titles: pivot.titles.clone(),
            titles_in: pivot
                .titles_in
                .as_ref()
                .map(|titles| TitlesReader::new(titles, compiler)),
            separator: pivot.separator.clone().filter(|mark| !mark.is_empty()),
            fold: pivot.fold,
        }
    }

    /// Whether the member at `path` (`a.b`) of the record is this list, so that its entries need not be
    /// looked for otherwise.
    pub fn is_at(&self, path: &str) -> bool {
        self.of == Of::Record
            && self.lists.iter().any(|list| {
                let text = list.to_string();
                text.trim_start_matches("$.").trim_end_matches("[*]") == path
            })
    }

    /// Its entries in a record, in their order; several of one key are one.
    pub fn entries(&self, scope: &Scope<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let Some(root) = root(scope, self.of) else {
            return entries;
        };
        let titles = self.titles_in.as_ref().map(|titles| titles.read(scope));
        for (member, entry) in listed(root, &self.lists) {
            let key = first(entry, &self.key).or_else(|| member.map(str::to_owned));
            let Some(key) = key.map(|key| cut(&key)).filter(|key| !key.is_empty()) else {
                continue;
            };
            let known = titles.as_ref().and_then(|titles| titles.get(&key));
            let title = first(entry, &self.title)
                .or_else(|| known.and_then(|known| known.title.clone()))
                .or_else(|| self.looked_up(&key, scope))
                .map(|title| cut(&title))
                .filter(|title| !title.is_empty());
            let mut values = self.values(entry);
            if let Some(known) = known {
                for value in &mut values {
                    if let Some(text) = known.choices.get(value.trim()) {
                        value.clone_from(text);
                    }
                }
            }
            if values.is_empty() {
                continue;
            }
            let key = if self.fold { usable(&key) } else { key };
            let known = entries.iter().position(|entry| entry.key == key);
            match known {
                Some(same) => entries[same].values.extend(values),
                None if entries.len() < MOST_ENTRIES => entries.push(Entry {
                    pivot: self.name.clone(),
                    key,
                    title,
                    values,
                    keep: self.keep,
                }),
                None => break,
            }
        }
        entries
    }

    fn values(&self, entry: &Value) -> Vec<String> {
        let texts = self.value.iter().map(|path| texts_at(entry, path));
        let texts = texts.into_iter().map(|texts| self.separated(texts));
        texts
            .into_iter()
            .find(|texts| !texts.is_empty())
            .unwrap_or_default()
    }

    fn separated(&self, texts: Vec<String>) -> Vec<String> {
        let Some(mark) = &self.separator else {
            return texts;
        };
        let parts = texts.iter().flat_map(|text| text.split(mark.as_str()));
        let parts = parts.map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    fn looked_up(&self, key: &str, scope: &Scope<'_>) -> Option<String> {
        let table = scope.context?.get(self.titles.as_ref()?)?;
        joined(vec_of(table.get(key)?))
    }
}

/// Entries by the names that paths have for them.
pub fn pivots(entries: &[Entry], names: impl Iterator<Item = String>) -> Pivots {
    let mut pivots: Pivots = names.map(|name| (name, BTreeMap::new())).collect();
    for entry in entries {
        let by_key = pivots.entry(entry.pivot.clone()).or_default();
        if let Some(value) = joined(entry.values.clone()) {
            by_key.insert(entry.key.clone(), value);
        }
    }
    // A title that is also a key is the key.
    for entry in entries {
        if let (Some(title), Some(value)) = (&entry.title, joined(entry.values.clone())) {
            let by_key = pivots.entry(entry.pivot.clone()).or_default();
            by_key.entry(title.clone()).or_insert(value);
        }
    }
    pivots
}

struct Known {
    title: Option<String>,
    choices: HashMap<String, String>,
}

impl TitlesReader {
    fn new(titles: &Titles, compiler: &mut Compiler<'_>) -> Self {
        let choices = |choices: &Choices, compiler: &mut Compiler<'_>| ChoicesReader {
            lists: compiler.paths(&choices.list.0),
            key: compiler.paths(&choices.key.0),
            value: compiler.paths(&choices.value.0),
        };
        Self {
            lists: compiler.paths(&titles.list.0),
            of: titles.of,
            key: compiler.paths(&titles.key.0),
            value: compiler.paths(&titles.value.0),
            choices: titles.choices.as_ref().map(|it| choices(it, compiler)),
        }
    }

    fn read(&self, scope: &Scope<'_>) -> HashMap<String, Known> {
        let mut known = HashMap::new();
        let Some(root) = root(scope, self.of) else {
            return known;
        };
        for (member, entry) in listed(root, &self.lists).into_iter().take(MOST_ENTRIES) {
            let key = first(entry, &self.key).or_else(|| member.map(str::to_owned));
            let Some(key) = key.map(|key| cut(&key)) else {
                continue;
            };
            let choices = self.choices.as_ref().map(|choices| choices.read(entry));
            known.entry(key).or_insert(Known {
                title: first(entry, &self.value),
                choices: choices.unwrap_or_default(),
            });
        }
        known
    }
}

impl ChoicesReader {
    fn read(&self, entry: &Value) -> HashMap<String, String> {
        let choices = listed(entry, &self.lists).into_iter().take(MOST_ENTRIES);
        choices
            .filter_map(|(member, choice)| {
                let key = first(choice, &self.key).or_else(|| member.map(str::to_owned))?;
                Some((key.trim().to_owned(), first(choice, &self.value)?))
            })
            .collect()
    }
}

/// What a path starts at.
fn root<'a>(scope: &Scope<'a>, of: Of) -> Option<&'a Value> {
    match of {
        Of::Record => Some(scope.record),
        Of::Parent => scope.parent,
        Of::Body => scope.body,
        Of::Page => scope.page,
        Of::Context => scope.context,
        Of::Header => None,
    }
}

/// The entries of lists: an array's items, an object's members with their names. Of a path that ends
/// in `[*]`, and of a query, what it finds.
fn listed<'v>(root: &'v Value, lists: &[Path]) -> Vec<(Option<&'v str>, &'v Value)> {
    let mut entries = Vec::new();
    for list in lists {
        let is_of_entries = list
            .steps()
            .is_none_or(|steps| matches!(steps.last(), Some(Step::Each)));
        for found in list.all(root) {
            match found {
                Value::Array(items) => entries.extend(items.iter().map(|item| (None, item))),
                Value::Object(members) if !is_of_entries => {
                    entries.extend(
                        members
                            .iter()
                            .map(|(name, value)| (Some(name.as_str()), value)),
                    );
                }
                Value::Null => {}
                other => entries.push((None, other)),
            }
        }
    }
    entries
}

fn first(entry: &Value, paths: &[Path]) -> Option<String> {
    paths.iter().find_map(|path| joined(texts_at(entry, path)))
}

fn texts_at(entry: &Value, path: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for value in path.all(entry) {
        add_texts(value, &mut texts);
    }
    texts
}

fn vec_of(value: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    add_texts(value, &mut texts);
    texts
}

fn joined(texts: Vec<String>) -> Option<String> {
    let mut once: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        if !once.contains(&text) {
            once.push(text);
        }
    }
    (!once.is_empty()).then(|| once.join(";"))
}

fn cut(text: &str) -> String {
    clean(text).chars().take(MOST_CHARS).collect()
}

/// A name without what makes no difference in paths.
fn bare(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A key as the name of a field: `Which product? 🚀` is `which_product`. Of signs alone nothing would
/// be left; those stay as they are.
pub fn usable(key: &str) -> String {
    const MOST_NAME_CHARS: usize = 100;
    let mut name = String::new();
    for c in key.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name: String = name
        .trim_end_matches('_')
        .chars()
        .take(MOST_NAME_CHARS)
        .collect();
    if name.is_empty() {
        key.trim().chars().take(MOST_NAME_CHARS).collect()
    } else {
        name
    }
}
