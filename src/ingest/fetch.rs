//! Records that a webhook only named: asks the vendor for each, and appends what it says.
//!
//! Promises: a record is appended before its task ends, so that a crash between the two fetches it
//! once more, and processing knows it by its id. Never decides what a record means.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use tracing::{debug, warn};

use super::Page;
use super::poll::{Poller, Stop, named_only};
use crate::connector::ManifestSource;
use crate::connector::manifest::Fetch;
use crate::connector::mechanism::call::{CallError, Next};
use crate::connector::mechanism::request::{Names, Parts, build};
use crate::connector::reader::FETCH;
use crate::edge::shutdown::Shutdown;
use crate::model::{Door, EventMeta, Millis, NewEvent};
use crate::store::{FetchEnd, FetchTask, Lease};

/// Tasks that are taken at once.
const BATCH: usize = 50;

/// The first wait after a fetch that failed; twice as long each time.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// How long a fetch that fails by the vendor's fault is tried again before a person is told.
const GIVEN_UP: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// One `[[fetch]]`.
#[derive(Debug)]
pub struct FetchPlan {
    /// The manifest's words.
    pub fetch: Fetch,
}

impl FetchPlan {
    /// Those of a source.
    pub fn all(source: &ManifestSource) -> Vec<Self> {
        let fetches = source.manifest.fetch.iter();
        fetches.cloned().map(|fetch| Self { fetch }).collect()
    }
}

impl Poller {
    /// Makes the fetches that are due. Says whether there may be more.
    pub async fn fetch_due(&self, shutdown: &Shutdown) -> Result<bool, Stop> {
        if self.source.fetches.is_empty() {
            return Ok(false);
        }
        let due = self.due().await?;
        if due.is_empty() {
            return Ok(false);
        }
        self.under_lease(async |lease| {
            // Read once more: another node may just have made them.
            let due = self.due().await?;
            let count = due.len();
            let mut tables = BTreeMap::new();
            for task in due {
                if shutdown.is_stopping() {
                    return Err(Stop::Stopping);
                }
                Box::pin(self.fetch_one(&task, lease, &mut tables)).await?;
            }
            Ok(count == BATCH)
        })
        .await
    }

    async fn due(&self) -> Result<Vec<FetchTask>, Stop> {
        let now = self.clock.now();
        let due = self.store.due_fetches(&self.source.name, now, BATCH);
        Ok(due.await?)
    }

    async fn fetch_one(
        &self,
        task: &FetchTask,
        lease: &Lease,
        tables: &mut BTreeMap<String, std::sync::Arc<Value>>,
    ) -> Result<(), Stop> {
        let name = task.bindings.get(FETCH);
        let mut plans = self.source.fetches.iter();
        let plan = plans.find(|plan| name.is_none_or(|name| *name == plan.fetch.name));
        let end = match plan {
            Some(plan) => match self.ask_for_record(plan, task, lease, tables).await {
                Ok(end) => end,
                Err(Failed::Call(error)) => {
                    let stop = matches!(error.next, Next::Throttle(_) | Next::Pause)
                        .then(|| Stop::from(error.clone()));
                    let end = self.after(error, plan, task);
                    if let Some(stop) = stop {
                        // It comes after the others next time: the fault may be its own.
                        let now = self.clock.now();
                        self.store.settle_fetch(task, end, now, Some(lease)).await?;
                        return Err(stop);
                    }
                    end
                }
                Err(Failed::Stop(stop)) => return Err(stop),
            },
            None => FetchEnd::Dead {
                code: "fetch.unknown".to_owned(),
                message: "the connector's manifest has no such [[fetch]] any more".to_owned(),
                hint: format!(
                    "mend the manifest, and run `leadstream replay {}`",
                    task.event
                ),
            },
        };
        let now = self.clock.now();
        self.store.settle_fetch(task, end, now, Some(lease)).await?;
        Ok(())
    }

    async fn ask_for_record(
        &self,
        plan: &FetchPlan,
        task: &FetchTask,
        lease: &Lease,
        tables: &mut BTreeMap<String, std::sync::Arc<Value>>,
    ) -> Result<FetchEnd, Failed> {
        let options = &self.source.config.options;
        let own = &task.bindings;
        let request = build(Parts::from(&plan.fetch), Names { options, own }, &[]);
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                return Ok(FetchEnd::Dead {
                    code: "fetch.no_request".to_owned(),
                    message: format!("the request for the record cannot be made: {error}"),
                    hint: format!(
                        "set what is named, and run `leadstream replay {}`",
                        task.event
                    ),
                });
            }
        };
        let lookups = self.tables(&plan.fetch.lookups, own, tables);
        let context = lookups.await.map_err(Failed::Stop)?;
        let answer = self.source.vendor.call(request).await;
        let answer = answer.map_err(Failed::Call)?;
        let event = self.fetched(plan, task, context, answer.body);
        let page = Page {
            events: vec![event],
            cursors: Vec::new(),
            lease: Some(lease.clone()),
        };
        let stored = self.inbox.append_page(page).await;
        let stored = stored.map_err(|error| Failed::Stop(error.into()))?;
        debug!(source = %self.source.name, event.id = %stored.first, named_by = %task.event, "fetched");
        self.note_taken(1);
        Ok(FetchEnd::Fetched(stored.first))
    }

    fn fetched(
        &self,
        plan: &FetchPlan,
        task: &FetchTask,
        mut context: Map<String, Value>,
        body: bytes::Bytes,
    ) -> NewEvent {
        for (name, value) in &task.bindings {
            context.insert(name.clone(), Value::String(value.clone()));
        }
        NewEvent {
            source: self.source.name.clone(),
            received_at: self.clock.now(),
            content_type: "application/json".to_owned(),
            meta: EventMeta {
                request_id: format!("fetch-{}-{}", task.event, task.ordinal),
                door: Door::Fetch,
                context: Some(named_only(&context, &plan.fetch.lookups, &body)),
                stream: Some(plan.fetch.name.clone()),
                ..EventMeta::default()
            },
            body,
        }
    }

    /// A record that the vendor does not have. Where the manifest has a word for people on that, it may
    /// as well be that we may not see it.
    fn missing_for_good(error: CallError, task: &FetchTask) -> FetchEnd {
        let message = format!("the vendor has no such record: {}", error.message);
        if error.hint.is_empty() {
            return FetchEnd::Gone(message);
        }
        let hint = format!("{} Then run `leadstream replay {}`", error.hint, task.event);
        FetchEnd::Dead {
            code: error.code.to_owned(),
            message,
            hint,
        }
    }

    /// What becomes of a task whose call brought nothing.
    fn after(&self, error: CallError, plan: &FetchPlan, task: &FetchTask) -> FetchEnd {
        self.note_error(error.code);
        let now = self.clock.now();
        let age = now.since(task.created_at);
        let later = |wait: Option<Duration>| {
            let backoff = FIRST_WAIT
                .saturating_mul(1 << task.attempts.min(10))
                .min(LONGEST_WAIT)
                .mul_f64(self.store.faults().jitter());
            FetchEnd::Later {
                at: now.after(wait.unwrap_or_default().max(backoff)),
            }
        };
        match error.next {
            Next::Gone | Next::End => {
                let most = Duration::from_secs(u64::from(plan.fetch.missing_minutes) * 60);
                if age < most {
                    // It may be readable only after some moments, at the latest at the end of these.
                    match later(None) {
                        FetchEnd::Later { at } => FetchEnd::Later {
                            at: at.min(Millis(task.created_at.after(most).0 + 1)),
                        },
                        end => end,
                    }
                } else {
                    Self::missing_for_good(error, task)
                }
            }
            Next::Throttle(wait) => later(wait),
            _ if age > GIVEN_UP => {
                warn!(source = %self.source.name, event.id = %task.event, code = error.code, "a record that a webhook named cannot be fetched; it is a dead letter now");
                FetchEnd::Dead {
                    code: error.code.to_owned(),
                    message: format!("the record cannot be fetched: {}", error.message),
                    hint: format!("{} Then run `leadstream replay {}`", error.hint, task.event)
                        .trim_start()
                        .to_owned(),
                }
            }
            Next::Retry(wait) => later(wait),
            Next::Pause | Next::Restart | Next::Shrink => later(None),
        }
    }
}

enum Failed {
    Call(CallError),
    Stop(Stop),
}
