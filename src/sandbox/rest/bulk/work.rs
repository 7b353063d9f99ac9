//! The rows of a job, written in chunks of 200 as Salesforce does.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::JobState;
use super::ingest::{IngestJob, Operation};
use crate::model::Millis;
use crate::sandbox::draft::{Draft, is_id};
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::{AutoAssign, Upserted, Write};
use crate::sandbox::rest::collections::{lock, parse_id, update_row, upsert_row};
use crate::sandbox::schema::{Kind, Object};

/// Rows that triggers and rules see together.
const CHUNK: usize = 200;

/// Rows of a batch, as the allowance counts them.
const BATCH: usize = 10_000;

/// The id and whether the row was created, or the id if it had one and `sf__Error`.
pub(super) type Outcome = Result<(RecordId, bool), (Option<RecordId>, Box<str>)>;

/// What a column of an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    Field(String),
    /// A reference by external id: the relationship, the target's field, and the reference itself.
    Parent {
        relationship: String,
        key: String,
        field: String,
    },
}

/// Does the next rows: so many parts of so many of the job are done then.
pub(super) fn advance(state: &mut State, job: &mut IngestJob, share: (usize, usize), now: Millis) {
    if job.head.state == JobState::UploadComplete {
        if let Err(error) = begin(state, job, now) {
            job.error = Some(error);
            job.head.enter(JobState::Failed, now);
            return;
        }
        job.head.enter(JobState::InProgress, now);
    }
    let (done, of) = share;
    let to = job.rows.len() * done / of;
    let to_failure = job.fails_after.unwrap_or(usize::MAX).min(to);
    while job.outcomes.len() < to_failure {
        let from = job.outcomes.len();
        let end = to_failure.min(from + CHUNK - from % CHUNK);
        chunk(state, job, from..end, now);
    }
    if job
        .fails_after
        .is_some_and(|rows| job.outcomes.len() >= rows)
    {
        job.error = Some("InternalServerError : An internal server error occurred".to_owned());
        job.head.enter(JobState::Failed, now);
    } else if done >= of {
        job.head.enter(JobState::JobComplete, now);
    } else {
        job.head.modified = now;
    }
}

/// Cuts the upload into its header and rows. The error is the job's.
pub(super) fn cut(job: &mut IngestJob) -> Result<(), String> {
    let upload = job.upload.clone().unwrap_or_default();
    let mut rows = job.format.rows(&upload)?;
    if rows.is_empty() {
        return Err("InvalidBatch : Records not found".to_owned());
    }
    let header = job.format.cells(&upload[rows.remove(0)])?;
    job.header = header.into_iter().map(Cow::into_owned).collect();
    job.rows = rows;
    Ok(())
}

/// Reads the upload. The error is the job's.
fn begin(state: &mut State, job: &mut IngestJob, now: Millis) -> Result<(), String> {
    cut(job)?;
    let object = state.org.object(job.object);
    job.columns = job
        .header
        .iter()
        .map(|name| column(state, object, name))
        .collect::<Result<_, _>>()?;
    let upload = job.upload.clone().unwrap_or_default();
    for row in &job.rows {
        let cells = job.format.cells(&upload[row.clone()])?.len();
        if cells != job.columns.len() {
            return Err(format!(
                "InvalidBatch : The number of fields in a record, {cells}, is not that of the \
                 header, {}",
                job.columns.len()
            ));
        }
    }
    if let Some(part) = state.faults.job_failure() {
        job.fails_after = Some((job.rows.len() as f64 * part) as usize);
    }
    let batches = job.rows.len().div_ceil(BATCH).max(1);
    state.jobs.batches.push_back((now, batches as u64));
    Ok(())
}

fn column(state: &State, object: &Object, name: &str) -> Result<Column, String> {
    let unknown = || format!("InvalidBatch : Field name not found : {name}");
    if is_id(name) {
        return Ok(Column::Id);
    }
    if let Some(ix) = object.shown(name) {
        let field = object.at(ix);
        if field.kind == Kind::Address {
            return Err(unknown());
        }
        return Ok(Column::Field(field.name.clone().into_owned()));
    }
    // `Owner.Ext__c`, or with the object that is meant: `Lead:Owner.Ext__c`.
    let path = name.split_once(':').map_or(name, |(_, path)| path);
    let (relationship, key) = path.split_once('.').ok_or_else(unknown)?;
    let ix = object.relationship(relationship).ok_or_else(unknown)?;
    let Kind::Reference { to, .. } = &object.at(ix).kind else {
        return Err(unknown());
    };
    let is_known = to.iter().any(|target| {
        let target = state.org.schema.find(target);
        target.is_some_and(|target| state.org.object(target).shown(key).is_some())
    });
    if !is_known {
        return Err(unknown());
    }
    Ok(Column::Parent {
        relationship: relationship.to_owned(),
        key: key.to_owned(),
        field: object.at(ix).name.clone().into_owned(),
    })
}

fn chunk(state: &mut State, job: &mut IngestJob, rows: std::ops::Range<usize>, now: Millis) {
    let write = Write {
        now: state.faults.stamp(now),
        user: state.org.integration_user,
        version: job.head.version,
        // No rule runs unless the job names one, unlike in REST.
        auto_assign: job
            .assignment_rule
            .map_or(AutoAssign::Off, AutoAssign::Rule),
        // The job cannot carry the duplicate header.
        allow_duplicates: false,
        include_record_details: false,
        before: state.org.sizes(),
    };
    let upload = job.upload.clone().unwrap_or_default();
    let mut seen = HashSet::new();
    let mut seen_ids = HashSet::new();
    for row in &job.rows[rows] {
        let cells = job.format.cells(&upload[row.clone()]).unwrap_or_default();
        let (id, fields) = read(&job.columns, &cells);
        let done = write_row(state, job, id, &fields, &write, &mut seen, &mut seen_ids);
        let outcome = done.map_err(|refusals| {
            let refusals = in_words_of_bulk(state, job, &fields, refusals);
            let id = id.and_then(RecordId::parse);
            let texts: String = refusals.iter().map(error_text).collect();
            (id, texts.into_boxed_str())
        });
        job.outcomes.push(outcome);
    }
}

/// A row's id and fields: an empty cell changes nothing, `#N/A` clears.
fn read<'c>(columns: &[Column], cells: &'c [Cow<'_, str>]) -> (Option<&'c str>, Map<String, Json>) {
    let mut id = None;
    let mut fields = Map::new();
    for (column, cell) in columns.iter().zip(cells) {
        let cell = &**cell;
        if cell.is_empty() {
            continue;
        }
        let is_null = cell == "#N/A";
        match column {
            Column::Id => id = Some(cell),
            Column::Field(name) if is_null => {
                fields.insert(name.clone(), Json::Null);
            }
            Column::Field(name) => {
                fields.insert(name.clone(), cell.into());
            }
            Column::Parent { field, .. } if is_null => {
                fields.insert(field.clone(), Json::Null);
            }
            Column::Parent {
                relationship, key, ..
            } => {
                let target = Map::from_iter([(key.clone(), Json::from(cell))]);
                fields.insert(relationship.clone(), target.into());
            }
        }
    }
    (id, fields)
}

fn write_row(
    state: &mut State,
    job: &IngestJob,
    id: Option<&str>,
    fields: &Map<String, Json>,
    write: &Write,
    seen: &mut HashSet<Box<str>>,
    seen_ids: &mut HashSet<RecordId>,
) -> Result<(RecordId, bool), Refusals> {
    let object = job.object;
    let mut known_id = |id: Option<&str>| -> Result<RecordId, Refusals> {
        let missing = || {
            Refusal::field(
                "MISSING_ARGUMENT",
                "Id not specified in an update call",
                "Id",
            )
        };
        let id = parse_id(id.ok_or_else(missing)?)?;
        if !seen_ids.insert(id) {
            let message = format!("Duplicate id in list: {id}");
            return Err(Refusal::row("DUPLICATE_VALUE", message).into());
        }
        Ok(id)
    };
    match job.operation {
        Operation::Insert => {
            if id.is_some() {
                let message = "cannot specify Id in an insert call";
                return Err(
                    Refusal::field("INVALID_FIELD_FOR_INSERT_UPDATE", message, "Id").into(),
                );
            }
            lock(state, None)?;
            let draft = Draft::read(state.org.object(object), fields)?;
            Ok((state.org.create(object, draft, write)?, true))
        }
        Operation::Update => {
            let id = known_id(id)?;
            Ok((update_row(state, object, id, fields, write)?, false))
        }
        Operation::Upsert(None) if id.is_some() => {
            let id = known_id(id)?;
            Ok((update_row(state, object, id, fields, write)?, false))
        }
        Operation::Upsert(None) => {
            lock(state, None)?;
            let draft = Draft::read(state.org.object(object), fields)?;
            Ok((state.org.create(object, draft, write)?, true))
        }
        Operation::Upsert(Some(key)) => {
            if let Some(id) = id {
                let name = &state.org.object(object).at(key).name;
                let message =
                    format!("cannot specify both an external ID {name} and a salesforce id: {id}");
                return Err(Refusal::row("INVALID_FIELD", message).into());
            }
            let draft = Draft::read(state.org.object(object), fields)?;
            match upsert_row(state, object, key, draft, write, seen)? {
                Upserted::Created(id) => Ok((id, true)),
                Upserted::Updated(id) => Ok((id, false)),
            }
        }
        Operation::Delete => {
            let id = known_id(id)?;
            lock(state, Some(id))?;
            state.org.delete(object, id, write)?;
            Ok((id, false))
        }
    }
}

/// A CSV has no JSON to be wrong: a value of the wrong type is told as such.
fn in_words_of_bulk(
    state: &State,
    job: &IngestJob,
    fields: &Map<String, Json>,
    refusals: Refusals,
) -> Refusals {
    if !refusals
        .iter()
        .any(|refusal| refusal.code == "JSON_PARSER_ERROR")
    {
        return refusals;
    }
    let object = state.org.object(job.object);
    let culprit = fields.iter().find(|(name, value)| {
        let alone = Map::from_iter([((*name).clone(), (*value).clone())]);
        Draft::read(object, &alone).is_err_and(|refusal| refusal.code == "JSON_PARSER_ERROR")
    });
    let Some((name, value)) = culprit else {
        return refusals;
    };
    let label = object
        .field(name)
        .map_or(name.as_str(), |ix| &*object.at(ix).label);
    let value = value.as_str().unwrap_or_default();
    let message = format!("{label}: value not of required type: {value}");
    Refusal::field("INVALID_TYPE_ON_FIELD_IN_RECORD", message, name).into()
}

/// `CODE:message:fields --`
fn error_text(refusal: &Refusal) -> String {
    let message = if refusal.duplicates.is_some() {
        "Use one of these records?"
    } else {
        &refusal.message
    };
    let mut fields = refusal.fields.as_deref().unwrap_or_default().join(",");
    if !fields.is_empty() {
        fields.push(' ');
    }
    format!("{}:{message}:{fields}--", refusal.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_text_as_orgs_write_them() {
        let fields = vec!["LastName".to_owned()];
        let missing = Refusal {
            fields: Some(fields),
            ..Refusal::row(
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [LastName]",
            )
        };
        assert_eq!(
            error_text(&missing),
            "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
        );
        let locked = Refusal::row("UNABLE_TO_LOCK_ROW", "held");
        assert_eq!(error_text(&locked), "UNABLE_TO_LOCK_ROW:held:--");
    }

    #[test]
    fn an_empty_cell_changes_nothing_and_a_mark_clears() {
        let columns = [
            Column::Id,
            Column::Field("Title".to_owned()),
            Column::Field("City".to_owned()),
            Column::Parent {
                relationship: "Campaign".to_owned(),
                key: "Key__c".to_owned(),
                field: "CampaignId".to_owned(),
            },
        ];
        let cells = ["00Q", "", "#N/A", "x"].map(Cow::from);
        let (id, fields) = read(&columns, &cells);
        assert_eq!(id, Some("00Q"));
        let expected = serde_json::json!({ "City": null, "Campaign": { "Key__c": "x" } });
        assert_eq!(Json::Object(fields), expected);
    }
}
