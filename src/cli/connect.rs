//! `leadstream connect <source>`: a person gives their consent in a browser, and the tokens are kept.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::{Exit, output};
use crate::config::StoreConfig;
use crate::connector::ConnectorOptions;
use crate::connector::mechanism::auth::{Connected, Edge, Overrides, SignIn, Vault};
use crate::connector::mechanism::call::CallError;
use crate::connector::mechanism::client::hosts;
use crate::edge::clock::{SharedClock, SystemClock};
use crate::edge::http::ReqwestHttp;
use crate::model::SourceName;
use crate::store::{Access, Store, StoreError};

/// Where the browser comes back to.
const CALLBACK: &str = "/callback";

/// How long a person may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long a browser may take for its request: some open connections that they never use.
const REQUEST_TAKES: Duration = Duration::from_secs(10);

/// The longest head of a request: codes and scopes make long addresses.
const MOST_HEAD_BYTES: usize = 32 * 1024;

/// Connections at once; a browser opens two or three.
const MOST_CONNECTIONS: usize = 32;

/// Arguments of `connect`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// The source, as in `[sources.<name>]`.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The port of this machine that the browser comes back to, for vendors that take only addresses
    /// that were registered before; any that is free if not said.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The redirect address as it is registered at the vendor, if it is not
    /// http://127.0.0.1:<port>/callback: another name of this machine, or of a tunnel to it.
    #[arg(long, value_name = "URL", requires = "port")]
    redirect_uri: Option<Url>,
    /// Print the address, and open no browser.
    #[arg(long)]
    no_browser: bool,
}

/// Finds the source, and connects it.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let loaded = super::load(config_path);
    let Some(config) = loaded.config else {
        return Exit::Failure;
    };
    let name = SourceName::new(&args.source);
    let Some(source) = config.sources.get(&name) else {
        output::error_line(&format!(
            "error: there is no source `{}`, or it has errors",
            args.source
        ));
        return Exit::Failure;
    };
    let ConnectorOptions::Manifest(own) = &source.options else {
        output::error_line(&format!(
            "error: {} signs in nowhere: there is nothing to connect",
            source.connector
        ));
        return Exit::Failure;
    };
    let overrides = Overrides {
        auth: own.common.auth.clone(),
        base_url: source.base_url.clone(),
        token_url: own.common.token_url.clone(),
        authorize_url: own.common.authorize_url.clone(),
    };
    let hosts = hosts(&own.manifest, &own.options, &overrides);
    let store = match open_or_make(&config.store).await {
        Ok(store) => store,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    let edge = Edge {
        http: Arc::new(ReqwestHttp::new(hosts)),
        clock: Arc::new(SystemClock),
        vault: Arc::new(Vault::new(store.clone(), config.store.clone())),
    };
    let sign_in = SignIn::new(&name, &own.manifest, &own.options, &overrides);
    let exit = match sign_in {
        Ok(sign_in) => connect(args, &sign_in, &edge).await,
        Err(error) => failed(&ConnectError::Vendor(error)),
    };
    drop(edge);
    store.close().await;
    exit
}

/// The store beside a daemon that may run on it. People connect before the first start as well.
async fn open_or_make(config: &StoreConfig) -> Result<Arc<Store>, StoreError> {
    match Store::open(config, Access::Command).await {
        Err(StoreError::Missing(_)) => {
            Store::open(config, Access::Daemon).await?.close().await;
            Store::open(config, Access::Command).await
        }
        opened => opened,
    }
}

fn failed(error: &ConnectError) -> Exit {
    output::error_line(&format!("error: {error}"));
    let hint = error.hint();
    if !hint.is_empty() {
        output::error_line(&format!("help: {hint}"));
    }
    Exit::Failure
}

/// Asks for consent and keeps what it brings; says how it went.
async fn connect(args: &Args, sign_in: &Arc<SignIn>, edge: &Edge) -> Exit {
    let open = !args.no_browser && output::stdout_can_be_drawn_on();
    let show = |url: &Url| {
        output::line("Give your consent at this address:\n");
        output::line(&format!("  {url}\n"));
        if open && open_browser(url) {
            output::line("It opens in your browser. Waiting for your answer …");
        } else {
            output::line("Open it in a browser on this machine. Waiting for your answer …");
        }
    };
    match ask(args, sign_in, edge, show).await {
        Ok(connected) => {
            output::line(&told(&args.source, &connected));
            Exit::Success
        }
        Err(error) => failed(&error),
    }
}

/// Why there is no consent.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("nobody answered within {} minutes", PATIENCE.as_secs() / 60)]
    NoAnswer,
    #[error("the vendor gave no consent{0}")]
    Denied(String),
    #[error(transparent)]
    Vendor(#[from] CallError),
}

impl ConnectError {
    fn hint(&self) -> &str {
        match self {
            Self::Listen(..) => "take another `--port`",
            Self::NoAnswer => {
                "run it once more. If the vendor's page complains about the redirect address, register \
                 http://127.0.0.1:<port>/callback there and say `--port <port>`"
            }
            Self::Denied(_) => "run it once more, and allow what the vendor's page asks for",
            Self::Vendor(error) => &error.hint,
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

async fn ask(
    args: &Args,
    sign_in: &Arc<SignIn>,
    edge: &Edge,
    show: impl FnOnce(&Url),
) -> Result<Connected, ConnectError> {
    // This machine only: a code is as good as a password.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port.unwrap_or(0)));
    let failed = |error| ConnectError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let own = format!("http://127.0.0.1:{port}{CALLBACK}");
    let redirect_uri = args.redirect_uri.as_ref().map_or(own, Url::to_string);
    let path = match &args.redirect_uri {
        Some(url) => url.path().to_owned(),
        None => CALLBACK.to_owned(),
    };
    let consent = sign_in.consent(&redirect_uri, edge)?;

    let (found, mut redirects) = mpsc::channel(MOST_CONNECTIONS);
    let serving = tokio::spawn(serve(listener, path, found, edge.clock.clone()));
    show(&consent.url);
    let mut patience = edge.clock.sleep(PATIENCE);
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
            let connected = sign_in.connect(&consent, value("code"), edge).await;
            connected.map_err(ConnectError::from)
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
fn reason(error: &str) -> String {
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

/// Which account, what it is good for, and until when.
fn told(source: &str, connected: &Connected) -> String {
    let facts = &connected.facts;
    let account = facts.account.as_ref();
    let account = account.map_or_else(String::new, |account| format!(" to the account {account}"));
    let scope = facts.scope.as_ref();
    let scope = scope.map_or_else(String::new, |scope| format!("\nIt may: {scope}"));
    let end = match (facts.ends_at(), connected.renews) {
        (Some(end), true) => {
            format!("It is renewed by itself until {end}; run this once more before that.")
        }
        (Some(end), false) => format!("It ends at {end}; run this once more before that."),
        (None, true) => "It is renewed by itself.".to_owned(),
        (None, false) => "It ends only when it is taken back at the vendor.".to_owned(),
    };
    format!("{source} is connected{account}.{scope}\n{end}")
}

/// Whether a browser could be started.
fn open_browser(url: &Url) -> bool {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let null = std::process::Stdio::null;
    std::process::Command::new(program)
        .arg(url.as_str())
        .stdin(null())
        .stdout(null())
        .stderr(null())
        .spawn()
        .is_ok()
}

#[cfg(test)]
mod tests;
