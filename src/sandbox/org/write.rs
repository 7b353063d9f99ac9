use super::assignment::AutoAssign;
use super::duplicates::is_true;
use super::row::Row;
use super::state::{Org, whole_second};
use crate::model::Millis;
use crate::sandbox::draft::{Draft, wrong_id};
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{FieldIx, Kind, ObjectIx};
use crate::sandbox::value::Value;

/// What holds for all writes of one call.
#[derive(Debug)]
pub struct Write {
    /// When.
    pub(in crate::sandbox) now: Millis,
    /// Who.
    pub(in crate::sandbox) user: RecordId,
    /// The API version, for links.
    pub(in crate::sandbox) version: u16,
    /// `Sforce-Auto-Assign`.
    pub(in crate::sandbox) auto_assign: AutoAssign,
    /// `Sforce-Duplicate-Rule-Header: allowSave`.
    pub(in crate::sandbox) allow_duplicates: bool,
    /// `Sforce-Duplicate-Rule-Header: includeRecordDetails`.
    pub(in crate::sandbox) include_record_details: bool,
    /// How many records each object had when the call began.
    pub(in crate::sandbox) before: Vec<u32>,
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upserted {
    /// There was no such record.
    Created(RecordId),
    /// There was.
    Updated(RecordId),
}

/// Why an upsert did nothing.
#[derive(Debug)]
pub enum UpsertRefusal {
    /// The row is refused.
    Row(Refusals),
    /// Several records hold the key.
    Several(Vec<RecordId>),
}

impl From<Refusals> for UpsertRefusal {
    fn from(refusals: Refusals) -> Self {
        Self::Row(refusals)
    }
}

impl Org {
    /// Creates a record.
    pub(in crate::sandbox) fn create(
        &mut self,
        object: ObjectIx,
        mut draft: Draft,
        write: &Write,
    ) -> Result<RecordId, Refusals> {
        self.check_object(object, write)?;
        draft.check(self.object(object), true)?;
        self.resolve_parents(object, &mut draft)?;
        self.check_references(object, &draft)?;
        let mut row = self.new_row(object, write);
        let sets_probability = self.sets(object, &draft, "Probability");
        for (ix, value) in draft.values {
            // A null for a field with a default leaves the default.
            if value.is_some() || self.object(object).at(ix).nillable {
                row.set(ix, value);
            }
        }
        self.before_save(object, &mut row, None, sets_probability, write)?;
        let id = self.push(object, row);
        self.after_save(object, id, true, write);
        Ok(id)
    }

    /// A record with its defaults, owned by whoever writes it.
    pub(super) fn new_row(&self, object: ObjectIx, write: &Write) -> Row {
        let mut row = Row::new(
            self.table(object).next_id(),
            whole_second(write.now),
            write.user,
        );
        for (ix, field) in (0..).zip(&self.object(object).fields) {
            if let Some(default) = &field.default {
                row.set(ix, Some(default.clone()));
            } else if field.name == "OwnerId" {
                row.set(ix, Some(Value::Id(write.user)));
            }
        }
        row
    }

    fn sets(&self, object: ObjectIx, draft: &Draft, name: &str) -> bool {
        let field = self.object(object).field(name);
        field.is_some_and(|ix| matches!(draft.get(ix), Some(Some(_))))
    }

    /// Changes a record.
    pub(in crate::sandbox) fn update(
        &mut self,
        object: ObjectIx,
        id: RecordId,
        mut draft: Draft,
        write: &Write,
    ) -> Result<(), Refusals> {
        self.check_object(object, write)?;
        let (number, old) = self.find_for_write(object, id)?;
        if self.is_converted(object, &old) {
            return Err(converted().into());
        }
        draft.check(self.object(object), false)?;
        self.resolve_parents(object, &mut draft)?;
        self.check_references(object, &draft)?;
        let sets_probability = self.sets(object, &draft, "Probability");
        let mut row = old.clone();
        for (ix, value) in draft.values {
            row.set(ix, value);
        }
        row.touch(write);
        self.before_save(object, &mut row, Some(&old), sets_probability, write)?;
        self.note_changes(object, &old, &row, write);
        self.replace(object, number, row);
        self.after_save(object, id, false, write);
        Ok(())
    }

    /// Changes the record that holds the key, or creates it.
    pub(in crate::sandbox) fn upsert(
        &mut self,
        object: ObjectIx,
        key_field: FieldIx,
        key: &str,
        mut draft: Draft,
        write: &Write,
    ) -> Result<Upserted, UpsertRefusal> {
        let table = self.table(object);
        match table.find(key_field, key).unwrap_or_default() {
            [] => {
                draft.put(key_field, Some(Value::text(key)));
                Ok(Upserted::Created(self.create(object, draft, write)?))
            }
            [one] => {
                let id = table.at(*one).id;
                self.update(object, id, draft, write)?;
                Ok(Upserted::Updated(id))
            }
            several => {
                let ids = several.iter().map(|number| table.at(*number).id).collect();
                Err(UpsertRefusal::Several(ids))
            }
        }
    }

    /// The record and its number, unless it is deleted.
    pub(super) fn find_for_write(
        &self,
        object: ObjectIx,
        id: RecordId,
    ) -> Result<(u32, Row), Refusal> {
        let table = self.table(object);
        let number = table.number(id).ok_or_else(Refusal::not_found)?;
        let row = table.at(number);
        if row.deleted {
            return Err(Refusal::row("ENTITY_IS_DELETED", "entity is deleted"));
        }
        Ok((number, row.clone()))
    }

    /// Whether the records of an object can be written at all, and by this user.
    pub(super) fn check_object(&self, object: ObjectIx, write: &Write) -> Result<(), Refusal> {
        let object = self.object(object);
        if object.writable && (object.can_write() || write.user != self.integration_user) {
            return Ok(());
        }
        if object.writable {
            return Err(Refusal::row(
                "INSUFFICIENT_ACCESS_OR_READONLY",
                "insufficient access rights on object id",
            ));
        }
        Err(Refusal::row(
            "INVALID_TYPE_FOR_OPERATION",
            format!(
                "entity type {} does not support this operation",
                object.name
            ),
        ))
    }

    /// Whether a record is a lead that has been converted.
    pub(super) fn is_converted(&self, object: ObjectIx, row: &Row) -> bool {
        let known = self.object(object);
        known.name == "Lead" && is_true(known.field("IsConverted").and_then(|ix| row.get(ix)))
    }

    /// Puts ids in the place of references that are given by external id.
    fn resolve_parents(&self, object: ObjectIx, draft: &mut Draft) -> Result<(), Refusal> {
        for parent in std::mem::take(&mut draft.parents) {
            let Kind::Reference { to, .. } = &self.object(object).at(parent.field).kind else {
                continue;
            };
            let found = to.iter().find_map(|target| {
                let target = self.schema.find(target)?;
                let field = self.object(target).field(&parent.key_field)?;
                let numbers = self.table(target).find(field, &parent.key)?;
                Some(self.table(target).at(*numbers.first()?).id)
            });
            let Some(id) = found else {
                return Err(Refusal::plain(
                    "INVALID_FIELD",
                    format!(
                        "Foreign key external ID: {} not found for field {} in entity {}",
                        parent.key.to_lowercase(),
                        parent.key_field,
                        to.first().unwrap_or(&""),
                    ),
                ));
            };
            draft.put(parent.field, Some(Value::Id(id)));
        }
        Ok(())
    }

    /// References lead to records of the right object that are there and can be used.
    fn check_references(&self, object: ObjectIx, draft: &Draft) -> Result<(), Refusal> {
        for (ix, value) in &draft.values {
            let field = self.object(object).at(*ix);
            let (Kind::Reference { to, .. }, Some(Value::Id(id))) = (&field.kind, value) else {
                continue;
            };
            let target = self.schema.by_prefix(id.prefix());
            let name = target.map(|target| self.object(target).name);
            if field.name == "OwnerId" && name == Some("Group") && !to.contains(&"Group") {
                return Err(Refusal::field(
                    "OP_WITH_INVALID_USER_TYPE_EXCEPTION",
                    "Operation not valid for this user type",
                    &field.name,
                ));
            }
            if !name.is_some_and(|name| to.contains(&name)) {
                return Err(wrong_id(field, &id.to_string()));
            }
            if name == Some("RecordType") {
                self.check_record_type(object, field, *id)?;
                continue;
            }
            let Some((target, row)) = self.find(*id) else {
                return Err(Refusal::row(
                    "INVALID_CROSS_REFERENCE_KEY",
                    "invalid cross reference id",
                ));
            };
            if self.is_converted(target, row) {
                return Err(converted());
            }
            if name == Some("User") {
                self.check_user(*id)?;
            }
        }
        Ok(())
    }

    /// Refuses a user who has left.
    pub(super) fn check_user(&self, id: RecordId) -> Result<(), Refusal> {
        let is_active = self.find(id).is_some_and(|(users, row)| {
            let active = self.object(users).field("IsActive");
            is_true(active.and_then(|ix| row.get(ix)))
        });
        if is_active {
            return Ok(());
        }
        Err(Refusal::row(
            "INACTIVE_OWNER_OR_USER",
            format!("operation performed with inactive user [{}]", id.short()),
        ))
    }
}

/// A converted lead is read-only, and nothing can be attached to it.
pub(super) fn converted() -> Refusal {
    Refusal::row(
        "CANNOT_UPDATE_CONVERTED_LEAD",
        "cannot reference converted lead",
    )
}
