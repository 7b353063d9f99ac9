//! What the engineer on call asks: alive, ready, metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::edge::clock::SharedClock;
use crate::edge::supervise::Supervisor;
use crate::model::{Millis, SourceName};
use crate::salesforce::{Client, SignInState};
use crate::store::Store;
use crate::telemetry::Metrics;

/// How long an answer about the store stands: asking costs a sync.
const STORE_ANSWER_STANDS: Duration = Duration::from_secs(1);

/// The most that the store may take to say that it can write.
const STORE_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What the routes ask. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AdminState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    client: Arc<Client>,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    supervisor: Supervisor,
    fenced: Vec<SourceName>,
    store_answer: Mutex<Option<(Millis, Result<(), String>)>>,
    outbox_counted: Mutex<Option<Millis>>,
}

impl AdminState {
    /// Asks `store`, `client` and `supervisor`; names the sources that were `fenced` off.
    pub fn new(
        store: Arc<Store>,
        client: Arc<Client>,
        metrics: Arc<Metrics>,
        clock: SharedClock,
        supervisor: Supervisor,
        fenced: Vec<SourceName>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            client,
            metrics,
            clock,
            supervisor,
            fenced,
            store_answer: Mutex::default(),
            outbox_counted: Mutex::default(),
        }))
    }
}

/// `/healthz`, `/readyz`, `/metrics`.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// The process answers. Restart it if not.
async fn health() -> &'static str {
    "ok\n"
}

/// 200 if events can be stored, all loops run and there is a token for Salesforce, 503 if not, with
/// what is missing. Events are taken even while Salesforce cannot be reached.
async fn ready(State(AdminState(inner)): State<AdminState>) -> Response {
    let store = inner.store_writable().await;
    let salesforce = inner.client.sign_in_state();
    let signed_in = salesforce == SignInState::SignedIn;
    let crashed = inner.supervisor.in_trouble();
    let status = if store.is_ok() && signed_in && crashed.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let salesforce = match salesforce {
        SignInState::SignedIn => json!("signed in"),
        SignInState::NotYet => json!("not signed in yet"),
        SignInState::Failed(error) => json!({ "code": error.code, "hint": error.hint }),
    };
    let mut body = json!({
        "ready": status == StatusCode::OK,
        "store": store.err().map_or(json!("writable"), |error| json!({ "error": error })),
        "salesforce": salesforce,
    });
    if !crashed.is_empty() {
        body["crashed_loops"] = json!(crashed);
    }
    let drifted = inner.drifted().await;
    if !drifted.is_empty() {
        body["salesforce_drift"] = Value::from(drifted);
    }
    if !inner.fenced.is_empty() {
        body["fenced_sources"] = inner
            .fenced
            .iter()
            .map(|name| Value::from(&**name))
            .collect();
    }
    (status, Json(body)).into_response()
}

impl Inner {
    async fn store_writable(&self) -> Result<(), String> {
        let mut answer = self.store_answer.lock().await;
        let now = self.clock.now();
        if let Some((_, answer)) = answer
            .as_ref()
            .filter(|(at, _)| at.was_within(STORE_ANSWER_STANDS, now))
        {
            return answer.clone();
        }
        let fresh = tokio::select! {
            result = self.store.check_writable() => result.map_err(|error| error.to_string()),
            () = self.clock.sleep(STORE_ANSWER_TIMEOUT) => Err("the store does not answer".to_owned()),
        };
        *answer = Some((now, fresh.clone()));
        fresh
    }

    /// Where the org was changed so that the mapping fits no longer. Names and values of the org and
    /// the configuration only.
    async fn drifted(&self) -> Vec<Value> {
        let problems = self.store.org_problems().await.unwrap_or_default();
        let drifted = problems.into_iter().filter(|problem| problem.drifted);
        drifted
            .map(|problem| {
                json!({
                    "code": problem.code,
                    "about": problem.about,
                    "message": problem.message,
                    "hint": problem.hint,
                    "since": problem.since.to_string(),
                })
            })
            .collect()
    }

    /// Counts what waits, at most once a second: it reads all of it, whoever asks.
    async fn count_outbox(&self) {
        let mut counted = self.outbox_counted.lock().await;
        let now = self.clock.now();
        if counted.is_some_and(|at| at.was_within(STORE_ANSWER_STANDS, now)) {
            return;
        }
        if let Ok((pending, oldest)) = self.store.outbox_size().await {
            let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
            self.metrics.outbox_pending.set(pending as i64);
            self.metrics
                .oldest_pending_seconds
                .set(age.as_secs() as i64);
            *counted = Some(now);
        }
    }
}

async fn metrics(State(AdminState(inner)): State<AdminState>) -> Response {
    inner.count_outbox().await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, content_type)],
        inner.metrics.encode(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::shutdown;
    use crate::salesforce::testing::Org;
    use crate::store::Access;

    /// The state of a daemon that has signed in, and what it asks.
    async fn state(folder: &tempfile::TempDir) -> (AdminState, Org) {
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&crate::config::StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let org = Org::signed_in().await;
        let state = AdminState::new(
            store,
            Arc::clone(&org.client),
            Arc::clone(&org.metrics),
            org.clock.clone(),
            Supervisor::new(org.clock.clone(), Arc::clone(&org.metrics)),
            Vec::new(),
        );
        (state, org)
    }

    async fn ask(state: &AdminState) -> (StatusCode, Value) {
        let answer = ready(State(state.clone())).await;
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await;
        (status, serde_json::from_slice(&body.unwrap()).unwrap())
    }

    #[tokio::test]
    async fn a_loop_that_is_down_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (state, _org) = state(&folder).await;
        let (status, body) = ask(&state).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body.get("crashed_loops"), None);

        let (_trigger, shutdown) = shutdown::channel();
        let supervisor = state.0.supervisor.clone();
        let mut kept =
            Box::pin(supervisor.keep("deliver", shutdown, async |_| panic!("jane@acme.example")));
        assert!(futures_util::poll!(&mut kept).is_pending());
        let (status, body) = ask(&state).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["crashed_loops"], json!(["deliver"]));
        assert_eq!(body["ready"], false);
    }

    #[tokio::test]
    async fn an_old_answer_does_not_stand_because_the_clock_was_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let (state, org) = state(&folder).await;
        assert_eq!(state.0.store_writable().await, Ok(()));
        state.0.store.close().await;
        assert_eq!(state.0.store_writable().await, Ok(()), "it still stands");
        org.clock.set_back(Duration::from_secs(3600));
        assert!(state.0.store_writable().await.is_err());
    }
}
