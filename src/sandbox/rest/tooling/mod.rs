//! The Tooling API, as far as setting up an integration needs it: custom fields are made and read,
//! the org's set-up is queried.

mod field;

use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call, Outcome};
use crate::model::Millis;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::{Org, custom_fields};
use crate::sandbox::schema::{CustomField, FieldIx, ObjectIx, Schema};
use crate::sandbox::soql::{Select, compile, render};

const CUSTOM_FIELD: [u8; 3] = *b"00N";

/// The custom fields in the order in which they were made: their ids.
#[derive(Debug, Default)]
pub struct Tooling {
    fields: Vec<(ObjectIx, FieldIx)>,
}

impl Tooling {
    /// Enters fields that an admin made past this door.
    fn sync(&mut self, schema: &Schema) {
        for (object, known) in schema.objects.iter().enumerate() {
            for ix in custom_fields(known) {
                if !self.fields.contains(&(object, ix)) {
                    self.fields.push((object, ix));
                }
            }
        }
    }
}

fn set_up_records(state: &mut State, now: Millis) -> Org {
    state.tooling.sync(&state.org.schema);
    state.org.set_up_records(&state.tooling.fields, now)
}

/// `GET /tooling/query?q=…`: all on one page.
pub(super) fn query(state: &mut State, call: &Call<'_>) -> Outcome {
    let text = call
        .parameter("q")
        .ok_or_else(|| Refusal::plain("MALFORMED_QUERY", "A query string has to be specified"))?;
    let set_up = set_up_records(state, call.now);
    let query = compile(&set_up, text)?;
    let rows = query.find(&set_up, false);
    let object = set_up.object(query.object);
    let records: Vec<Json> = match &query.select {
        Select::Count => Vec::new(),
        Select::Fields(paths) => {
            let asks_full_name = paths.iter().any(|path| path.header() == "FullName");
            if asks_full_name && rows.len() > 1 {
                let message = format!(
                    "When retrieving results with Metadata or FullName fields, the query \
                     qualifications must specify no more than one row for retrieval. Result \
                     size: {}",
                    rows.len()
                );
                return Err(Refusal::plain("MALFORMED_QUERY", message).into());
            }
            let table = set_up.table(query.object);
            let record = |number: &u32| {
                let row = table.at(*number);
                in_tooling(render(&set_up, query.object, row, paths, call.version))
            };
            rows.iter().map(record).collect()
        }
    };
    Ok(Answer::ok(json!({
        "size": records.len(),
        "totalSize": rows.len(),
        "done": true,
        "queryLocator": null,
        "entityTypeName": object.name,
        "records": records,
    })))
}

/// Records of this API have addresses of their own.
fn in_tooling(mut record: Json) -> Json {
    if let Some(fields) = record.as_object_mut() {
        for (name, value) in fields.iter_mut() {
            match (name.as_str(), value.get("url").and_then(Json::as_str)) {
                ("attributes", Some(url)) => {
                    value["url"] = url.replacen("/sobjects/", "/tooling/sobjects/", 1).into();
                }
                _ if value.is_object() => *value = in_tooling(value.take()),
                _ => {}
            }
        }
    }
    record
}

/// `POST /tooling/sobjects/CustomField`
pub(super) fn create(state: &mut State, call: &Call<'_>) -> Outcome {
    if !state.org.may("PermissionsCustomizeApplication") {
        let message = "insufficient access rights on entity: CustomField";
        return Err(Refusal::row("INSUFFICIENT_ACCESS_OR_READONLY", message).into());
    }
    let made = read(&state.org, call.object()?)?;
    state.tooling.sync(&state.org.schema);
    state.org.add_field(&made, call.now);
    state.tooling.sync(&state.org.schema);
    let number = state.tooling.fields.len().saturating_sub(1);
    let id = RecordId::new(CUSTOM_FIELD, number as u32).to_string();
    let body = json!({ "id": id, "success": true, "errors": [], "warnings": [], "infos": [] });
    let url = format!(
        "/services/data/v{}.0/tooling/sobjects/CustomField/{id}",
        call.version
    );
    Ok(Answer::json(StatusCode::CREATED, body).header("Location", url))
}

/// Reads `{"FullName": "Lead.Plan__c", "Metadata": {…}}`.
fn read(org: &Org, body: &Map<String, Json>) -> Result<CustomField, Refusal> {
    let full_name = body
        .get("FullName")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let Some((object, name)) = full_name.split_once('.') else {
        let message = "Required fields are missing: [FullName]";
        return Err(Refusal::field(
            "REQUIRED_FIELD_MISSING",
            message,
            "FullName",
        ));
    };
    let Some(known) = org.schema.find(object).map(|object| org.object(object)) else {
        let message =
            format!("Entity Enumeration Or ID: bad value for restricted picklist field: {object}");
        let code = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";
        return Err(Refusal::field(code, message, "TableEnumOrId"));
    };
    let stem = name.strip_suffix("__c").unwrap_or_default();
    let is_name = stem.starts_with(|first: char| first.is_ascii_alphabetic())
        && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !stem.ends_with('_')
        && !stem.contains("__");
    if !is_name || stem.len() > 40 {
        let message = "The Name field can only contain alphanumeric characters, must begin with a \
                       letter, cannot end with an underscore, and cannot contain two consecutive \
                       underscore characters.";
        return Err(Refusal::field("INVALID_FIELD", message, "DeveloperName"));
    }
    if known.field(name).is_some() {
        let message = format!("There is already a field named {stem} on {}.", known.label);
        let code = "DUPLICATE_DEVELOPER_NAME";
        return Err(Refusal::field(code, message, "DeveloperName"));
    }
    let Some(metadata) = body.get("Metadata").and_then(Json::as_object) else {
        let message = "Required fields are missing: [Metadata]";
        return Err(Refusal::field(
            "REQUIRED_FIELD_MISSING",
            message,
            "Metadata",
        ));
    };
    Ok(CustomField {
        object: known.name.to_owned(),
        field: field::read(name, metadata)?,
    })
}

/// `GET /tooling/sobjects/CustomField/00N…`
pub(super) fn by_id(state: &mut State, call: &Call<'_>, id: &str) -> Outcome {
    state.tooling.sync(&state.org.schema);
    let id = RecordId::parse(id).filter(|id| id.prefix() == CUSTOM_FIELD);
    let number = id
        .and_then(|id| id.number())
        .ok_or_else(Refusal::not_found)?;
    let place = state.tooling.fields.get(number as usize);
    let (object, ix) = *place.ok_or_else(Refusal::not_found)?;
    let object = state.org.object(object);
    let field = object.at(ix);
    let id = RecordId::new(CUSTOM_FIELD, number).to_string();
    Ok(Answer::ok(json!({
        "attributes": {
            "type": "CustomField",
            "url": format!("/services/data/v{}.0/tooling/sobjects/CustomField/{id}", call.version),
        },
        "Id": id,
        "TableEnumOrId": object.name,
        "DeveloperName": field.name.trim_end_matches("__c"),
        "NamespacePrefix": null,
        "FullName": format!("{}.{}", object.name, field.name),
        "Metadata": field::metadata(field),
    })))
}
