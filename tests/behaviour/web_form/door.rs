//! The door on a loopback port, with everything behind it in the test's hands.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use leadstream::config::{Config, ServerConfig, StoreConfig};
use leadstream::edge::clock::ManualClock;
use leadstream::edge::http::{Http, HttpError, Limits};
use leadstream::edge::serve::serve;
use leadstream::edge::shutdown::{self, Trigger};
use leadstream::ingest::{self, Append, AppendError, HooksState};
use leadstream::model::{EventId, Millis, NewEvent, SourceName};
use leadstream::telemetry::Metrics;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub const FORM: &str = "application/x-www-form-urlencoded";
pub const SCRIPT: &[(&str, &str)] = &[("Content-Type", FORM)];
pub const BROWSER: &[(&str, &str)] = &[
    ("Content-Type", FORM),
    ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
];

/// An inbox in memory.
#[derive(Debug)]
pub struct MemoryInbox {
    pub events: Mutex<Vec<NewEvent>>,
    /// What appending gives, if not an id.
    pub fault: Mutex<Option<AppendError>>,
    /// Commits that may happen.
    pub commits: Semaphore,
    /// Appends that wait, or waited, for their commit.
    pub asked: Semaphore,
}

#[derive(Debug, Clone)]
pub struct SharedInbox(Arc<MemoryInbox>);

impl Append for SharedInbox {
    async fn append(&self, event: NewEvent) -> Result<EventId, AppendError> {
        self.0.asked.add_permits(1);
        self.0.commits.acquire().await.unwrap().forget();
        if let Some(fault) = *self.0.fault.lock() {
            return Err(fault);
        }
        let mut events = self.0.events.lock();
        events.push(event);
        Ok(EventId(events.len() as i64))
    }
}

/// A vendor that gives the answers it was handed, and remembers the questions.
#[derive(Debug, Default)]
pub struct Vendor {
    pub answers: Mutex<VecDeque<Result<&'static str, &'static str>>>,
    pub questions: Mutex<Vec<(String, BTreeMap<String, String>)>>,
}

#[async_trait]
impl Http for Vendor {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, HttpError> {
        assert!(limits.timeout.as_secs() <= 5);
        let form = form_urlencoded::parse(request.body())
            .into_owned()
            .collect();
        let url = request.uri().to_string();
        self.questions.lock().push((url, form));
        match self.answers.lock().pop_front().unwrap() {
            Ok(body) => Ok(http::Response::new(Bytes::from(body))),
            Err(host) => Err(HttpError::Timeout(host.to_owned())),
        }
    }
}

pub struct Door {
    /// Dropped, it stops the door.
    _stop: Trigger,
    pub address: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub inbox: Arc<MemoryInbox>,
    pub vendor: Arc<Vendor>,
    pub metrics: Arc<Metrics>,
}

/// A door with one source, `demo`, with these settings.
pub async fn open(demo: &str) -> Door {
    open_with(&[("demo", demo)], ServerConfig::default()).await
}

/// A door with these sources, and `broken`, which is fenced off.
pub async fn open_with(sources: &[(&str, &str)], server: ServerConfig) -> Door {
    let salesforce = r#"{"login_url":"https://acme.my.salesforce.com","client_id":"x"}"#;
    let config = Config {
        catalog: leadstream::connector::Catalog::embedded(),
        server,
        store: StoreConfig::default(),
        salesforce: serde_json::from_str(salesforce).unwrap(),
        sources: sources
            .iter()
            .map(|(name, toml)| (SourceName::new(name), crate::source::web_form(toml)))
            .collect(),
        fenced: vec![SourceName::new("broken")],
        hash: "test".to_owned(),
    };
    let inbox = Arc::new(MemoryInbox {
        events: Mutex::default(),
        fault: Mutex::default(),
        commits: Semaphore::new(Semaphore::MAX_PERMITS),
        asked: Semaphore::new(0),
    });
    let clock = ManualClock::at(Millis(1_772_359_200_000));
    let vendor = Arc::new(Vendor::default());
    let metrics = Metrics::new();
    let state = HooksState::new(
        &config,
        SharedInbox(Arc::clone(&inbox)),
        Arc::clone(&clock) as _,
        Arc::clone(&vendor) as _,
        Arc::clone(&metrics),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = shutdown::channel();
    tokio::spawn(serve(
        listener,
        ingest::Door::new(state, Router::new()),
        Arc::clone(&clock) as _,
        stopping,
        Duration::ZERO,
    ));
    Door {
        _stop: stop,
        address,
        clock,
        inbox,
        vendor,
        metrics,
    }
}

impl Door {
    /// Posts to `/hooks/demo`.
    pub async fn post(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        self.request("POST", "/hooks/demo", headers, body).await
    }

    pub async fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let body = body.as_ref();
        let mut raw = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in headers {
            write!(raw, "{name}: {value}\r\n").unwrap();
        }
        write!(raw, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
        self.send(&[raw.as_bytes(), body].concat()).await
    }

    /// Sends a request's bytes, but for `Host` and `Connection`, which it adds.
    pub async fn send(&self, raw: &[u8]) -> Answer {
        let mut stream = self.connect(raw).await;
        read_answer(&mut stream).await
    }

    /// The same without waiting for the answer.
    pub async fn connect(&self, raw: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let line = raw.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
        let (first, rest) = raw.split_at(line);
        let whole = [
            first,
            b"Host: leads.example.com\r\nConnection: close\r\n",
            rest,
        ]
        .concat();
        stream.write_all(&whole).await.unwrap();
        stream
    }

    /// The one event that was taken.
    pub fn event(&self) -> NewEvent {
        let events = self.inbox.events.lock();
        assert_eq!(events.len(), 1);
        events[0].clone()
    }

    pub fn count(&self) -> usize {
        self.inbox.events.lock().len()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).await.unwrap();
    let raw = String::from_utf8(raw).unwrap();
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    Answer {
        status: status.parse().unwrap(),
        headers: lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    /// The receipt; panics if this is no success for a script.
    pub fn receipt(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body.as_object().unwrap().len(), 1);
        let id = body["id"].as_str().unwrap().to_owned();
        assert_eq!(self.header("x-leadstream-event"), Some(id.as_str()));
        id
    }

    /// The error in it; panics if this is no refusal for a script.
    pub fn error(&self) -> serde_json::Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        let mut body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let error = body["error"].take();
        for key in ["code", "message", "hint"] {
            assert!(!error[key].as_str().unwrap().is_empty(), "{error}");
        }
        error
    }

    /// Checks that a script was refused so.
    pub fn expect_refused(&self, status: u16, code: &str) -> serde_json::Value {
        let error = self.error();
        assert_eq!(
            (self.status, error["code"].as_str().unwrap()),
            (status, code),
            "{error}"
        );
        assert!(self.header("x-request-id").is_some());
        error
    }
}
