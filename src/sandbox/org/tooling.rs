use super::rules::Rules;
use super::state::Org;
use crate::model::Millis;
use crate::sandbox::schema::{FieldIx, Object, ObjectIx, Schema};
use crate::sandbox::value::Value;

impl Org {
    /// The org's own set-up as records that can be queried: its objects, these custom fields in
    /// their order, its validation rules.
    pub(in crate::sandbox) fn set_up_records(
        &self,
        fields: &[(ObjectIx, FieldIx)],
        now: Millis,
    ) -> Self {
        let mut set_up = Self::empty(Schema::tooling(), now, Rules::default());
        let by = self.integration_user;
        let text = |text: &str| Value::text(text);
        let entities: Vec<_> = self
            .schema
            .objects
            .iter()
            .map(|object| {
                let prefix: String = object.prefix.iter().map(|byte| char::from(*byte)).collect();
                let values = [
                    ("DurableId", text(object.name)),
                    ("QualifiedApiName", text(object.name)),
                    ("DeveloperName", text(object.name)),
                    ("Label", text(object.label)),
                    ("MasterLabel", text(object.label)),
                    ("PluralLabel", text(object.label_plural)),
                    ("KeyPrefix", text(&prefix)),
                    ("IsCustomizable", Value::Bool(object.writable)),
                    ("IsQueryable", Value::Bool(true)),
                    ("IsTriggerable", Value::Bool(object.writable)),
                ];
                set_up.plant(self.created, by, "EntityDefinition", &values)
            })
            .collect();
        for (object, ix) in fields {
            let (known, field) = (self.object(*object), self.object(*object).at(*ix));
            let name = field.name.strip_suffix("__c").unwrap_or(&field.name);
            let values = [
                ("DeveloperName", text(name)),
                ("TableEnumOrId", text(known.name)),
                ("FullName", text(&format!("{}.{}", known.name, field.name))),
                ("EntityDefinitionId", text(known.name)),
                ("Entity", Value::Id(entities[*object])),
            ];
            set_up.plant(self.created, by, "CustomField", &values);
        }
        for rule in &self.rules.validation {
            let Some(object) = self.schema.find(&rule.object) else {
                continue;
            };
            let name = self.object(object).name;
            let mut values = vec![
                ("ValidationName", text(&rule.name)),
                ("Active", Value::Bool(true)),
                ("ErrorMessage", text(&rule.message)),
                ("FullName", text(&format!("{name}.{}", rule.name))),
                ("EntityDefinitionId", text(name)),
                ("Entity", Value::Id(entities[object])),
            ];
            if let Some(field) = &rule.field {
                values.push(("ErrorDisplayField", text(field)));
            }
            set_up.plant(self.created, by, "ValidationRule", &values);
        }
        set_up
    }

    /// Whether a permission set of the API user grants this, e.g.
    /// `PermissionsCustomizeApplication`.
    pub(in crate::sandbox) fn may(&self, permission: &str) -> bool {
        let Some(sets) = self.schema.find("PermissionSet") else {
            return false;
        };
        let Some(ix) = self.object(sets).field(permission) else {
            return false;
        };
        let rows = self.table(sets).rows().iter();
        let mut granting = rows.filter(|row| !row.deleted && row.get(ix).is_some());
        granting.any(|row| self.is_assigned(row.id))
    }
}

/// The custom fields of an object.
pub(in crate::sandbox) fn custom_fields(object: &Object) -> impl Iterator<Item = FieldIx> {
    object
        .visible()
        .filter(|(_, field)| field.is_custom())
        .map(|(ix, _)| ix)
}
