//! The pages of one poll: its records, and what tells whether each is known.

use std::borrow::Cow;

use serde_json::Value;

use super::compile::{Compiler, Wanted, Way};
use super::mapping::{Mapping, Mark, RowId, id_of};
use crate::connector::manifest::{BodyEncoding, Poll};
use crate::connector::mechanism::body;
use crate::connector::path::Path;
use crate::connector::records::{Joiner, Joins, Page, RecordsError, RowsReader, pick};
use crate::connector::select::Scope;

/// Reads the pages of one poll, for one source.
#[derive(Debug)]
pub struct PageReader {
    records: Path,
    rows: Option<RowsReader>,
    joins: Vec<Joiner>,
    cursor: Vec<Path>,
    mapping: Mapping,
    /// The marks by plain paths alone, if they are.
    quick: Option<QuickMarks>,
}

/// What tells whether a record is known, and how far it brings the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// Of each of its submissions; one, unless records are split.
    pub submissions: Vec<Mark>,
    /// What the record says for the cursor, as it is written.
    pub cursor: Option<String>,
}

/// The places of id, version and cursor among the picked paths.
#[derive(Debug)]
struct QuickMarks {
    paths: Vec<Path>,
    id: Vec<std::ops::Range<usize>>,
    version: std::ops::Range<usize>,
    cursor: std::ops::Range<usize>,
}

impl PageReader {
    /// Parses a poll's paths; none if there is something wrong with where its records are.
    pub(super) fn new(
        poll: &Poll,
        mut mapping: Mapping,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let records =
            compiler.within("records", |compiler| match compiler.text(&poll.records) {
                Some(_) => compiler.path(&poll.records),
                None => Path::parse("").ok(),
            })?;
        let rows = poll.rows.as_ref().map(|rows| {
            let mut option =
                |name: &Option<String>| name.as_ref().and_then(|name| compiler.option(name));
            let header_row = option(&rows.header_row).and_then(|row| row.trim().parse().ok());
            mapping.rows = Some(RowId {
                column: option(&rows.id_column).filter(|column| !column.trim().is_empty()),
            });
            RowsReader {
                header_row: header_row.unwrap_or(1),
            }
        });
        let joins = compiler.within("join", |compiler| {
            let made = poll.join.iter().filter_map(|join| match Joiner::new(join) {
                Ok(joiner) => Some(joiner),
                Err(error) => {
                    compiler.problem(error.to_string());
                    None
                }
            });
            made.collect()
        });
        let cursor = compiler.within("cursor", |compiler| {
            let from = poll.cursor.as_ref().map(|cursor| cursor.from.0.as_slice());
            compiler.paths(from.unwrap_or_default())
        });
        let quick = QuickMarks::of(&mapping, &cursor);
        Some(Self {
            records,
            rows,
            joins,
            cursor,
            mapping,
            quick,
        })
    }

    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The records of a page as JSON objects, with what belongs to them from lists beside them. Each
    /// becomes the body of one event.
    pub fn records<'p>(&self, page: &'p Page<'_>) -> Result<Vec<Cow<'p, str>>, RecordsError> {
        let records = match &self.rows {
            Some(rows) => page.rows(&self.records, rows)?,
            None => page.records(&self.records)?,
        };
        if self.joins.is_empty() {
            return Ok(records);
        }
        let joins = Joins::of(&self.joins, page)?;
        let joined = records
            .iter()
            .map(|record| Cow::Owned(joins.joined(record)));
        Ok(joined.collect())
    }

    /// What tells whether a record is known; the same ids and versions as its submissions will have.
    pub fn marks(&self, record: &str, context: Option<&Value>) -> Marks {
        if let Some(quick) = &self.quick {
            return quick.of_record(record);
        }
        let cursor = pick(record, &self.cursor.iter().collect::<Vec<_>>());
        let value = body::decode(BodyEncoding::Json, "", record.as_bytes()).unwrap_or_default();
        let scope = |item, parent| Scope {
            parent,
            context,
            page: context.and_then(|context| context.get("page")),
            ..Scope::record(item)
        };
        let items = self.mapping.items(&value);
        let parent = self.mapping.split.as_ref().map(|_| &value);
        let mut submissions: Vec<Mark> = items
            .into_iter()
            .map(|item| self.mapping.mark(&scope(item, parent)))
            .collect();
        if submissions.is_empty() {
            submissions.push(self.mapping.mark(&scope(&value, None)));
        }
        Marks {
            submissions,
            cursor: cursor.into_iter().flatten().next(),
        }
    }
}

impl QuickMarks {
    fn of(mapping: &Mapping, cursor: &[Path]) -> Option<Self> {
        if mapping.split.is_some() || mapping.rows.is_some() {
            return None;
        }
        let mut paths = Vec::new();
        let id: Option<Vec<_>> = mapping
            .id
            .iter()
            .map(|wanted| add(&mut paths, wanted, mapping))
            .collect();
        let id = id?;
        let none = paths.len()..paths.len();
        let version = match &mapping.version {
            Some(version) => add(&mut paths, version, mapping)?,
            None => none,
        };
        let start = paths.len();
        paths.extend(cursor.iter().cloned());
        Some(Self {
            id,
            version,
            cursor: start..paths.len(),
            paths,
        })
    }

    fn of_record(&self, record: &str) -> Marks {
        let texts = pick(record, &self.paths.iter().collect::<Vec<_>>());
        let first = |range: &std::ops::Range<usize>| {
            texts
                .get(range.clone())
                .and_then(|texts| texts.iter().flatten().next().cloned())
        };
        let clean = |text: String| crate::connector::reading::clean(&text).into_owned();
        let id = if self.id.is_empty() {
            None
        } else {
            id_of(
                self.id
                    .iter()
                    .map(|range| first(range).map(clean))
                    .collect(),
            )
        };
        Marks {
            submissions: vec![Mark {
                id,
                version: first(&self.version).map(clean),
            }],
            cursor: first(&self.cursor),
        }
    }
}

/// Adds the paths of a value, if it is no more than plain paths in the record.
fn add(
    paths: &mut Vec<Path>,
    wanted: &Wanted,
    mapping: &Mapping,
) -> Option<std::ops::Range<usize>> {
    let start = paths.len();
    for way in &wanted.ways {
        match way {
            Way::Path {
                label,
                is_plain: true,
                ..
            } if !mapping.is_pivoted(label) => paths.push(Path::parse(label).ok()?),
            _ => return None,
        }
    }
    Some(start..paths.len())
}
