use std::ops::Range;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::csv::Format;
use super::work::{self, Column, Outcome as RowOutcome};
use super::{Head, JobState, MAX_UPLOAD, parse_id, wanted_state, wrong_state};
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::rest::call::{Answer, Call, Outcome};
use crate::sandbox::rest::rows::find_key;
use crate::sandbox::schema::{FieldIx, ObjectIx};

/// What a job does with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Insert,
    Update,
    /// By this field; none is `Id`.
    Upsert(Option<FieldIx>),
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert(_) => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// A job that takes rows.
#[derive(Debug)]
pub(super) struct IngestJob {
    pub(super) head: Head,
    pub(super) operation: Operation,
    pub(super) object: ObjectIx,
    pub(super) assignment_rule: Option<RecordId>,
    pub(super) format: Format,
    pub(super) upload: Option<Bytes>,
    /// The header, once the work has begun.
    pub(super) header: Vec<String>,
    pub(super) columns: Vec<Column>,
    /// The rows, without the header.
    pub(super) rows: Vec<Range<usize>>,
    /// What became of the first rows; the others are not processed.
    pub(super) outcomes: Vec<RowOutcome>,
    /// The rows after which it fails, if it does.
    pub(super) fails_after: Option<usize>,
    pub(super) error: Option<String>,
}

impl IngestJob {
    fn failed(&self) -> usize {
        self.outcomes.iter().filter(|row| row.is_err()).count()
    }

    fn describe(&self, state: &State) -> Json {
        let object = state.org.object(self.object);
        let mut job = self.head.describe(self.operation.name(), object.name);
        if let Operation::Upsert(key) = self.operation {
            let name = key.map_or("Id", |key| &*object.at(key).name);
            job["externalIdFieldName"] = name.into();
        }
        if let Some(rule) = self.assignment_rule {
            job["assignmentRuleId"] = rule.to_string().into();
        }
        job["contentUrl"] = format!(
            "services/data/v{}.0/jobs/ingest/{}/batches",
            self.head.version, self.head.id
        )
        .into();
        self.format.describe(&mut job);
        job
    }

    /// The same as a poll shows it.
    fn describe_progress(&self, state: &State) -> Json {
        let mut job = self.describe(state);
        let processing = self.head.modified.since(self.head.closed).as_millis() as u64;
        let progress = json!({
            "jobType": "V2Ingest",
            "numberRecordsProcessed": self.outcomes.len(),
            "numberRecordsFailed": self.failed(),
            "retries": 0,
            "totalProcessingTime": processing,
            "apiActiveProcessingTime": processing,
            "apexProcessingTime": 0,
            "isPkChunkingSupported": false,
        });
        if let (Json::Object(job), Json::Object(progress)) = (&mut job, progress) {
            job.extend(progress);
        }
        if let Some(error) = &self.error {
            job["errorMessage"] = error.as_str().into();
        }
        job
    }
}

/// `POST /jobs/ingest`
pub(in crate::sandbox::rest) fn create(state: &mut State, call: &Call<'_>) -> Outcome {
    let body = call.object()?;
    let text = |name: &str| body.get(name).and_then(Json::as_str);
    let invalid = |what: String| Refusal::plain("INVALIDJOB", format!("InvalidJob : {what}"));
    let name = text("object").ok_or_else(|| invalid("object is required".to_owned()))?;
    let object = state.org.schema.find(name);
    let object = object.filter(|object| state.org.object(*object).writable);
    let object = object.ok_or_else(|| {
        let message = format!("InvalidEntity : Unable to find object: {name}");
        Refusal::plain("INVALIDENTITY", message)
    })?;
    let operation = match text("operation").unwrap_or_default() {
        "insert" => Operation::Insert,
        "update" => Operation::Update,
        "delete" => Operation::Delete,
        "upsert" => match text("externalIdFieldName") {
            None => return Err(invalid("External ID was blank".to_owned()).into()),
            Some(id) if id.eq_ignore_ascii_case("Id") => Operation::Upsert(None),
            Some(field) => {
                let key = find_key(&state.org, object, field).map_err(|_| {
                    invalid(format!("Field name provided, {field} does not match an External ID, Salesforce Id, or indexed field for {name}"))
                })?;
                Operation::Upsert(Some(key))
            }
        },
        // "Bulk API Hard Delete" is off unless an admin turns it on for the user.
        "hardDelete" => {
            let message = "FeatureNotEnabled : hardDelete operation is not allowed for this user";
            return Err(Refusal::plain("FEATURENOTENABLED", message).into());
        }
        other => return Err(invalid(format!("Unknown operation: {other}")).into()),
    };
    if text("contentType").is_some_and(|kind| kind != "CSV") {
        return Err(invalid("contentType must be CSV".to_owned()).into());
    }
    let format = Format::named(
        text("lineEnding").unwrap_or("LF"),
        text("columnDelimiter").unwrap_or("COMMA"),
    )
    .map_err(|name| invalid(format!("{name} is no lineEnding or columnDelimiter")))?;
    let assignment_rule = match text("assignmentRuleId") {
        None => None,
        Some(rule) => Some(RecordId::parse(rule).ok_or_else(|| {
            let message = format!("Invalid assignment rule id: {rule}");
            Refusal::plain("INVALID_ASSIGNMENT_RULE", message)
        })?),
    };
    let id = state.jobs.next_id();
    let job = IngestJob {
        head: Head::new(id, JobState::Open, state.org.integration_user, call),
        operation,
        object,
        assignment_rule,
        format,
        upload: None,
        header: Vec::new(),
        columns: Vec::new(),
        rows: Vec::new(),
        outcomes: Vec::new(),
        fails_after: None,
        error: None,
    };
    let answer = job.describe(state);
    state.jobs.ingest.push(job);
    Ok(Answer::ok(answer))
}

/// `PUT /jobs/ingest/750…/batches`
pub(in crate::sandbox::rest) fn upload(state: &mut State, call: &Call<'_>, id: &str) -> Outcome {
    let content_type = call.header("Content-Type").unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("text/csv") {
        let message = "Content-Type must be text/csv";
        return Err(Refusal::plain("UNSUPPORTED_MEDIA_TYPE", message).into());
    }
    let job = find(state, id)?;
    if job.head.state != JobState::Open {
        let name = job.head.state.name();
        return Err(wrong_state(format!("Job is not Open, but {name}")).into());
    }
    if job.upload.is_some() {
        let message = format!(
            "Found multiple contents for job: <{}>, please 'Close' / 'Abort' / 'Delete' the \
             current Job then create a new Job and make sure you only do 'PUT' once on a given Job.",
            job.head.id
        );
        return Err(Refusal::plain("CLIENTINPUTERROR", message).into());
    }
    if call.raw.len() > MAX_UPLOAD {
        let message = format!("the upload is larger than {MAX_UPLOAD} bytes");
        return Err(Refusal::plain("REQUEST_TOO_LARGE", message).into());
    }
    job.upload = Some(call.raw.clone());
    job.head.modified = call.now;
    Ok(Answer::empty(StatusCode::CREATED))
}

/// `PATCH /jobs/ingest/750…` `{"state": "UploadComplete"}` or `"Aborted"`
pub(in crate::sandbox::rest) fn abort_or_close(
    state: &mut State,
    call: &Call<'_>,
    id: &str,
) -> Outcome {
    let wanted = wanted_state(call)?;
    let job = find(state, id)?;
    let current = job.head.state;
    match wanted {
        "UploadComplete" if current == JobState::Open => {
            job.head.enter(JobState::UploadComplete, call.now);
            job.head.closed = call.now;
        }
        "Aborted" if !current.is_final() => {
            job.head.enter(JobState::Aborted, call.now);
            if job.rows.is_empty() {
                // An upload that cannot be read has no rows to give back.
                let _ = work::cut(job);
            }
        }
        "UploadComplete" | "Aborted" => {
            let verb = if wanted == "Aborted" {
                "Aborting"
            } else {
                "Closing"
            };
            let known = match current {
                JobState::JobComplete => "Completed",
                other => other.name(),
            };
            return Err(wrong_state(format!("{verb} already {known} Job not allowed")).into());
        }
        other => {
            let message = format!("InvalidJob : state cannot be set to {other}");
            return Err(Refusal::plain("INVALIDJOB", message).into());
        }
    }
    let id = job.head.id;
    let job = state.jobs.ingest.iter().find(|job| job.head.id == id);
    Ok(Answer::ok(
        job.map_or(Json::Null, |job| job.describe(state)),
    ))
}

/// `GET /jobs/ingest/750…`
pub(in crate::sandbox::rest) fn poll(state: &mut State, call: &Call<'_>, id: &str) -> Outcome {
    let polls = state.jobs.polls;
    let job = find(state, id)?;
    let id = job.head.id;
    if job.head.state.is_running() {
        job.head.polls += 1;
        let share = job.head.share(polls);
        with_job(state, id, |state, job| {
            work::advance(state, job, share, call.now);
        });
    }
    let job = state.jobs.ingest.iter().find(|job| job.head.id == id);
    Ok(Answer::ok(
        job.map_or(Json::Null, |job| job.describe_progress(state)),
    ))
}

/// `GET /jobs/ingest`: all that are kept, newest first, on one page.
pub(in crate::sandbox::rest) fn list(state: &State, call: &Call<'_>) -> Answer {
    let wanted = call.parameter("jobType").unwrap_or("V2Ingest");
    let jobs = state.jobs.ingest.iter().rev();
    let jobs: Json = jobs
        .filter(|_| wanted == "V2Ingest")
        .map(|job| {
            let mut shown = job.describe(state);
            shown["jobType"] = "V2Ingest".into();
            shown
        })
        .collect();
    Answer::ok(json!({ "done": true, "records": jobs, "nextRecordsUrl": null }))
}

/// `DELETE /jobs/ingest/750…`
pub(in crate::sandbox::rest) fn delete(state: &mut State, id: &str) -> Outcome {
    let job = find(state, id)?;
    if !job.head.state.is_final() {
        let name = job.head.state.name();
        return Err(wrong_state(format!("Deleting {name} Job not allowed")).into());
    }
    let id = job.head.id;
    state.jobs.ingest.retain(|job| job.head.id != id);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// Which rows of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox::rest) enum Results {
    Successful,
    Failed,
    Unprocessed,
}

/// `GET /jobs/ingest/750…/successfulResults` and its siblings. Rows are not in the order of the
/// upload: the last come first.
pub(in crate::sandbox::rest) fn results(state: &mut State, id: &str, wanted: Results) -> Outcome {
    let job = find(state, id)?;
    if !job.head.state.is_final() {
        let message = format!(
            "Results are not available while the job is {}",
            job.head.state.name()
        );
        return Err(wrong_state(message).into());
    }
    let mut out = Vec::new();
    let header = job.header.iter().map(String::as_str);
    let own: &[&str] = match wanted {
        Results::Successful => &["sf__Id", "sf__Created"],
        Results::Failed => &["sf__Id", "sf__Error"],
        Results::Unprocessed => &[],
    };
    job.format
        .write(&mut out, own.iter().copied().chain(header));
    let upload = job.upload.clone().unwrap_or_default();
    for (place, row) in job.rows.iter().enumerate().rev() {
        let cells = job.format.cells(&upload[row.clone()]).unwrap_or_default();
        let cells = cells.iter().map(AsRef::as_ref);
        match (wanted, job.outcomes.get(place)) {
            (Results::Successful, Some(Ok((id, created)))) => {
                let (id, created) = (id.to_string(), created.to_string());
                let own = [id.as_str(), created.as_str()];
                job.format.write(&mut out, own.into_iter().chain(cells));
            }
            (Results::Failed, Some(Err((id, error)))) => {
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                let own = [id.as_str(), error];
                job.format.write(&mut out, own.into_iter().chain(cells));
            }
            (Results::Unprocessed, None) => job.format.write(&mut out, cells),
            _ => {}
        }
    }
    Ok(Answer::csv(out))
}

fn find<'s>(state: &'s mut State, id: &str) -> Result<&'s mut IngestJob, Refusal> {
    let id = parse_id(id)?;
    let mut jobs = state.jobs.ingest.iter_mut();
    jobs.find(|job| job.head.id == id)
        .ok_or_else(Refusal::not_found)
}

/// Works on a job beside the state that it is a part of.
pub(super) fn with_job(
    state: &mut State,
    id: RecordId,
    act: impl FnOnce(&mut State, &mut IngestJob),
) {
    let Some(at) = state.jobs.ingest.iter().position(|job| job.head.id == id) else {
        return;
    };
    let mut job = state.jobs.ingest.remove(at);
    act(state, &mut job);
    state.jobs.ingest.insert(at, job);
}
