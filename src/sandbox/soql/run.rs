use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value as Json, json};

use super::bind::{BoundOrder, BoundQuery, Children, Key, Path, Select, Test};
use super::syntax::Glob;
use crate::sandbox::org::{Org, Row};
use crate::sandbox::schema::{Kind, ObjectIx};
use crate::sandbox::value::Value;

impl BoundQuery {
    /// The numbers of the records that fit, in order. `with_deleted`: as queryAll sees them.
    pub(in crate::sandbox) fn find(&self, org: &Org, with_deleted: bool) -> Vec<u32> {
        let table = org.table(self.object);
        let fits =
            |number: &u32| (with_deleted || !table.at(*number).deleted) && self.fits(org, *number);
        let by_index = self
            .filter
            .as_ref()
            .and_then(|test| test.candidates(org, self.object, with_deleted));
        let found: Vec<u32> = match by_index {
            Some(numbers) => numbers.into_iter().filter(fits).collect(),
            None => (0..table.rows().len() as u32).filter(fits).collect(),
        };
        self.sort_and_cut(org, found)
    }

    /// Those of these live records that fit, in order.
    fn order_and_cut(&self, org: &Org, mut numbers: Vec<u32>) -> Vec<u32> {
        numbers.retain(|number| self.fits(org, *number));
        self.sort_and_cut(org, numbers)
    }

    fn fits(&self, org: &Org, number: u32) -> bool {
        let row = org.table(self.object).at(number);
        let filter = self.filter.as_ref();
        filter.is_none_or(|test| test.holds(org, self.object, row))
    }

    fn sort_and_cut(&self, org: &Org, mut found: Vec<u32>) -> Vec<u32> {
        let table = org.table(self.object);
        if !self.order.is_empty() {
            let keys = |number: u32| {
                let row = table.at(number);
                let value = |order: &BoundOrder| order.path.value(org, self.object, row);
                self.order.iter().map(value).collect::<Vec<_>>()
            };
            let mut keyed: Vec<_> = found
                .into_iter()
                .map(|number| (keys(number), number))
                .collect();
            keyed.sort_by(|(a, _), (b, _)| {
                let each = self.order.iter().zip(a.iter().zip(b));
                each.map(|(order, (a, b))| order.compare(a.as_deref(), b.as_deref()))
                    .find(|ordering| ordering.is_ne())
                    .unwrap_or(Ordering::Equal)
            });
            found = keyed.into_iter().map(|(_, number)| number).collect();
        }
        found
            .into_iter()
            .skip(self.offset)
            .take(self.limit)
            .collect()
    }
}

impl BoundOrder {
    fn compare(&self, a: Option<&Value>, b: Option<&Value>) -> Ordering {
        let nulls = if self.nulls_last {
            Ordering::Greater
        } else {
            Ordering::Less
        };
        match (a, b) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => nulls,
            (Some(_), None) => nulls.reverse(),
            (Some(a), Some(b)) => {
                let ascending = compare_values(a, b);
                if self.descending {
                    ascending.reverse()
                } else {
                    ascending
                }
            }
        }
    }
}

fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => {
            let lower = |text: &str| {
                text.chars()
                    .flat_map(char::to_lowercase)
                    .collect::<String>()
            };
            lower(a).cmp(&lower(b))
        }
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.total_cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Moment(a), Value::Moment(b)) => a.cmp(b),
        (Value::Id(a), Value::Id(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

impl Path {
    /// How the path is written, as the header of a CSV shows it.
    pub(in crate::sandbox) fn header(&self) -> String {
        let steps = self.steps.iter().map(|(_, relationship)| *relationship);
        let parts: Vec<&str> = steps.chain([self.name.as_str()]).collect();
        parts.join(".")
    }

    /// Whether a compound address is at its end.
    pub(in crate::sandbox) fn is_compound(&self, org: &Org, object: ObjectIx) -> bool {
        let mut object = object;
        for (step, _) in &self.steps {
            let Kind::Reference { to, .. } = &org.object(object).at(*step).kind else {
                return false;
            };
            match to.first().and_then(|target| org.schema.find(target)) {
                Some(target) => object = target,
                None => return false,
            }
        }
        let field = org.object(object).field(&self.name);
        field.is_some_and(|ix| org.object(object).at(ix).kind == Kind::Address)
    }

    /// The value at the end of the path.
    pub(in crate::sandbox) fn value<'a>(
        &self,
        org: &'a Org,
        object: ObjectIx,
        row: &'a Row,
    ) -> Option<Cow<'a, Value>> {
        if self.steps.is_empty() {
            return org.read(object, row, self.field);
        }
        let (mut object, mut row) = (object, row);
        for (step, _) in &self.steps {
            let id = org.read(object, row, *step)?.as_id()?;
            (object, row) = org.find(id)?;
        }
        self.read_at_end(org, object, row)
    }

    /// The value in the record that the references led to.
    fn read_at_end<'a>(
        &self,
        org: &'a Org,
        object: ObjectIx,
        row: &'a Row,
    ) -> Option<Cow<'a, Value>> {
        let known = org.object(object);
        if self.is_type && known.name != "Group" {
            return Some(Cow::Owned(Value::text(known.name)));
        }
        org.read(object, row, known.field(&self.name)?)
    }
}

/// A record with the fields that were asked for.
pub(in crate::sandbox) fn render(
    org: &Org,
    object: ObjectIx,
    row: &Row,
    paths: &[Path],
    version: u16,
) -> Json {
    let mut record = with_attributes(org, object, row, version);
    for path in paths {
        if path.steps.is_empty() {
            record.insert(path.name.clone(), org.json(object, row, path.field));
        } else {
            enter(org, object, row, path, 0, version, &mut record);
        }
    }
    Json::Object(record)
}

/// The records that belong to one, as they stand in it: a page of their own, or null for none.
pub(in crate::sandbox) fn render_children(
    org: &Org,
    row: &Row,
    children: &[Children],
    version: u16,
    record: &mut Json,
) {
    for child in children {
        let Select::Fields(paths) = &child.query.select else {
            continue;
        };
        let object = child.query.object;
        let table = org.table(object);
        let candidates = table.children(child.field, row.id);
        let found = child.query.order_and_cut(org, candidates);
        let records: Vec<Json> = found
            .iter()
            .map(|number| render(org, object, table.at(*number), paths, version))
            .collect();
        record[&child.name] = if records.is_empty() {
            Json::Null
        } else {
            json!({ "totalSize": records.len(), "done": true, "records": records })
        };
    }
}

fn with_attributes(org: &Org, object: ObjectIx, row: &Row, version: u16) -> Map<String, Json> {
    let name = org.object(object).name;
    let url = format!("/services/data/v{version}.0/sobjects/{name}/{}", row.id);
    Map::from_iter([("attributes".to_owned(), json!({ "type": name, "url": url }))])
}

/// Puts a parent's field into the record of the parent, which is made on first use.
fn enter(
    org: &Org,
    object: ObjectIx,
    row: &Row,
    path: &Path,
    depth: usize,
    version: u16,
    record: &mut Map<String, Json>,
) {
    let Some((step, relationship)) = path.steps.get(depth) else {
        let value = match org.object(object).field(&path.name) {
            Some(field) if !path.is_type => org.json(object, row, field),
            _ => path
                .read_at_end(org, object, row)
                .map_or(Json::Null, |value| value.to_json()),
        };
        record.insert(path.name.clone(), value);
        return;
    };
    let id = org.read(object, row, *step).and_then(|value| value.as_id());
    let Some((object, row)) = id.and_then(|id| org.find(id)) else {
        record.insert((*relationship).to_owned(), Json::Null);
        return;
    };
    let parent = record
        .entry(*relationship)
        .or_insert_with(|| Json::Object(with_attributes(org, object, row, version)));
    if let Json::Object(parent) = parent {
        enter(org, object, row, path, depth + 1, version, parent);
    }
}

impl Test {
    fn holds(&self, org: &Org, object: ObjectIx, row: &Row) -> bool {
        match self {
            Self::And(tests) => tests.iter().all(|test| test.holds(org, object, row)),
            Self::Or(tests) => tests.iter().any(|test| test.holds(org, object, row)),
            Self::Not(test) => !test.holds(org, object, row),
            Self::Equal(path, key) => match (path.value(org, object, row), key) {
                (None, None) => true,
                (Some(value), Some(key)) => key.order(&value) == Some(Ordering::Equal),
                _ => false,
            },
            Self::Compare(path, wanted, or_equal, key) => path
                .value(org, object, row)
                .and_then(|value| key.order(&value))
                .is_some_and(|order| order == *wanted || (*or_equal && order.is_eq())),
            Self::Like(path, pattern) => path
                .value(org, object, row)
                .is_some_and(|value| value.as_text().is_some_and(|text| is_like(text, pattern))),
            Self::In(path, keys, has_null) => match path.value(org, object, row) {
                None => *has_null,
                Some(value) => keys
                    .binary_search_by(|key| {
                        key.order(&value).map_or(Ordering::Less, Ordering::reverse)
                    })
                    .is_ok(),
            },
        }
    }

    /// Records that can fit, by an index; `None` if every record must be looked at.
    fn candidates(&self, org: &Org, object: ObjectIx, with_deleted: bool) -> Option<Vec<u32>> {
        let (path, keys) = match self {
            Self::And(tests) => {
                return tests
                    .iter()
                    .find_map(|test| test.candidates(org, object, with_deleted));
            }
            Self::Equal(path, Some(key)) => (path, std::slice::from_ref(key)),
            Self::In(path, keys, false) => (path, keys.as_slice()),
            _ => return None,
        };
        if !path.steps.is_empty() {
            return None;
        }
        let table = org.table(object);
        let mut numbers = Vec::new();
        for key in keys {
            match key {
                Key::Id(id) if path.name == "Id" => numbers.extend(table.number(*id)),
                // Deleted records are in no index.
                Key::Text(text) if !with_deleted => numbers.extend(table.find(path.field, text)?),
                _ => return None,
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Some(numbers)
    }
}

/// Whether a text is like a pattern, without regard to case.
fn is_like(text: &str, pattern: &[Glob]) -> bool {
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let (mut t, mut p) = (0, 0);
    // Where to go on if what follows the last `%` does not fit: it swallows one more character.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Glob::Any) => {
                retry = Some((t, p + 1));
                p += 1;
            }
            Some(Glob::One) => {
                t += 1;
                p += 1;
            }
            Some(Glob::Character(c)) if *c == text[t] => {
                t += 1;
                p += 1;
            }
            _ => {
                let Some((swallowed, after)) = retry else {
                    return false;
                };
                (t, p) = (swallowed + 1, after);
                retry = Some((t, p));
            }
        }
    }
    pattern[p..].iter().all(|piece| *piece == Glob::Any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::soql::lex::unescape_pattern;

    #[test]
    fn like_ignores_case_and_knows_its_wildcards_and_escapes() {
        let check = |text: &str, pattern: &str, expect: bool| {
            assert_eq!(
                is_like(text, &unescape_pattern(pattern).unwrap()),
                expect,
                "{text} LIKE {pattern}"
            );
        };
        check("Acme GmbH", "acme%", true);
        check("Acme GmbH", "%gmbh", true);
        check("Acme GmbH", "%me%b%", true);
        check("Acme", "Acm", false);
        check("Acme", "Ac_e", true);
        check("100%", r"100\%", true);
        check("1000", r"100\%", false);
        check("a_b", r"a\_b", true);
        check("axb", r"a\_b", false);
        check("ÄRZTE", "är%", true);
        check("", "%", true);
        check("aaab", "%a%ab", true);
    }
}
