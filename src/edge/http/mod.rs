//! Outgoing HTTP: one door that knows the allowed hosts, limits time and size, and whose errors
//! never show a query string or a header.

mod allowed;
mod client;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use allowed::{AllowedHosts, is_loopback};
pub use client::ReqwestHttp;

/// Sends one request. Implemented by `ReqwestHttp`; tests and the fault harness bring their own.
#[async_trait]
pub trait Http: Send + Sync + std::fmt::Debug {
    /// Sends `request` and reads the whole answer. Follows no redirects.
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, HttpError>;
}

/// The bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first byte sent to the last byte read.
    pub timeout: Duration,
    /// The most bytes of body that are read, after decompression.
    pub max_response_bytes: usize,
}

/// Why there is no answer. Each variant names host and path, never the query.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host is not one that may be called; nothing was sent.
    #[error("requests to {0} are not allowed")]
    HostNotAllowed(String),
    /// No connection: nothing was sent.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// No answer in time: the request may have been carried out.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// The connection broke while waiting: the request may have been carried out.
    #[error("the connection to {host} broke: {reason}")]
    Broken {
        /// Host and port.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The answer is larger than the limit.
    #[error("{host} answered with more than {limit} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The limit.
        limit: usize,
    },
}
