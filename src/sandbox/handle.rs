use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::serve::ListenerExt;
use parking_lot::Mutex;
use serde_json::{Map, Value as Json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::approvals::Approvals;
use super::errors::Refusals;
use super::faults::{FaultCounts, FaultPlan, Faults};
use super::ids::RecordId;
use super::meter::{Calls, Meter};
use super::options::SandboxOptions;
use super::org::{Conversion, Org, OrgSettings};
use super::rest::{self, Cursors, Jobs, Tooling};
use super::schema::{CustomField, Schema};
use super::sessions::Sessions;
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;

/// A Salesforce org in memory. Clones are the same org.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: SandboxOptions,
    pub(super) clock: SharedClock,
    pub(super) state: Mutex<State>,
}

/// All that changes, under one lock: a call is carried out whole or not at all.
#[derive(Debug)]
pub(super) struct State {
    pub(super) org: Org,
    pub(super) sessions: Sessions,
    pub(super) approvals: Approvals,
    pub(super) meter: Meter,
    pub(super) faults: FaultPlan,
    pub(super) cursors: Cursors,
    pub(super) jobs: Jobs,
    pub(super) tooling: Tooling,
}

impl Sandbox {
    /// A fresh org.
    pub fn new(options: SandboxOptions, clock: SharedClock) -> Self {
        let schema = Schema::new(&options.external_id_field, &options.custom_fields);
        let settings = OrgSettings {
            username: options.username.clone(),
            duplicate_rule: options.duplicate_rule,
            duplicate_match: options.duplicate_match,
            campaigns: options.campaigns.clone(),
            lead_history: options.lead_history,
            assignment_queue: options.assignment_queue.clone(),
        };
        let state = State {
            org: Org::new(schema, clock.now(), &settings),
            sessions: Sessions::new(options.session_timeout, options.seed ^ 0x5e55_1035),
            approvals: Approvals::new(options.rotates_refresh_tokens, options.seed ^ 0xa119_0a15),
            meter: Meter::new(options.daily_limit),
            faults: FaultPlan::new(options.faults, options.seed),
            cursors: Cursors::default(),
            jobs: Jobs::new(options.bulk_polls),
            tooling: Tooling::default(),
        };
        Self {
            shared: Arc::new(Shared {
                options,
                clock,
                state: Mutex::new(state),
            }),
        }
    }

    /// The REST surface, and the sandbox's own pages beside it.
    pub fn router(&self) -> Router {
        rest::router(self.clone())
    }

    /// Serves until it is time to stop, then until the last answer is out.
    pub async fn serve(&self, listener: TcpListener, mut shutdown: Shutdown) -> io::Result<()> {
        let listener = listener.tap_io(|stream| {
            // Slower without, that is all.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, self.router())
            .with_graceful_shutdown(async move { shutdown.stopping().await })
            .await
    }

    /// Serves on a port of its own on loopback until the answer of this is dropped.
    pub async fn start(&self) -> io::Result<RunningSandbox> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (trigger, shutdown) = crate::edge::shutdown::channel();
        let sandbox = self.clone();
        let task = tokio::spawn(async move {
            // Kept here, so that only the end of the task ends the serving.
            let _trigger = trigger;
            sandbox.serve(listener, shutdown).await
        });
        Ok(RunningSandbox { address, task })
    }

    /// The records of an object that are not deleted, oldest first: their fields that are not
    /// blank. None if there is no such object.
    pub fn records(&self, object: &str) -> Vec<Map<String, Json>> {
        let state = self.shared.state.lock();
        let org = &state.org;
        let Some(object) = org.schema.find(object) else {
            return Vec::new();
        };
        let rows = org.table(object).rows().iter().filter(|row| !row.deleted);
        rows.map(|row| {
            let fields = org.object(object).visible();
            let named =
                fields.map(|(ix, field)| (field.name.to_string(), org.json(object, row, ix)));
            named.filter(|(_, value)| !value.is_null()).collect()
        })
        .collect()
    }

    /// How many records of an object are not deleted.
    pub fn count(&self, object: &str) -> usize {
        let state = self.shared.state.lock();
        let Some(object) = state.org.schema.find(object) else {
            return 0;
        };
        let rows = state.org.table(object).rows();
        rows.iter().filter(|row| !row.deleted).count()
    }

    /// Requests so far.
    pub fn calls(&self) -> Calls {
        self.shared.state.lock().meter.calls().clone()
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.state.lock().faults.set(faults);
    }

    /// What goes wrong at present.
    pub fn faults(&self) -> Faults {
        self.shared.state.lock().faults.faults()
    }

    /// What has gone wrong so far.
    pub fn fault_counts(&self) -> FaultCounts {
        self.shared.state.lock().faults.counts()
    }

    /// A person creates a record.
    pub fn create(&self, object: &str, fields: &Map<String, Json>) -> Result<RecordId, Refusals> {
        self.somebody().create(object, fields)
    }

    /// A person edits a record.
    pub fn edit(&self, object: &str, id: &str, fields: &Map<String, Json>) -> Result<(), Refusals> {
        self.somebody().edit(object, id, fields)
    }

    /// A person deletes a record.
    pub fn delete(&self, object: &str, id: &str) -> Result<(), Refusals> {
        self.somebody().delete(object, id)
    }

    /// A person converts a lead. Returns the ids of the new Account and Contact; none if there is
    /// no lead to convert.
    pub fn convert(&self, lead: &str) -> Option<(RecordId, RecordId)> {
        let person = self.somebody();
        let how = Conversion {
            owner: Some(person.id().to_string()),
            ..Conversion::default()
        };
        let made = person.convert(lead, &how).ok()?;
        Some((made.account, made.contact))
    }

    /// An admin adds a field; its object's describe changes.
    pub fn add_field(&self, field: &CustomField) {
        let now = self.shared.clock.now();
        self.shared.state.lock().org.add_field(field, now);
    }

    /// Ends every token.
    pub fn expire_tokens(&self) {
        self.shared.state.lock().sessions.expire_all();
    }

    /// Ends every token and every approval: apps must be approved anew.
    pub fn revoke_approvals(&self) {
        let state = &mut *self.shared.state.lock();
        state.sessions.expire_all();
        state.approvals.revoke_all();
    }

    /// Sets the calls allowed in rolling 24 hours.
    pub fn set_daily_limit(&self, limit: u64) {
        self.shared.state.lock().meter.set_limit(limit);
    }
}

/// A sandbox that serves until this is dropped.
#[derive(Debug)]
pub struct RunningSandbox {
    address: SocketAddr,
    task: JoinHandle<io::Result<()>>,
}

impl RunningSandbox {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for RunningSandbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}
