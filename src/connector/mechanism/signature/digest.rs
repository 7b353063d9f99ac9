//! A hash of what was sent, made with a secret that both sides know.

use http::{HeaderMap, HeaderName};
use ring::{digest, hmac};
use subtle::{Choice, ConstantTimeEq as _};
use url::Url;

use super::expand::{self, Part};
use super::header::{self, Format};
use super::stamp::Stamp;
use super::{Denied, Key, Request, VerifierError, encoding};
use crate::connector::Options;
use crate::connector::manifest::{Encoding, Signature};
use crate::model::Millis;

/// How the hash is made.
#[derive(Debug, Clone, Copy)]
pub enum Algorithm {
    /// An HMAC.
    Hmac(hmac::Algorithm),
    /// A plain SHA-256; the key is part of what is hashed.
    Sha256,
}

/// A hash in a header.
#[derive(Debug)]
pub struct Digest {
    algorithm: Algorithm,
    signed: Vec<Piece>,
    header: HeaderName,
    /// None: the whole header; of a hex signature what follows a `=`.
    format: Option<Format>,
    encoding: Encoding,
    stamp: Option<Stamp>,
    id_header: Option<HeaderName>,
    /// Without a `/` at its end.
    public_url: Option<String>,
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Body,
    Timestamp,
    Id,
    Method,
    Url,
    Path,
    Header(HeaderName),
    Key,
}

/// What is signed, of one request.
struct Signed<'a> {
    request: &'a Request<'a>,
    timestamp: &'a str,
    id: &'a str,
    url: &'a str,
    /// The headers that are signed, in their order.
    headers: Vec<&'a str>,
}

impl Digest {
    /// Of a manifest's `signature`.
    pub fn new(
        algorithm: Algorithm,
        signature: &Signature,
        options: &Options,
        public_url: Option<&Url>,
    ) -> Result<Self, VerifierError> {
        let header = match &signature.header {
            Some(template) => expand::filled(template, options)?,
            None => None,
        };
        let header = header.ok_or(VerifierError::NoHeader)?;
        let header = HeaderName::try_from(header.trim())
            .map_err(|_| VerifierError::Header(header.clone()))?;
        let format = match &signature.format {
            Some(template) => expand::expand(template, options, |name| {
                matches!(name, "signature" | "timestamp")
            })?,
            None => None,
        };
        let format = format.as_deref().map(Format::new).transpose()?;
        let signed = match &signature.signed {
            Some(template) => expand::expand(template, options, Piece::is_name)?,
            None => None,
        };
        let is_plain = matches!(algorithm, Algorithm::Sha256);
        let signed: Vec<Piece> = match signed {
            Some(parts) => parts
                .into_iter()
                .map(Piece::new)
                .collect::<Result<_, _>>()?,
            None if is_plain => vec![Piece::Key, Piece::Body],
            None => vec![Piece::Body],
        };
        // A plain hash without the key in it could be made by anybody, and what is made without the
        // body proves nothing of it.
        if !signed.contains(&Piece::Body) || signed.contains(&Piece::Key) != is_plain {
            return Err(VerifierError::Signed);
        }
        let beside = format.as_ref().is_some_and(Format::has_timestamp);
        let stamp = match &signature.timestamp {
            Some(timestamp) => Some(Stamp::new(timestamp, options)?),
            None => beside.then(Stamp::usual),
        };
        let stamp = stamp.filter(|stamp| beside || stamp.header.is_some());
        if stamp.is_none() && signed.contains(&Piece::Timestamp) {
            return Err(VerifierError::NoTimestamp);
        }
        let id_header = signature.id_header.as_deref();
        let id_header = id_header
            .map(|name| expand::header(name, options))
            .transpose()?
            .flatten();
        if id_header.is_none() && signed.contains(&Piece::Id) {
            return Err(VerifierError::NoHeader);
        }
        let public_url = public_url.map(|url| url.as_str().trim_end_matches('/').to_owned());
        if public_url.is_none() && signed.contains(&Piece::Url) {
            return Err(VerifierError::NoPublicUrl);
        }
        Ok(Self {
            algorithm,
            signed,
            header,
            format,
            encoding: signature.encoding,
            stamp,
            id_header,
            public_url,
        })
    }

    /// Whether one of the header's signatures was made with one of the keys, not long ago.
    pub fn verify(&self, keys: &[Key], request: &Request<'_>, now: Millis) -> Result<(), Denied> {
        let headers = request.headers;
        let bare = Format::bare();
        let format = self.format.as_ref().unwrap_or(&bare);
        let found = format.find(headers, &self.header)?;
        let timestamp = match &self.stamp {
            None => "",
            Some(stamp) => match (&stamp.header, found.timestamp) {
                (Some(name), _) => header::text(headers, name)?,
                (None, Some(timestamp)) => timestamp,
                (None, None) => return Err(Denied::Wrong),
            },
        };
        let id = match &self.id_header {
            Some(name) if self.signed.contains(&Piece::Id) => header::text(headers, name)?,
            _ => "",
        };
        let given: Vec<Vec<u8>> = found
            .signatures
            .iter()
            .flat_map(|text| self.decode(text))
            .collect();
        let mut fits = Choice::from(0);
        for url in &self.urls(request) {
            let signed = Signed {
                request,
                timestamp,
                id,
                url,
                headers: self.signed_headers(headers)?,
            };
            for key in keys {
                let expected = self.hash(key, &signed);
                for given in &given {
                    fits |= expected.as_slice().ct_eq(given);
                }
            }
        }
        if !bool::from(fits) {
            return Err(Denied::Wrong);
        }
        match &self.stamp {
            Some(stamp) => stamp.check(timestamp, now),
            None => Ok(()),
        }
    }

    /// What a text may stand for. Hex and base 64 of one hash differ in length, so that the one is
    /// never taken for the other: both are tried, the expected one first.
    fn decode(&self, text: &str) -> Vec<Vec<u8>> {
        let bare_hex = match &self.format {
            None => text.rsplit('=').next().unwrap_or(text),
            Some(_) => text,
        };
        let (hex, base64) = (encoding::hex(bare_hex), encoding::base64(text));
        let both = match self.encoding {
            Encoding::Hex => [hex, base64],
            Encoding::Base64 => [base64, hex],
        };
        both.into_iter().flatten().collect()
    }

    fn signed_headers<'a>(&self, headers: &'a HeaderMap) -> Result<Vec<&'a str>, Denied> {
        let names = self.signed.iter().filter_map(|piece| match piece {
            Piece::Header(name) => Some(name),
            _ => None,
        });
        names.map(|name| header::text(headers, name)).collect()
    }

    /// The address as the vendor may have signed it.
    fn urls(&self, request: &Request<'_>) -> Vec<String> {
        let Some(public_url) = self
            .public_url
            .as_ref()
            .filter(|_| self.signed.contains(&Piece::Url))
        else {
            return vec![String::new()];
        };
        let mut url = format!("{public_url}{}", request.path);
        if let Some(query) = request.query {
            url.push('?');
            url.push_str(query);
        }
        let decoded = decode_hubspot(&url);
        if decoded == url {
            vec![url]
        } else {
            vec![decoded, url]
        }
    }

    fn hash(&self, key: &Key, signed: &Signed<'_>) -> Vec<u8> {
        let Key::Shared(key) = key else {
            return Vec::new();
        };
        match self.algorithm {
            Algorithm::Hmac(algorithm) => {
                let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
                self.feed(key, signed, |bytes| context.update(bytes));
                context.sign().as_ref().to_vec()
            }
            Algorithm::Sha256 => {
                let mut context = digest::Context::new(&digest::SHA256);
                self.feed(key, signed, |bytes| context.update(bytes));
                context.finish().as_ref().to_vec()
            }
        }
    }

    fn feed(&self, key: &[u8], signed: &Signed<'_>, mut take: impl FnMut(&[u8])) {
        let mut headers = signed.headers.iter();
        for piece in &self.signed {
            take(match piece {
                Piece::Literal(text) => text.as_bytes(),
                Piece::Body => signed.request.body,
                Piece::Timestamp => signed.timestamp.as_bytes(),
                Piece::Id => signed.id.as_bytes(),
                Piece::Method => signed.request.method.as_bytes(),
                Piece::Url => signed.url.as_bytes(),
                Piece::Path => signed.request.path.as_bytes(),
                Piece::Header(_) => headers.next().copied().unwrap_or_default().as_bytes(),
                Piece::Key => key,
            });
        }
    }
}

impl Piece {
    fn is_name(name: &str) -> bool {
        matches!(
            name,
            "body" | "timestamp" | "id" | "method" | "url" | "path" | "key"
        ) || name.starts_with("header:")
    }

    fn new(part: Part) -> Result<Self, VerifierError> {
        let name = match part {
            Part::Literal(text) => return Ok(Self::Literal(text)),
            Part::Name(name) => name,
        };
        Ok(match name.as_str() {
            "body" => Self::Body,
            "timestamp" => Self::Timestamp,
            "id" => Self::Id,
            "method" => Self::Method,
            "url" => Self::Url,
            "path" => Self::Path,
            "key" => Self::Key,
            other => {
                let header = other.strip_prefix("header:").unwrap_or_default();
                let header = HeaderName::try_from(header);
                Self::Header(header.map_err(|_| VerifierError::Name(name))?)
            }
        })
    }
}

/// The address with those escapes decoded that HubSpot decodes before it signs; others stay.
/// Source: developers.hubspot.com, validating requests, v3.
fn decode_hubspot(url: &str) -> String {
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).unwrap_or_default();
        let plain = match code.to_ascii_uppercase().as_str() {
            "3A" => ':',
            "2F" => '/',
            "3F" => '?',
            "40" => '@',
            "21" => '!',
            "24" => '$',
            "27" => '\'',
            "28" => '(',
            "29" => ')',
            "2A" => '*',
            "2C" => ',',
            "3B" => ';',
            _ => {
                decoded.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        };
        decoded.push(plain);
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_escapes_that_hubspot_decodes_are_decoded() {
        assert_eq!(
            decode_hubspot("https://x.example/a%2fb?c=%40d%20e%é%3"),
            "https://x.example/a/b?c=@d%20e%é%3"
        );
    }
}
