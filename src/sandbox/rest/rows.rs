use http::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call, Outcome};
use crate::model::Millis;
use crate::sandbox::draft::{Draft, not_in_data};
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::{Org, Row, UpsertRefusal, Upserted};
use crate::sandbox::schema::{FieldIx, ObjectIx};

/// The object of this name, or 404.
pub(super) fn find_object(org: &Org, name: &str) -> Result<ObjectIx, Refusal> {
    org.schema.shown(name).ok_or_else(Refusal::not_found)
}

/// A record with these fields.
pub(super) fn record_json(
    org: &Org,
    object: ObjectIx,
    row: &Row,
    fields: &[FieldIx],
    version: u16,
) -> Json {
    let known = org.object(object);
    let url = format!(
        "/services/data/v{version}.0/sobjects/{}/{}",
        known.name, row.id
    );
    let mut record = Map::with_capacity(fields.len() + 1);
    record.insert(
        "attributes".to_owned(),
        json!({ "type": known.name, "url": url }),
    );
    for ix in fields {
        record.insert(known.at(*ix).name.to_string(), org.json(object, row, *ix));
    }
    Json::Object(record)
}

/// The fields of these names.
pub(super) fn find_fields<'n>(
    org: &Org,
    object: ObjectIx,
    names: impl Iterator<Item = &'n str>,
) -> Result<Vec<FieldIx>, Refusal> {
    let known = org.object(object);
    names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            known
                .shown(name)
                .ok_or_else(|| Refusal::no_such_column(name, known.name))
        })
        .collect()
}

/// `POST /sobjects/Lead`
pub(super) fn create(state: &mut State, call: &Call<'_>, object: &str) -> Outcome {
    let object = find_object(&state.org, object)?;
    let write = call.write(state)?;
    if state.faults.row_lock() {
        return Err(Refusal::locked(None).into());
    }
    let draft = Draft::read(state.org.object(object), call.object()?)?;
    let id = state.org.create(object, draft, &write)?;
    let url = call.record_url(state.org.object(object).name, id);
    let body = json!({ "id": id.to_string(), "success": true, "errors": [] });
    Ok(Answer::json(StatusCode::CREATED, body).header("Location", url))
}

/// `GET|PATCH|DELETE /sobjects/Lead/00Q…`
pub(super) fn by_id(state: &mut State, call: &Call<'_>, object: &str, id: &str) -> Outcome {
    let object = find_object(&state.org, object)?;
    // Salesforce takes what is no id for the name of an external id field.
    let id = RecordId::parse(id).ok_or_else(|| no_such_key(id))?;
    let known = state.org.object(object);
    if id.prefix() != known.prefix {
        let message = format!("{} ID: id value of incorrect type: {id}", known.label);
        return Err(Refusal::field("MALFORMED_ID", message, "Id").into());
    }
    let row = state
        .org
        .table(object)
        .get(id)
        .ok_or_else(Refusal::not_found)?;
    if !row.deleted
        && let Some(answer) = precondition(call, row.modified)
    {
        return Ok(answer);
    }
    if call.method == Method::PATCH {
        let write = call.write(state)?;
        if state.faults.row_lock() {
            return Err(Refusal::locked(Some(id)).into());
        }
        let draft = Draft::read(state.org.object(object), call.object()?)?;
        state.org.update(object, id, draft, &write)?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    } else {
        act_on(state, call, object, id)
    }
}

/// `GET|PATCH|DELETE /sobjects/Lead/Leadstream_Id__c/…`
pub(super) fn by_key(
    state: &mut State,
    call: &Call<'_>,
    object: &str,
    field: &str,
    key: &str,
) -> Outcome {
    let object = find_object(&state.org, object)?;
    let known = state.org.object(object);
    let key_field = find_key(&state.org, object, field)?;
    if call.method == Method::PATCH {
        return upsert(state, call, object, key_field, key);
    }
    let table = state.org.table(object);
    match table.find(key_field, key.trim()).unwrap_or_default() {
        [] => Err(Refusal::not_found().into()),
        [one] => {
            let id = table.at(*one).id;
            act_on(state, call, object, id)
        }
        several => {
            let ids = several.iter().map(|number| table.at(*number).id);
            Ok(multiple_choices(call, known.name, ids))
        }
    }
}

fn upsert(
    state: &mut State,
    call: &Call<'_>,
    object: ObjectIx,
    key_field: FieldIx,
    key: &str,
) -> Outcome {
    let write = call.write(state)?;
    let known = state.org.object(object);
    let draft = Draft::read(known, call.object()?)?;
    if draft.get(key_field).is_some() {
        return Err(not_in_data(&known.at(key_field).name).into());
    }
    let key = key.trim();
    let found = state
        .org
        .table(object)
        .find(key_field, key)
        .unwrap_or_default();
    if found.is_empty() && call.parameter("updateOnly") == Some("true") {
        return Err(Refusal::not_found().into());
    }
    if state.faults.row_lock() {
        let id = found
            .first()
            .map(|number| state.org.table(object).at(*number).id);
        return Err(Refusal::locked(id).into());
    }
    match state.org.upsert(object, key_field, key, draft, &write) {
        // Before v46 an update had no body, so `created` was of no use.
        Ok(Upserted::Updated(_)) if call.version < 46 => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        Ok(Upserted::Updated(id)) => Ok(Answer::ok(upsert_json(id, false))),
        Ok(Upserted::Created(id)) => {
            let url = call.record_url(state.org.object(object).name, id);
            Ok(Answer::json(StatusCode::CREATED, upsert_json(id, true)).header("Location", url))
        }
        Err(UpsertRefusal::Row(refusals)) => Err(refusals),
        Err(UpsertRefusal::Several(ids)) => {
            let name = state.org.object(object).name;
            Ok(multiple_choices(call, name, ids.into_iter()))
        }
    }
}

fn act_on(state: &mut State, call: &Call<'_>, object: ObjectIx, id: RecordId) -> Outcome {
    if call.method == Method::DELETE {
        let write = call.write(state)?;
        if state.faults.row_lock() {
            return Err(Refusal::locked(Some(id)).into());
        }
        state.org.delete(object, id, &write)?;
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    let row = state
        .org
        .table(object)
        .live(id)
        .ok_or_else(Refusal::not_found)?;
    let fields = match call.parameter("fields") {
        Some(names) => find_fields(&state.org, object, names.split(','))?,
        None => state
            .org
            .object(object)
            .shown_fields()
            .map(|(ix, _)| ix)
            .collect(),
    };
    Ok(Answer::ok(record_json(
        &state.org,
        object,
        row,
        &fields,
        call.version,
    )))
}

/// The field that records are found by, or 404.
pub(super) fn find_key(org: &Org, object: ObjectIx, field: &str) -> Result<FieldIx, Refusals> {
    let known = org.object(object);
    known
        .shown(field)
        .filter(|ix| known.at(*ix).external_id || known.at(*ix).id_lookup)
        .ok_or_else(|| no_such_key(field).into())
}

fn no_such_key(field: &str) -> Refusal {
    Refusal::plain(
        "NOT_FOUND",
        format!("Provided external ID field does not exist or is not accessible: {field}"),
    )
}

fn upsert_json(id: RecordId, created: bool) -> Json {
    json!({ "id": id.to_string(), "success": true, "errors": [], "created": created })
}

fn multiple_choices(call: &Call<'_>, object: &str, ids: impl Iterator<Item = RecordId>) -> Answer {
    let urls = ids
        .map(|id| Json::from(call.record_url(object, id)))
        .collect();
    Answer::json(StatusCode::MULTIPLE_CHOICES, urls)
}

/// `If-Modified-Since` and `If-Unmodified-Since`, to the second.
pub(super) fn precondition(call: &Call<'_>, modified: Millis) -> Option<Answer> {
    let moment = |name| {
        let text = call.header(name)?;
        let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
        parsed.ok().map(jiff::Timestamp::as_second)
    };
    let modified = modified.0.div_euclid(1000);
    if moment("If-Unmodified-Since").is_some_and(|since| modified > since) {
        return Some(Answer::empty(StatusCode::PRECONDITION_FAILED));
    }
    let is_read = call.method == Method::GET || call.method == Method::HEAD;
    if is_read && moment("If-Modified-Since").is_some_and(|since| modified <= since) {
        return Some(Answer::empty(StatusCode::NOT_MODIFIED));
    }
    None
}
