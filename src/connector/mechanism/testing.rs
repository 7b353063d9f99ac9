//! A vendor that answers by a test's own rule, and a store in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::auth::{CredentialStore, CredentialStoreError, Edge, Vault};
use crate::config::{SecretRef, StoreConfig};
use crate::connector::Options;
use crate::connector::manifest::Manifest;
use crate::edge::clock::ManualClock;
use crate::edge::http::{Http, HttpError, Limits};
use crate::model::Millis;

/// The moment at which tests begin: 2026-03-01T10:00:00Z.
pub(crate) const NOW: Millis = Millis(1_772_359_200_000);

pub(crate) type Answered = Result<Response<Bytes>, HttpError>;

/// A request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub method: String,
    /// Scheme, host, port and path.
    pub url: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Sent {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }
}

type Rule = Box<dyn FnMut(&Sent) -> Answered + Send>;

/// Answers by a rule, and keeps what was sent.
pub(crate) struct StandIn {
    rule: Mutex<Rule>,
    sent: Mutex<Vec<Sent>>,
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StandIn")
    }
}

#[async_trait]
impl Http for StandIn {
    async fn send(&self, request: Request<Bytes>, limits: Limits) -> Answered {
        let url = url::Url::parse(&request.uri().to_string()).unwrap();
        let mut bare = url.clone();
        bare.set_query(None);
        let sent = Sent {
            method: request.method().to_string(),
            url: bare.to_string(),
            query: url.query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            body: String::from_utf8(request.body().to_vec()).unwrap(),
        };
        self.sent.lock().push(sent.clone());
        // Lets other tasks of the test come to the same place.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let answer = (self.rule.lock())(&sent)?;
        if answer.body().len() > limits.max_response_bytes {
            return Err(HttpError::TooLarge {
                host: url.host_str().unwrap().to_owned(),
                limit: limits.max_response_bytes,
            });
        }
        Ok(answer)
    }
}

impl StandIn {
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().clone()
    }

    pub fn last(&self) -> Sent {
        self.sent.lock().last().cloned().unwrap()
    }

    /// Answers by another rule from now on.
    pub fn now_answers(&self, rule: impl FnMut(&Sent) -> Answered + Send + 'static) {
        *self.rule.lock() = Box::new(rule);
    }
}

/// A store of credentials in memory, which a test can break.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    kept: Mutex<HashMap<String, (Vec<u8>, i64)>>,
    /// How many further writes go well; none: all.
    pub writes_left: Mutex<Option<u32>>,
}

#[async_trait]
impl CredentialStore for MemoryStore {
    async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, i64)>, CredentialStoreError> {
        tokio::task::yield_now().await;
        Ok(self.kept.lock().get(name).cloned())
    }

    async fn put(
        &self,
        name: &str,
        sealed: &[u8],
        expected: i64,
        _: Millis,
    ) -> Result<bool, CredentialStoreError> {
        tokio::task::yield_now().await;
        if let Some(left) = &mut *self.writes_left.lock() {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| CredentialStoreError("the disk is full".to_owned()))?;
        }
        let mut kept = self.kept.lock();
        let version = kept.get(name).map_or(0, |(_, version)| *version);
        if version != expected {
            return Ok(false);
        }
        kept.insert(name.to_owned(), (sealed.to_vec(), version + 1));
        Ok(true)
    }
}

impl MemoryStore {
    pub fn names(&self) -> Vec<String> {
        self.kept.lock().keys().cloned().collect()
    }

    /// All bytes that are kept.
    pub fn bytes(&self) -> Vec<u8> {
        let kept = self.kept.lock();
        kept.values()
            .flat_map(|(sealed, _)| sealed.clone())
            .collect()
    }
}

/// The world of a test.
pub(crate) struct World {
    pub http: Arc<StandIn>,
    pub clock: Arc<ManualClock>,
    pub store: Arc<MemoryStore>,
    pub edge: Edge,
    pub folder: tempfile::TempDir,
}

impl World {
    pub fn new(rule: impl FnMut(&Sent) -> Answered + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let http = Arc::new(StandIn {
            rule: Mutex::new(Box::new(rule)),
            sent: Mutex::default(),
        });
        let clock = ManualClock::at(NOW);
        let store = Arc::new(MemoryStore::default());
        let url = format!("sqlite:{}/l.db", folder.path().display());
        let vault = Vault::new(store.clone(), StoreConfig::at(&url));
        let edge = Edge {
            http: http.clone(),
            clock: clock.clone(),
            vault: Arc::new(vault),
        };
        Self {
            http,
            clock,
            store,
            edge,
            folder,
        }
    }

    /// Another process over the same store.
    pub fn other_process(&self) -> Edge {
        let url = format!("sqlite:{}/l.db", self.folder.path().display());
        Edge {
            vault: Arc::new(Vault::new(self.store.clone(), StoreConfig::at(&url))),
            ..self.edge.clone()
        }
    }

    /// Options; those that the manifest calls secrets are written to files.
    pub fn options(&self, manifest: &Manifest, written: &[(&str, &str)]) -> Options {
        use crate::connector::manifest::OptionType;
        let mut table = serde_json::Map::new();
        for (name, value) in written {
            let is_secret = manifest.options[*name].kind == OptionType::Secret;
            let value = if is_secret {
                let file = self.folder.path().join(name);
                std::fs::write(&file, value).unwrap();
                serde_json::to_value(SecretRef {
                    env: None,
                    file: Some(file),
                })
                .unwrap()
            } else {
                json!(value)
            };
            table.insert((*name).to_owned(), value);
        }
        Options::of(manifest, &table)
    }
}

pub(crate) fn answer(status: u16, body: Value) -> Answered {
    answer_with(status, &[], body)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what a rule gives is an answer or the lack of one"
)]
pub(crate) fn answer_with(status: u16, headers: &[(&str, &str)], body: Value) -> Answered {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(Bytes::from(body.to_string())).unwrap())
}

/// A manifest of these lines, with the options that the tests use.
pub(crate) fn manifest(lines: &str) -> Manifest {
    const OPTIONS: &str = r#"
        [options]
        token = { type = "secret", help = "x" }
        user = { type = "text", help = "x" }
        client_id = { type = "text", help = "x" }
        client_secret = { type = "secret", help = "x" }
        refresh_token = { type = "secret", help = "x" }
        account_id = { type = "text", help = "x" }
        key = { type = "secret", help = "x" }
        subject = { type = "text", help = "x" }
        app_secret = { type = "secret", help = "x" }
        dc = { type = "text", help = "x" }
        login_customer_id = { type = "text", help = "x" }
    "#;
    let text = format!("name = \"acme\"\ntitle = \"Acme\"\nhelp = \"x\"\n{lines}\n{OPTIONS}");
    Manifest::parse(&text).unwrap()
}
