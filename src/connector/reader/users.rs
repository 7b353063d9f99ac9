//! What a source's `[sources.<name>.fields]` takes: it wins over the manifest.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::mapping::Found;
use super::pivot::{Entry, PivotReader};
use crate::config::FieldMapping;
use crate::connector::path::Path;
use crate::connector::reading::{choose, clean, is_forbidden};
use crate::connector::select::{Scope, add_texts};

/// All of a source's own fields.
#[derive(Debug)]
pub struct UserFields(Vec<UserField>);

#[derive(Debug)]
struct UserField {
    field: String,
    places: Vec<Place>,
    value: Option<String>,
}

#[derive(Debug)]
struct Place {
    /// As it is written.
    text: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// An entry of a list of keys and values; the key may be of any characters.
    Entry { pivot: String, key: String },
    /// A path in the record; none if it can only be a name.
    Path(Option<Path>),
}

/// A field that was not found by a path, and may be by a name.
#[derive(Debug)]
pub struct Pending<'u> {
    /// The lead field.
    pub field: &'u str,
    /// The names, in the order in which they are tried.
    pub names: Vec<&'u str>,
    /// Its value if there is none of them.
    pub value: Option<&'u str>,
}

impl UserFields {
    /// Made ready. Values that a mapping replaces are replaced later, when they are normalised.
    pub fn new(mappings: &BTreeMap<String, FieldMapping>, pivots: &[PivotReader]) -> Self {
        let place = |from: &String| {
            let kind = match from.split_once('.') {
                Some((name, key)) if pivots.iter().any(|pivot| pivot.name == name) => Kind::Entry {
                    pivot: name.to_owned(),
                    key: key.to_owned(),
                },
                // What is no path can still be the name of a column: `Phone [work]`.
                _ => Kind::Path(Path::parse(from).ok()),
            };
            Place {
                text: from.clone(),
                kind,
            }
        };
        let fields = mappings.iter().map(|(field, mapping)| UserField {
            field: field.clone(),
            places: mapping
                .from
                .iter()
                .filter(|from| !is_forbidden(from))
                .map(place)
                .collect(),
            value: mapping.value.clone(),
        });
        Self(fields.collect())
    }

    /// Sets what is found by paths and keys; returns what may yet be found by name.
    pub fn take(
        &self,
        scope: &Scope<'_>,
        entries: &[Entry],
        found: &mut Found,
    ) -> Vec<Pending<'_>> {
        let mut pending = Vec::new();
        for field in &self.0 {
            let at = |place: &Place| {
                let texts = place.texts(scope, entries);
                let texts = texts
                    .iter()
                    .map(|text| clean(text))
                    .filter(|text| !text.is_empty());
                choose(
                    &field.field,
                    texts.collect::<Vec<Cow<'_, str>>>().into_iter(),
                )
            };
            // Values of all places are used up, as a form's are.
            let mut first = None;
            for place in &field.places {
                if let Some(value) = at(place) {
                    found.names.push(place.text.clone());
                    first = first.or(Some((value, place.text.clone())));
                }
            }
            match first {
                Some((value, from)) => found.set(&field.field, value, Some(from)),
                None => pending.push(Pending {
                    field: &field.field,
                    names: field
                        .places
                        .iter()
                        .map(|place| place.text.as_str())
                        .collect(),
                    value: field.value.as_deref(),
                }),
            }
        }
        pending
    }
}

impl Place {
    fn texts(&self, scope: &Scope<'_>, entries: &[Entry]) -> Vec<String> {
        match &self.kind {
            Kind::Entry { pivot, key } => {
                let of_list = || entries.iter().filter(|entry| entry.pivot == *pivot);
                let exact = of_list().find(|entry| entry.key == *key);
                let entry = exact.or_else(|| of_list().find(|entry| entry.is_called(key)));
                entry.map(|entry| entry.values.clone()).unwrap_or_default()
            }
            Kind::Path(path) => {
                let mut texts = Vec::new();
                for value in path.iter().flat_map(|path| path.all(scope.record)) {
                    add_texts(value, &mut texts);
                }
                texts
            }
        }
    }
}
