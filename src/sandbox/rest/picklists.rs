//! Picklist values by record type, which describe does not have.
//! Source: User Interface API guide, "Get Values for All Picklist Fields of a Record Type".

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::rows::find_object;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::schema::{Field, Kind};

/// The record type of objects that have none.
const MASTER: &str = "012000000000000AAA";

/// `GET /ui-api/object-info/Lead/picklist-values/012…`. Every record type has all values here.
pub(super) fn of_record_type(
    state: &State,
    call: &Call<'_>,
    object: &str,
    record_type: &str,
) -> Outcome {
    let object = find_object(&state.org, object)?;
    let known = state.org.object(object);
    let is_known = record_type == MASTER
        || record_type == &MASTER[..15]
        || RecordId::parse(record_type)
            .and_then(|id| state.org.find(id))
            .is_some_and(|(found, row)| {
                let types = state.org.object(found);
                let of = types
                    .field("SobjectType")
                    .and_then(|ix| row.get(ix)?.as_text());
                types.name == "RecordType" && of == Some(known.name)
            });
    if !is_known {
        return Err(Refusal::not_found().into());
    }
    let base = format!(
        "/services/data/v{}.0/ui-api/object-info/{}/picklist-values/{record_type}",
        call.version, known.name
    );
    let fields = known.shown_fields().filter_map(|(_, field)| {
        let Kind::Picklist { values, .. } = &field.kind else {
            return None;
        };
        let active = values
            .iter()
            .filter(|value| !field.inactive.contains(value));
        let values: Vec<Json> = active.map(|value| entry(value)).collect();
        Some((field.name.to_string(), picklist(field, &values, &base)))
    });
    let fields: Map<String, Json> = fields.collect();
    Ok(Answer::ok(
        json!({ "eTag": etag(&fields), "picklistFieldValues": fields }),
    ))
}

fn picklist(field: &Field, values: &[Json], base: &str) -> Json {
    let default = field.default.as_ref().and_then(|default| default.as_text());
    let default = default.and_then(|text| values.iter().find(|value| value["value"] == text));
    json!({
        "controllerValues": {},
        "defaultValue": default,
        "url": format!("{base}/{}", field.name),
        "values": values,
    })
}

fn entry(value: &str) -> Json {
    json!({ "attributes": null, "label": value, "validFor": [], "value": value })
}

/// Changes with what is shown.
fn etag(fields: &Map<String, Json>) -> String {
    let text = Json::Object(fields.clone()).to_string();
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}
