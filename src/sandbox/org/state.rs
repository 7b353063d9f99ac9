use std::borrow::Cow;

use jiff::civil::Date;
use serde_json::{Value as Json, json};

use super::row::{Row, Table};
use super::rules::Rules;
use crate::model::Millis;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{CustomField, FieldIx, Kind, Object, ObjectIx, Place, Schema};
use crate::sandbox::value::Value;

/// The org.
#[derive(Debug)]
pub struct Org {
    pub(in crate::sandbox) schema: Schema,
    /// When the org was made.
    pub(in crate::sandbox) created: Millis,
    /// When the schema last changed.
    pub(in crate::sandbox) schema_changed: Millis,
    pub(super) tables: Vec<Table>,
    pub(in crate::sandbox) rules: Rules,
    /// The org's own id.
    pub(in crate::sandbox) id: RecordId,
    /// The user that API clients act as.
    pub(in crate::sandbox) integration_user: RecordId,
    /// A person.
    pub(in crate::sandbox) sales_user: RecordId,
    journal: Vec<Undo>,
    marks: usize,
}

/// How to take a write back.
#[derive(Debug)]
enum Undo {
    Created(ObjectIx),
    Changed(ObjectIx, u32, Box<Row>),
}

/// A state that the org can go back to.
#[derive(Debug)]
pub struct Mark(usize);

impl Org {
    pub(super) fn empty(schema: Schema, now: Millis, rules: Rules) -> Self {
        let nobody = RecordId::new(*b"000", 0);
        Self {
            tables: schema.objects.iter().map(Table::new).collect(),
            schema,
            created: now,
            schema_changed: now,
            rules,
            id: nobody,
            integration_user: nobody,
            sales_user: nobody,
            journal: Vec::new(),
            marks: 0,
        }
    }

    /// An admin adds a field. Records that are there keep it blank.
    pub(in crate::sandbox) fn add_field(&mut self, field: &CustomField, now: Millis) {
        if let Some(object) = self.schema.find(&field.object) {
            self.schema.objects[object].add(field.field.clone());
            let known = &self.schema.objects[object];
            if let Some(ix) = known.field(&field.field.name) {
                self.tables[object].add_index(ix, known.at(ix));
            }
            self.schema_moves(now);
        }
    }

    /// Describe has a new date, which no change before had.
    pub(in crate::sandbox) fn schema_moves(&mut self, now: Millis) {
        let next = Millis(self.schema_changed.0 + 1_000);
        self.schema_changed = whole_second(now).max(next);
    }

    /// The records of an object.
    pub(in crate::sandbox) fn table(&self, object: ObjectIx) -> &Table {
        &self.tables[object]
    }

    /// The object itself.
    pub(in crate::sandbox) fn object(&self, object: ObjectIx) -> &Object {
        &self.schema.objects[object]
    }

    /// The live record of any object.
    pub(in crate::sandbox) fn find(&self, id: RecordId) -> Option<(ObjectIx, &Row)> {
        let object = self.schema.by_prefix(id.prefix())?;
        Some((object, self.table(object).live(id)?))
    }

    /// How many records each object has, with deleted ones.
    pub(in crate::sandbox) fn sizes(&self) -> Vec<u32> {
        self.tables
            .iter()
            .map(|table| table.rows().len() as u32)
            .collect()
    }

    /// A field's value, computed if it is not stored. Compound addresses have none: see `json`.
    pub(in crate::sandbox) fn read<'row>(
        &self,
        object: ObjectIx,
        row: &'row Row,
        ix: FieldIx,
    ) -> Option<Cow<'row, Value>> {
        let object = self.object(object);
        let field = object.at(ix);
        let value = match field.place {
            Place::Stored | Place::Hidden => match row.get(ix) {
                Some(value) => return Some(Cow::Borrowed(value)),
                None if field.kind == Kind::Boolean => Value::Bool(false),
                None => return None,
            },
            Place::Id => Value::Id(row.id),
            Place::Created => Value::Moment(row.created),
            Place::Modified => Value::Moment(row.modified),
            Place::CreatedBy => Value::Id(row.created_by),
            Place::ModifiedBy => Value::Id(row.modified_by),
            Place::Deleted => Value::Bool(row.deleted),
            Place::PersonName => Value::text(person_name(object, row)),
            Place::Address(_) => return None,
        };
        Some(Cow::Owned(value))
    }

    /// A field's value as the REST API shows it.
    pub(in crate::sandbox) fn json(&self, object: ObjectIx, row: &Row, ix: FieldIx) -> Json {
        if let Place::Address(prefix) = self.object(object).at(ix).place {
            return address_json(self.object(object), row, prefix);
        }
        self.read(object, row, ix)
            .map_or(Json::Null, |value| value.to_json())
    }

    /// Adds a record.
    pub(super) fn push(&mut self, object: ObjectIx, mut row: Row) -> RecordId {
        let id = row.id;
        row.trim();
        self.tables[object].push(row);
        if self.marks > 0 {
            self.journal.push(Undo::Created(object));
        }
        id
    }

    /// Puts a record in the place of its former self.
    pub(super) fn replace(&mut self, object: ObjectIx, number: u32, row: Row) {
        let old = self.tables[object].replace(number, row);
        if self.marks > 0 {
            self.journal
                .push(Undo::Changed(object, number, Box::new(old)));
        }
    }

    /// The same for a change of setup, which no call takes back.
    pub(in crate::sandbox) fn put_back(&mut self, object: ObjectIx, number: u32, row: Row) {
        self.replace(object, number, row);
    }

    /// Remembers this state; it must be kept or taken back. Marks nest.
    pub(in crate::sandbox) fn mark(&mut self) -> Mark {
        self.marks += 1;
        Mark(self.journal.len())
    }

    /// Keeps what was done since the mark (until an outer mark is taken back).
    pub(in crate::sandbox) fn keep(&mut self, _mark: Mark) {
        self.marks -= 1;
        if self.marks == 0 {
            self.journal.clear();
        }
    }

    /// Takes back what was done since the mark.
    pub(in crate::sandbox) fn take_back(&mut self, mark: Mark) {
        while self.journal.len() > mark.0 {
            match self.journal.pop() {
                Some(Undo::Created(object)) => self.tables[object].pop(),
                Some(Undo::Changed(object, number, old)) => {
                    self.tables[object].replace(number, *old);
                }
                None => break,
            }
        }
        self.keep(mark);
    }
}

/// System moments have no milliseconds.
pub(super) fn whole_second(moment: Millis) -> Millis {
    Millis(moment.0 - moment.0.rem_euclid(1000))
}

/// The day of a moment, in UTC.
pub(super) fn day_of(moment: Millis) -> Option<Date> {
    let moment = jiff::Timestamp::from_millisecond(moment.0).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(moment).date())
}

fn person_name(object: &Object, row: &Row) -> String {
    let part = |name| object.field(name).and_then(|ix| row.get(ix)?.as_text());
    let parts = ["FirstName", "MiddleName", "LastName", "Suffix"];
    let parts: Vec<&str> = parts.into_iter().filter_map(part).collect();
    parts.join(" ")
}

fn address_json(object: &Object, row: &Row, prefix: &str) -> Json {
    let part = |name: &str| {
        let ix = object.field(&format!("{prefix}{name}"));
        ix.and_then(|ix| row.get(ix)?.as_text())
    };
    let parts = ["City", "Country", "PostalCode", "State", "Street"].map(part);
    if parts.iter().all(Option::is_none) {
        return Json::Null;
    }
    let [city, country, postal_code, state, street] = parts;
    json!({
        "city": city, "country": country, "geocodeAccuracy": null, "latitude": null,
        "longitude": null, "postalCode": postal_code, "state": state, "street": street,
    })
}
