//! A field as the Metadata API writes it.
//! Source: Metadata API guide, "CustomField".

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};

use crate::sandbox::errors::Refusal;
use crate::sandbox::schema::{Access, Field, Kind};

/// Reads a field's `Metadata`.
pub(super) fn read(name: &str, metadata: &Map<String, Json>) -> Result<Field, Refusal> {
    let text = |key: &str| metadata.get(key).and_then(Json::as_str);
    let is_set = |key: &str| metadata.get(key) == Some(&Json::Bool(true));
    let kind_name = text("type").unwrap_or_default();
    let missing = |key: &str| {
        let message = format!("Must specify '{key}' for a CustomField of type {kind_name}");
        Refusal::field("FIELD_INTEGRITY_EXCEPTION", message, key)
    };
    let number = |key: &str| {
        let number = metadata.get(key).and_then(Json::as_u64);
        number.and_then(|number| u32::try_from(number).ok())
    };
    let needed = |key: &str, most: u32| {
        let number = number(key).ok_or_else(|| missing(key))?;
        if (1..=most).contains(&number) {
            return Ok(number);
        }
        let message = format!("{key} must be between 1 and {most}");
        Err(Refusal::field("NUMBER_OUTSIDE_VALID_RANGE", message, key))
    };
    let digits = |kind: &'static str| {
        let precision = needed("precision", 18)?;
        let scale = number("scale").ok_or_else(|| missing("scale"))?;
        Ok::<_, Refusal>(Kind::Number {
            kind,
            precision,
            scale,
        })
    };
    let kind = match kind_name {
        "Text" => Kind::Text(needed("length", 255)?),
        "TextArea" => Kind::TextArea(255),
        "LongTextArea" => Kind::TextArea(needed("length", 131_072)?),
        "Email" => Kind::Email,
        "Phone" => Kind::Phone,
        "Url" => Kind::Url,
        "Checkbox" => Kind::Boolean,
        "Number" => digits("double")?,
        "Currency" => digits("currency")?,
        "Percent" => digits("percent")?,
        "Date" => Kind::Date,
        "DateTime" => Kind::DateTime,
        "Picklist" => picklist(metadata).ok_or_else(|| missing("valueSet"))?,
        other => {
            let message = format!("{other} is not a valid type of a custom field here");
            return Err(Refusal::field("FIELD_INTEGRITY_EXCEPTION", message, "type"));
        }
    };
    let label = text("label").ok_or_else(|| missing("label"))?;
    let mut field = Field::new(name.to_owned(), label.to_owned(), kind);
    if is_set("required") {
        field = field.required();
    }
    field.external_id = is_set("externalId");
    field.unique = is_set("unique");
    field.case_sensitive = is_set("caseSensitive");
    let is_key = field.external_id || field.unique;
    if is_key && !matches!(field.kind, Kind::Text(_) | Kind::Email) {
        let message = format!("A {kind_name} field cannot be an external ID or unique here");
        return Err(Refusal::field(
            "FIELD_INTEGRITY_EXCEPTION",
            message,
            "externalId",
        ));
    }
    // Nobody sees it until a permission set says so.
    field.access = Access::None;
    Ok(field)
}

fn picklist(metadata: &Map<String, Json>) -> Option<Kind> {
    let set = metadata.get("valueSet")?;
    let values = set.pointer("/valueSetDefinition/value")?.as_array()?;
    let name = |value: &Json| {
        let name = value.get("fullName").or_else(|| value.get("valueName"))?;
        Some(Cow::Owned(name.as_str()?.to_owned()))
    };
    Some(Kind::Picklist {
        values: values.iter().filter_map(name).collect(),
        restricted: set.get("restricted") == Some(&Json::Bool(true)),
    })
}

/// A field's `Metadata`.
pub(super) fn metadata(field: &Field) -> Json {
    let name = match &field.kind {
        Kind::TextArea(length) if *length > 255 => "LongTextArea",
        Kind::TextArea(_) => "TextArea",
        Kind::Email => "Email",
        Kind::Phone => "Phone",
        Kind::Url => "Url",
        Kind::Boolean => "Checkbox",
        Kind::Number { kind, .. } => match *kind {
            "currency" => "Currency",
            "percent" => "Percent",
            _ => "Number",
        },
        Kind::Date => "Date",
        Kind::DateTime => "DateTime",
        Kind::Picklist { .. } => "Picklist",
        Kind::Reference { .. } => "Lookup",
        _ => "Text",
    };
    let mut metadata = json!({
        "type": name,
        "label": field.label,
        "required": !field.nillable && field.kind != Kind::Boolean,
        "externalId": field.external_id,
        "unique": field.unique,
        "caseSensitive": field.case_sensitive,
    });
    match &field.kind {
        Kind::Text(length) | Kind::TextArea(length) => metadata["length"] = (*length).into(),
        Kind::Number {
            precision, scale, ..
        } => {
            metadata["precision"] = (*precision).into();
            metadata["scale"] = (*scale).into();
        }
        Kind::Picklist { values, restricted } => {
            let value = |value: &Cow<'_, str>| json!({ "valueName": value, "label": value });
            metadata["valueSet"] = json!({
                "restricted": restricted,
                "valueSetDefinition": { "value": values.iter().map(value).collect::<Json>() },
            });
        }
        _ => {}
    }
    metadata
}
