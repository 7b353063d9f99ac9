use std::collections::HashSet;

use http::Method;
use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::rows::{find_fields, find_key, find_object, record_json};
use crate::sandbox::draft::{Draft, is_id};
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::{UpsertRefusal, Upserted, Write};
use crate::sandbox::schema::{FieldIx, ObjectIx};
use crate::sandbox::value::index_key;

/// Rows in one write.
const MAX_ROWS: usize = 200;

/// Rows in one read by POST.
const MAX_READ: usize = 2_000;

/// Runs of rows of one type in a create or update.
const MAX_RUNS: usize = 10;

/// `POST /composite/sobjects`
pub(super) fn create(state: &mut State, call: &Call<'_>) -> Outcome {
    let batch = Batch::read(call)?;
    batch.check_runs()?;
    let write = call.write(state)?;
    Ok(each_row(state, &batch, |state, row| {
        let object = row.object(state)?;
        lock(state, None)?;
        let draft = Draft::read(state.org.object(object), row.fields)?;
        Ok(Done::Plain(state.org.create(object, draft, &write)?))
    }))
}

/// `PATCH /composite/sobjects`
pub(super) fn update(state: &mut State, call: &Call<'_>) -> Outcome {
    let batch = Batch::read(call)?;
    batch.check_runs()?;
    let write = call.write(state)?;
    let mut seen = HashSet::new();
    Ok(each_row(state, &batch, |state, row| {
        let object = row.object(state)?;
        let id = row.id().ok_or_else(|| {
            Refusal::field(
                "MISSING_ARGUMENT",
                "Id not specified in an update call",
                "Id",
            )
        })?;
        let id = parse_id(id)?;
        if !seen.insert(id) {
            let message = format!("Duplicate id in list: {id}");
            return Err(Refusal::row("DUPLICATE_VALUE", message).into());
        }
        update_row(state, object, id, row.fields, &write).map(Done::Plain)
    }))
}

/// `PATCH /composite/sobjects/Lead/Leadstream_Id__c`
pub(super) fn upsert(state: &mut State, call: &Call<'_>, object: &str, field: &str) -> Outcome {
    if call.version < 46 {
        return Err(Refusal::not_found().into());
    }
    let object = find_object(&state.org, object)?;
    let by_id = field.eq_ignore_ascii_case("Id");
    let key_field = if by_id {
        None
    } else {
        Some(find_key(&state.org, object, field)?)
    };
    let batch = Batch::read(call)?;
    let write = call.write(state)?;
    let mut seen = HashSet::new();
    Ok(each_row(state, &batch, |state, row| {
        if row.object(state)? != object {
            let message = "all records of an upsert must be of the type in the URL";
            return Err(Refusal::row("INVALID_TYPE", message).into());
        }
        let known = state.org.object(object);
        let Some(key_field) = key_field else {
            let upserted = if let Some(id) = row.id() {
                let id = parse_id(id)?;
                Upserted::Updated(update_row(state, object, id, row.fields, &write)?)
            } else {
                lock(state, None)?;
                let draft = Draft::read(state.org.object(object), row.fields)?;
                Upserted::Created(state.org.create(object, draft, &write)?)
            };
            return Ok(Done::Upsert(upserted));
        };
        let name = &known.at(key_field).name;
        if let Some(id) = row.id() {
            let message =
                format!("cannot specify both an external ID {name} and a salesforce id: {id}");
            return Err(Refusal::row("INVALID_FIELD", message).into());
        }
        let draft = Draft::read(known, row.fields)?;
        upsert_row(state, object, key_field, draft, &write, &mut seen).map(Done::Upsert)
    }))
}

/// One row of an upsert by a key; `seen` are the keys of the call.
pub(super) fn upsert_row(
    state: &mut State,
    object: ObjectIx,
    key_field: FieldIx,
    mut draft: Draft,
    write: &Write,
    seen: &mut HashSet<Box<str>>,
) -> Result<Upserted, Refusals> {
    let field = state.org.object(object).at(key_field);
    let name = field.name.clone();
    let key = draft.take(key_field);
    let Some(key) = key.as_ref().and_then(|key| key.as_text()) else {
        let message = format!("{name} not specified");
        return Err(Refusal::field("MISSING_ARGUMENT", message, &name).into());
    };
    if !seen.insert(index_key(key, field.case_sensitive)) {
        let message = format!("Duplicate external id specified: {key}");
        return Err(Refusal::field("DUPLICATE_VALUE", message, &name).into());
    }
    let table = state.org.table(object);
    let found = table.find(key_field, key).unwrap_or_default().first();
    let found = found.map(|number| table.at(*number).id);
    lock(state, found)?;
    match state.org.upsert(object, key_field, key, draft, write) {
        Ok(upserted) => Ok(upserted),
        Err(UpsertRefusal::Row(refusals)) => Err(refusals),
        Err(UpsertRefusal::Several(ids)) => {
            let ids: Vec<_> = ids.iter().map(RecordId::to_string).collect();
            let message = format!(
                "{name}: more than one record found for external id field: [{}]",
                ids.join(", ")
            );
            Err(Refusal::field("DUPLICATE_EXTERNAL_ID", message, &name).into())
        }
    }
}

/// `DELETE /composite/sobjects?ids=…`
pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Outcome {
    let ids = call.parameter("ids").unwrap_or_default();
    let ids: Vec<&str> = ids
        .split(',')
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .collect();
    if ids.is_empty() {
        return Err(Refusal::plain("MISSING_ARGUMENT", "ids parameter is required").into());
    }
    check_count(ids.len(), MAX_ROWS)?;
    let write = call.write(state)?;
    let all_or_none = call.parameter("allOrNone") == Some("true");
    Ok(run_rows(state, &ids, all_or_none, |state, id| {
        let id = parse_id(id)?;
        let object = state
            .org
            .schema
            .by_prefix(id.prefix())
            .ok_or_else(|| malformed_id(id))?;
        lock(state, Some(id))?;
        state.org.delete(object, id, &write)?;
        Ok(Done::Plain(id))
    }))
}

/// `GET /composite/sobjects/Lead?ids=…&fields=…` and the same by POST.
pub(super) fn read(state: &mut State, call: &Call<'_>, object: &str) -> Outcome {
    let object = find_object(&state.org, object)?;
    let (ids, fields): (Vec<String>, Vec<String>) = if call.method == Method::POST {
        let body = call.object()?;
        (text_list(body, "ids")?, text_list(body, "fields")?)
    } else {
        let list = |name| {
            let list = call.parameter(name).unwrap_or_default().split(',');
            list.filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        };
        (list("ids"), list("fields"))
    };
    for (name, list) in [("ids", &ids), ("fields", &fields)] {
        if list.is_empty() {
            return Err(Refusal::plain("MISSING_ARGUMENT", format!("{name} is required")).into());
        }
    }
    check_count(ids.len(), MAX_READ)?;
    let fields = find_fields(&state.org, object, fields.iter().map(String::as_str))?;
    let rows = ids.iter().map(|id| {
        let row = state.org.table(object).live(parse_id(id.trim())?);
        let record = |row| record_json(&state.org, object, row, &fields, call.version);
        Ok(row.map_or(Json::Null, record))
    });
    Ok(Answer::ok(rows.collect::<Result<_, Refusal>>()?))
}

/// A row that went well.
enum Done {
    Plain(RecordId),
    Upsert(Upserted),
}

impl Done {
    fn to_json(&self) -> Json {
        let (id, created) = match self {
            Self::Plain(id) => (id, None),
            Self::Upsert(Upserted::Created(id)) => (id, Some(true)),
            Self::Upsert(Upserted::Updated(id)) => (id, Some(false)),
        };
        let mut result = json!({ "id": id.to_string(), "success": true, "errors": [] });
        if let Some(created) = created {
            result["created"] = created.into();
        }
        result
    }
}

struct Batch<'c> {
    rows: Vec<BatchRow<'c>>,
    all_or_none: bool,
}

struct BatchRow<'c> {
    object: &'c str,
    fields: &'c Map<String, Json>,
}

impl<'c> Batch<'c> {
    /// Reads the body; what is wrong here refuses the call, and nothing is done.
    fn read(call: &'c Call<'_>) -> Result<Self, Refusal> {
        let body = call.object()?;
        let Some(Json::Array(records)) = body.get("records") else {
            return Err(Refusal::plain("MISSING_ARGUMENT", "records is required"));
        };
        check_count(records.len(), MAX_ROWS)?;
        let rows = records.iter().map(|record| {
            let object = record.pointer("/attributes/type").and_then(Json::as_str);
            match (object, record) {
                (Some(object), Json::Object(fields)) => Ok(BatchRow { object, fields }),
                _ => Err(Refusal::plain(
                    "INVALID_INPUT",
                    "The record must have an attributes map with the object's type.",
                )),
            }
        });
        Ok(Self {
            rows: rows.collect::<Result<_, _>>()?,
            all_or_none: body.get("allOrNone") == Some(&Json::Bool(true)),
        })
    }

    fn check_runs(&self) -> Result<(), Refusal> {
        let changes = self
            .rows
            .windows(2)
            .filter(|pair| !pair[0].object.eq_ignore_ascii_case(pair[1].object));
        if changes.count() >= MAX_RUNS {
            let message = format!(
                "Cannot have more than {MAX_RUNS} chunks in a single operation. Please rearrange the data to reduce chunking."
            );
            return Err(Refusal::plain("LIMIT_EXCEEDED", message));
        }
        Ok(())
    }
}

impl BatchRow<'_> {
    fn object(&self, state: &State) -> Result<ObjectIx, Refusal> {
        state.org.schema.shown(self.object).ok_or_else(|| {
            let message = format!("sObject type '{}' is not supported.", self.object);
            Refusal::row("INVALID_TYPE", message)
        })
    }

    /// The row's id.
    fn id(&self) -> Option<&str> {
        let id = self.fields.iter().find(|(name, _)| is_id(name));
        id.and_then(|(_, id)| id.as_str())
    }
}

fn each_row(
    state: &mut State,
    batch: &Batch<'_>,
    act: impl FnMut(&mut State, &BatchRow<'_>) -> Result<Done, Refusals>,
) -> Answer {
    run_rows(state, &batch.rows, batch.all_or_none, act)
}

/// Acts on each row by itself and answers in their order; with `all_or_none`, one that fails takes
/// back the others.
fn run_rows<R>(
    state: &mut State,
    rows: &[R],
    all_or_none: bool,
    mut act: impl FnMut(&mut State, &R) -> Result<Done, Refusals>,
) -> Answer {
    let mark = all_or_none.then(|| state.org.mark());
    let mut results: Vec<Result<Done, Refusals>> = rows.iter().map(|row| act(state, row)).collect();
    if let Some(mark) = mark {
        if results.iter().all(Result::is_ok) {
            state.org.keep(mark);
        } else {
            state.org.take_back(mark);
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(Refusal::row(
                    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                    "Record rolled back because not all records were valid and the request was \
                     using AllOrNone header",
                )
                .into());
            }
        }
    }
    let results = results.iter().map(|result| match result {
        Ok(done) => done.to_json(),
        Err(refusals) => {
            let errors: Json = refusals.iter().map(Refusal::to_collection).collect();
            json!({ "success": false, "errors": errors })
        }
    });
    Answer::ok(results.collect())
}

pub(super) fn update_row(
    state: &mut State,
    object: ObjectIx,
    id: RecordId,
    fields: &Map<String, Json>,
    write: &Write,
) -> Result<RecordId, Refusals> {
    let known = state.org.object(object);
    if id.prefix() != known.prefix {
        let message = format!("{} ID: id value of incorrect type: {id}", known.label);
        return Err(Refusal::field("MALFORMED_ID", message, "Id").into());
    }
    let draft = Draft::read_beside_id(known, fields)?;
    lock(state, Some(id))?;
    if state.org.table(object).get(id).is_none() {
        return Err(
            Refusal::row("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id").into(),
        );
    }
    state.org.update(object, id, draft, write)?;
    Ok(id)
}

pub(super) fn lock(state: &mut State, id: Option<RecordId>) -> Result<(), Refusal> {
    if state.faults.row_lock() {
        Err(Refusal::locked(id))
    } else {
        Ok(())
    }
}

pub(super) fn parse_id(text: &str) -> Result<RecordId, Refusal> {
    RecordId::parse(text).ok_or_else(|| malformed_id(text))
}

fn malformed_id(id: impl std::fmt::Display) -> Refusal {
    Refusal::field("MALFORMED_ID", format!("malformed id {id}"), "Id")
}

fn check_count(count: usize, most: usize) -> Result<(), Refusal> {
    if count <= most {
        return Ok(());
    }
    let message =
        format!("record limit reached. cannot submit more than {most} records in this operation");
    Err(Refusal::plain("EXCEEDED_ID_LIMIT", message))
}

fn text_list(body: &Map<String, Json>, name: &str) -> Result<Vec<String>, Refusal> {
    let list = body.get(name).and_then(Json::as_array).map(Vec::as_slice);
    let texts = list
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| {
        Refusal::plain(
            "JSON_PARSER_ERROR",
            format!("{name} must be a list of strings"),
        )
    })
}
