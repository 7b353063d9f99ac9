//! A server in place of a vendor. What it answers is the vendor's own business; here is what they
//! share: the log of what was asked, troubles that a test plans, and secrets in files.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use leadstream::edge::clock::{Clock as _, ManualClock};
use leadstream::model::{End, Millis};
use parking_lot::Mutex;
use ring::hmac;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Setup, TestDaemon};

/// 2026-03-01T10:00:00Z, where the clocks of all tests begin.
pub const START: Millis = Millis(1_772_359_200_000);

/// A request to the vendor.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// As sent, percent-encoded.
    pub path: String,
    pub raw_query: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Millis,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.query.iter().filter(|(other, _)| other == name);
        found.next_back().map(|(_, value)| value.as_str())
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.parameter(name)?.parse().ok()
    }

    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization").strip_prefix("Bearer ")
    }

    /// The fields of a form, for token endpoints.
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub fn form_field(&self, name: &str) -> Option<String> {
        let mut form = self.form().into_iter();
        form.find(|(other, _)| other == name)
            .map(|(_, value)| value)
    }
}

/// What the vendor says to it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", "text/html".to_owned())],
            body: body.to_owned(),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_string()));
        self
    }
}

/// A vendor.
pub trait Service: Send + 'static {
    fn answer(&mut self, asked: &Asked) -> Answer;
}

type Change<S> = Box<dyn FnOnce(&mut S) + Send>;

struct Inner<S> {
    service: S,
    log: Vec<Asked>,
    /// Answers in place of the service's to requests whose paths and queries hold the text.
    troubles: VecDeque<(&'static str, Answer)>,
    /// What happens at the vendor when so many requests have been answered.
    changes: Vec<(usize, Change<S>)>,
    clock: Option<Arc<ManualClock>>,
}

/// A vendor that runs.
pub struct StandIn<S> {
    inner: Arc<Mutex<Inner<S>>>,
    pub url: String,
    secrets: TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl<S> Drop for StandIn<S> {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl<S: Service> StandIn<S> {
    /// `make` gets the server's own address.
    pub async fn start(make: impl FnOnce(&str) -> S) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner {
            service: make(&url),
            log: Vec::new(),
            troubles: VecDeque::new(),
            changes: Vec::new(),
            clock: None,
        }));
        let router = Router::new()
            .fallback(serve::<S>)
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            inner,
            url,
            secrets: tempfile::tempdir().unwrap(),
            server,
        }
    }

    /// Keeps a secret in a file, and says it as a configuration does.
    pub fn secret(&self, name: &str, value: &str) -> String {
        let path: PathBuf = self.secrets.path().join(name);
        std::fs::write(&path, value).unwrap();
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, owner_only).unwrap();
        format!("{{ file = {:?} }}", path.display().to_string())
    }

    /// A daemon with these sections, whose clock is the vendor's as well.
    pub async fn daemon(&self, server: &str, sections: &str) -> TestDaemon {
        let test = TestDaemon::with(Setup {
            server,
            more: sections,
            ..Setup::default()
        })
        .await;
        self.inner.lock().clock = Some(test.clock.clone());
        test
    }

    pub fn service<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        look(&mut self.inner.lock().service)
    }

    /// The next request whose path and query hold `path` is answered so.
    pub fn trouble(&self, path: &'static str, answer: Answer) {
        self.inner.lock().troubles.push_back((path, answer));
    }

    pub fn troubles_left(&self) -> usize {
        self.inner.lock().troubles.len()
    }

    /// Changes the vendor's records when it has been asked `count` times more.
    pub fn after(&self, count: usize, change: impl FnOnce(&mut S) + Send + 'static) {
        let mut inner = self.inner.lock();
        let at = inner.log.len() + count;
        inner.changes.push((at, Box::new(change)));
    }

    pub fn log(&self) -> Vec<Asked> {
        self.inner.lock().log.clone()
    }

    /// How often paths that hold this text were asked for.
    pub fn asked(&self, path: &str) -> usize {
        let inner = self.inner.lock();
        inner
            .log
            .iter()
            .filter(|asked| asked.path.contains(path))
            .count()
    }
}

async fn serve<S: Service>(
    State(inner): State<Arc<Mutex<Inner<S>>>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let raw_query = parts.uri.query().unwrap_or("").to_owned();
    let mut inner = inner.lock();
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(raw_query.as_bytes())
            .into_owned()
            .collect(),
        raw_query,
        headers: parts.headers,
        body,
        at: inner.clock.as_ref().map_or(START, |clock| clock.now()),
    };
    let trouble = inner
        .troubles
        .iter()
        .position(|(path, _)| format!("{}?{}", asked.path, asked.raw_query).contains(path));
    let answer = match trouble {
        Some(at) => inner.troubles.remove(at).unwrap().1,
        None => inner.service.answer(&asked),
    };
    inner.log.push(asked);
    let count = inner.log.len();
    let (due, later) = std::mem::take(&mut inner.changes)
        .into_iter()
        .partition(|(at, _)| *at <= count);
    inner.changes = later;
    let due: Vec<(usize, Change<S>)> = due;
    for (_, change) in due {
        change(&mut inner.service);
    }
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap()
}

/// A webhook, byte for byte.
pub async fn post(
    test: &TestDaemon,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (StatusCode, String) {
    let mut request = test.http.post(test.url(path)).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Events of one source that were kept.
pub async fn accepted(test: &TestDaemon, source: &str) -> u64 {
    let books = test.audit().await;
    books.get(source).map_or(0, |line| line.accepted)
}

pub fn hmac_sha256(key: &str, parts: &[&[u8]]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// An order in which the vendor promises nothing, but the same each time.
pub fn shuffled<T: Clone>(list: &[T]) -> Vec<T> {
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 7);
    order.into_iter().map(|at| list[at].clone()).collect()
}

/// Seconds of Unix as RFC 3339 with whole seconds, ended by `zone`.
pub fn rfc3339(seconds: i64, zone: &str) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap();
    format!("{}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// A token endpoint for one client, which is told apart by Basic or by the form.
#[derive(Debug)]
pub struct Tokens {
    pub client_id: &'static str,
    pub client_secret: &'static str,
    /// The one that is good now; with `rotates` it is good once.
    pub refresh_token: String,
    pub rotates: bool,
    pub lifetime_seconds: i64,
    access: String,
    expires: Millis,
    pub issued: u32,
}

impl Tokens {
    pub fn new(
        client_id: &'static str,
        client_secret: &'static str,
        rotates: bool,
        lifetime_seconds: i64,
    ) -> Self {
        Self {
            client_id,
            client_secret,
            refresh_token: "refresh-0".to_owned(),
            rotates,
            lifetime_seconds,
            access: String::new(),
            expires: START,
            issued: 0,
        }
    }

    /// Whether the client says who it is.
    pub fn knows_client(&self, asked: &Asked) -> bool {
        use base64::Engine as _;
        let basic = format!("{}:{}", self.client_id, self.client_secret);
        let basic = base64::engine::general_purpose::STANDARD.encode(basic);
        asked.header("authorization") == format!("Basic {basic}")
            || (asked.form_field("client_id").as_deref() == Some(self.client_id)
                && asked.form_field("client_secret").as_deref() == Some(self.client_secret))
    }

    /// A new access token.
    pub fn issue(&mut self, at: Millis) -> Value {
        self.issued += 1;
        self.access = format!("access-{}", self.issued);
        self.expires = Millis(at.0 + self.lifetime_seconds * 1000);
        if self.rotates {
            self.refresh_token = format!("refresh-{}", self.issued);
        }
        serde_json::json!({
            "access_token": self.access, "refresh_token": self.refresh_token,
            "token_type": "bearer", "expires_in": self.lifetime_seconds,
        })
    }

    /// The answer to a refresh.
    pub fn refresh(&mut self, asked: &Asked) -> Answer {
        let good = asked.method == "POST"
            && asked
                .header("content-type")
                .starts_with("application/x-www-form-urlencoded")
            && self.knows_client(asked)
            && asked.form_field("grant_type").as_deref() == Some("refresh_token")
            && asked.form_field("refresh_token").as_deref() == Some(&self.refresh_token);
        if !good {
            return Answer::json(400, &serde_json::json!({"error": "invalid_grant"}));
        }
        let token = self.issue(asked.at);
        Answer::json(200, &token)
    }

    pub fn is_good(&self, asked: &Asked) -> bool {
        self.issued > 0 && asked.bearer() == Some(&self.access) && asked.at < self.expires
    }

    /// Voids the access token, as an admin of the vendor's does.
    pub fn withdraw(&mut self) {
        "withdrawn".clone_into(&mut self.access);
    }
}

/// Stops the daemon while time goes on: a request that waits for its turn by a limit is sent first.
pub async fn stop(test: &mut TestDaemon) {
    let clock = Arc::clone(&test.clock);
    let ticks = async {
        loop {
            clock.advance(std::time::Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = test.stop() => {}
        () = ticks => {}
    }
}

/// Waits for so many leads. How many events that takes is not said: a round that begins while the
/// last one's records are still being processed takes them once more, and they are merged.
pub async fn leads(test: &TestDaemon, count: usize) {
    test.until("the leads are there", async || {
        test.ends(End::Synced).await >= count as u64 && test.leads().len() >= count
    })
    .await;
    test.drained().await;
    assert_eq!(test.leads().len(), count);
    let letters = test.dead_letters().await;
    assert!(letters.is_empty(), "{letters:?}");
}
