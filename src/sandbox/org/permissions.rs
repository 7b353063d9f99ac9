use std::collections::BTreeMap;

use super::row::Row;
use super::state::Org;
use crate::model::Millis;
use crate::sandbox::errors::Refusal;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{Access, FieldIx, ObjectIx};
use crate::sandbox::value::Value;

impl Org {
    /// A `FieldPermissions` row names a field that there is, and grants no edit without read.
    pub(super) fn check_permission(&self, object: ObjectIx, row: &Row) -> Result<(), Refusal> {
        let known = self.object(object);
        let text = |name: &str| known.field(name).and_then(|ix| row.get(ix)?.as_text());
        let is_set = |name: &str| known.field(name).is_some_and(|ix| row.get(ix).is_some());
        let (sobject, field) = (
            text("SobjectType").unwrap_or_default(),
            text("Field").unwrap_or_default(),
        );
        if self.schema.find(sobject).is_none() {
            return Err(bad_value("Sobject Type Name", sobject, "SobjectType"));
        }
        let is_of_object = field
            .split_once('.')
            .is_some_and(|(object, _)| object.eq_ignore_ascii_case(sobject));
        if !is_of_object || self.permitted_field(field).is_none() {
            return Err(bad_value("Field Name", field, "Field"));
        }
        if is_set("PermissionsEdit") && !is_set("PermissionsRead") {
            return Err(Refusal::row(
                "FIELD_INTEGRITY_EXCEPTION",
                "Permission Edit Field depends on permission(s): Read Field",
            ));
        }
        Ok(())
    }

    /// The place of a field that is written `Lead.Plan__c`.
    pub(super) fn permitted_field(&self, name: &str) -> Option<(ObjectIx, FieldIx)> {
        let (object, field) = name.split_once('.')?;
        let object = self.schema.find(object)?;
        Some((object, self.object(object).field(field)?))
    }

    /// Gives the API user what the permission sets assigned to it grant, for all fields that a row
    /// speaks of or ever spoke of; other fields stay as the profile has them.
    pub(super) fn apply_permissions(&mut self, now: Millis) {
        let Some(object) = self.schema.find("FieldPermissions") else {
            return;
        };
        let known = self.object(object);
        let fields = ["ParentId", "Field", "PermissionsRead", "PermissionsEdit"];
        let [Some(parent), Some(field), Some(read), Some(edit)] =
            fields.map(|name| known.field(name))
        else {
            return;
        };
        let mut granted: BTreeMap<(ObjectIx, FieldIx), Access> = BTreeMap::new();
        for row in self.table(object).rows() {
            let place = row
                .get(field)
                .and_then(Value::as_text)
                .and_then(|name| self.permitted_field(name));
            let Some(place) = place else { continue };
            let set = row.get(parent).and_then(Value::as_id);
            let counts = !row.deleted && set.is_some_and(|set| self.is_assigned(set));
            let access = match (counts, row.get(edit).is_some(), row.get(read).is_some()) {
                (true, true, _) => Access::Edit,
                (true, false, true) => Access::Read,
                _ => Access::None,
            };
            let best = granted.entry(place).or_insert(Access::None);
            if rank(access) > rank(*best) {
                *best = access;
            }
        }
        let mut changed = false;
        for ((object, ix), access) in granted {
            let field = &mut self.schema.objects[object].fields[usize::from(ix)];
            changed |= field.access != access;
            field.access = access;
        }
        if changed {
            self.schema_moves(now);
        }
    }

    /// Whether the API user has a permission set.
    pub(super) fn is_assigned(&self, set: RecordId) -> bool {
        let Some(object) = self.schema.find("PermissionSetAssignment") else {
            return false;
        };
        let known = self.object(object);
        let (Some(set_ix), Some(assignee)) =
            (known.field("PermissionSetId"), known.field("AssigneeId"))
        else {
            return false;
        };
        let table = self.table(object);
        table.children(set_ix, set).iter().any(|number| {
            table.at(*number).get(assignee).and_then(Value::as_id) == Some(self.integration_user)
        })
    }
}

fn rank(access: Access) -> u8 {
    match access {
        Access::None => 0,
        Access::Read => 1,
        Access::Edit => 2,
    }
}

fn bad_value(label: &str, value: &str, field: &str) -> Refusal {
    Refusal::field(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        format!("{label}: bad value for restricted picklist field: {value}"),
        field,
    )
}
