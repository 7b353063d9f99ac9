//! A request to a vendor, and what became of it: what pollers and fetchers see of the network.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;

use super::auth::CredentialFacts;
use crate::connector::manifest::Method;

/// Calls one account of one vendor: signed in, at the pace that it allows.
#[async_trait]
pub trait Vendor: Send + Sync + std::fmt::Debug {
    /// Sends a request and returns the answer, if it is 2xx; else what is to be done.
    async fn call(&self, request: Request) -> Result<Answer, CallError>;

    /// What tells its credentials from others; changes when they do. None if that is not known.
    fn account(&self) -> Option<String> {
        None
    }

    /// What may be shown of its credential: how old it is, when it ends. None if it has none, or
    /// nothing is known of it.
    async fn credential(&self) -> Option<CredentialFacts> {
        None
    }
}

/// A request, without what signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where.
    pub target: Target,
    /// Beside the manifest's own.
    pub headers: Vec<(String, String)>,
    /// A JSON body.
    pub body: Option<String>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A path and query after the base URL, encoded.
    Path(String),
    /// A whole address that an answer gave. Refused if it is not on the base URL's host or the
    /// manifest's hosts.
    Url(String),
}

/// An answer with a status of 2xx.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What is to be done after a call that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Again, after this long at least; then later and later.
    Retry(Option<Duration>),
    /// The account is called too often: not before this long.
    Throttle(Option<Duration>),
    /// A person must do something: the source pauses.
    Pause,
    /// There is no such record.
    Gone,
    /// The page token is no longer good: the walk begins anew.
    Restart,
    /// There is nothing (more) to read.
    End,
    /// Again, with half the page size.
    Shrink,
}

/// A call that brought nothing. Holds no secret, no token, no query and no person's data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What is to be done.
    pub next: Next,
    /// Stable: `vendor.unreachable`, `vendor.refused`, `vendor.signed_out`, …
    pub code: &'static str,
    /// What is wrong, with host, path and status.
    pub message: String,
    /// What a person is to do, if anything.
    pub hint: String,
}
