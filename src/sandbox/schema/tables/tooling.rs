//! The org's own set-up as the Tooling API shows it.
//! Source: Tooling API guide, "CustomField", "EntityDefinition", "ValidationRule".

use super::super::field::{Field, Kind, Place};
use super::super::object::Object;
use super::parts::{boolean, reference, system, text};

/// The objects of the Tooling API that there are.
pub(in crate::sandbox::schema) fn objects() -> Vec<Object> {
    let entity = Object::new(
        "EntityDefinition",
        "Entity Definition",
        "Entity Definitions",
        *b"4ie",
        entity_definition(),
    );
    let field = Object::new(
        "CustomField",
        "Custom Field Definition",
        "Custom Field Definitions",
        *b"00N",
        custom_field(),
    );
    let rule = Object::new(
        "ValidationRule",
        "Validation Rule",
        "Validation Rules",
        *b"03d",
        validation_rule(),
    );
    [entity, field, rule].map(Object::read_only).into()
}

/// The object that something belongs to: `EntityDefinitionId` is its name, not a record's id, so
/// the way to it is a field of its own.
fn of_entity() -> [Field; 2] {
    let mut way = reference(
        "Entity",
        "Entity",
        &["EntityDefinition"],
        "EntityDefinition",
    );
    way.place = Place::Hidden;
    [text("EntityDefinitionId", "Entity Definition ID", 80), way]
}

fn entity_definition() -> Vec<Field> {
    let mut fields = system("Entity Definition ID");
    fields.extend([
        text("DurableId", "Durable ID", 80),
        text("QualifiedApiName", "Qualified API Name", 80),
        text("DeveloperName", "Developer Name", 80),
        text("Label", "Label", 80),
        text("MasterLabel", "Master Label", 80),
        text("PluralLabel", "Plural Label", 80),
        text("KeyPrefix", "Key Prefix", 3),
        boolean("IsCustomizable", "Is Customizable"),
        boolean("IsQueryable", "Is Queryable"),
        boolean("IsTriggerable", "Is Triggerable"),
    ]);
    fields
}

fn custom_field() -> Vec<Field> {
    let mut fields = system("Custom Field Definition ID");
    fields.extend([
        text("DeveloperName", "Developer Name", 80),
        text("NamespacePrefix", "Namespace Prefix", 15),
        text("TableEnumOrId", "Entity Enumeration Or ID", 80),
        text("FullName", "Full Name", 255),
        Field::new("Description", "Description", Kind::TextArea(255)),
    ]);
    fields.extend(of_entity());
    fields
}

fn validation_rule() -> Vec<Field> {
    let mut fields = system("Validation Rule ID");
    fields.extend([
        text("ValidationName", "Validation Name", 80),
        text("NamespacePrefix", "Namespace Prefix", 15),
        boolean("Active", "Active"),
        text("ErrorMessage", "Error Message", 255),
        text("ErrorDisplayField", "Error Display Field", 80),
        text("FullName", "Full Name", 255),
        Field::new("Description", "Description", Kind::TextArea(255)),
    ]);
    fields.extend(of_entity());
    fields
}
