use std::collections::HashMap;

use super::field::{Access, Field, FieldIx, Kind, Place};
use super::{CustomField, tables};

/// An object's place in the schema.
pub type ObjectIx = usize;

/// An object and its fields.
#[derive(Debug, Clone)]
pub struct Object {
    /// The API name.
    pub name: &'static str,
    /// What people read.
    pub label: &'static str,
    /// The same for many.
    pub label_plural: &'static str,
    /// The first three characters of its records' ids.
    pub prefix: [u8; 3],
    /// Whether the API user may create, change and delete its records.
    pub writable: bool,
    /// What the API user's permissions let it do with its records.
    pub access: Access,
    /// Its fields; `FieldIx` counts them.
    pub fields: Vec<Field>,
    by_name: HashMap<String, FieldIx>,
}

impl Object {
    pub(super) fn new(
        name: &'static str,
        label: &'static str,
        label_plural: &'static str,
        prefix: [u8; 3],
        fields: Vec<Field>,
    ) -> Self {
        let mut object = Self {
            name,
            label,
            label_plural,
            prefix,
            writable: true,
            access: Access::Edit,
            fields: Vec::new(),
            by_name: HashMap::new(),
        };
        for field in fields {
            object.add(field);
        }
        object
    }

    /// The API user may only read its records.
    pub(super) fn read_only(mut self) -> Self {
        self.writable = false;
        self
    }

    /// Adds a field, or puts it in the place of one of the same name.
    pub(in crate::sandbox) fn add(&mut self, field: Field) {
        if let Some(old) = self.field(&field.name) {
            self.fields[usize::from(old)] = field;
            return;
        }
        let ix = self.fields.len() as FieldIx;
        // Names are written without regard to case, but most callers use the right one: with
        // both here, the usual look-up allocates nothing.
        self.by_name.insert(field.name.to_ascii_lowercase(), ix);
        self.by_name.insert(field.name.clone().into_owned(), ix);
        self.fields.push(field);
    }

    /// The field of this name, without regard to case, that is not hidden.
    pub fn field(&self, name: &str) -> Option<FieldIx> {
        let ix = self
            .by_name
            .get(name)
            .or_else(|| self.by_name.get(&name.to_ascii_lowercase()))
            .copied()?;
        (self.at(ix).place != Place::Hidden).then_some(ix)
    }

    /// What the records that these belong to call them, e.g. `CampaignMembers`.
    pub fn relation(&self) -> String {
        self.label_plural.replace(' ', "")
    }

    /// The field of exactly this name, hidden or not.
    pub(in crate::sandbox) fn place_of(&self, name: &str) -> Option<FieldIx> {
        self.by_name.get(name).copied()
    }

    /// The field of this name, if the API user may see it.
    pub fn shown(&self, name: &str) -> Option<FieldIx> {
        self.field(name)
            .filter(|ix| self.at(*ix).access != Access::None)
    }

    /// All fields that the API user may see, with their places.
    pub fn shown_fields(&self) -> impl Iterator<Item = (FieldIx, &Field)> {
        self.visible()
            .filter(|(_, field)| field.access != Access::None)
    }

    /// Whether the API user may create, change and delete its records.
    pub fn can_write(&self) -> bool {
        self.writable && self.access == Access::Edit
    }

    /// Gives a field another API name, and the label that goes with it.
    pub(in crate::sandbox) fn rename(&mut self, ix: FieldIx, name: &str) {
        self.by_name.retain(|_, known| *known != ix);
        self.by_name.insert(name.to_ascii_lowercase(), ix);
        self.by_name.insert(name.to_owned(), ix);
        let field = &mut self.fields[usize::from(ix)];
        field.name = name.to_owned().into();
        field.label = name.trim_end_matches("__c").replace('_', " ").into();
    }

    /// The field that bodies and queries follow by this name.
    pub fn relationship(&self, name: &str) -> Option<FieldIx> {
        self.fields.iter().position(|field| {
            matches!(&field.kind, Kind::Reference { relationship, .. } if relationship.eq_ignore_ascii_case(name))
        }).map(|ix| ix as FieldIx)
    }

    /// The field that the org keeps for itself.
    pub(in crate::sandbox) fn hidden(&self) -> Option<FieldIx> {
        let hidden = |field: &Field| field.place == Place::Hidden;
        self.fields.iter().position(hidden).map(|ix| ix as FieldIx)
    }

    /// The field at its place.
    pub fn at(&self, ix: FieldIx) -> &Field {
        &self.fields[usize::from(ix)]
    }

    /// All fields that are shown, with their places.
    pub fn visible(&self) -> impl Iterator<Item = (FieldIx, &Field)> {
        (0..)
            .zip(&self.fields)
            .filter(|(_, field)| field.place != Place::Hidden)
    }
}

/// All objects.
#[derive(Debug, Clone)]
pub struct Schema {
    /// The objects; `ObjectIx` counts them.
    pub objects: Vec<Object>,
}

impl Schema {
    /// A fresh org's objects, the external id field on Lead and Contact, and the further fields.
    pub fn new(external_id_field: &str, custom: &[CustomField]) -> Self {
        let mut schema = Self {
            objects: tables::objects(),
        };
        for name in ["Lead", "Contact"] {
            if let Some(object) = schema.find(name) {
                let label = external_id_field.trim_end_matches("__c").replace('_', " ");
                let field = Field::new(external_id_field.to_owned(), label, Kind::Text(255));
                schema.objects[object].add(field.external_key());
            }
        }
        for CustomField { object, field } in custom {
            if let Some(object) = schema.find(object) {
                schema.objects[object].add(field.clone());
            }
        }
        schema
    }

    /// The objects of the Tooling API.
    pub(in crate::sandbox) fn tooling() -> Self {
        Self {
            objects: tables::tooling_objects(),
        }
    }

    /// The object of this name, without regard to case.
    pub fn find(&self, name: &str) -> Option<ObjectIx> {
        self.objects
            .iter()
            .position(|object| object.name.eq_ignore_ascii_case(name))
    }

    /// The object of this name, if the API user may see it.
    pub fn shown(&self, name: &str) -> Option<ObjectIx> {
        self.find(name)
            .filter(|object| self.objects[*object].access != Access::None)
    }

    /// The object whose records' ids start so.
    pub fn by_prefix(&self, prefix: [u8; 3]) -> Option<ObjectIx> {
        self.objects
            .iter()
            .position(|object| object.prefix == prefix)
    }
}
