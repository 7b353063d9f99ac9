//! What no path names, by usual names: answers, and a record's own values where the manifest asks for
//! it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::mapping::Found;
use super::origin::{add_place, is_unfilled};
use super::pivot::{Entry, PivotReader, usable};
use super::users::Pending;
use crate::connector::reading::{Attribution, Field, Form, Reading, Said, is_yes, said_by_name};
use crate::connector::select::add_texts;
use crate::model::EventMeta;
use crate::model::field;
use crate::model::field::ATTRIBUTION;

/// The most values of a record that are looked at, how deep, and the longest name in bytes: as of a web
/// form.
const MOST_VALUES: usize = 500;
const MOST_DEPTH: usize = 16;
const MOST_NAME_BYTES: usize = 255;

/// Walks a record for values by their names.
#[derive(Debug)]
pub struct Guesser {
    pivots: Vec<PivotReader>,
    split: Option<String>,
}

impl Guesser {
    /// Leaves out what is read otherwise: lists of keys and values, and what is split off.
    pub fn new(pivots: &[PivotReader], split: Option<&str>) -> Self {
        Self {
            pivots: pivots.to_vec(),
            split: split.map(|path| path.trim_end_matches("[*]").to_owned()),
        }
    }

    fn walk(&self, value: &Value, path: &str, depth: usize, taken: &[String], named: &mut Named) {
        let is_elsewhere = || {
            self.split.as_deref() == Some(path) || self.pivots.iter().any(|pivot| pivot.is_at(path))
        };
        if depth > MOST_DEPTH || path.len() > MOST_NAME_BYTES || (depth > 0 && is_elsewhere()) {
            return;
        }
        let inner = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.walk(member, &inner(name), depth + 1, taken, named);
                }
            }
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    match item {
                        Value::Object(_) | Value::Array(_) => {
                            self.walk(item, &inner(&place.to_string()), depth + 1, taken, named);
                        }
                        _ => self.walk(item, path, depth + 1, taken, named),
                    }
                }
            }
            // What a path took is no second value of an entry that happens to have its name.
            _ if named.entries.contains(path) && taken.iter().any(|taken| taken == path) => {}
            _ => {
                let mut texts = Vec::new();
                add_texts(value, &mut texts);
                for text in texts {
                    named.add(path.to_owned(), text, None);
                }
            }
        }
    }
}

/// Values by names that say something.
#[derive(Debug, Default)]
pub struct Named {
    form: Form,
    said: Vec<Arc<Said>>,
    /// Names whose values are not kept if no name says what they are.
    passing: BTreeSet<String>,
    /// Names that entries have.
    entries: BTreeSet<String>,
    values: usize,
    /// Whether the record's own values are among them.
    is_of_record: bool,
}

/// All that has a name: entries of lists, and the record's own values.
pub fn named(
    guesser: Option<&Guesser>,
    record: &Value,
    entries: Vec<Entry>,
    found: &Found,
) -> Named {
    let mut named = Named::default();
    for entry in entries {
        let is_taken = found.paths.iter().chain(&found.names).any(|from| {
            let called = from.split_once('.');
            called.is_some_and(|(pivot, key)| pivot == entry.pivot && entry.is_called(key))
        });
        if !is_taken {
            named.entry(entry, found);
        }
    }
    if let Some(guesser) = guesser {
        named.is_of_record = true;
        guesser.walk(record, "", 0, &found.paths, &mut named);
    }
    named
}

impl Named {
    fn entry(&mut self, entry: Entry, found: &Found) {
        let shown = entry.title.as_deref().unwrap_or(&entry.key);
        let said = said(&entry.key, entry.title.as_deref());
        let mut name = usable(shown);
        // Another answer than the one that is there already keeps a name of its own.
        if field::find(&name).is_some() && found.fields.contains_key(&name) {
            name = format!("{}_{name}", entry.pivot);
        }
        if !entry.keep {
            self.passing.insert(name.clone());
        }
        for value in entry.values {
            if said.parameter.is_some() && is_unfilled(&value) {
                continue;
            }
            self.add(name.clone(), value, Some(&said));
        }
        self.entries.insert(name);
    }

    fn add(&mut self, name: String, value: String, said: Option<&Arc<Said>>) {
        if self.values >= MOST_VALUES || name.trim().is_empty() {
            return;
        }
        self.values += 1;
        let known = self.form.fields.iter_mut().find(|field| field.name == name);
        if let Some(field) = known {
            field.values.push(value);
        } else {
            self.said
                .push(said.map_or_else(|| said_by_name(&name), Arc::clone));
            self.form.fields.push(Field {
                name,
                values: vec![value],
            });
        }
    }

    /// Sets the fields that the names mean and that are not set, and keeps the rest.
    pub fn read(
        &self,
        pending: &[Pending<'_>],
        found: &mut Found,
        origin: &mut Attribution,
        test: &mut Option<String>,
    ) {
        let mut reading = Reading::new(&self.form, &self.said, &EventMeta::default());
        reading.fields = std::mem::take(&mut found.fields);
        // A path of the record names no entry.
        let of_record = |path: &&String| !self.entries.contains(path.as_str());
        for name in found.paths.iter().filter(of_record).chain(&found.names) {
            reading.use_up(name);
        }
        for Pending {
            field,
            names,
            value,
        } in pending
        {
            let mut by_name = None;
            for name in names {
                let taken = reading.take(field, name);
                if by_name.is_none() {
                    by_name = taken.map(|value| (value, (*name).to_owned()));
                }
            }
            let fixed = || value.map(|value| (value.to_owned(), None));
            let had = by_name
                .map(|(value, name)| (value, Some(name)))
                .or_else(|| {
                    // A fixed value stands in for what is not there, not for what the manifest found.
                    let is_set = reading.fields.contains_key(*field)
                        || found.attribution.contains_key(*field);
                    if names.is_empty() || !is_set {
                        fixed()
                    } else {
                        None
                    }
                });
            if let Some((value, from)) = had {
                if ATTRIBUTION.contains(field) {
                    found.attribution.insert((*field).to_owned(), value);
                } else {
                    reading.fields.insert((*field).to_owned(), value);
                }
                match from {
                    Some(from) => found.from.insert((*field).to_owned(), from),
                    None => found.from.remove(*field),
                };
            }
        }
        if self.is_of_record {
            *test = self.test_marker();
        }
        let is_test = test.is_some();
        reading.set_aside(&|field, said| {
            is_test && said.is_test_marker && field.first().is_some_and(is_yes)
        });
        let before: BTreeSet<String> = reading.fields.keys().cloned().collect();
        reading.take_known();
        let same: Vec<String> = ["email", "phone", "mobile"]
            .iter()
            .filter_map(|field| reading.fields.get(*field).cloned())
            .collect();
        reading.set_aside(&|field, _| {
            self.passing.contains(&field.name)
                || field
                    .first()
                    .is_some_and(|value| same.iter().any(|same| same == value))
        });
        reading.keep_unknown();
        for (name, value) in &reading.fields {
            if !before.contains(name)
                && let Some(from) = self.name_of(name, value)
            {
                found.from.insert(name.clone(), from);
            }
        }
        add_place(origin, std::mem::take(&mut reading.attribution));
        found.fields = reading.fields;
    }

    /// The name of a value that says that the record was made to try things out.
    fn test_marker(&self) -> Option<String> {
        let mut fields = self.form.fields.iter().zip(&self.said);
        let marker =
            fields.find(|(field, said)| said.is_test_marker && field.first().is_some_and(is_yes));
        marker.map(|(field, _)| field.name.clone())
    }

    /// The name that gave a field its value.
    fn name_of(&self, target: &str, value: &str) -> Option<String> {
        let fields = self.form.fields.iter().zip(&self.said);
        let of_target = |(field, said): &(&Field, &Arc<Said>)| {
            field.name == target || said.meaning.is_some_and(|meaning| meaning.field == target)
        };
        let mut named = fields.filter(of_target).map(|(field, _)| field);
        let first = named.next()?;
        let same = std::iter::once(first)
            .chain(named)
            .find(|field| field.first() == Some(value));
        Some(same.unwrap_or(first).name.clone())
    }
}

/// What a key says, or if it says nothing its title.
fn said(key: &str, title: Option<&str>) -> Arc<Said> {
    let by_key = said_by_name(key);
    let Some(title) = title else {
        return by_key;
    };
    let by_title = said_by_name(title);
    if by_key.is_forbidden || by_key.meaning.is_some() || by_key.parameter.is_some() {
        return by_key;
    }
    by_title
}
