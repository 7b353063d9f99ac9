//! Bytes to bodies and back: compression, JSON, and answers that never arrive.

use std::io::{Read, Write as _};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value as Json;

use crate::sandbox::errors::Refusal;

/// The largest body, before and after decompression.
pub(super) const MAX_BODY: usize = 50 * 1024 * 1024;

/// Smaller answers are not worth compressing.
const WORTH_COMPRESSING: usize = 1_024;

/// Undoes `Content-Encoding`.
pub(super) fn decompress(headers: &HeaderMap, body: Bytes, most: usize) -> Result<Bytes, Refusal> {
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes);
    let mut reader: Box<dyn Read> = match encoding {
        None | Some(b"identity") => return Ok(body),
        Some(b"gzip") => Box::new(GzDecoder::new(&*body)),
        Some(b"deflate") => Box::new(ZlibDecoder::new(&*body)),
        Some(_) => {
            let message = "the request's Content-Encoding is neither gzip nor deflate";
            return Err(Refusal::plain("UNSUPPORTED_MEDIA_TYPE", message));
        }
    };
    let mut plain = Vec::new();
    let read = reader
        .by_ref()
        .take(most as u64 + 1)
        .read_to_end(&mut plain);
    match read {
        Ok(length) if length > most => Err(too_large(most)),
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(Refusal::plain(
            "JSON_PARSER_ERROR",
            "the request body cannot be decompressed",
        )),
    }
}

pub(super) fn too_large(most: usize) -> Refusal {
    let message = format!("the request body is larger than {most} bytes");
    Refusal::plain("REQUEST_TOO_LARGE", message)
}

/// Reads a body that must be JSON; an empty one is none.
pub(super) fn read_json(headers: &HeaderMap, body: &Bytes) -> Result<Option<Json>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let message = format!("Content-Type {media_type} is not supported; send application/json");
        return Err(Refusal::plain("UNSUPPORTED_MEDIA_TYPE", message));
    }
    serde_json::from_slice(body).map(Some).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let what = error.to_string().replace(&place, "");
        let message = format!(
            "{what} at [line:{}, column:{}]",
            error.line(),
            error.column()
        );
        Refusal::plain("JSON_PARSER_ERROR", message)
    })
}

/// An answer with this body, compressed if the client takes that and it helps.
pub(super) fn response(
    accept: Option<&HeaderValue>,
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if body.is_empty() {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let accepts = |name: &str| {
        let accepted = accept
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        accepted.split(',').any(|part| {
            let mut parts = part.split(';');
            parts
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case(name)
                && !parts.any(|weight| weight.trim() == "q=0")
        })
    };
    let compressed = if body.len() < WORTH_COMPRESSING {
        None
    } else if accepts("gzip") {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(&body).and_then(|()| encoder.finish());
        written.ok().map(|bytes| ("gzip", bytes))
    } else if accepts("deflate") {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(&body).and_then(|()| encoder.finish());
        written.ok().map(|bytes| ("deflate", bytes))
    } else {
        None
    };
    let body = match compressed {
        Some((encoding, bytes)) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            bytes
        }
        None => body,
    };
    *response.body_mut() = Body::from(body);
    response
}

/// No answer: the connection ends before its first byte, because the body fails before the head
/// is sent.
pub(super) fn cut() -> Response {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the answer is lost");
    let stream = futures_util::stream::once(async { Err::<Bytes, _>(broken) });
    Response::new(Body::from_stream(stream))
}
