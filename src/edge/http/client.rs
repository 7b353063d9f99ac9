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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const PERSONAL: &str = "email=jane%40acme.com";

    fn http() -> ReqwestHttp {
        ReqwestHttp::new(AllowedHosts::default().loopback())
    }

    /// Serves one connection: reads a request's head, then hands over.
    async fn serve<F, Done>(after_head: F) -> String
    where
        F: FnOnce(TcpStream, String) -> Done + Send + 'static,
        Done: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            after_head(stream, String::from_utf8(head).unwrap()).await;
        });
        format!("http://{address}/hooks?{PERSONAL}")
    }

    /// Serves one answer, byte for byte.
    async fn answering(answer: Vec<u8>) -> String {
        serve(|mut stream, _| async move {
            stream.write_all(&answer).await.unwrap();
        })
        .await
    }

    async fn send(http: &ReqwestHttp, url: &str) -> Result<http::Response<Bytes>, HttpError> {
        let limits = Limits {
            timeout: Duration::from_secs(10),
            max_response_bytes: 1000,
        };
        send_within(http, url, limits).await
    }

    async fn send_within(
        http: &ReqwestHttp,
        url: &str,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        let result = http.send(request, limits).await;
        if let Err(error) = &result {
            let text = format!("{error} {error:?}");
            assert!(!text.contains("jane"), "{text}");
        }
        result
    }

    #[tokio::test]
    async fn an_answer_is_read_with_its_status_and_headers() {
        let url =
            answering(b"HTTP/1.1 418 T\r\nx-a: b\r\ncontent-length: 2\r\n\r\nok".into()).await;
        let answer = send(&http(), &url).await.unwrap();
        assert_eq!(answer.status(), 418);
        assert_eq!(answer.headers()["x-a"], "b");
        assert_eq!(answer.body(), "ok");
    }

    #[tokio::test]
    async fn a_compressed_answer_is_asked_for_and_unpacked() {
        let url = serve(|mut stream, head| async move {
            assert!(head.to_lowercase().contains("accept-encoding: gzip"));
            assert!(head.to_lowercase().contains("user-agent: leadstream/"));
            stream.write_all(&gzip_answer(b"hello")).await.unwrap();
        })
        .await;
        assert_eq!(send(&http(), &url).await.unwrap().body(), "hello");
    }

    fn gzip_answer(body: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(body).unwrap();
        let body = gzip.finish().unwrap();
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend(body);
        answer
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let head =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let url = answering(head.into()).await;
        assert_eq!(send(&http(), &url).await.unwrap().status(), 302);
    }

    #[tokio::test]
    async fn a_connection_that_breaks_may_have_carried_the_request() {
        let url = serve(|stream, _| async move { drop(stream) }).await;
        let error = send(&http(), &url).await.unwrap_err();
        assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
        // Half an answer is none.
        let url = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into()).await;
        let error = send(&http(), &url).await.unwrap_err();
        assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_slow_answer_may_still_come() {
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let url = serve(|stream, _| async move {
            let _ = released.await;
            drop(stream);
        })
        .await;
        let limits = Limits {
            timeout: Duration::from_millis(50),
            max_response_bytes: 1000,
        };
        let error = send_within(&http(), &url, limits).await.unwrap_err();
        let HttpError::Timeout(place) = &error else {
            panic!("{error:?}");
        };
        assert!(place.ends_with("/hooks"), "{place}");
        drop(release);
    }

    #[tokio::test]
    async fn a_closed_port_was_sent_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/?{PERSONAL}", listener.local_addr().unwrap());
        drop(listener);
        let error = send(&http(), &url).await.unwrap_err();
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_server_without_tls_was_sent_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").await.unwrap();
        });
        let error = send(&http(), &format!("https://{address}/?{PERSONAL}")).await;
        let error = error.unwrap_err();
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn an_answer_above_the_limit_is_not_read() {
        let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n".to_vec();
        let mut unannounced = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        unannounced.extend([b'x'; 1001]);
        let bomb = gzip_answer(&vec![b'x'; 100_000]);
        assert!(bomb.len() < 1000);
        for answer in [announced, unannounced, bomb] {
            let url = answering(answer).await;
            let error = send(&http(), &url).await.unwrap_err();
            assert!(
                matches!(error, HttpError::TooLarge { limit: 1000, .. }),
                "{error:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_host_that_is_not_allowed_is_not_called() {
        let http = ReqwestHttp::new(AllowedHosts::default());
        for url in [
            "http://127.0.0.1:1/?email=jane",
            "https://evil.example/?email=jane",
            "http://evil.example/?email=jane",
            "/?email=jane",
        ] {
            let error = send(&http, url).await.unwrap_err();
            assert!(matches!(error, HttpError::HostNotAllowed(_)), "{error:?}");
        }
    }
}
