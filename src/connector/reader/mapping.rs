//! A record to submissions: which path is which lead field.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::compile::{Compiler, Wanted, Way};
use super::guess::Guesser;
use super::origin::Origins;
use super::pivot::{Entry, PivotReader, pivots};
use super::users::UserFields;
use super::verdict::Verdicts;
use crate::config::SourceConfig;
use crate::connector::manifest::{At, Manifest, Record, Take, TimeFormat};
use crate::connector::path::Path;
use crate::connector::records::row_hash;
use crate::connector::select::{Pivots, Scope};
use crate::connector::{reading, time};
use crate::model::field::ATTRIBUTION;
use crate::model::{Extracted, Millis, Verdict};

/// The longest id that is kept as it is; of a longer one, its hash.
const MOST_ID_BYTES: usize = 255;

/// How the records of one door are read.
#[derive(Debug)]
pub struct Mapping {
    /// The parts of the vendor's id.
    pub id: Vec<Wanted>,
    /// What changes whenever the record does.
    pub version: Option<Wanted>,
    /// Where several submissions are in a record.
    pub split: Option<Path>,
    /// Rows without an id of their own.
    pub rows: Option<RowId>,
    at: Option<AtReader>,
    verdicts: Verdicts,
    pivots: Vec<PivotReader>,
    fields: Vec<(String, Wanted)>,
    users: UserFields,
    origins: Origins,
    guesser: Option<Guesser>,
}

/// What tells rows apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowId {
    /// The column that does; without one, what they hold.
    pub column: Option<String>,
}

#[derive(Debug)]
struct AtReader {
    from: Wanted,
    format: Option<TimeFormat>,
    zone: TimeZone,
}

/// A submission, and where its values were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traced {
    /// What was found.
    pub extracted: Extracted,
    /// The path that gave each field, for people who ask; not said of fixed values.
    pub from: BTreeMap<String, String>,
}

/// What identifies one submission at the vendor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark {
    /// The vendor's id.
    pub id: Option<String>,
    /// The version of the record.
    pub version: Option<String>,
}

impl Mapping {
    /// Of one door: `record` in place of the manifest's, `fields` beside its own.
    pub fn new(
        manifest: &Manifest,
        record: Option<&Record>,
        fields: &BTreeMap<String, Take>,
        source: &SourceConfig,
        compiler: &mut Compiler<'_>,
    ) -> Self {
        let record = record.unwrap_or(&manifest.record);
        let takes: BTreeMap<&String, &Take> = manifest.fields.iter().chain(fields).collect();
        let fields = compiler.within("fields", |compiler| {
            takes
                .into_iter()
                .map(|(field, take)| {
                    let wanted = compiler.within(field, |compiler| compiler.value(take));
                    (field.clone(), wanted)
                })
                .collect()
        });
        let origins = compiler.within("attribution", |compiler| {
            Origins::new(&manifest.attribution, compiler)
        });
        compiler.within("record", |compiler| {
            let pivots: Vec<PivotReader> = compiler.within("pivot", |compiler| {
                let of = |(name, pivot): (&String, _), compiler: &mut Compiler<'_>| {
                    compiler.within(name, |compiler| PivotReader::new(name, pivot, compiler))
                };
                record
                    .pivot
                    .iter()
                    .map(|pivot| of(pivot, compiler))
                    .collect()
            });
            Self {
                id: compiler.within("id", |compiler| {
                    record.id.iter().map(|take| compiler.value(take)).collect()
                }),
                version: compiler.within("version", |compiler| {
                    record.version.as_ref().map(|take| compiler.value(take))
                }),
                split: compiler.within("split", |compiler| {
                    record.split.as_ref().and_then(|path| compiler.path(path))
                }),
                rows: None,
                at: record
                    .at
                    .as_ref()
                    .map(|at| compiler.within("at", |compiler| AtReader::new(at, compiler))),
                verdicts: Verdicts::new(record, compiler),
                guesser: record
                    .guess
                    .then(|| Guesser::new(&pivots, record.split.as_deref())),
                users: UserFields::new(&source.fields, &pivots),
                pivots,
                fields,
                origins,
            }
        })
    }

    /// The parts of a record that are submissions.
    pub fn items<'v>(&self, record: &'v Value) -> Vec<&'v Value> {
        let Some(split) = &self.split else {
            return vec![record];
        };
        let mut items = Vec::new();
        for found in split.all(record) {
            match found {
                Value::Array(inner) => items.extend(inner),
                Value::Object(_) => items.push(found),
                _ => {}
            }
        }
        items
    }

    /// Whether a path goes into one of the lists of keys and values.
    pub fn is_pivoted(&self, path: &str) -> bool {
        let name = path.split_once('.').map(|(name, _)| name);
        name.is_some_and(|name| self.pivots.iter().any(|pivot| pivot.name == name))
    }

    /// What identifies the submission in `scope`. Ids that are answers are looked for in its pivots.
    pub fn mark(&self, scope: &Scope<'_>) -> Mark {
        if scope.pivots.is_none() && !self.pivots.is_empty() {
            let pivots = self.pivots_of(&self.entries(scope));
            return self.mark(&Scope {
                pivots: Some(&pivots),
                ..*scope
            });
        }
        let parts = self
            .id
            .iter()
            .map(|part| part.find(scope).map(|had| had.value));
        let mut mark = Mark {
            id: if self.id.is_empty() {
                None
            } else {
                id_of(parts.collect())
            },
            version: self
                .version
                .as_ref()
                .and_then(|version| version.find(scope))
                .map(|had| had.value),
        };
        if let Some(rows) = &self.rows {
            mark.id = mark
                .id
                .or_else(|| id_of(vec![rows.of_column(scope.record)]));
            if mark.id.is_none() {
                mark.id = Some(row_hash(scope.record));
            }
            mark.version = mark.version.or_else(|| Some(row_hash(scope.record)));
        }
        mark
    }

    fn entries(&self, scope: &Scope<'_>) -> Vec<Entry> {
        let entries = self.pivots.iter().flat_map(|pivot| pivot.entries(scope));
        entries.collect()
    }

    fn pivots_of(&self, entries: &[Entry]) -> Pivots {
        pivots(entries, self.pivots.iter().map(|pivot| pivot.name.clone()))
    }

    /// Whether the submission in `scope` is a lead, and if not why.
    fn judge(&self, scope: &Scope<'_>, guessed_test: Option<String>) -> Verdict {
        match (self.verdicts.of(scope), guessed_test) {
            (Verdict::Genuine, Some(name)) => Verdict::Test(format!("the record says `{name}`")),
            (verdict, _) => verdict,
        }
    }

    /// One submission. `scope` holds no pivots yet.
    pub fn read(&self, scope: &Scope<'_>) -> Traced {
        let entries = self.entries(scope);
        let pivots = self.pivots_of(&entries);
        let scope = &Scope {
            pivots: Some(&pivots),
            ..*scope
        };
        let mut found = Found::default();
        for (field, wanted) in &self.fields {
            if let Some(had) = wanted.find(scope) {
                if let Some(from) = &had.from {
                    found.paths.push(from.trim_start_matches("$.").to_owned());
                }
                found.set(field, had.value, had.from);
            }
        }
        let pending = self.users.take(scope, &entries, &mut found);
        let mut origin = self.origins.of(scope);
        let form = super::guess::named(self.guesser.as_ref(), scope.record, entries, &found);
        let mut test = None;
        form.read(&pending, &mut found, &mut origin, &mut test);
        self.origins.add_addresses(scope, &mut origin);
        let named = self.origins.named(scope);
        for (name, value) in named.into_iter().chain(found.attribution) {
            origin.values.insert(name, value);
        }
        let mark = self.mark(scope);
        let verdict = self.judge(scope, test);
        let mut fields = found.fields;
        if matches!(verdict, Verdict::OptOut(_)) {
            fields
                .entry("email_opt_out".to_owned())
                .or_insert_with(|| "true".to_owned());
        }
        Traced {
            extracted: Extracted {
                ordinal: 0,
                vendor_id: mark.id,
                version: mark.version,
                at: self.at.as_ref().and_then(|at| at.of(scope)),
                fields,
                attribution: origin.values,
                verdict,
            },
            from: found.from,
        }
    }
}

/// Fields as they are found.
#[derive(Debug, Default)]
pub struct Found {
    /// By lead field.
    pub fields: BTreeMap<String, String>,
    /// Those that tell where the person came from.
    pub attribution: BTreeMap<String, String>,
    /// The path of each.
    pub from: BTreeMap<String, String>,
    /// Paths of the manifest whose values have been taken.
    pub paths: Vec<String>,
    /// Places of the user's mapping whose values have been taken: paths, or names of entries.
    pub names: Vec<String>,
}

impl Found {
    /// Sets a field, in place of what it held.
    pub fn set(&mut self, field: &str, value: String, from: Option<String>) {
        if ATTRIBUTION.contains(&field) {
            self.attribution.insert(field.to_owned(), value);
        } else {
            self.fields.insert(field.to_owned(), value);
        }
        match from {
            Some(from) => self.from.insert(field.to_owned(), from),
            None => self.from.remove(field),
        };
    }
}

impl RowId {
    /// What the column holds.
    fn of_column(&self, row: &Value) -> Option<String> {
        let column = reading::fold(self.column.as_ref()?);
        let cells = row.as_object()?;
        let (_, cell) = cells
            .iter()
            .find(|(name, _)| reading::fold(name) == column)?;
        let mut texts = Vec::new();
        crate::connector::select::add_texts(cell, &mut texts);
        texts.pop()
    }
}

impl AtReader {
    fn new(at: &At, compiler: &mut Compiler<'_>) -> Self {
        let zone = at.zone.as_ref().and_then(|option| compiler.option(option));
        let take = Take {
            from: at.from.0.clone(),
            of: at.of,
            ..Take::default()
        };
        Self {
            from: compiler.value(&take),
            format: at.format,
            zone: time::zone(zone.as_deref()),
        }
    }

    /// The first of its times that is one.
    fn of(&self, scope: &Scope<'_>) -> Option<Millis> {
        self.from.ways.iter().find_map(|way| match way {
            Way::Path { taker, .. } => time::parse(&taker.text(scope)?, self.format, &self.zone),
            Way::Fixed(_) => None,
        })
    }
}

/// An id of its parts; none if one of them is not there. A long one is told by its hash.
pub fn id_of(parts: Vec<Option<String>>) -> Option<String> {
    let parts: Option<Vec<String>> = parts.into_iter().collect();
    let id = parts?.join(":");
    let id = reading::clean(&id);
    if id.is_empty() {
        return None;
    }
    if id.len() <= MOST_ID_BYTES {
        return Some(id.into_owned());
    }
    let hash = digest(&SHA256, id.as_bytes());
    Some(
        hash.as_ref()
            .iter()
            .fold("sha256-".to_owned(), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            }),
    )
}
