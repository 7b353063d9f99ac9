//! Reads all of an object once, by a query job: a large org would be hundreds of pages, and a few
//! calls this way. A reading that was stopped goes on where it was.

use std::time::Duration;

use tracing::info;

use super::{Mirror, MirrorError};
use crate::model::Millis;
use crate::salesforce::QueryPage;
use crate::salesforce::bulk::{JobId, JobKind, JobState, poll_pause};
use crate::store::{Lease, MirrorState, OrgPerson, StoreError};

/// Rows in one answer of the job.
const ROWS: usize = 10_000;

/// Rows in one transaction.
const ROWS_AT_ONCE: usize = 1_000;

/// How often the lease is renewed meanwhile.
const SLICE: Duration = Duration::from_secs(2);

/// How far before its beginning, by our clock, what changes is read after it: clocks differ, and rows
/// commit later than their stamps say.
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// How far a reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
    /// Rows that have been read.
    pub read: u64,
    /// Rows that the job has found so far; of which all are read at the end.
    pub found: u64,
    /// Whether Salesforce has found them all.
    pub is_ready: bool,
}

impl Mirror {
    /// Reads all of `object` whose `state` says how far that has come; `lease` guards it. `told` is
    /// called as it goes on. A job that Salesforce gave up is begun anew the next time.
    pub async fn import(
        &self,
        object: &str,
        state: &mut MirrorState,
        lease: &Lease,
        told: &(dyn Fn(ImportProgress) + Sync),
    ) -> Result<u64, MirrorError> {
        let id = self.job(object, state, lease).await?;
        let mut polls = 0;
        let found = loop {
            let job = self.client.bulk_job(JobKind::Query, &id).await;
            let job = match job {
                Ok(job) => job,
                Err(error) => {
                    // Salesforce keeps a job for seven days.
                    if error.class() == crate::salesforce::Class::Resolve {
                        self.forget(object, state, lease).await?;
                    }
                    return Err(error.into());
                }
            };
            told(ImportProgress {
                read: state.rows,
                found: job.processed,
                is_ready: job.state == JobState::JobComplete,
            });
            match job.state {
                JobState::JobComplete => break job.processed,
                state_now if state_now.has_ended() => {
                    self.forget(object, state, lease).await?;
                    return Err(MirrorError::JobFailed);
                }
                _ => {}
            }
            // The lease is for seconds, and a job takes minutes.
            let mut left = poll_pause(polls);
            while !left.is_zero() {
                let slice = left.min(SLICE);
                self.clock.sleep(slice).await;
                self.store.renew(lease).await?;
                left = left.saturating_sub(slice);
            }
            polls += 1;
        };
        loop {
            let page = self
                .client
                .bulk_query_page(&id, state.locator.as_deref(), ROWS)
                .await?;
            let rows: Vec<_> = page.rows.iter().map(|row| row.to_map()).collect();
            let part = self.part(
                "",
                QueryPage {
                    rows,
                    ..QueryPage::default()
                },
            );
            let people: Vec<OrgPerson> = part.rows.into_iter().map(|row| row.person).collect();
            state.rows += people.len() as u64;
            state.locator.clone_from(&page.next);
            if page.next.is_none() {
                state.is_complete = true;
                state.read_until = state.job_from;
                state.job = None;
            }
            for chunk in people.chunks(ROWS_AT_ONCE) {
                let mut write = self.store.write().await?;
                write.guard(lease).await?;
                write.keep_org_people(chunk).await?;
                write.commit().await?;
            }
            self.say(object, state, lease).await?;
            told(ImportProgress {
                read: state.rows,
                found,
                is_ready: true,
            });
            if page.next.is_none() {
                info!(
                    object,
                    rows = state.rows,
                    "all of the org's records have been read"
                );
                return Ok(state.rows);
            }
            self.store.renew(lease).await?;
        }
    }

    /// The job of a reading: the one that was begun, or a new one. Its id is kept before anything is
    /// waited for.
    async fn job(
        &self,
        object: &str,
        state: &mut MirrorState,
        lease: &Lease,
    ) -> Result<JobId, MirrorError> {
        if let Some(id) = state.job.as_deref().and_then(JobId::new) {
            return Ok(id);
        }
        let soql = self.query_of_all(object);
        let from = Millis(self.clock.now().0 - BEFORE.as_millis() as i64);
        let job = self.client.create_bulk_query(&soql, false).await?;
        *state = MirrorState {
            job: Some(job.id.as_str().to_owned()),
            job_from: Some(from),
            ..MirrorState::default()
        };
        self.say(object, state, lease).await?;
        Ok(job.id)
    }

    async fn forget(
        &self,
        object: &str,
        state: &mut MirrorState,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        *state = MirrorState::default();
        self.say(object, state, lease).await
    }

    /// Keeps how far `object` has been read.
    pub async fn say(
        &self,
        object: &str,
        state: &MirrorState,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let mut write = self.store.write().await?;
        write.guard(lease).await?;
        write.put_mirror_state(object, state).await?;
        write.commit().await
    }
}
