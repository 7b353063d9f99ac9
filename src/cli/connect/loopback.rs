//! The address of this machine that a browser comes back to with a consent.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::connector::mechanism::call::CallError;
use crate::edge::clock::SharedClock;
use crate::salesforce::SignInError;

/// Where the browser comes back to.
const CALLBACK: &str = "/callback";

/// How long a person may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long a browser may take for its request: some open connections that they never use.
const REQUEST_TAKES: Duration = Duration::from_secs(10);

/// The longest head of a request: codes and scopes make long addresses.
const MOST_HEAD_BYTES: usize = 32 * 1024;

/// Connections at once; a browser opens two or three.
const MOST_CONNECTIONS: usize = 32;

/// A consent that was asked for: of a vendor, or of Salesforce.
pub(super) trait Asked {
    /// What is known once it was given.
    type Given;

    /// The page at which it is given.
    fn url(&self) -> &Url;

    /// Whether a redirect belongs to it.
    fn is_of(&self, state: &str) -> bool;

    /// Changes the code of a redirect into tokens, and keeps them.
    async fn given(&self, code: &str) -> Result<Self::Given, ConnectError>;
}

/// Where the browser is to come back to.
#[derive(Debug)]
pub(super) struct Door<'a> {
    /// How this machine is called in the address.
    pub host: &'a str,
    /// Any port that is free if none is said.
    pub port: Option<u16>,
    /// The address as it is registered, if it is another.
    pub redirect_uri: Option<&'a Url>,
}

/// Why there is no consent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("nobody answered within {} minutes", PATIENCE.as_secs() / 60)]
    NoAnswer,
    #[error("the vendor gave no consent{0}")]
    Denied(String),
    #[error(transparent)]
    Vendor(#[from] CallError),
    #[error(transparent)]
    Salesforce(#[from] SignInError),
}

impl ConnectError {
    pub(super) fn hint(&self) -> &str {
        match self {
            Self::Listen(..) => "take another `--port`",
            Self::NoAnswer => {
                "run it once more. If the vendor's page complains about the redirect address, register \
                 http://127.0.0.1:<port>/callback there and say `--port <port>`"
            }
            Self::Denied(_) => "run it once more, and allow what the vendor's page asks for",
            Self::Vendor(error) => &error.hint,
            Self::Salesforce(error) => &error.hint,
        }
    }
}

/// What the browser brought, and where to say what became of it.
struct Redirect {
    query: BTreeMap<String, String>,
    reply: oneshot::Sender<Reply>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Connected,
    Failed,
    NotOurs,
    NotFound,
}

/// Asks for consent: `begin` is told the address to come back to, `show` the page to open.
pub(super) async fn ask<A: Asked>(
    door: &Door<'_>,
    clock: &SharedClock,
    begin: impl FnOnce(&str) -> Result<A, ConnectError>,
    show: impl FnOnce(&Url),
) -> Result<A::Given, ConnectError> {
    // This machine only: a code is as good as a password.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, door.port.unwrap_or(0)));
    let failed = |error| ConnectError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let own = format!("http://{}:{port}{CALLBACK}", door.host);
    let redirect_uri = door.redirect_uri.map_or(own, Url::to_string);
    let path = match door.redirect_uri {
        Some(url) => url.path().to_owned(),
        None => CALLBACK.to_owned(),
    };
    let consent = begin(&redirect_uri)?;

    let (found, mut redirects) = mpsc::channel(MOST_CONNECTIONS);
    let serving = tokio::spawn(serve(listener, path, found, clock.clone()));
    show(consent.url());
    let mut patience = clock.sleep(PATIENCE);
    let result = loop {
        let redirect = tokio::select! {
            redirect = redirects.recv() => redirect,
            () = &mut patience => None,
        };
        let Some(redirect) = redirect else {
            break Err(ConnectError::NoAnswer);
        };
        let value = |name: &str| redirect.query.get(name).map_or("", String::as_str);
        if !consent.is_of(value("state")) {
            // Somebody else's, or of an earlier try: the right one may still come.
            let _ = redirect.reply.send(Reply::NotOurs);
            continue;
        }
        let result = if value("code").is_empty() {
            Err(ConnectError::Denied(reason(value("error"))))
        } else {
            consent.given(value("code")).await
        };
        let reply = match &result {
            Ok(_) => Reply::Connected,
            Err(_) => Reply::Failed,
        };
        // A browser that has gone away misses a page, no more.
        let _ = redirect.reply.send(reply);
        break result;
    };
    // The page is on its way: its connection ends after it, the others by their own limit.
    drop(redirects);
    let _ = serving.await;
    result
}

/// The vendor's code of an error, if it is one: its sentences are not repeated.
pub(super) fn reason(error: &str) -> String {
    let is_code = (1..=60).contains(&error.len())
        && error
            .bytes()
            .all(|letter| letter.is_ascii_lowercase() || letter == b'_');
    if is_code {
        format!(": {error}")
    } else {
        String::new()
    }
}

/// Takes connections until nobody wants their redirects any more, and until the last page is sent.
async fn serve(
    listener: TcpListener,
    path: String,
    found: mpsc::Sender<Redirect>,
    clock: SharedClock,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = found.closed() => break,
        };
        // A connection that was given up before it was taken.
        let Ok((stream, _)) = stream else { continue };
        while connections.try_join_next().is_some() {}
        if connections.len() >= MOST_CONNECTIONS {
            continue;
        }
        let (path, found, clock) = (path.clone(), found.clone(), clock.clone());
        connections.spawn(async move {
            let serving = answer(stream, &path, found);
            tokio::select! {
                // A browser that went away is none of our concern.
                _ = serving => {}
                () = clock.sleep(REQUEST_TAKES + Duration::from_secs(60)) => {}
            }
        });
    }
    drop(found);
    while connections.join_next().await.is_some() {}
}

/// Reads one request and answers it.
async fn answer(
    mut stream: TcpStream,
    path: &str,
    found: mpsc::Sender<Redirect>,
) -> io::Result<()> {
    let head = tokio::select! {
        head = read_head(&mut stream) => head?,
        // It sent nothing while another brought the answer.
        () = found.closed() => return Ok(()),
    };
    let target = head
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("GET "))
        .and_then(|line| line.split(' ').next())
        .unwrap_or_default();
    let (asked, query) = target.split_once('?').unwrap_or((target, ""));
    let reply = if asked == path {
        let (reply, replied) = oneshot::channel();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned();
        let redirect = Redirect {
            query: query.collect(),
            reply,
        };
        match found.send(redirect).await {
            Ok(()) => {
                drop(found);
                replied.await.unwrap_or(Reply::NotOurs)
            }
            Err(_) => Reply::NotOurs,
        }
    } else {
        Reply::NotFound
    };
    stream.write_all(page(reply).as_bytes()).await?;
    stream.shutdown().await
}

async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut part = [0; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part).await?;
        if read == 0 || head.len() + read > MOST_HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&part[..read]);
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The page that the person sees. The address holds the code: nothing may be loaded from elsewhere.
fn page(reply: Reply) -> String {
    let (status, text) = match reply {
        Reply::Connected => (
            "200 OK",
            "leadstream is connected. You can close this page.",
        ),
        Reply::Failed => (
            "200 OK",
            "leadstream was not connected. The terminal says why.",
        ),
        Reply::NotOurs => (
            "400 Bad Request",
            "This answer belongs to no consent that leadstream is waiting for.",
        ),
        Reply::NotFound => ("404 Not Found", "There is nothing here."),
    };
    let body =
        format!("<!doctype html><meta charset=\"utf-8\"><title>leadstream</title><p>{text}</p>\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
