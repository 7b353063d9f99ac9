//! A job, and what both kinds have in common.

use std::fmt;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};

use super::super::call::{ApiError, CallError, Explanation, Lost};
use super::super::client::{Call, Client, READ_TIMEOUT};
use super::super::id::to_18;

/// The first wait before a job is asked after, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long to wait before a job is asked after for the time number `polls`, from 0: each asking is
/// a call, and a job takes from seconds to hours.
pub fn poll_pause(polls: u32) -> Duration {
    // Half as long again each time: 2 s, 3 s, 4.5 s, … 60 s.
    let factor = 1.5_f64.powi(i32::try_from(polls.min(20)).unwrap_or(20));
    FIRST_PAUSE.mul_f64(factor).min(LONGEST_PAUSE)
}

/// The id of a job, e.g. `7505fEXAMPLE4C2AAM`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct JobId(String);

impl JobId {
    /// The id that `text` is; none if it is not a record id.
    pub fn new(text: &str) -> Option<Self> {
        to_18(text).map(Self)
    }

    /// Its 18 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JobId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("not the id of a job")
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// It writes rows.
    Ingest,
    /// It reads rows.
    Query,
}

impl JobKind {
    /// The name of its resource.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
        }
    }

    /// What its calls are counted as.
    pub(super) fn purpose(self) -> &'static str {
        match self {
            Self::Ingest => "bulk_ingest",
            Self::Query => "bulk_query",
        }
    }

    /// A call of the job `id`, or of its `resource`.
    pub(super) fn call(self, method: Method, id: &JobId, resource: Option<&str>) -> Call {
        let mut path = vec!["jobs", self.name(), id.as_str()];
        path.extend(resource);
        Call::new(self.purpose(), method, READ_TIMEOUT, &path)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum JobState {
    /// It waits for its rows. Ends by itself after a day or so, but only if nobody ends it.
    Open,
    /// It waits for its turn.
    UploadComplete,
    /// It is being worked off.
    InProgress,
    /// It has ended. That says nothing of its rows: all of them may be refused.
    JobComplete,
    /// It has ended early; some of its rows may be written.
    Failed,
    /// It was ended by somebody; some of its rows may be written.
    Aborted,
    /// A state of a later version: it has not ended, as far as is known.
    #[serde(other)]
    Unknown,
}

impl JobState {
    /// Whether nothing more happens to it.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }
}

/// A job as Salesforce describes it.
///
/// It prints without its error's text, which may quote values.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// How far it is.
    pub state: JobState,
    /// Rows that it has worked off, those that it refused included.
    pub processed: u64,
    /// Rows that it refused.
    pub failed: u64,
    /// Why it failed as a whole.
    pub error: Option<ApiError>,
}

impl Job {
    /// Why it did not end well, in words for people; none if it ended well or has not ended.
    pub fn explain(&self) -> Option<Explanation> {
        match (self.state, &self.error) {
            (JobState::Failed, Some(error)) => {
                Some(Explanation::of(400, std::slice::from_ref(error)))
            }
            (JobState::Failed, None) => Some(Explanation::of(500, &[])),
            (JobState::Aborted, _) => {
                let error = ApiError {
                    code: "BULK_JOB_ABORTED".to_owned(),
                    message: "somebody ended the bulk job before it was through".to_owned(),
                    fields: Vec::new(),
                    ..ApiError::default()
                };
                // Of status 500: whatever the reason was, it passes.
                Some(Explanation::of(500, &[error]))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("processed", &self.processed)
            .field("failed", &self.failed)
            .field("error", &self.error)
            .finish()
    }
}

/// The `errorMessage` of a job that failed as an error like others. It begins with what stands for
/// a code: `InvalidBatch : Field name not found : Foo`.
pub(super) fn job_error(message: &str) -> ApiError {
    let unknown_field = message
        .split_once("Field name not found : ")
        .and_then(|(_, field)| field.split_whitespace().next());
    if let Some(field) = unknown_field {
        // What REST says of the same mistake.
        return ApiError {
            code: "INVALID_FIELD".to_owned(),
            message: message.to_owned(),
            fields: vec![field.to_owned()],
            ..ApiError::default()
        };
    }
    let code = message
        .split_once(':')
        .map(|(code, _)| code.trim())
        .filter(|code| !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    ApiError {
        code: code.map_or_else(|| "BULK_JOB_FAILED".to_owned(), screaming),
        message: message.to_owned(),
        fields: Vec::new(),
        ..ApiError::default()
    }
}

/// `INVALID_BATCH` from `InvalidBatch`.
fn screaming(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut before = None;
    for character in name.chars() {
        if character.is_ascii_uppercase() && before.is_some_and(|c: char| c.is_ascii_lowercase()) {
            text.push('_');
        }
        text.push(character.to_ascii_uppercase());
        before = Some(character);
    }
    text
}

/// A job as it stands in an answer. Numbers may be missing while it is new.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawJob {
    id: String,
    state: JobState,
    #[serde(default)]
    number_records_processed: u64,
    #[serde(default)]
    number_records_failed: u64,
    #[serde(default)]
    error_message: Option<String>,
}

impl RawJob {
    pub fn read(self, kind: JobKind) -> Result<Job, CallError> {
        let id = JobId::new(&self.id)
            .ok_or_else(|| unreadable(kind, "a job has no id that can be read"))?;
        let said = self.error_message.filter(|message| !message.is_empty());
        Ok(Job {
            id,
            state: self.state,
            processed: self.number_records_processed,
            failed: self.number_records_failed,
            error: said.as_deref().map(job_error),
        })
    }
}

pub(super) fn unreadable(kind: JobKind, reason: impl Into<String>) -> CallError {
    Lost::Unreadable {
        purpose: kind.purpose(),
        reason: reason.into(),
    }
    .into()
}

impl Client {
    /// How far a job is; one call.
    pub async fn bulk_job(&self, kind: JobKind, id: &JobId) -> Result<Job, CallError> {
        let job: RawJob = self.read(kind.call(Method::GET, id, None)).await?;
        job.read(kind)
    }

    /// Ends a job early. What it has written stays.
    pub async fn abort_bulk_job(&self, kind: JobKind, id: &JobId) -> Result<Job, CallError> {
        self.set_bulk_state(kind, id, "Aborted").await
    }

    /// Removes a job that has ended, with its results. Salesforce does so by itself after a week.
    pub async fn delete_bulk_job(&self, kind: JobKind, id: &JobId) -> Result<(), CallError> {
        self.call(&kind.call(Method::DELETE, id, None)).await?;
        Ok(())
    }

    pub(super) async fn set_bulk_state(
        &self,
        kind: JobKind,
        id: &JobId,
        state: &'static str,
    ) -> Result<Job, CallError> {
        #[derive(Serialize)]
        struct Body {
            state: &'static str,
        }
        let call = kind.call(Method::PATCH, id, None).json(&Body { state })?;
        let job: RawJob = self.read(call).await?;
        job.read(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::Class;
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_stay_there() {
        let pauses = [0, 1, 2, 8, 9, 1_000_000].map(|polls| poll_pause(polls).as_millis());
        assert_eq!(pauses, [2_000, 3_000, 4_500, 51_257, 60_000, 60_000]);
    }

    #[test]
    fn only_a_record_id_passes_for_a_job() {
        assert!(JobId::new("7505g00000AbCdEAAX").is_some());
        for text in ["", "../query", "7505g00000AbCdE/x"] {
            assert_eq!(JobId::new(text), None, "{text}");
        }
        let written = serde_json::to_string(&JobId::new("7505g00000AbCdEAAX")).unwrap();
        let read: JobId = serde_json::from_str(&written).unwrap();
        assert_eq!(read.as_str(), "7505g00000AbCdEAAX");
        assert!(serde_json::from_str::<JobId>(r#""a/b""#).is_err());
    }

    fn check(message: &str, code: &str, fields: &[&str], class: Class) {
        let error = job_error(message);
        assert_eq!(error.code, code);
        assert_eq!(error.fields, fields);
        let job = Job {
            id: JobId::new("7505g00000AbCdEAAX").unwrap(),
            state: JobState::Failed,
            processed: 0,
            failed: 0,
            error: Some(error),
        };
        assert_eq!(job.explain().unwrap().class, class, "{message}");
        assert!(!format!("{job:?}").contains("not found"), "{job:?}");
    }

    #[test]
    fn what_a_job_says_of_its_failure_is_an_error_like_others() {
        check(
            "InvalidBatch : Field name not found : Foo__c",
            "INVALID_FIELD",
            &["Foo__c"],
            Class::FixConfig,
        );
        check(
            "ClientInputError : LineEnding is invalid on user data",
            "CLIENT_INPUT_ERROR",
            &[],
            Class::FixData,
        );
        check("Out of luck", "BULK_JOB_FAILED", &[], Class::FixData);
    }

    #[test]
    fn a_job_that_somebody_ended_is_tried_again() {
        let mut job = Job {
            id: JobId::new("7505g00000AbCdEAAX").unwrap(),
            state: JobState::Aborted,
            processed: 0,
            failed: 0,
            error: None,
        };
        assert_eq!(job.explain().unwrap().class, Class::RetrySoon);
        job.state = JobState::JobComplete;
        assert_eq!(job.explain(), None);
    }
}
