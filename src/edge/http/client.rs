//! The real network, by reqwest.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use url::Url;

use super::{AllowedHosts, Http, HttpError, Limits};

/// How long a connection, with its TLS handshake, may take. Shorter than any request's own limit,
/// so that "nothing was sent" is told apart from "no answer".
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("leadstream/", env!("CARGO_PKG_VERSION"));

/// Sends requests over the network, to allowed hosts only.
///
/// Making one costs nothing. The machine's trusted certificates are read at the first request by
/// https: a daemon that talks to a sandbox starts without them, and works where there are none.
#[derive(Debug)]
pub struct ReqwestHttp {
    allowed: AllowedHosts,
    plain: Mutex<Option<reqwest::Client>>,
    encrypted: Mutex<Option<reqwest::Client>>,
}

impl ReqwestHttp {
    /// A client that may call `allowed`.
    pub fn new(allowed: AllowedHosts) -> Self {
        Self {
            allowed,
            plain: Mutex::default(),
            encrypted: Mutex::default(),
        }
    }

    /// The client for `url`'s scheme, made at its first use. A failure is not kept: certificates
    /// that are installed later are found.
    fn client(&self, url: &Url) -> Result<reqwest::Client, reqwest::Error> {
        let encrypted = url.scheme() == "https";
        let slot = if encrypted {
            &self.encrypted
        } else {
            &self.plain
        };
        let mut slot = slot.lock();
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = build(encrypted)?;
        *slot = Some(client.clone());
        Ok(client)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that makes HTTP clients"
)]
fn build(encrypted: bool) -> Result<reqwest::Client, reqwest::Error> {
    // An error means that another client has installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .gzip(true);
    let builder = if encrypted {
        builder.https_only(true)
    } else {
        // No https, so no certificates: reading them takes longer than the whole start may, and
        // fails on a machine that has none.
        builder.tls_certs_only([])
    };
    builder.build()
}

#[async_trait]
impl Http for ReqwestHttp {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let url = Url::parse(&request.uri().to_string())
            .map_err(|_| HttpError::HostNotAllowed(request.uri().path().to_owned()))?;
        let at = Address::of(&url);
        if !self.allowed.permits(&url) {
            return Err(HttpError::HostNotAllowed(at.host));
        }
        let client = self.client(&url).map_err(|error| at.no_client(&error))?;
        let mut request = reqwest::Request::try_from(request).map_err(|error| at.failed(&error))?;
        *request.timeout_mut() = Some(limits.timeout);
        let mut response = client
            .execute(request)
            .await
            .map_err(|error| at.failed(&error))?;

        let limit = limits.max_response_bytes;
        let too_large = || HttpError::TooLarge {
            host: at.host.clone(),
            limit,
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(too_large());
        }
        let mut body = BytesMut::with_capacity(announced.min(64 * 1024) as usize);
        // From here on the request was certainly received: a failed connection cannot be "nothing
        // was sent", and `failed` never says so, as a body's error is not a connector's.
        while let Some(chunk) = response.chunk().await.map_err(|error| at.failed(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }

        let mut answer = http::Response::new(body.freeze());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

/// Where a request goes, as errors may name it.
struct Address {
    host: String,
    host_and_path: String,
}

impl Address {
    fn of(url: &Url) -> Self {
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        };
        Self {
            host_and_path: format!("{host}{}", url.path()),
            host,
        }
    }

    fn failed(&self, error: &reqwest::Error) -> HttpError {
        let host = self.host.clone();
        if error.is_connect() || error.is_builder() {
            let reason = innermost(error);
            return HttpError::Connect { host, reason };
        }
        if error.is_timeout() {
            return HttpError::Timeout(self.host_and_path.clone());
        }
        let reason = innermost(error);
        HttpError::Broken { host, reason }
    }

    fn no_client(&self, error: &reqwest::Error) -> HttpError {
        let reason = innermost(error);
        HttpError::Connect {
            host: self.host.clone(),
            reason: format!("no trusted certificates on this machine ({reason})"),
        }
    }
}

/// What the system itself said. The outer errors would show the whole URL, with its query.
fn innermost(error: &reqwest::Error) -> String {
    let Some(mut inner) = error.source() else {
        return "the request cannot be made".to_owned();
    };
    while let Some(deeper) = inner.source() {
        inner = deeper;
    }
    inner.to_string()
}
