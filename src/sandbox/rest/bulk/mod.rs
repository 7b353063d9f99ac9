//! Bulk API 2.0: jobs that take a CSV of rows, and jobs that answer a query with one.
//!
//! A job moves on when it is polled, a share of its rows at a time, and by itself a minute after
//! it was closed: clients must wait, and one that never asks has its rows written all the same.

mod csv;
mod ingest;
mod query;
mod work;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value as Json, json};

pub(super) use self::ingest::{
    Results, abort_or_close, create, delete, list, poll, results, upload,
};
pub(super) use self::query::{
    abort as abort_query, create as create_query, delete as delete_query, list as list_queries,
    poll as poll_query, results as query_results,
};
use super::call::Call;
use crate::model::Millis;
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::value::moment_text;

/// The largest upload: 150 MB after base64.
pub(super) const MAX_UPLOAD: usize = 100 * 1024 * 1024;

/// After this a closed job is done, asked for or not.
const OVERDUE: Duration = Duration::from_secs(60);

/// How long jobs are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobState {
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl JobState {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }

    fn is_running(self) -> bool {
        matches!(self, Self::UploadComplete | Self::InProgress)
    }

    fn is_final(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }
}

/// What every job has.
#[derive(Debug)]
struct Head {
    id: RecordId,
    state: JobState,
    created: Millis,
    modified: Millis,
    created_by: RecordId,
    version: u16,
    /// How often it was asked for since it was closed.
    polls: u32,
    /// When it was closed.
    closed: Millis,
}

impl Head {
    fn new(id: RecordId, state: JobState, created_by: RecordId, call: &Call<'_>) -> Self {
        Self {
            id,
            state,
            created: call.now,
            modified: call.now,
            created_by,
            version: call.version,
            polls: 0,
            closed: call.now,
        }
    }

    fn enter(&mut self, state: JobState, now: Millis) {
        self.state = state;
        self.modified = now;
    }

    fn describe(&self, operation: &str, object: &str) -> Json {
        json!({
            "id": self.id.to_string(),
            "operation": operation,
            "object": object,
            "createdById": self.created_by.to_string(),
            "createdDate": moment_text(self.created),
            "systemModstamp": moment_text(self.modified),
            "state": self.state.name(),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": f64::from(self.version),
        })
    }

    /// Which part of the work is done with this poll: so many of so many.
    fn share(&self, polls: u32) -> (usize, usize) {
        (self.polls.min(polls + 1) as usize, polls as usize + 1)
    }
}

/// All jobs of the org.
#[derive(Debug, Default)]
pub struct Jobs {
    /// Polls that find a job unfinished.
    polls: u32,
    next: u32,
    ingest: Vec<ingest::IngestJob>,
    queries: Vec<query::QueryJob>,
    /// Batches of ingest jobs, and query jobs, of the last 24 hours.
    batches: VecDeque<(Millis, u64)>,
    query_starts: VecDeque<(Millis, u64)>,
}

impl Jobs {
    pub(in crate::sandbox) fn new(polls: u32) -> Self {
        Self {
            polls,
            ..Self::default()
        }
    }

    fn next_id(&mut self) -> RecordId {
        let id = RecordId::new(*b"750", self.next);
        self.next = self.next.wrapping_add(1);
        id
    }

    /// Batches and query jobs that count against the allowances of 24 hours.
    pub(super) fn used(&self, now: Millis) -> (u64, u64) {
        let used = |log: &VecDeque<(Millis, u64)>| {
            let recent = log.iter().filter(|(at, _)| now.since(*at) < DAY);
            recent.map(|(_, count)| count).sum()
        };
        (used(&self.batches), used(&self.query_starts))
    }

    fn is_idle(&self) -> bool {
        !self.ingest.iter().any(|job| job.head.state.is_running())
            && !self.queries.iter().any(|job| job.head.state.is_running())
    }
}

/// Finishes jobs that were closed a while ago, and forgets those of last week.
pub(super) fn settle(state: &mut State, now: Millis) {
    let is_kept = |head: &Head| now.since(head.created) < KEPT;
    state.jobs.ingest.retain(|job| is_kept(&job.head));
    state.jobs.queries.retain(|job| is_kept(&job.head));
    if state.jobs.is_idle() {
        return;
    }
    let is_overdue = |head: &Head| head.state.is_running() && now.since(head.closed) >= OVERDUE;
    let due = |job: &&ingest::IngestJob| is_overdue(&job.head);
    let ids: Vec<RecordId> = state
        .jobs
        .ingest
        .iter()
        .filter(due)
        .map(|job| job.head.id)
        .collect();
    for id in ids {
        ingest::with_job(state, id, |state, job| {
            work::advance(state, job, (1, 1), now);
        });
    }
    let State { jobs, org, .. } = state;
    for job in &mut jobs.queries {
        if is_overdue(&job.head) {
            job.run(org, (1, 1), now);
        }
    }
}

/// The state that a PATCH asks for.
fn wanted_state<'c>(call: &'c Call<'_>) -> Result<&'c str, Refusal> {
    let wanted = call.object()?.get("state").and_then(Json::as_str);
    wanted.ok_or_else(|| Refusal::plain("INVALIDJOB", "InvalidJob : state is required"))
}

/// A request that the job's state does not allow.
fn wrong_state(message: impl Into<String>) -> Refusal {
    Refusal::plain("INVALIDJOBSTATE", message)
}

fn parse_id(id: &str) -> Result<RecordId, Refusal> {
    RecordId::parse(id).ok_or_else(Refusal::not_found)
}
