//! A big backlog of new leads, by bulk jobs: a dozen calls for 10,000 rows, where collections take
//! fifty. It takes minutes, so nothing urgent goes this way.
//!
//! A job writes by itself once it was begun, whether or not we are there. So its id stands in the
//! store before anything is uploaded, and whoever comes after a crash ends what was left
//! ([`BulkLoader::finish_left`]) before any lead is sent again: else an old row could be written
//! after a newer one. Rows are upserted by their external ids, so nothing is made twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{debug, info, warn};

use super::salesforce::send::MayWrite;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::model::Millis;
use crate::salesforce::bulk::{
    CsvUpload, IngestSpec, Job, JobId, JobKind, JobRow, JobState, MAX_UPLOAD_ROWS, Operation,
    poll_pause,
};
use crate::salesforce::{ApiError, CallError, Class, Client, Explanation, Map, RowResult, Saved};
use crate::store::{LeftJob, Store, StoreError};

const KIND: JobKind = JobKind::Ingest;

/// The longest that a job is waited for. It is ended then; what it wrote stays.
const LONGEST_JOB: Duration = Duration::from_secs(2 * 60 * 60);

/// The longest that a job is waited for which somebody has left behind: leads wait meanwhile.
const LONGEST_LEFT: Duration = Duration::from_secs(10 * 60);

/// Askings after a job that may fail in a row: by then it has been minutes.
const MOST_FAILURES: u32 = 8;

/// How often results are read, and a job is closed, before it is left to the next start.
const TRIES: u32 = 4;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowEnd {
    /// It is in Salesforce.
    Saved(Saved),
    /// It was refused.
    Refused(Vec<ApiError>),
    /// It may be in Salesforce: look before it is sent again.
    Lost,
    /// It may be in Salesforce, now or in a while: not to be sent again before
    /// [`BulkLoader::finish_left`] says that no job is left.
    Left,
    /// Salesforce has not seen it, or has thrown it away unread.
    NotSent,
}

/// What became of a load.
#[derive(Debug)]
pub struct Loaded {
    /// What became of each row, in their order.
    pub ends: Vec<RowEnd>,
    /// Why it ended before all were sent, if it is for some trouble: neither because it was time to
    /// stop, nor because this node may not write any more.
    pub trouble: Option<Explanation>,
}

/// Where rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadTarget<'a> {
    /// Which records.
    pub object: &'a str,
    /// The field of each row that holds its key.
    pub external_id_field: &'a str,
    /// The assignment rule to run; see [`BulkLoader::assignment_rule`].
    pub assignment_rule_id: Option<&'a str>,
}

/// Loads rows, and ends what others have left.
#[derive(Debug)]
pub struct BulkLoader {
    store: Arc<Store>,
    client: Arc<Client>,
    clock: SharedClock,
    left: Mutex<LeftLooks>,
}

/// When jobs that were left are looked at.
#[derive(Debug, Default)]
struct LeftLooks {
    looks: u32,
    next: Option<Millis>,
}

/// How one job went.
enum Went {
    /// To its end: go on.
    On,
    /// Not to its end: stop, for this reason if it is trouble.
    Stop(Option<Explanation>),
}

impl BulkLoader {
    /// One that notes its jobs in `store`.
    pub fn new(store: Arc<Store>, client: Arc<Client>, clock: SharedClock) -> Self {
        Self {
            store,
            client,
            clock,
            left: Mutex::default(),
        }
    }

    /// The id of the active assignment rule of `object`. A job does not find it by itself, other
    /// than calls of REST do; it also assigns what it only updates, so it is for new leads alone.
    pub async fn assignment_rule(&self, object: &str) -> Result<Option<String>, CallError> {
        let object = crate::salesforce::quote(object);
        let soql = format!(
            "SELECT Id FROM AssignmentRule WHERE SobjectType = {object} AND Active = true LIMIT 1"
        );
        let found = self.client.query(&soql, 1).await?;
        let id = found.rows.first().and_then(|row| row.get("Id")?.as_str());
        Ok(id.map(str::to_owned))
    }

    /// Creates or updates `rows`, each with its own key in `target.external_id_field`, by as many
    /// jobs one after the other as it takes. `may_write` is asked before each is begun.
    ///
    /// An error is the store's: what became of the rows is not known then, and the jobs that were
    /// left are there for [`Self::finish_left`].
    pub async fn load(
        &self,
        target: &LoadTarget<'_>,
        rows: &[Map],
        may_write: &MayWrite<'_>,
        mut shutdown: Shutdown,
    ) -> Result<Loaded, StoreError> {
        let mut ends = vec![RowEnd::NotSent; rows.len()];
        let mut from = 0;
        while from < rows.len() {
            if shutdown.is_stopping() || !may_write().await {
                break;
            }
            let to = rows.len().min(from + MAX_UPLOAD_ROWS);
            let offered: Vec<&Map> = rows[from..to].iter().collect();
            let upload = match CsvUpload::write(&offered) {
                Ok(upload) => upload,
                Err(error) => return Ok(stopped(ends, Some(error.explain()))),
            };
            let taken = upload.taken;
            if upload.too_long.len() < taken {
                let part = Part {
                    rows: &offered[..taken],
                    upload,
                    ends: &mut ends[from..from + taken],
                };
                let went = self.one_job(target, part, may_write, &mut shutdown).await?;
                if let Went::Stop(trouble) = went {
                    return Ok(stopped(ends, trouble));
                }
            }
            from += taken;
        }
        Ok(stopped(ends, None))
    }

    async fn one_job(
        &self,
        target: &LoadTarget<'_>,
        part: Part<'_>,
        may_write: &MayWrite<'_>,
        shutdown: &mut Shutdown,
    ) -> Result<Went, StoreError> {
        let started = self.clock.now();
        let id = match self.uploaded(target, &part.upload).await? {
            Ok(id) => id,
            Err(trouble) => return Ok(Went::Stop(Some(trouble))),
        };
        let Part { rows, upload, ends } = part;
        if shutdown.is_stopping() || !may_write().await {
            self.throw_away(&id).await?;
            return Ok(Went::Stop(None));
        }
        self.store.begin_bulk_job(id.as_str()).await?;
        self.store.reach("bulk.before_close").await?;
        // From here on it may be written, whatever we hear of it.
        for (position, end) in ends.iter_mut().enumerate() {
            if !upload.too_long.contains(&position) {
                *end = RowEnd::Lost;
            }
        }
        drop(upload);
        match self.close(&id).await {
            Ok(()) => {}
            Err(Unclosed::StillOpen(error)) => {
                ends.fill(RowEnd::NotSent);
                self.throw_away(&id).await?;
                return Ok(Went::Stop(Some(error.explain())));
            }
            Err(Unclosed::Unknown(error)) => {
                self.leave(&id, ends).await?;
                return Ok(Went::Stop(Some(error.explain())));
            }
        }
        self.store.reach("bulk.after_close").await?;
        let job = match self.ended(&id, shutdown).await {
            Ok(job) => job,
            Err(trouble) => {
                self.leave(&id, ends).await?;
                return Ok(Went::Stop(trouble));
            }
        };
        let read = self.results(&job, target.external_id_field).await;
        let (saved, refused) = match read {
            Ok(results) => results,
            Err(error) => {
                self.leave(&id, ends).await?;
                return Ok(Went::Stop(Some(error.explain())));
            }
        };
        let counts = (saved.len(), refused.len());
        let nothing_done = counts == (0, 0) && job.processed == 0;
        settle(target.external_id_field, rows, ends, saved, refused);
        let trouble = job.explain();
        if nothing_done && trouble.as_ref().is_some_and(is_of_the_table) {
            // It was refused as it stands, before any row of it was looked at.
            ends.fill(RowEnd::NotSent);
        }
        self.store.reach("bulk.after_results").await?;
        self.delete(&id).await;
        self.store.forget_bulk_job(id.as_str()).await?;
        info!(
            job = %id,
            rows = rows.len(),
            saved = counts.0,
            refused = counts.1,
            duration_ms = self.clock.now().since(started).as_millis() as u64,
            "a bulk job has ended"
        );
        Ok(match trouble {
            Some(trouble) => Went::Stop(Some(trouble)),
            None => Went::On,
        })
    }

    /// A job that has its rows and is not begun. A lost answer costs a second job: whether the rows
    /// arrived cannot be told, and nothing of the first is written.
    async fn uploaded(
        &self,
        target: &LoadTarget<'_>,
        upload: &CsvUpload,
    ) -> Result<Result<JobId, Explanation>, StoreError> {
        let spec = IngestSpec {
            object: target.object,
            operation: Operation::Upsert {
                external_id_field: target.external_id_field,
            },
            assignment_rule_id: target.assignment_rule_id,
        };
        let node = self.store.node()?;
        let mut is_last = false;
        loop {
            let id = match self.client.create_ingest(&spec).await {
                Ok(job) => job.id,
                Err(error) => return Ok(Err(error.explain())),
            };
            self.store.reach("bulk.after_create").await?;
            let now = self.clock.now();
            if let Err(error) = self.store.note_bulk_job(node, id.as_str(), now).await {
                // Nobody would know of it.
                let _ = self.client.abort_bulk_job(KIND, &id).await;
                return Err(error);
            }
            let uploaded = self.client.upload_ingest(&id, upload).await;
            self.store.reach("bulk.after_upload").await?;
            let Err(error) = uploaded else {
                return Ok(Ok(id));
            };
            self.throw_away(&id).await?;
            if is_last || !error.maybe_carried_out() {
                return Ok(Err(error.explain()));
            }
            is_last = true;
        }
    }

    async fn close(&self, id: &JobId) -> Result<(), Unclosed> {
        let mut tries = 0;
        loop {
            let Err(error) = self.client.close_ingest(id).await else {
                return Ok(());
            };
            tries += 1;
            // The job itself knows whether it was heard.
            match self.client.bulk_job(KIND, id).await {
                Ok(job) if job.state != JobState::Open => return Ok(()),
                Ok(_) if tries == TRIES || !error.maybe_carried_out() => {
                    return Err(Unclosed::StillOpen(error));
                }
                Err(error) if tries == TRIES => return Err(Unclosed::Unknown(error)),
                Ok(_) | Err(_) => self.clock.sleep(poll_pause(tries)).await,
            }
        }
    }

    /// Waits for the end of a job. The error says why nobody waits any longer: none if it is time to
    /// stop.
    async fn ended(&self, id: &JobId, shutdown: &mut Shutdown) -> Result<Job, Option<Explanation>> {
        let started = self.clock.now();
        let (mut polls, mut failures) = (0, 0);
        loop {
            tokio::select! {
                () = self.clock.sleep(poll_pause(polls)) => {}
                () = shutdown.stopping() => return Err(None),
            }
            polls += 1;
            match self.client.bulk_job(KIND, id).await {
                Ok(job) if job.state.has_ended() => return Ok(job),
                Ok(_) if self.clock.now().since(started) >= LONGEST_JOB => {
                    // What it says when it was ended is for whoever looks next.
                    let _ = self.client.abort_bulk_job(KIND, id).await;
                    warn!(job = %id, "a bulk job took too long and was ended");
                    return Err(None);
                }
                Ok(_) => failures = 0,
                Err(error) => {
                    failures += 1;
                    debug!(job = %id, %error, "a bulk job cannot be asked after");
                    if failures >= MOST_FAILURES || error.class() != Class::RetrySoon {
                        return Err(Some(error.explain()));
                    }
                }
            }
        }
    }

    /// The rows that were saved, and those that were refused: they can be read again.
    async fn results(&self, job: &Job, key: &str) -> Result<(Vec<JobRow>, Vec<JobRow>), CallError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.results_once(job, key).await {
                Err(error) if tries < TRIES && error.class() == Class::RetrySoon => {
                    self.clock.sleep(poll_pause(tries)).await;
                }
                ended => return ended,
            }
        }
    }

    async fn results_once(
        &self,
        job: &Job,
        key: &str,
    ) -> Result<(Vec<JobRow>, Vec<JobRow>), CallError> {
        let saved = self.client.ingest_saved(&job.id, key).await?;
        let refused = if job.state == JobState::JobComplete && job.failed == 0 {
            Vec::new()
        } else {
            self.client.ingest_refused(&job.id, key).await?
        };
        Ok((saved, refused))
    }

    /// Leaves a begun job to [`Self::finish_left`].
    async fn leave(&self, id: &JobId, ends: &mut [RowEnd]) -> Result<(), StoreError> {
        for end in ends.iter_mut().filter(|end| **end == RowEnd::Lost) {
            *end = RowEnd::Left;
        }
        self.store.leave_bulk_job(id.as_str()).await
    }

    /// Ends a job that was not begun.
    async fn throw_away(&self, id: &JobId) -> Result<(), StoreError> {
        match self.client.abort_bulk_job(KIND, id).await {
            // Refused: it is gone, or has ended.
            Ok(_) | Err(CallError::Refused { status: ..500, .. }) => {
                self.delete(id).await;
                self.store.forget_bulk_job(id.as_str()).await
            }
            Err(_) => self.store.leave_bulk_job(id.as_str()).await,
        }
    }

    async fn delete(&self, id: &JobId) {
        if let Err(error) = self.client.delete_bulk_job(KIND, id).await {
            debug!(job = %id, %error, "a bulk job stays until Salesforce removes it in a week");
        }
    }

    /// Sees to jobs that were left behind, by this node or by others that are gone. Nothing may be
    /// sent before there are none: then this says none, else when to look again. Makes no call
    /// before that time, and costs one look into the store when there are none.
    pub async fn finish_left(&self) -> Result<Option<Millis>, StoreError> {
        let now = self.clock.now();
        let next = self.left.lock().next;
        if let Some(next) = next
            && now < next
            && next.since(now) <= poll_pause(u32::MAX)
        {
            return Ok(Some(next));
        }
        let mut is_left = false;
        for job in self.store.left_bulk_jobs().await? {
            if self.finish(&job, now).await {
                self.store.forget_bulk_job(&job.id).await?;
                info!(job = %job.id, "a bulk job that was left behind has come to its end");
            } else {
                is_left = true;
            }
        }
        let mut left = self.left.lock();
        if is_left {
            left.next = Some(now.after(poll_pause(left.looks)));
            left.looks += 1;
        } else {
            *left = LeftLooks::default();
        }
        Ok(left.next)
    }

    /// Whether nothing more is to be heard of the job.
    async fn finish(&self, left: &LeftJob, now: Millis) -> bool {
        let Some(id) = JobId::new(&left.id) else {
            return true;
        };
        let has_waited = now.since(left.made_at) >= LONGEST_LEFT;
        match self.client.bulk_job(KIND, &id).await {
            Ok(job) if job.state.has_ended() => {
                self.delete(&id).await;
                true
            }
            Ok(job) if left.never_begun || has_waited || job.state == JobState::Open => {
                let ended = self.client.abort_bulk_job(KIND, &id).await;
                if let Err(error) = &ended {
                    debug!(job = %id, %error, "a bulk job cannot be ended");
                    return false;
                }
                self.delete(&id).await;
                true
            }
            Ok(_) => false,
            Err(CallError::Refused { status: 404, .. }) => true,
            Err(error) => {
                debug!(job = %id, %error, "a bulk job that was left behind cannot be asked after");
                false
            }
        }
    }
}

/// The rows of one job.
struct Part<'r> {
    rows: &'r [&'r Map],
    upload: CsvUpload,
    ends: &'r mut [RowEnd],
}

/// Why a job is not closed.
enum Unclosed {
    /// Salesforce says that it is open.
    StillOpen(CallError),
    /// Nobody knows.
    Unknown(CallError),
}

fn stopped(ends: Vec<RowEnd>, trouble: Option<Explanation>) -> Loaded {
    Loaded { ends, trouble }
}

/// Whether a job failed for its columns or its form, so that none of its rows was looked at.
fn is_of_the_table(why: &Explanation) -> bool {
    matches!(
        why.class,
        Class::FixConfig | Class::FixData | Class::FixPermissions
    )
}

/// Finds the rows of `results` by their keys: they are in no order, and Salesforce compares external
/// ids without regard to case.
fn settle(key: &str, rows: &[&Map], ends: &mut [RowEnd], saved: Vec<JobRow>, refused: Vec<JobRow>) {
    let mut by_key: HashMap<String, usize> = HashMap::with_capacity(rows.len());
    for (position, row) in rows.iter().enumerate() {
        if let Some(value) = row.get(key).and_then(serde_json::Value::as_str) {
            by_key.entry(value.to_ascii_uppercase()).or_insert(position);
        }
    }
    for row in refused.into_iter().chain(saved) {
        if let Some(position) = by_key.get(&row.key.to_ascii_uppercase()) {
            ends[*position] = match row.result {
                RowResult::Saved(saved) => RowEnd::Saved(saved),
                RowResult::Refused(errors) => RowEnd::Refused(errors),
            };
        }
    }
}

#[cfg(test)]
mod tests;
