use std::collections::HashMap;

use super::state::whole_second;
use super::write::Write;
use crate::model::Millis;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{Field, FieldIx, Object};
use crate::sandbox::value::{Value, index_key};

/// A record.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: RecordId,
    /// When it was created.
    pub created: Millis,
    /// When it was last changed, or deleted.
    pub modified: Millis,
    /// Who created it.
    pub created_by: RecordId,
    /// Who changed it last.
    pub modified_by: RecordId,
    /// Whether it is in the recycle bin.
    pub deleted: bool,
    /// The record whose deletion took this one along, which brings it back as well.
    pub went_with: Option<RecordId>,
    /// What is not blank, by field. A checkbox that is not ticked counts as blank.
    values: Vec<(FieldIx, Value)>,
}

impl Row {
    pub(super) fn new(id: RecordId, now: Millis, by: RecordId) -> Self {
        Self {
            id,
            created: now,
            modified: now,
            created_by: by,
            modified_by: by,
            deleted: false,
            went_with: None,
            values: Vec::new(),
        }
    }

    /// Marks the record as changed by a write. A stamp never goes back.
    pub(super) fn touch(&mut self, write: &Write) {
        self.modified = self.modified.max(whole_second(write.now));
        self.modified_by = write.user;
    }

    /// The stored value of a field.
    pub fn get(&self, ix: FieldIx) -> Option<&Value> {
        self.values
            .binary_search_by_key(&ix, |(known, _)| *known)
            .ok()
            .map(|at| &self.values[at].1)
    }

    /// Gives back the room that growing left over: there may be a hundred thousand rows.
    pub(super) fn trim(&mut self) {
        self.values.shrink_to_fit();
    }

    /// Sets a field, past all rules.
    pub(in crate::sandbox) fn put(&mut self, ix: FieldIx, value: Value) {
        self.set(ix, Some(value));
    }

    pub(super) fn set(&mut self, ix: FieldIx, value: Option<Value>) {
        let value = value.filter(|value| *value != Value::Bool(false));
        match (
            self.values.binary_search_by_key(&ix, |(known, _)| *known),
            value,
        ) {
            (Ok(at), Some(value)) => self.values[at].1 = value,
            (Ok(at), None) => {
                self.values.remove(at);
            }
            (Err(at), Some(value)) => self.values.insert(at, (ix, value)),
            (Err(_), None) => {}
        }
    }
}

/// The records of one object, with those in the recycle bin.
#[derive(Debug)]
pub struct Table {
    prefix: [u8; 3],
    rows: Vec<Row>,
    indexes: Vec<Index>,
}

/// Which records that are not deleted hold a value.
#[derive(Debug)]
struct Index {
    field: FieldIx,
    case_sensitive: bool,
    rows: HashMap<Box<str>, Vec<u32>>,
}

impl Index {
    fn key(&self, row: &Row) -> Option<Box<str>> {
        if row.deleted {
            return None;
        }
        match row.get(self.field)? {
            Value::Text(text) => Some(index_key(text, self.case_sensitive)),
            Value::Id(id) => Some(id.short().into()),
            _ => None,
        }
    }

    fn enter(&mut self, key: Option<Box<str>>, number: u32) {
        if let Some(key) = key {
            self.rows.entry(key).or_default().push(number);
        }
    }

    fn leave(&mut self, key: Option<Box<str>>, number: u32) {
        let Some(key) = key else { return };
        if let Some(rows) = self.rows.get_mut(&key) {
            rows.retain(|known| *known != number);
            if rows.is_empty() {
                self.rows.remove(&key);
            }
        }
    }
}

impl Table {
    pub(super) fn new(object: &Object) -> Self {
        let mut table = Self {
            prefix: object.prefix,
            rows: Vec::new(),
            indexes: Vec::new(),
        };
        for (ix, field) in (0..).zip(&object.fields) {
            table.add_index(ix, field);
        }
        table
    }

    /// Makes the records findable by a field, if the field is one to find by.
    pub(super) fn add_index(&mut self, ix: FieldIx, field: &Field) {
        if !field.is_indexed() && !field.parent {
            return;
        }
        let mut index = Index {
            field: ix,
            // The case of an id matters.
            case_sensitive: field.case_sensitive || field.parent,
            rows: HashMap::new(),
        };
        for (number, row) in (0..).zip(&self.rows) {
            index.enter(index.key(row), number);
        }
        self.indexes.retain(|known| known.field != ix);
        self.indexes.push(index);
    }

    /// All records, oldest first, with those in the recycle bin.
    pub(in crate::sandbox) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The record's number, deleted or not.
    pub(in crate::sandbox) fn number(&self, id: RecordId) -> Option<u32> {
        if id.prefix() != self.prefix {
            return None;
        }
        id.number()
            .filter(|number| (*number as usize) < self.rows.len())
    }

    /// The record, deleted or not.
    pub(in crate::sandbox) fn get(&self, id: RecordId) -> Option<&Row> {
        self.number(id).map(|number| self.at(number))
    }

    /// The record, unless it is deleted.
    pub(in crate::sandbox) fn live(&self, id: RecordId) -> Option<&Row> {
        self.get(id).filter(|row| !row.deleted)
    }

    /// The record of this number, which `number`, `find` or a count of rows gave.
    pub(in crate::sandbox) fn at(&self, number: u32) -> &Row {
        &self.rows[number as usize]
    }

    /// The live records that hold a text, oldest first; none if the field has no index.
    pub(in crate::sandbox) fn find(&self, field: FieldIx, text: &str) -> Option<&[u32]> {
        let index = self.indexes.iter().find(|index| index.field == field)?;
        let rows = index.rows.get(&index_key(text, index.case_sensitive));
        Some(rows.map_or(&[], Vec::as_slice))
    }

    /// The live records that belong to a record by this field, oldest first.
    pub(in crate::sandbox) fn children(&self, field: FieldIx, parent: RecordId) -> Vec<u32> {
        let found = self.find(field, &parent.short());
        found.unwrap_or_default().to_vec()
    }

    /// The id of the next record.
    pub(super) fn next_id(&self) -> RecordId {
        RecordId::new(self.prefix, self.rows.len() as u32)
    }

    pub(super) fn push(&mut self, row: Row) {
        let number = self.rows.len() as u32;
        for index in &mut self.indexes {
            index.enter(index.key(&row), number);
        }
        self.rows.push(row);
    }

    /// Takes the newest record back as if it had never been.
    pub(super) fn pop(&mut self) {
        let Some(row) = self.rows.pop() else { return };
        let number = self.rows.len() as u32;
        for index in &mut self.indexes {
            index.leave(index.key(&row), number);
        }
    }

    /// Puts a record in the place of its former self, which is returned.
    pub(super) fn replace(&mut self, number: u32, row: Row) -> Row {
        let place = &mut self.rows[number as usize];
        for index in &mut self.indexes {
            let (old, new) = (index.key(place), index.key(&row));
            if old != new {
                index.leave(old, number);
                index.enter(new, number);
            }
        }
        std::mem::replace(place, row)
    }
}
