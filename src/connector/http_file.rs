//! A request in a file, byte for byte: what samples and `leadstream try` are made from.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::ManifestSource;
use super::mechanism::signature::{Denied, Request, Verifier};
use crate::model::{EventMeta, Millis, NewEvent, SourceName};

/// A request as it stands in a `.http` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFile {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query string, undecoded.
    pub query: Option<String>,
    /// The headers, by lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// Why a file is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpFileError {
    /// There is no blank line.
    #[error("no blank line ends the headers (lines end with CRLF, as on the wire)")]
    NoBody,
    /// The first line or a header cannot be read.
    #[error("line {0} cannot be read")]
    BadLine(usize),
    /// `Content-Length` is not the body's.
    #[error("Content-Length says {said}, and the body has {has} bytes")]
    Length {
        /// What the header says.
        said: String,
        /// What there is.
        has: usize,
    },
}

impl HttpFile {
    /// Reads a request.
    pub fn parse(raw: &[u8]) -> Result<Self, HttpFileError> {
        let end = memchr::memmem::find(raw, b"\r\n\r\n").ok_or(HttpFileError::NoBody)?;
        let head = std::str::from_utf8(&raw[..end]).map_err(|_| HttpFileError::BadLine(1))?;
        let mut lines = head.split("\r\n").enumerate();
        let (_, first) = lines.next().ok_or(HttpFileError::BadLine(1))?;
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(HttpFileError::BadLine(1));
        };
        let mut headers = BTreeMap::new();
        for (index, line) in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or(HttpFileError::BadLine(index + 1))?;
            headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
        let body = Bytes::copy_from_slice(&raw[end + 4..]);
        if let Some(said) = headers.get("content-length")
            && *said != body.len().to_string()
        {
            return Err(HttpFileError::Length {
                said: said.clone(),
                has: body.len(),
            });
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            headers,
            body,
        })
    }

    /// Its `Content-Type`; blank if there is none.
    pub fn content_type(&self) -> &str {
        self.headers.get("content-type").map_or("", String::as_str)
    }

    /// Whether it proves that the vendor sent it.
    pub fn prove(&self, verifier: &Verifier, now: Millis) -> Result<(), Denied> {
        let headers: HeaderMap = self
            .headers
            .iter()
            .filter_map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
            })
            .collect();
        let request = Request {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
            body: &self.body,
        };
        verifier.verify(&request, now)
    }

    /// The event that it becomes at the door of `source`. Of a manifest's only the headers that the
    /// manifest names are kept, and no query: a secret may stand there.
    pub fn into_event(
        self,
        source: SourceName,
        manifest: Option<&ManifestSource>,
        received_at: Millis,
    ) -> NewEvent {
        let header = |name: &str| self.headers.get(name).cloned();
        let meta = match manifest {
            Some(manifest) => {
                let webhook = manifest.manifest.webhook.as_ref();
                let kept = webhook.into_iter().flat_map(|webhook| &webhook.headers);
                let kept = kept.map(|name| name.to_ascii_lowercase());
                EventMeta {
                    headers: kept
                        .filter_map(|name| Some((name.clone(), header(&name)?)))
                        .collect(),
                    ..EventMeta::default()
                }
            }
            None => EventMeta {
                query: self.query.clone(),
                origin: header("origin"),
                referer: header("referer"),
                accept_language: header("accept-language"),
                idempotency_key: header("idempotency-key"),
                ..EventMeta::default()
            },
        };
        NewEvent {
            source,
            received_at,
            content_type: self.content_type().to_owned(),
            meta,
            body: self.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_stands() {
        let raw = b"POST /hooks/x/s?a=1 HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nab";
        let file = HttpFile::parse(raw).unwrap();
        assert_eq!((&*file.method, &*file.path), ("POST", "/hooks/x/s"));
        assert_eq!(file.query.as_deref(), Some("a=1"));
        let event = file.into_event(SourceName::new("x"), None, Millis(7));
        assert_eq!(event.content_type, "text/plain");
        assert_eq!(event.meta.query.as_deref(), Some("a=1"));
        assert_eq!(&event.body[..], b"ab");
    }

    #[test]
    fn a_file_that_is_no_request_says_where() {
        for (raw, error) in [
            (&b"POST / HTTP/1.1\n\nx"[..], HttpFileError::NoBody),
            (b"POST\r\n\r\n", HttpFileError::BadLine(1)),
            (b"POST / HTTP/1.1\r\nA\r\n\r\n", HttpFileError::BadLine(2)),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
                HttpFileError::Length {
                    said: "9".to_owned(),
                    has: 1,
                },
            ),
        ] {
            assert_eq!(HttpFile::parse(raw), Err(error));
        }
    }
}
