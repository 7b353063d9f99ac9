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
    fenced: Vec<SourceName>,
    store_answer: Mutex<Option<(Millis, Result<(), String>)>>,
}

impl AdminState {
    /// Asks `store` and `client`; names the sources that were `fenced` off.
    pub fn new(
        store: Arc<Store>,
        client: Arc<Client>,
        metrics: Arc<Metrics>,
        clock: SharedClock,
        fenced: Vec<SourceName>,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            client,
            metrics,
            clock,
            fenced,
            store_answer: Mutex::default(),
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

/// 200 if events can be stored and there is a token for Salesforce, 503 if not, with what is
/// missing. Events are taken even while Salesforce cannot be reached.
async fn ready(State(AdminState(inner)): State<AdminState>) -> Response {
    let store = inner.store_writable().await;
    let salesforce = inner.client.sign_in_state();
    let signed_in = salesforce == SignInState::SignedIn;
    let status = if store.is_ok() && signed_in {
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
        // An answer that lies ahead is of a clock that was set back since.
        if let Some((_, answer)) = answer
            .as_ref()
            .filter(|(at, _)| *at <= now && now.since(*at) < STORE_ANSWER_STANDS)
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
}

async fn metrics(State(AdminState(inner)): State<AdminState>) -> Response {
    if let Ok((pending, oldest)) = inner.store.outbox_size().await {
        let age = oldest.map_or(Duration::ZERO, |oldest| inner.clock.now().since(oldest));
        inner.metrics.outbox_pending.set(pending as i64);
        inner
            .metrics
            .oldest_pending_seconds
            .set(age.as_secs() as i64);
    }
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
    use crate::salesforce::testing::Org;
    use crate::store::Access;

    #[tokio::test]
    async fn an_old_answer_does_not_stand_because_the_clock_was_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/test.db", folder.path().display());
        let store = Store::open(&crate::config::StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let org = Org::new();
        let state = AdminState::new(
            Arc::clone(&store),
            org.client,
            org.metrics,
            org.clock.clone(),
            Vec::new(),
        );
        assert_eq!(state.0.store_writable().await, Ok(()));
        store.close().await;
        assert_eq!(state.0.store_writable().await, Ok(()), "it still stands");
        org.clock.set_back(Duration::from_secs(3600));
        assert!(state.0.store_writable().await.is_err());
    }
}
